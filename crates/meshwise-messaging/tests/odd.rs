//! Odd messages, each through a real consumer: what is read of them, and that nothing grows with them.

#[allow(dead_code, reason = "what holds of any message is checked elsewhere")]
#[path = "support/message.rs"]
mod message;
mod support;

use meshwise_core::CallInfo;
use meshwise_messaging::{
    Begun, MemoryInbox, OutboxMessage, Processing, Relay, RelayConfig, System,
};
use message::Message;
use opentelemetry::trace::TraceContextExt as _;
use std::time::{Duration, SystemTime};
use support::{Mesh, outbox::Table, value};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OURS: &str = "mw=p:00f067aa0ba902b7;s:orders";

fn message<'h>(headers: impl IntoIterator<Item = (&'h str, &'h [u8])>) -> Message {
    let owned = |(name, value): (&str, &[u8])| (name.to_owned(), value.to_vec());
    Message { headers: headers.into_iter().map(owned).collect(), ..Message::default() }
}

fn receive(mesh: &Mesh, message: &Message) -> Processing {
    mesh.messaging.consumer(System::KAFKA, "orders").with_group("mailer").receive(message)
}

/// Returns the trace that the message goes by, and its id if it told one.
fn ids(processing: &Processing) -> (String, Option<String>) {
    let info = processing.context().get::<CallInfo>();
    let id = info.and_then(|info| info.request_id.as_ref()).map(ToString::to_string);
    (processing.context().span().span_context().trace_id().to_string(), id)
}

fn read<T>(headers: &[(&str, &[u8])], read: impl FnOnce(&Processing) -> T) -> T {
    let mesh = Mesh::new("mailer");
    let processing = receive(&mesh, &message(headers.iter().copied()));
    let read = read(&processing);
    processing.ack();
    read
}

#[test]
fn of_a_header_that_comes_twice_the_rule_is_one() {
    let (parent, ours) = (PARENT.as_bytes(), OURS.as_bytes());
    // The same one twice, too: which of two writers was first is not known.
    let twice = [("traceparent", parent), ("Traceparent", parent), ("tracestate", ours)];
    let (trace, caller) = read(&twice, |p| (ids(p).0, p.caller().cloned()));
    assert_ne!(trace, TRACE);
    assert_eq!(caller, None);
    // A list in two parts is one list.
    let parts = [("tracestate", &b"congo=1"[..]), ("traceparent", parent), ("TraceState", ours)];
    let (state, caller) = read(&parts, |p| {
        let info = p.context().get::<CallInfo>().unwrap();
        (info.trace_state.as_str().to_owned(), p.caller().cloned())
    });
    assert_eq!((&*state, caller.as_deref()), ("congo=1", Some("orders")));
    let parts = [("baggage", &b"a=1"[..]), ("traceparent", parent), ("Baggage", b"b=2,a=3")];
    let baggage = read(&parts, |p| p.baggage().to_header());
    assert_eq!(baggage, "b=2,a=3");
    let firsts = [
        ("x-attempt", &b"2"[..]),
        ("X-Attempt", b"7"),
        ("x-request-timeout-ms", b"60000"),
        ("x-request-timeout-ms", b"1"),
        ("x-request-id", b"first"),
        ("x-request-id", b"second"),
    ];
    read(&firsts, |p| {
        assert_eq!((p.attempts_before(), ids(p).1.as_deref()), (2, Some("first")));
        assert!(!p.is_expired() && p.deadline().is_some());
    });
}

#[test]
fn what_is_64_kib_long_was_not_sent() {
    let long = vec![b'a'; 64 << 10];
    let mut padded = PARENT.as_bytes().to_vec();
    padded.resize(64 << 10, b' ');
    let trace = read(&[("traceparent", &padded)], |p| ids(p).0);
    assert_ne!(trace, TRACE);
    let mut state = OURS.as_bytes().to_vec();
    state.extend(b",x=".iter().chain(&long));
    let parent = PARENT.as_bytes();
    let caller = read(&[("traceparent", parent), ("tracestate", &state)], |p| p.caller().cloned());
    assert_eq!(caller, None);
    let list = [b"a=1,b=", &long[..]].concat();
    read(
        &[
            ("traceparent", parent),
            ("baggage", &list),
            ("x-request-id", &long),
            ("x-attempt", &long),
            ("x-request-timeout-ms", &long),
            ("x-idempotency-key", &long),
        ],
        |p| {
            assert_eq!(ids(p), (TRACE.to_owned(), Some(TRACE.to_owned())), "named by its trace");
            assert_eq!((p.attempts_before(), p.deadline().is_some()), (0, false));
            assert_eq!(p.baggage().to_header(), "a=1");
        },
    );
}

