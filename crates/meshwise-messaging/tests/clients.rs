//! Each client's own headers as carriers: written and read back, replaced, of every type they can have.
#![cfg(any(
    feature = "async-nats-0_51",
    feature = "lapin-4",
    feature = "rdkafka-0_39",
    feature = "rumqttc-0_25"
))]

mod support;

use meshwise_messaging::{Carrier, CarrierMut, Delivery, System, message_key};
use support::Mesh;

fn names(carrier: &impl Carrier) -> Vec<String> {
    let mut names = Vec::new();
    carrier.each(&mut |name, _| names.push(name.to_ascii_lowercase()));
    names.sort();
    names
}

fn value(carrier: &impl Carrier, wanted: &str) -> Option<Vec<u8>> {
    let mut found = None;
    carrier.each(&mut |name, value| {
        if name.eq_ignore_ascii_case(wanted) {
            found = Some(value.to_vec());
        }
    });
    found
}

/// Sends with these headers, twice, and takes what was sent.
fn there_and_back<C: CarrierMut + Delivery + Clone>(mut headers: C) -> C {
    let (orders, mailer) = (Mesh::new("orders"), Mesh::new("mailer"));
    let producer = orders.messaging.producer(System::NATS, "orders");
    for _ in 0..2 {
        let sending = producer.send();
        sending.inject(&mut headers);
        sending.confirmed();
    }
    let twice = names(&headers).into_iter().filter(|name| name == "traceparent").count();
    assert_eq!(twice, 1, "what is sent again replaces what was there");
    mailer.messaging.consumer(System::NATS, "orders").receive(&headers).ack();
    let sent = orders.spans.spans().pop().expect("a span").span_context;
    assert_eq!(mailer.only_span().parent_span_id, sent.span_id());
    assert_eq!(mailer.only_span().span_context.trace_id(), sent.trace_id());
    headers
}

/// Makes a carrier a delivery that knows nothing.
macro_rules! known {
    ($headers:ty) => {
        #[derive(Clone)]
        struct Known($headers);
        impl Carrier for Known {
            fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
                self.0.each(see);
            }
        }
        impl CarrierMut for Known {
            fn add(&mut self, name: &str, value: &str) {
                self.0.add(name, value);
            }
            fn remove_if(&mut self, gone: &dyn Fn(&str) -> bool) {
                self.0.remove_if(gone);
            }
        }
        impl Delivery for Known {}
    };
}

#[cfg(feature = "async-nats-0_51")]
#[test]
fn nats() {
    use async_nats_0_51::{HeaderMap, Message};
    known!(HeaderMap);
    let mut headers = HeaderMap::new();
    headers.insert("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    headers.append("Note", "a");
    headers.append("Note", "b");
    let headers = there_and_back(Known(headers));
    assert_eq!(names(&headers), ["note", "note", "traceparent", "tracestate"]);
    let mut odd = Known(HeaderMap::new());
    for (name, value) in [("", "x"), ("a b", "x"), ("a:", "x"), ("fine", "a\r\nb")] {
        odd.add(name, value);
    }
    assert_eq!(names(&odd), Vec::<String>::new(), "what cannot be sent is left out");

    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", "m-1");
    let message = Message {
        subject: "orders".into(),
        reply: None,
        payload: "tea".into(),
        headers: Some(headers),
        status: None,
        description: None,
        length: 0,
    };
    assert_eq!((message_key(&message).as_deref(), message.body_size()), (Some("m-1"), Some(3)));
}

#[cfg(feature = "lapin-4")]
#[test]
fn amqp() {
    use lapin_4::types::{AMQPValue, DecimalValue, FieldTable};
    known!(FieldTable);
    let mut headers = FieldTable::default();
    let other = [
        AMQPValue::Boolean(true),
        AMQPValue::ShortShortInt(-1),
        AMQPValue::ShortShortUInt(1),
        AMQPValue::ShortInt(-1),
        AMQPValue::ShortUInt(1),
        AMQPValue::LongInt(-1),
        AMQPValue::LongUInt(1),
        AMQPValue::LongLongInt(-1),
        AMQPValue::Float(1.0),
        AMQPValue::Double(1.0),
        AMQPValue::DecimalValue(DecimalValue { scale: 1, value: 1 }),
        AMQPValue::FieldArray(vec![AMQPValue::Boolean(true)].into()),
        AMQPValue::Timestamp(1),
        AMQPValue::FieldTable(FieldTable::default()),
        AMQPValue::Void,
    ];
    let own = ["baggage", "x-request-timeout-ms", "x-attempt", "x-request-id", "other"];
    for (at, value) in other.into_iter().enumerate() {
        // Under each name that is read, too.
        headers.insert(own[at % own.len()].into(), value.clone());
        headers.insert(format!("other-{at}").into(), value);
    }
    headers.insert("long".into(), AMQPValue::LongString(vec![0xff; 65_536].into()));
    headers.insert("short".into(), AMQPValue::ShortString("text".into()));
    headers.insert("bytes".into(), AMQPValue::ByteArray(vec![0xff, 0].into()));
    let sent = there_and_back(Known(headers));
    assert_eq!(names(&sent), ["bytes", "long", "short", "traceparent", "tracestate"]);
    assert_eq!(value(&sent, "bytes"), Some(vec![0xff, 0]));
    assert!(sent.0.inner().contains_key("other-0"), "what is not ours stays, of whatever type");
    let mut odd = Known(FieldTable::default());
    odd.add(&"x".repeat(300), "too long a name");
    assert_eq!(names(&odd), Vec::<String>::new());
}

#[cfg(feature = "rdkafka-0_39")]
#[test]
fn kafka() {
    use rdkafka_0_39::{
        Timestamp,
        message::{Header, OwnedHeaders, OwnedMessage},
    };
    known!(Option<OwnedHeaders>);
    let headers = OwnedHeaders::new()
        .insert(Header { key: "note", value: Some(&b"\xff"[..]) })
        .insert(Header { key: "note", value: Some(&b""[..]) })
        .insert(Header { key: "null", value: None::<&[u8]> })
        .insert(Header { key: "Baggage", value: None::<&[u8]> });
    let sent = there_and_back(Known(Some(headers)));
    assert_eq!(names(&sent), ["note", "note", "traceparent", "tracestate"]);
    assert_eq!(names(&there_and_back(Known(None))), ["traceparent", "tracestate"]);
    let message = |offset| {
        let body = Some(b"tea".to_vec());
        OwnedMessage::new(body, None, "orders".into(), Timestamp::NotAvailable, 3, offset, None)
    };
    assert_eq!(message_key(&message(7)).as_deref(), Some("orders/3/7"));
    assert_eq!((message(7).published_at(), message(7).body_size()), (None, Some(3)));
    assert_eq!(message_key(&message(-1001)), None, "a place that is none");
}

#[cfg(feature = "rumqttc-0_25")]
#[test]
fn mqtt() {
    use rumqttc_0_25::v5::mqttbytes::v5::PublishProperties;
    known!(PublishProperties);
    let mut headers = PublishProperties::default();
    for (name, value) in [("note", "a"), ("note", "b"), ("TraceState", "old=1")] {
        headers.user_properties.push((name.to_owned(), value.to_owned()));
    }
    let sent = there_and_back(Known(headers));
    assert_eq!(names(&sent), ["note", "note", "traceparent", "tracestate"]);
    assert!(!value(&sent, "tracestate").unwrap_or_default().starts_with(b"old"));
}
