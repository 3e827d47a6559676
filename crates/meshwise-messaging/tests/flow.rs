//! A message's way from a producer to a consumer, over headers of any kind.

mod support;

use meshwise_core::{Deadline, propagation::Baggage};
use meshwise_messaging::{
    Carrier, CarrierMut, Consumer, Delivery, Parenting, Position, Processing, Producer, Settled,
    System, Trust, WatchError,
};
use opentelemetry::{
    Context,
    baggage::BaggageExt,
    trace::{SpanKind, Status, TraceContextExt},
};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};
use support::{Mesh, attribute};

type Headers = Vec<(String, String)>;

fn pair(orders: &Mesh, mailer: &Mesh) -> (Producer, Consumer) {
    let producer = orders.messaging.producer(System::NATS, "order.placed");
    let consumer = mailer.messaging.consumer(System::NATS, "order.placed").with_group("mailer");
    (producer, consumer)
}

fn send(producer: &Producer) -> Headers {
    let mut headers = Headers::new();
    let sending = producer.send();
    sending.inject(&mut headers);
    sending.confirmed();
    headers
}

fn header<'h>(headers: &'h Headers, wanted: &str) -> Option<&'h str> {
    headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

#[test]
fn one_trace_goes_through_and_names_who_sent() {
    let (orders, mailer) = (Mesh::new("orders"), Mesh::new("mailer"));
    let (producer, consumer) = pair(&orders, &mailer);
    let headers = send(&producer);
    let processing = consumer.receive(&headers);
    assert_eq!(processing.caller().map(|name| &**name), Some("orders"));
    processing.ack();

    let (sent, processed) = (orders.only_span(), mailer.only_span());
    assert_eq!((&*sent.name, sent.span_kind.clone()), ("send order.placed", SpanKind::Producer));
    assert_eq!(
        (&*processed.name, processed.span_kind.clone()),
        ("process order.placed", SpanKind::Consumer)
    );
    assert_eq!(processed.span_context.trace_id(), sent.span_context.trace_id());
    assert_eq!(processed.parent_span_id, sent.span_context.span_id());
    assert_eq!(attribute(&sent, "messaging.system.name"), Some("nats".into()));
    assert_eq!(attribute(&processed, "messaging.consumer.group.name"), Some("mailer".into()));
    assert_eq!(attribute(&processed, "client.service.name"), Some("orders".into()));
    assert_eq!(attribute(&processed, "meshwise.message.settled"), Some("ack".into()));
    assert_eq!(processed.status, Status::Unset);

    let text = mailer.metrics.render_text();
    let labels = r#"messaging_system_name="nats",messaging_destination_name="order.placed",messaging_consumer_group_name="mailer""#;
    assert_eq!(
        support::value(&text, "meshwise_messages_settled_total", &[labels, r#"outcome="ack""#]),
        1.0
    );
    assert_eq!(support::value(&text, "messaging_client_consumed_messages_total", &[labels]), 1.0);
    let edge = r#"client="orders",connection_type="messaging_system",server="mailer""#;
    assert_eq!(support::value(&text, "traces_service_graph_request_total", &[edge]), 1.0);
    let text = orders.metrics.render_text();
    assert!(!text.contains("traces_service_graph_request_total{"), "counted twice:\n{text}");
    assert_eq!(
        support::value(
            &text,
            "messaging_client_sent_messages_total",
            &[r#"messaging_operation_name="send""#]
        ),
        1.0
    );
}

#[test]
fn names_in_any_case_are_read_and_all_old_ones_are_replaced() {
    let (orders, mailer) = (Mesh::new("orders"), Mesh::new("mailer"));
    let (producer, consumer) = pair(&orders, &mailer);
    // As Go's libraries write them.
    let mut headers: Headers = send(&producer)
        .into_iter()
        .map(|(name, value)| (name[..1].to_uppercase() + &name[1..], value))
        .collect();
    headers.push(("X-Request-Timeout-Ms".into(), "5".into()));
    headers.push(("Order".into(), "7".into()));
    let processing = consumer.receive(&headers);
    assert!(processing.deadline().is_some());
    // Sent on: nothing of the first sender is left.
    let _entered = processing.enter();
    let sending = mailer.messaging.producer(System::NATS, "mail.sent").send();
    sending.inject(&mut headers);
    sending.unconfirmed();
    let mut names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Order", "traceparent", "tracestate", "x-request-id"]);
    assert!(header(&headers, "tracestate").unwrap().contains("s:mailer"));
}

#[test]
fn two_traceparents_are_none_whatever_their_case() {
    let (orders, mailer) = (Mesh::new("orders"), Mesh::new("mailer"));
    let (producer, consumer) = pair(&orders, &mailer);
    let mut headers = send(&producer);
    let (_, value) = headers.iter().find(|(name, _)| name == "traceparent").unwrap().clone();
    headers.push(("Traceparent".into(), value));
    consumer.receive(&headers).ack();
    let processed = mailer.only_span();
    assert_ne!(processed.span_context.trace_id(), orders.only_span().span_context.trace_id());
    assert!(mailer.only_span().links.links.is_empty());
}

#[test]
fn baggage_and_api_version_arrive() {
    let (orders, mailer) = (Mesh::new("orders"), Mesh::new("mailer"));
    let (producer, consumer) = pair(&orders, &mailer);
    let cx = Context::new().with_baggage([opentelemetry::KeyValue::new("tier", "gold")]);
    let mut headers = BTreeMap::<String, Vec<u8>>::new();
    {
        let _attached = cx.attach();
        let sending = producer.send().with_api_version("v1_20260101-2");
        sending.inject(&mut headers);
        sending.confirmed();
    }
    let processing = consumer.receive(&headers);
    assert_eq!(processing.baggage().get("tier"), Some("gold"));
    assert_eq!(processing.api_version(), Some("v1_20260101-2"));
    let seen = processing.context().baggage().get("tier").map(ToString::to_string);
    assert_eq!(seen.as_deref(), Some("gold"));
    processing.ack();
}

#[test]
fn a_request_id_goes_along_and_a_message_without_one_is_named_by_its_trace() {
    use meshwise_core::CallInfo;
    let (orders, mailer) = (Mesh::new("orders"), Mesh::new("mailer"));
    let (producer, consumer) = pair(&orders, &mailer);
    let id = |headers: &Headers, consumer: &Consumer| {
        let processing = consumer.receive(headers);
        let info = processing.context().get::<CallInfo>().unwrap();
        let id = info.request_id.as_ref().unwrap().to_string();
        let _entered = processing.enter();
        let next = send(&producer);
        (id, header(&next, "x-request-id").map(ToOwned::to_owned))
    };
    let mut headers = send(&producer);
    let trace = orders.only_span().span_context.trace_id().to_string();
    assert_eq!(id(&headers, &consumer), (trace.clone(), Some(trace.clone())));
    headers.push(("X-Request-Id".into(), "r-7".into()));
    assert_eq!(id(&headers, &consumer), ("r-7".into(), Some("r-7".into())));
    let edge = consumer.with_trust(Trust::Edge);
    assert_ne!(id(&headers, &edge).0, "r-7");
    headers.pop();
    headers.push(("x-request-id".into(), "\u{e9} r".into()));
    let consumer = mailer.messaging.consumer(System::NATS, "order.placed");
    assert_eq!(id(&headers, &consumer).0, trace);
}

#[test]
fn strangers_are_linked_to_and_nothing_more() {
    let (orders, mailer) = (Mesh::new("orders"), Mesh::new("mailer"));
    let (producer, consumer) = pair(&orders, &mailer);
    let mut headers = send(&producer);
    headers.push(("baggage".into(), "tier=gold".into()));
    headers.push(("x-request-timeout-ms".into(), "5".into()));
    let processing = consumer.with_trust(Trust::Edge).receive(&headers);
    assert_eq!((processing.caller(), processing.deadline()), (None, None));
    assert_eq!(*processing.baggage(), Baggage::EMPTY);
    processing.ack();
    let (sent, processed) = (orders.only_span(), mailer.only_span());
    assert_ne!(processed.span_context.trace_id(), sent.span_context.trace_id());
    assert_eq!(processed.links.links[0].span_context.span_id(), sent.span_context.span_id());
}

#[test]
fn a_batch_links_to_its_producers_and_so_does_one_message_if_asked() {
    let (orders, mailer) = (Mesh::new("orders"), Mesh::new("mailer"));
    let (producer, consumer) = pair(&orders, &mailer);
    let messages: Vec<_> = (0..200).map(|_| send(&producer)).collect();
    consumer.receive_batch(&messages).ack();
    let span = mailer.only_span();
    assert_eq!(span.links.links.len(), 128);
    assert_eq!(attribute(&span, "messaging.batch.message_count"), Some(200.into()));
    let text = mailer.metrics.render_text();
    assert_eq!(
        support::value(&text, "meshwise_messages_settled_total", &[r#"outcome="ack""#]),
        200.0
    );
    let edge = r#"client="orders",connection_type="messaging_system",server="mailer""#;
    let edges = "traces_service_graph_request_total";
    assert_eq!(support::value(&text, edges, &[edge]), 200.0);

    mailer.spans.clear();
    consumer.with_parenting(Parenting::Link).receive(&messages[0]).ack();
    let span = mailer.only_span();
    assert_eq!((span.links.links.len(), span.parent_span_is_remote), (1, false));
}

#[derive(Debug)]
struct Declined;

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("card declined")
    }
}

impl std::error::Error for Declined {}

#[test]
fn each_way_to_settle_has_its_outcome_and_one_finish() {
    type Settle = fn(Processing);
    let settle: [(&str, Settle); 6] = [
        ("ack", Processing::ack),
        ("nack", |message| message.nack(&Declined)),
        ("reject", |message| message.reject(&Declined)),
        ("dead_letter", |message| message.dead_letter(&Declined)),
        ("dead_letter", |message| message.settle(Settled::DeadLetter, None)),
        ("dropped", drop),
    ];
    for (outcome, settle) in settle {
        let mailer = Mesh::new("mailer");
        let consumer = mailer.messaging.consumer(System::KAFKA, "orders");
        settle(consumer.receive(&Headers::new()));
        let span = mailer.only_span();
        assert_eq!(attribute(&span, "meshwise.message.settled"), Some(outcome.into()));
        let text = mailer.metrics.render_text();
        let label = format!(r#"outcome="{outcome}""#);
        assert_eq!(support::value(&text, "meshwise_messages_settled_total", &[&label]), 1.0);
        let failed = attribute(&span, "error.type");
        match outcome {
            "dropped" => assert_eq!(failed, Some("cancelled".into())),
            "nack" | "reject" => {
                assert_eq!(failed, Some("_OTHER".into()));
                assert_eq!(span.status, Status::error("card declined"));
            }
            _ => {}
        }
        assert_eq!(support::value(&text, "meshwise_consumer_age_seconds", &[]), 0.0);
    }
}

#[tokio::test]
async fn the_handler_runs_in_the_message_s_context_and_its_panic_is_known() {
    let mailer = Mesh::new("mailer");
    let consumer = mailer.messaging.consumer(System::KAFKA, "orders");
    let processing = consumer.receive(&Headers::new());
    let inside = processing
        .run(async {
            tokio::task::yield_now().await;
            Context::map_current(|cx| cx.span().span_context().span_id())
        })
        .await;
    assert!(!Context::map_current(TraceContextExt::has_active_span));
    processing.ack();
    assert_eq!(mailer.only_span().span_context.span_id(), inside);

    mailer.spans.clear();
    let task = tokio::spawn({
        let consumer = consumer.clone();
        async move {
            let processing = consumer.receive(&Headers::new());
            processing.run(async { panic!("in the handler") }).await
        }
    });
    assert!(task.await.is_err_and(|error| error.is_panic()));
    let span = mailer.only_span();
    assert_eq!(attribute(&span, "error.type"), Some("panic".into()));
    assert_eq!(attribute(&span, "meshwise.message.settled"), Some("dropped".into()));
}

#[derive(Default)]
struct Known {
    headers: Headers,
    published: Option<SystemTime>,
    deliveries: u32,
}

impl Carrier for Known {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        self.headers.each(see);
    }
}

impl Delivery for Known {
    fn message_id(&self) -> Option<Cow<'_, str>> {
        Some("m-1".into())
    }
    fn position(&self) -> Option<Position<'_>> {
        Some(Position::new("orders", Some(3), 77))
    }
    fn deliveries_before(&self) -> u32 {
        self.deliveries
    }
    fn published_at(&self) -> Option<SystemTime> {
        self.published
    }
    fn body_size(&self) -> Option<usize> {
        Some(12)
    }
}

#[test]
fn what_the_client_knows_is_on_the_span() {
    let mailer = Mesh::new("mailer");
    let consumer = mailer.messaging.consumer(System::KAFKA, "orders");
    let message = Known { deliveries: 2, ..Known::default() };
    let processing = consumer.receive(&message);
    assert_eq!(processing.attempts_before(), 2);
    processing.ack();
    let span = mailer.only_span();
    assert_eq!(attribute(&span, "messaging.message.id"), Some("m-1".into()));
    assert_eq!(attribute(&span, "messaging.destination.partition.id"), Some("3".into()));
    assert_eq!(attribute(&span, "kafka.offset"), Some(77.into()));
    assert_eq!(attribute(&span, "messaging.message.body.size"), Some(12.into()));
    assert_eq!(attribute(&span, "meshwise.message.attempt"), Some(2.into()));
}

#[test]
fn time_in_the_queue_counts_against_the_deadline() {
    let (orders, mailer) = (Mesh::new("orders"), Mesh::new("mailer"));
    let (producer, consumer) = pair(&orders, &mailer);
    let mut message = Known::default();
    let now = Instant::now();
    let sending = producer.send().with_deadline(Deadline::after(now, Duration::from_secs(60)));
    sending.inject(&mut message.headers);
    sending.confirmed();
    let left = |message: &Known| {
        let processing = consumer.receive(message);
        let left = processing.deadline().map(|d| d.remaining(Instant::now()).unwrap_or_default());
        assert_eq!(processing.is_expired(), left == Some(Duration::ZERO));
        processing.ack();
        left.unwrap().as_secs()
    };
    assert!((58..=60).contains(&left(&message)));
    message.published = Some(SystemTime::now() - Duration::from_secs(40));
    assert!((18..=20).contains(&left(&message)));
    message.published = Some(SystemTime::now() - Duration::from_secs(400));
    assert_eq!(left(&message), 0);
    // A producer's clock that runs ahead gives no more than was told.
    message.published = Some(SystemTime::now() + Duration::from_secs(400));
    assert!((58..=60).contains(&left(&message)));
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_the_deadline_along_and_ends_with_it() {
    let (orders, mailer) = (Mesh::new("orders"), Mesh::new("mailer"));
    let (producer, consumer) = pair(&orders, &mailer);
    let mut headers = Headers::new();
    let outer =
        producer.send().with_deadline(Deadline::after(Instant::now(), Duration::from_millis(200)));
    outer.inject(&mut headers);
    outer.confirmed();

    let processing = consumer.receive(&headers);
    let _entered = processing.enter();
    let stock = mailer.messaging.producer(System::NATS, "stock.take");
    // An event inherits no deadline.
    let event = stock.send();
    assert_eq!(event.deadline(), None);
    event.unconfirmed();
    let request = stock.request();
    assert_eq!(request.deadline(), processing.deadline());
    let mut headers = Headers::new();
    request.inject(&mut headers);
    assert!(header(&headers, "x-request-timeout-ms").unwrap().parse::<u64>().unwrap() <= 200);
    let never = std::future::pending::<Result<(), Declined>>();
    let answer = request.watch(never).await;
    assert!(matches!(answer, Err(WatchError::DeadlineExceeded)), "{answer:?}");
    let request =
        stock.request().with_deadline(Deadline::after(Instant::now(), Duration::from_secs(9)));
    assert_eq!(request.deadline(), processing.deadline(), "the earlier one stays");
    drop(request);
    let spans = mailer.spans.spans();
    let request = spans.iter().find(|span| span.name == "request stock.take").unwrap();
    assert_eq!(request.span_kind, SpanKind::Client);
    assert_eq!(attribute(request, "error.type"), Some("timeout".into()));
}

#[tokio::test]
async fn what_was_not_sent_is_known() {
    let orders = Mesh::new("orders");
    let producer = orders.messaging.producer(System::MQTT, "orders");
    drop(producer.send());
    producer.send().failed(&Declined);
    let result = producer.send().watch(async { Err::<(), _>(Declined) }).await;
    assert!(matches!(result, Err(WatchError::Sending(Declined))));
    producer.send().watch(async { Ok::<_, Declined>(()) }).await.unwrap();
    let errors: Vec<_> =
        orders.spans.spans().iter().map(|span| attribute(span, "error.type")).collect();
    let text = |word: &'static str| Some(word.into());
    assert_eq!(errors, [text("cancelled"), text("_OTHER"), text("_OTHER"), None]);
}

#[test]
fn without_tracing_context_is_handed_on() {
    let orders = Mesh::new("orders");
    let producer = orders.messaging.producer(System::NATS, "order.placed");
    let headers = send(&producer);
    let bare =
        meshwise_messaging::Messaging::builder(meshwise_core::Service::new("mailer", "1")).build();
    let processing = bare.consumer(System::NATS, "order.placed").receive(&headers);
    let _entered = processing.enter();
    let mut next = Headers::new();
    let sending = bare.producer(System::NATS, "mail.sent").send();
    sending.inject(&mut next);
    sending.confirmed();
    assert_eq!(header(&next, "traceparent"), header(&headers, "traceparent"));
}

#[test]
fn a_full_carrier_and_a_strange_one_do_no_harm() {
    struct Refuses(Headers);
    impl Carrier for Refuses {
        fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
            self.0.each(see);
        }
    }
    impl CarrierMut for Refuses {
        fn add(&mut self, _: &str, _: &str) {}
        fn remove_if(&mut self, _: &dyn Fn(&str) -> bool) {}
    }
    let orders = Mesh::new("orders");
    let sending = orders.messaging.producer(System::NATS, "order.placed").send();
    let mut carrier = Refuses(vec![("traceparent".into(), "x".into())]);
    sending.inject(&mut carrier);
    sending.confirmed();
    assert_eq!(carrier.0.len(), 1);
}