#[test]
fn what_is_of_another_type_was_not_sent() {
    // What brokers' consoles and other languages write for numbers, and for nothing.
    let numbers: [&[u8]; 9] = [
        b"1e3",
        b"-1",
        b"+1",
        b"0x10",
        b"1.5",
        b"null",
        "\u{ff11}".as_bytes(),
        &[0, 0, 0, 5],
        b"1 2",
    ];
    for number in numbers {
        read(&[("x-attempt", number), ("x-request-timeout-ms", number)], |p| {
            assert_eq!((p.attempts_before(), p.deadline().is_some()), (0, false), "{number:?}");
        });
    }
    for id in [&b"\xff\xfe"[..], b"a b", b"\0", "\u{1F600}".as_bytes()] {
        let told = read(&[("traceparent", PARENT.as_bytes()), ("x-request-id", id)], |p| ids(p).1);
        assert_eq!(told.as_deref(), Some(TRACE), "{id:?}");
    }
    for parent in [&b"\xff"[..], &PARENT.as_bytes()[..54], b"{}", PARENT.to_uppercase().as_bytes()]
    {
        assert_ne!(read(&[("traceparent", parent)], |p| ids(p).0), TRACE, "{parent:?}");
    }
}

#[test]
fn a_clock_that_differs_gives_no_time_and_no_age_below_zero() {
    let mesh = Mesh::new("mailer");
    let minute = Duration::from_secs(60);
    let now = SystemTime::now();
    let far = Duration::from_secs(1 << 40);
    for (published, expired) in [
        (now.checked_add(minute), false),
        (now.checked_add(far), false),
        (now.checked_sub(2 * minute), true),
        (SystemTime::UNIX_EPOCH.checked_sub(far), true),
        (None, false),
    ] {
        let headers = message([("x-request-timeout-ms", &b"60000"[..])]);
        let processing = receive(&mesh, &Message { published, ..headers });
        assert_eq!(processing.is_expired(), expired, "{published:?}");
        let left = processing.deadline().unwrap().remaining(std::time::Instant::now());
        assert!(left.unwrap_or_default() <= minute, "{published:?}: {left:?}");
        let in_hand = mesh.messaging.in_hand();
        assert_eq!(in_hand.len(), 1);
        let age = value(&mesh.metrics.render_text(), "meshwise_consumer_age_seconds", &[]);
        assert!(age >= 0.0, "{published:?}: {age}");
        processing.ack();
    }
    let age = value(&mesh.metrics.render_text(), "meshwise_consumer_age_seconds", &[]);
    assert!(age == 0.0 && mesh.messaging.in_hand().is_empty());
}

#[test]
fn a_thousand_destinations_are_a_bounded_number_of_series() {
    let mesh = Mesh::new("mailer");
    let sent = message([("traceparent", PARENT.as_bytes()), ("tracestate", OURS.as_bytes())]);
    // A queue for each customer, each instance, each reply.
    for i in 0..1000 {
        for name in [format!("orders.{i}"), format!("amq.gen-{i:022}"), format!("_INBOX.{i}.1")] {
            let consumer = mesh.messaging.consumer(System::RABBITMQ, &*name).with_group(&*name);
            consumer.receive(&sent).ack();
            consumer.count_duplicate();
            mesh.messaging.producer(System::RABBITMQ, &*name).send().confirmed();
        }
        mesh.spans.clear();
    }
    let text = mesh.metrics.render_text();
    for (metric, count) in [
        ("messaging_client_consumed_messages_total", 3000.0),
        ("meshwise_messages_settled_total", 3000.0),
        ("messaging_process_duration_seconds_count", 3000.0),
        ("messaging_client_sent_messages_total", 3000.0),
        ("meshwise_consumer_age_seconds", 0.0),
    ] {
        let series = text.lines().filter(|line| line.starts_with(&format!("{metric}{{"))).count();
        assert!((2..=201).contains(&series), "{metric}: {series}");
        assert_eq!(value(&text, metric, &[]), count, "{metric}: none is lost");
    }
    assert!(value(&text, "meshwise_label_overflow_total", &[]) > 0.0);
    let senders = "traces_service_graph_request_total";
    assert_eq!(value(&text, senders, &["client=\"orders\""]), 3000.0);
}

