//! What the client layer promises.

use crate::support::{Body, Clock, Counts, DECLARED, Events, get, ok, recorder};
use futures_executor::block_on;
use http::{HeaderName, HeaderValue, Request, Response};
use meshwise_api::names;
use meshwise_api_http::{ApiClientBuilder, ApiClientLayer, ApiRoutes, Undeclared, UndeclaredCall};
use meshwise_core::ApiVersion;
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tracing_subscriber::{Registry, layer::SubscriberExt};

struct Client {
    layer: ApiClientLayer,
    counts: Counts,
    clock: Clock,
    events: Events,
    /// How many calls went out.
    sent: AtomicUsize,
    /// The version that the last of them asked for.
    asked: Mutex<Option<String>>,
}

fn client(peer: &str, change: impl FnOnce(ApiClientBuilder) -> ApiClientBuilder) -> Client {
    let (recorder, counts) = recorder();
    let clock = Clock::at(2026, 11, 21);
    let builder =
        ApiClientLayer::builder(DECLARED, peer).with_recorder(recorder).with_clock(clock.now());
    Client {
        layer: change(builder).build(),
        counts,
        clock,
        events: Events::default(),
        sent: AtomicUsize::new(0),
        asked: Mutex::default(),
    }
}

impl Client {
    fn call(
        &self,
        request: Request<()>,
        headers: &'static [(&'static str, &'static str)],
    ) -> Result<Response<Body>, BoxError> {
        let service = service_fn(|request: Request<()>| {
            self.sent.fetch_add(1, SeqCst);
            let version = request.extensions().get::<ApiVersion>();
            *self.asked.lock().unwrap() = version.map(|version| version.0.to_string());
            let mut response = ok();
            for (name, value) in headers {
                response.headers_mut().append(*name, HeaderValue::from_static(value));
            }
            std::future::ready(Ok::<_, BoxError>(response))
        });
        let subscriber = Registry::default().with(self.events.clone());
        tracing::subscriber::with_default(subscriber, || {
            block_on(self.layer.layer(service).oneshot(request))
        })
    }

    fn asked(&self) -> Option<String> {
        self.asked.lock().unwrap().take()
    }
}

const DEPRECATED: &[(&str, &str)] = &[
    ("deprecation", "@1788220800"),
    ("sunset", "Mon, 01 Mar 2027 00:00:00 GMT"),
    ("link", "</v2>; rel=\"successor-version\""),
];

#[test]
fn a_deprecated_version_is_counted_each_time_and_warned_of_once_a_day() {
    let client = client("auth", |builder| builder);
    for _ in 0..3 {
        let response = client.call(get("/check"), DEPRECATED).unwrap();
        assert_eq!(response.headers()["deprecation"], "@1788220800", "handed on as it is");
    }
    let events = client.events.take();
    assert_eq!(events.len(), 1, "{events:?}");
    for (field, value) in [
        ("target", "meshwise::api"),
        ("level", "WARN"),
        ("peer", "auth"),
        ("api", "auth"),
        ("version", "1.1"),
        ("deprecated", "2026-09-01"),
        ("sunset", "2027-03-01"),
        ("successor", "/v2"),
        ("calls", "1"),
        (
            "message",
            "version 1.1 of auth is deprecated since 2026-09-01 and may stop working on \
             2027-03-01",
        ),
    ] {
        assert_eq!(events[0].get(field).map(String::as_str), Some(value), "{field}");
    }
    assert_eq!(
        client.counts.of(names::API_DEPRECATED_RESPONSES),
        [("{peer=auth,api=auth,version=1.1}".to_owned(), 3.0)]
    );

    client.clock.turn_to(2026, 11, 22);
    client.clock.turn_back_one_second();
    client.call(get("/check"), DEPRECATED).unwrap();
    assert_eq!(client.events.take().len(), 0, "still the same day");
    client.clock.turn_to(2026, 11, 22);
    client.call(get("/check"), DEPRECATED).unwrap();
    let events = client.events.take();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["calls"], "4", "those since the last warning");
}

