//! Messages that no one samples: their handlers, and what these send, know as much as those of sampled ones.

mod support;

use meshwise_core::{CallInfo, TraceId};
use meshwise_messaging::{Consumer, Producer, System, Trust};
use meshwise_trace::SamplerConfig;
use opentelemetry::{Context, baggage::BaggageExt as _, trace::TraceContextExt as _};
use support::Mesh;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const OURS: &str = "mw=p:00f067aa0ba902b7;s:orders;v:2";

type Headers<'h> = Vec<(&'h str, &'h str)>;

fn pair(mesh: &Mesh) -> (Producer, Consumer) {
    let consumer = mesh.messaging.consumer(System::NATS, "order.placed");
    (mesh.messaging.producer(System::NATS, "mail.written"), consumer)
}

/// What a handler finds, and what the message that it sends says.
#[derive(Debug, PartialEq)]
struct Seen {
    trace: String,
    request_id: Option<String>,
    caller: Option<String>,
    attempt: u32,
    has_deadline: bool,
    state: String,
    tier: Option<String>,
    sent: [Option<String>; 3],
}

fn handled(consumer: &Consumer, producer: &Producer, headers: &Headers<'_>) -> (Seen, Seen) {
    let processing = consumer.receive(headers);
    let see = |cx: &Context| {
        let trace = cx.span().span_context().trace_id();
        let info = cx.get::<CallInfo>();
        let info = info.map(|info| info.in_trace(TraceId::from_bytes(trace.to_bytes())));
        let info = info.unwrap_or_default();
        let _attached = cx.clone().attach();
        let mut sent = Vec::<(String, String)>::new();
        let sending = producer.request();
        sending.inject(&mut sent);
        sending.confirmed();
        let said = |wanted: &str| {
            sent.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        let trace_sent = said("traceparent").map(|value| value[3..35].to_owned());
        Seen {
            trace: trace.to_string(),
            request_id: info.request_id.map(|id| id.to_string()),
            caller: info.caller.as_deref().map(ToOwned::to_owned),
            attempt: info.attempt,
            has_deadline: info.deadline.is_some(),
            state: info.trace_state.as_str().to_owned(),
            tier: cx.baggage().get("tier").map(ToString::to_string),
            sent: [trace_sent, said("x-request-id"), said("baggage")],
        }
    };
    let inside = {
        let _entered = processing.enter();
        see(&Context::current())
    };
    let outside = see(processing.context());
    let span = |cx: &Context| cx.span().span_context().span_id();
    let own = span(processing.context());
    {
        let _entered = processing.enter();
        assert_eq!(span(&Context::current()), own, "one span");
    }
    processing.ack();
    (inside, outside)
}

#[test]
fn a_handler_and_what_it_sends_know_as_much_as_of_a_sampled_message() {
    let more: [(&str, Headers<'_>); 7] = [
        ("nothing", vec![]),
        ("its trace as its id", vec![("x-request-id", TRACE)]),
        ("an id", vec![("x-request-id", "r-7")]),
        ("a deadline", vec![("x-request-timeout-ms", "60000")]),
        ("an attempt", vec![("x-attempt", "2")]),
        ("baggage", vec![("baggage", "tier=gold")]),
        ("another's state", vec![("tracestate", "congo=1")]),
    ];
    let sampled = PARENT.replace("-00f067aa0ba902b7-00", "-00f067aa0ba902b7-01");
    let mesh = Mesh::sampled("mailer", SamplerConfig::parent_based(SamplerConfig::always_on()));
    let (producer, consumer) = pair(&mesh);
    for (what, more) in more {
        let told = |parent: &str| {
            let mut headers: Headers<'_> = vec![("traceparent", parent)];
            if !more.iter().any(|(name, _)| *name == "tracestate") {
                headers.push(("tracestate", OURS));
            }
            headers.extend(&more);
            // The first message of a sender, and those that come after it.
            let first = handled(&consumer, &producer, &headers);
            assert_eq!(handled(&consumer, &producer, &headers), first, "{what}");
            first
        };
        let (unseen, seen) = (told(PARENT), told(&sampled));
        assert_eq!(unseen, seen, "{what}");
        assert_eq!(unseen.0, unseen.1, "{what}: what runs, and what asks the message");
        let id = if what == "an id" { "r-7" } else { TRACE };
        let sent = unseen.0.sent[1].as_deref();
        assert_eq!(
            (&*unseen.0.trace, unseen.0.request_id.as_deref(), sent),
            (TRACE, Some(id), Some(id))
        );
    }
}

#[test]
fn a_known_sender_is_believed_as_an_unknown_one_is() {
    let mesh = Mesh::sampled("mailer", SamplerConfig::always_off());
    let (_, consumer) = pair(&mesh);
    let read = |consumer: &Consumer, parent: &str, state: &str| {
        let headers: Headers<'_> = vec![("traceparent", parent), ("tracestate", state)];
        let processing = consumer.receive(&headers);
        let caller = processing.caller().map(ToString::to_string);
        let version = processing.api_version().map(ToOwned::to_owned);
        let has_state = processing
            .context()
            .get::<CallInfo>()
            .is_some_and(|info| !info.trace_state.as_str().is_empty());
        processing.ack();
        (caller, version, has_state)
    };
    let orders = (Some("orders".to_owned()), Some("2".to_owned()), false);
    let (nobody, other) = ((None, None, false), "mw=p:00f067aa0ba902b8;s:orders;v:2");
    for round in 0..3 {
        assert_eq!(read(&consumer, PARENT, OURS), orders, "{round}");
        assert_eq!(read(&consumer, &PARENT.replace("902b7", "902b8"), other), orders, "{round}");
        assert_eq!(read(&consumer, PARENT, other), nobody, "of another span: {round}");
        assert_eq!(read(&consumer, &PARENT.replace("00-4b", "00-zz"), OURS), nobody, "{round}");
        let both = format!("{OURS},congo=1");
        let (caller, version, has_state) = read(&consumer, PARENT, &both);
        assert_eq!((caller, version, has_state), (orders.0.clone(), orders.1.clone(), true));
        let edge = consumer.clone().with_trust(Trust::Edge);
        assert_eq!(read(&edge, PARENT, OURS), nobody, "{round}");
        let encoded = read(&consumer, PARENT, "mw=p:00f067aa0ba902b7;s:%C3%A4;a:3");
        assert_eq!(encoded, (Some("\u{e4}".to_owned()), None, false), "{round}");
    }
}

#[tokio::test]
async fn what_outlives_its_message_keeps_its_context() {
    let mesh = Mesh::sampled("mailer", SamplerConfig::always_off());
    let (producer, consumer) = pair(&mesh);
    let headers: Headers<'_> = vec![("traceparent", PARENT), ("tracestate", OURS)];
    let processing = consumer.receive(&headers);
    let kept = processing.run(async { Context::current() }).await;
    processing.ack();
    let other = PARENT.replace("4bf9", "5bf9");
    for _ in 0..3 {
        let headers: Headers<'_> = vec![("traceparent", &other), ("tracestate", OURS)];
        let processing = consumer.receive(&headers);
        processing.run(tokio::task::yield_now()).await;
        processing.ack();
    }
    let _attached = kept.attach();
    let mut sent = Vec::<(String, String)>::new();
    let sending = producer.send();
    sending.inject(&mut sent);
    sending.confirmed();
    assert!(sent.iter().any(|(name, value)| name == "traceparent" && value.contains(TRACE)));
    assert!(sent.iter().any(|(name, value)| name == "x-request-id" && value == TRACE));
}
