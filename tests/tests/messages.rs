//! Messages through the front door: one trace over HTTP and a queue, and APIs that are made of messages.

use axum::{Router, body::Body, extract::Request, routing::post};
use meshwise::{
    api::{Date, Declared, ProvidedApi, ProvidedVersion},
    log::{LogLines, LogOutput, Redaction},
    messaging::{Consumer, Reason, System, Trust},
    opentelemetry::trace::SpanKind,
};
use meshwise_testing::TestMesh;
use std::sync::{Arc, Mutex};
use tower::ServiceExt as _;

type Headers = Vec<(String, String)>;

/// Sends a message, made for this version of the consumer's API.
fn sent(mesh: &TestMesh, version: Option<&'static str>) -> Headers {
    let mut headers = Headers::new();
    let sending = mesh.messaging().producer(System::NATS, "order.placed").send();
    let sending = match version {
        Some(version) => sending.with_api_version(version),
        None => sending,
    };
    sending.inject(&mut headers);
    sending.confirmed();
    headers
}

#[tokio::test]
async fn one_trace_goes_over_http_and_a_queue() {
    let (orders, mailer) = (TestMesh::new("orders"), TestMesh::new("mailer"));
    let queue = Arc::new(Mutex::new(Headers::new()));
    let placed = orders.messaging().producer(System::NATS, "order.placed");
    let place = {
        let queue = Arc::clone(&queue);
        async move || {
            let sending = placed.send();
            sending.inject(&mut *queue.lock().expect("not poisoned"));
            sending.confirmed();
        }
    };
    let app = orders.wrap(Router::new().route("/orders", post(place))).expect("layers");
    let request = Request::post("/orders").body(Body::empty()).expect("a request");
    let answer = app.oneshot(request).await.expect("an answer");
    drop(axum::body::to_bytes(answer.into_body(), 100).await);

    let headers = queue.lock().expect("not poisoned").clone();
    let processing = mailer.messaging().consumer(System::NATS, "order.placed").receive(&headers);
    processing
        .run(async {
            tracing::info!("mail written");
            metrics::counter!("mails_total").increment(1);
        })
        .await;
    processing.ack();

    let served = orders.spans().of_kind(&SpanKind::Server).one();
    let sent = orders.spans().of_kind(&SpanKind::Producer).one();
    let taken = mailer.spans().of_kind(&SpanKind::Consumer).one();
    sent.assert_child_of(&served);
    taken.assert_child_of(&sent);
    taken.assert_attribute("client.service.name", "orders");
    let line = mailer.lines().containing("mail written").one();
    line.assert_in_span(&taken).assert_field("request_id", served.trace_id());
    mailer.metric("mails_total").assert_value(1.0);
    mailer.metric("meshwise_messages_settled_total").label("outcome", "ack").assert_value(1.0);
    orders.metric("messaging_client_sent_messages_total").assert_value(1.0);
    // The queue is an edge of the map, counted once.
    mailer
        .metric("traces_service_graph_request_total")
        .label("client", "orders")
        .label("server", "mailer")
        .label("connection_type", "messaging_system")
        .assert_value(1.0);
    assert!(!orders.metrics_text().contains("messaging_system\",server"), "counted twice");
}

const fn version(version: &'static str, deprecated: Option<Date>) -> ProvidedVersion {
    ProvidedVersion { released: Date::new(2018, 1, 1), deprecated, ..ProvidedVersion::new(version) }
}

const fn messages(api: &'static str, versions: &'static [ProvidedVersion]) -> ProvidedApi {
    ProvidedApi { api, scheme: "semver", transport: "messages", description: None, versions }
}

const APIS: &[ProvidedApi] = &[
    messages("order.placed", &[version("1.0.0", Date::new(2020, 1, 1)), version("2.0.0", None)]),
    messages("order.paid", &[version("1.0.0", None)]),
];