#[test]
fn threads_that_hear_of_it_at_once_warn_once() {
    let client = client("auth", |builder| builder);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| client.call(get("/check"), DEPRECATED).unwrap());
        }
    });
    assert_eq!(client.events.take().len(), 1);
    assert_eq!(client.counts.of(names::API_DEPRECATED_RESPONSES)[0].1, 4.0);
}

#[test]
fn older_ways_to_say_it_are_understood() {
    for (headers, message) in [
        (&[("deprecation", "true")] as &'static [_], "is deprecated"),
        (&[("deprecation", "Sun, 11 Nov 2018 23:59:59 UTC")], "is deprecated since 2018-11-11"),
        (&[("deprecation", "@1893456000")], "will be deprecated on 2030-01-01"),
        (&[("sunset", "Sunday, 06-Nov-94 08:49:37 GMT")], "may be gone since 1994-11-06"),
    ] {
        let client = client("auth", |builder| builder);
        client.call(get("/check"), headers).unwrap();
        let events = client.events.take();
        assert_eq!(events.len(), 1, "{headers:?}");
        assert_eq!(events[0]["message"], format!("version 1.1 of auth {message}"));
    }
}

#[test]
fn what_can_t_be_read_was_not_sent() {
    let client = client("auth", |builder| builder);
    for headers in [
        &[("deprecation", "@x")] as &'static [_],
        &[("sunset", "soon")],
        &[("link", "</v2>; rel=successor-version")],
        &[],
    ] {
        client.call(get("/check"), headers).unwrap();
    }
    assert_eq!(client.events.take().len(), 0);
    assert!(client.counts.new_ones().is_empty());
}

#[test]
fn an_undeclared_call_is_counted_and_logged_once() {
    let client = client("mail", |builder| builder);
    for _ in 0..3 {
        client.call(get("/send"), &[]).unwrap();
    }
    assert_eq!(client.sent.load(SeqCst), 3);
    assert_eq!(
        client.counts.of(names::API_UNDECLARED_CALLS),
        [("{peer=mail,api=mail}".to_owned(), 3.0)]
    );
    let events = client.events.take();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&*events[0]["peer"], &*events[0]["api"]), ("mail", "mail"));
    assert_eq!(
        events[0]["message"],
        "undeclared call: orders calls mail of mail, which is not among the [[requires]] of its \
         api.toml"
    );
    assert_eq!(client.asked(), None);
}

#[test]
fn the_policy_can_refuse_undeclared_calls() {
    let client = client("auth", |builder| {
        builder
            .with_undeclared(Undeclared::Refuse)
            .with_routes(ApiRoutes::new().path("/admin", "admin", "1.0"))
    });
    assert!(client.call(get("/check"), &[]).is_ok());
    assert_eq!(client.sent.load(SeqCst), 1);
    let error = client.call(get("/admin/keys"), &[]).unwrap_err();
    assert_eq!(client.sent.load(SeqCst), 1, "it was not sent");
    let error = error.downcast::<UndeclaredCall>().unwrap();
    assert_eq!((error.peer(), error.api()), ("auth", "admin"));
    assert_eq!(
        error.to_string(),
        "call to auth refused: its API admin is not declared; add [[requires]] with api = \
         \"admin\" to api.toml"
    );
    assert_eq!(
        client.counts.of(names::API_UNDECLARED_CALLS),
        [("{peer=auth,api=admin}".to_owned(), 1.0)]
    );
}

#[test]
fn a_grpc_package_names_the_api() {
    let client = client("auth", |builder| builder);
    let grpc = |path| {
        let mut request = get(path);
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        request
    };
    client.call(grpc("/auth.v1.Auth/Check"), &[]).unwrap();
    assert_eq!(client.asked().as_deref(), Some("1.1"));
    client.call(grpc("/grpc.health.v1.Health/Check"), &[]).unwrap();
    client.call(get("/report.v2.pdf/download"), &[]).unwrap();
    assert!(client.counts.new_ones().is_empty());
    client.call(grpc("/tokens.v2.Tokens/Get"), &[]).unwrap();
    assert_eq!(
        client.counts.of(names::API_UNDECLARED_CALLS),
        [("{peer=auth,api=tokens}".to_owned(), 1.0)]
    );
}