#[test]
fn a_message_whose_effect_is_being_made_is_in_flight_and_new_again_if_that_breaks_off() {
    let inbox = MemoryInbox::new(10);
    let Begun::New(first) = inbox.begin("order-7") else { panic!("it is new") };
    assert!(matches!(inbox.begin("order-7"), Begun::InFlight));
    assert!(matches!(inbox.begin("order-8"), Begun::New(_)), "others are not held up");
    drop(first);
    let Begun::New(second) = inbox.begin("order-7") else { panic!("it is new again") };
    second.done();
    assert!(matches!(inbox.begin("order-7"), Begun::Done));
}

#[test]
fn what_a_consumer_leaves_unsettled_is_dropped_and_leaves_nothing_behind() {
    let mesh = Mesh::new("mailer");
    let sent = message([("traceparent", PARENT.as_bytes())]);
    // With its consumer gone; in a thread that panics; as a batch of two.
    let consumer = mesh.messaging.consumer(System::KAFKA, "orders");
    let processing = consumer.receive(&sent);
    drop(consumer);
    drop(processing);
    let processing = receive(&mesh, &sent);
    std::thread::spawn(move || {
        let _held = processing;
        panic!("on purpose");
    })
    .join()
    .unwrap_err();
    drop(mesh.messaging.consumer(System::KAFKA, "orders").receive_batch([&sent, &sent]));
    let text = mesh.metrics.render_text();
    assert_eq!(value(&text, "meshwise_messages_settled_total", &["outcome=\"dropped\""]), 4.0);
    let panicked = value(&text, "messaging_process_duration_seconds_count", &["\"panic\""]);
    assert_eq!(panicked, 1.0);
    assert_eq!(value(&text, "meshwise_consumer_age_seconds", &[]), 0.0);
    assert!(mesh.messaging.in_hand().is_empty());
    assert_eq!(mesh.spans.spans().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_no_broker_takes_holds_up_nothing_but_its_key() {
    const MOST: usize = 1 << 20;
    let large = || vec![0; MOST + 1];
    // First of all; in the middle, with a key; and more of them than are read at a time.
    for (rows, left) in [
        (vec![(None, large()), (None, vec![1]), (Some("a"), vec![2])], vec![0]),
        (
            vec![(Some("a"), vec![1]), (Some("a"), large()), (Some("a"), vec![2]), (None, vec![3])],
            vec![1, 2],
        ),
        (
            (0..8)
                .map(|_| (None, large()))
                .chain([(None, vec![1]), (Some("b"), vec![2])])
                .collect(),
            (0..8).collect(),
        ),
    ] {
        let store = Table::default();
        for (id, (key, body)) in (0..).zip(rows) {
            let mut row = OutboxMessage::new("orders", body);
            row.id = id;
            row.key = key.map(str::to_owned);
            store.0.lock().unwrap().push(row);
        }
        let publish = async |row: OutboxMessage| match row.body.len() {
            ..=MOST => Ok(()),
            _ => Err("message too large"),
        };
        let config = RelayConfig::default().with_batch(4);
        let relay = Relay::new(store.clone(), publish, config);
        // It goes on for ever, with waits of up to a minute.
        tokio::time::timeout(Duration::from_secs(600), relay.run()).await.unwrap_err();
        let waiting: Vec<_> = store.0.lock().unwrap().iter().map(|row| row.id).collect();
        assert_eq!(waiting, left);
    }
}