#[test]
fn messages_of_an_api_count_once_a_consumer_says_that_it_takes_them() {
    let declared = Declared { provides: APIS, ..Declared::new("mailer") };
    let mailer = TestMesh::with("mailer", |builder| builder.apis(declared));
    let orders = TestMesh::new("orders");
    let take = |consumer: &Consumer, version| consumer.receive(&sent(&orders, version)).ack();
    let counted = |version: &str, state: &str, caller: &str| {
        mailer
            .metric("meshwise_api_calls_total")
            .label("api", "order.placed")
            .label("version", version)
            .label("state", state)
            .label("caller", caller)
            .value()
    };
    let plain = mailer.messaging().consumer(System::NATS, "order.placed");
    take(&plain, Some("1.0.0"));
    mailer.metric("meshwise_api_calls_total").assert_none();
    mailer.metric("meshwise_api_counting_since_seconds").assert_none();

    let consumer = plain.clone().with_api("order.placed");
    let since =
        |api| mailer.metric("meshwise_api_counting_since_seconds").label("api", api).count();
    assert_eq!((since("order.placed"), since("order.paid")), (2, 0), "no one takes what is paid");
    take(&consumer, Some("1.0.0"));
    consumer.receive_batch(&[sent(&orders, Some("2.0.0")), sent(&orders, Some("1.0.0"))]).ack();
    assert_eq!(counted("1.0.0", "deprecated", "orders"), Some(2.0));
    assert_eq!(counted("2.0.0", "current", "orders"), Some(1.0));
    mailer.metric("meshwise_api_unrouted_requests_total").assert_none();

    // A stranger's word names neither version nor sender, so it is counted as a gap.
    take(&consumer.clone().with_trust(Trust::Edge), Some("1.0.0"));
    take(&consumer, None);
    let gaps = mailer.metric("meshwise_api_unrouted_requests_total");
    assert_eq!(gaps.label("caller", "orders").value(), Some(1.0));
    assert_eq!(counted("1.0.0", "deprecated", "orders"), Some(2.0));

    // Of an API with one version, each message is of that.
    let paid = mailer.messaging().consumer(System::NATS, "order.paid").with_api("order.paid");
    take(&paid, None);
    let calls = mailer.metric("meshwise_api_calls_total").label("api", "order.paid");
    calls.label("version", "1.0.0").assert_value(1.0);
}

#[test]
fn a_service_without_apis_counts_none() {
    let (orders, mailer) = (TestMesh::new("orders"), TestMesh::new("mailer"));
    let consumer = mailer.messaging().consumer(System::NATS, "order.placed").with_api("placed");
    consumer.receive(&sent(&orders, Some("1.0.0"))).ack();
    mailer.metric("meshwise_api_calls_total").assert_none();
}

#[tokio::test]
async fn what_is_hidden_is_hidden_in_each_signal_and_in_what_brokers_keep() {
    let private = LogLines::new();
    let output = LogOutput::memory(&private);
    let mesh = TestMesh::with("mailer", |builder| {
        let secrets = Redaction::default().with_name("iban");
        builder.with_redaction(secrets).logs(|logs| logs.with_private(["email"], output))
    });
    let message = Headers::new();
    let processing = mesh.messaging().consumer(System::NATS, "order.placed").receive(&message);
    let mut headers = Headers::new();
    processing
        .run(async {
            let span = tracing::info_span!("pay", email = "ann@example.com", iban = "DE02120300");
            span.in_scope(|| tracing::warn!("declined"));
        })
        .await;
    let reason = "declined: iban=DE02120300, email=ann@example.com, password=hunter2";
    processing.mark_dead_letter(&mut headers, &reason);
    processing.dead_letter(&Reason::new(reason));

    let written = |name: &str| {
        let found = headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default().to_owned()
    };
    assert!(written("x-dead-letter-reason").starts_with("declined: iban="), "{headers:?}");
    let spans = format!("{:?}", mesh.spans().data());
    let lines = format!("{:?}", mesh.lines().json());
    for secret in ["DE02120300", "ann@example.com", "hunter2"] {
        for (place, text) in [("header", format!("{headers:?}")), ("span", spans.clone())] {
            assert!(!text.contains(secret), "{secret} in a {place}: {text}");
        }
        assert!(!lines.contains(secret), "{secret} in a line: {lines}");
    }
    let lines = private.lines();
    assert!(lines.len() == 1 && lines[0].contains("ann@example.com"), "{lines:?}");
    assert!(!lines[0].contains("DE02120300"), "{lines:?}");
}