#[test]
fn the_version_asked_for_is_written_unless_the_request_says_another() {
    let client = client("auth", |builder| builder);
    client.call(get("/check"), &[]).unwrap();
    assert_eq!(client.asked().as_deref(), Some("1.1"));
    let mut request = get("/check");
    request.extensions_mut().insert(ApiVersion("2.0".into()));
    client.call(request, DEPRECATED).unwrap();
    assert_eq!(client.asked().as_deref(), Some("2.0"));
    assert_eq!(
        client.counts.of(names::API_DEPRECATED_RESPONSES),
        [("{peer=auth,api=auth,version=2.0}".to_owned(), 1.0)]
    );
}

#[test]
fn what_a_client_keeps_is_bounded() {
    let version = HeaderName::from_static("accept-version");
    let client = client("auth", |builder| {
        builder.with_routes(
            ApiRoutes::required(&DECLARED)
                .path_by_header("/known", "auth", version.clone())
                .path_by_header("/strange", "strange", version.clone()),
        )
    });
    let deprecated = &[("deprecation", "true")];
    let asking = |path: &str, asked: &str| {
        let mut request = get(path);
        request.headers_mut().insert(&version, asked.parse().unwrap());
        request
    };
    // Too long to be told apart, for all that there is room.
    client.call(asking("/known", &"1".repeat(200)), deprecated).unwrap();
    assert_eq!(
        client.counts.of(names::API_DEPRECATED_RESPONSES),
        [("{peer=auth,api=_other,version=_other}".to_owned(), 1.0)]
    );
    for number in 0..150 {
        // A proxy hands on whatever it is asked for.
        let mut request = get(&format!("/api{number}.v1.Api/Call"));
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        client.call(request, deprecated).unwrap();
    }
    client.call(asking("/known", "0.7"), deprecated).unwrap();
    assert_eq!(client.asked().as_deref(), Some("0.7"), "handed on all the same");
    client.call(asking("/strange", "0.7"), deprecated).unwrap();

    let counted = client.counts.new_ones();
    let of = |name: &str| counted.iter().filter(|(key, _)| key.starts_with(name)).count();
    assert_eq!(of(names::API_UNDECLARED_CALLS), 101);
    assert_eq!(of(names::API_DEPRECATED_RESPONSES), 101);
    let other = "meshwise_api_undeclared_calls_total{peer=auth,api=_other}";
    assert_eq!(counted.get(other), Some(&51.0));
}

#[test]
fn errors_and_readiness_are_the_inner_service_s() {
    let layer = ApiClientLayer::new(DECLARED, "auth");
    let (mut service, mut handle) =
        tower_test::mock::spawn_with::<Request<()>, Response<Body>, _, _>(|mock| layer.layer(mock));
    handle.allow(0);
    assert!(service.poll_ready().is_pending());
    handle.allow(1);
    assert!(service.poll_ready().is_ready());
    let answer = service.call(get("/check"));
    let (_, reply) = block_on(handle.next_request()).unwrap();
    reply.send_error("broken");
    assert_eq!(block_on(answer).unwrap_err().to_string(), "broken");
}

#[test]
fn whoever_logs_a_call_may_make_such_a_call() {
    // A log exporter that sends its lines through the very client that it hears of.
    struct Exporter(Box<dyn Fn() + Send + Sync>);
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Exporter {
        fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
            (self.0)();
        }
    }
    let (recorder, counts) = recorder();
    let layer = ApiClientLayer::builder(DECLARED, "logs").with_recorder(recorder).build();
    let service = layer.layer(service_fn(|_: Request<()>| {
        let mut response = ok();
        response.headers_mut().insert("deprecation", HeaderValue::from_static("true"));
        std::future::ready(Ok::<_, BoxError>(response))
    }));
    let inner = service.clone();
    let exporter = Exporter(Box::new(move || {
        let _ = block_on_ready(inner.clone().oneshot(get("/logs")));
    }));
    tracing::subscriber::with_default(Registry::default().with(exporter), || {
        block_on_ready(service.oneshot(get("/logs")))
    });
    // One call of ours, and that of the line about it; `tracing` logs nothing from within.
    assert_eq!(counts.of(names::API_UNDECLARED_CALLS)[0].1, 2.0);
}

/// Polls a future that never waits; an executor of futures does not run within itself.
fn block_on_ready<F: Future>(future: F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}
