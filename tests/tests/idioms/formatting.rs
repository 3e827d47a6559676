//! What is logged may have a `Display` that fails: the call goes on, and all else is told.

use super::*;
use std::{error::Error, fmt};

/// Returns an error where it is formatted, or panics.
struct Fails(bool);

impl fmt::Display for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("begun")?;
        assert!(self.0, "a value that panics as it is formatted");
        Err(fmt::Error)
    }
}

impl fmt::Debug for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Fails {}

const BEGUN: &str = "begun[formatting failed]";

/// All but what the panic hook logs.
fn own_events(span: &SpanData) -> Vec<&str> {
    let mut names = event_names(span);
    names.retain(|name| !name.starts_with("panicked: "));
    names
}

async fn status(served: &Served, path: &str) -> u16 {
    let answer = reqwest::Client::new().get(served.url(path)).send().await.expect("an answer");
    answer.status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_whose_formatting_fails_costs_no_answer() {
    #[instrument(fields(broken = %Fails(returns), later), skip(returns))]
    async fn inner(returns: bool) {
        Span::current().record("later", tracing::field::debug(Fails(returns)));
        tracing::info!("within the span");
    }
    async fn handler(returns: bool) -> &'static str {
        let fails = Fails(returns);
        tracing::info!(broken = %fails, ?fails, order = 7, "with fields of returning {returns}");
        tracing::error!(error = &fails as &dyn Error, "an error of returning {returns}");
        tracing::error!(error = %fails);
        tracing::info!("{fails}");
        inner(returns).await;
        "fine"
    }
    let world = installed();
    let routes = Router::new()
        .route("/fails", get(|| handler(true)))
        .route("/panics", get(|| handler(false)));
    let served = serve_with(&world.mesh, routes).await;
    for (path, returns) in [("/fails", true), ("/panics", false)] {
        assert_eq!(status(&served, path).await, 200);
        let span = world.span(&format!("GET {path}")).await;
        assert_eq!(span.status, Status::Unset);
        let message = format!("with fields of returning {returns}");
        let names = own_events(&span);
        let error = format!("an error of returning {returns}");
        assert_eq!(names, [&message, &error, "exception", BEGUN], "{path}");
        let event = span.events.iter().find(|event| event.name == message).expect("it is there");
        let has = |key: &'static str, value: &'static str| {
            assert!(event.attributes.contains(&KeyValue::new(key, value)), "{event:?}");
        };
        has("broken", BEGUN);
        has("fails", BEGUN);
        assert!(event.attributes.contains(&KeyValue::new("order", 7)));
        let line = world.line(&message).await;
        assert_eq!((&line["broken"], &line["fails"]), (&Value::from(BEGUN), &Value::from(BEGUN)));
        assert_eq!(line["order"], 7);
        assert_eq!(world.line(&error).await["error.message"], BEGUN);
    }
    let of_inner = world.spans.spans().into_iter().filter(|span| span.name == "inner");
    let of_inner: Vec<SpanData> = of_inner.collect();
    assert_eq!(of_inner.len(), 2);
    for span in of_inner {
        assert_eq!(attribute(&span, "broken"), Some(&BEGUN.into()));
        assert_eq!(attribute(&span, "later"), Some(&BEGUN.into()));
        assert_eq!(own_events(&span), ["within the span"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_value_no_more_is_formatted_than_is_kept() {
    async fn handler() {
        let many = vec![0_u8; 10_000_000];
        let began = std::time::Instant::now();
        tracing::info!(?many, "a large value");
        assert!(began.elapsed() < PATIENCE, "the whole of it was formatted");
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/large", get(handler))).await;
    assert_eq!(status(&served, "/large").await, 200);
    let span = world.span("GET /large").await;
    let many = span.events[0].attributes.iter().find(|kv| kv.key.as_str() == "many");
    let many = many.expect("it is there").value.to_string();
    assert!(many.len() < 70_000 && many.ends_with("[cut]"), "{}", many.len());
}

/// A call that does not record makes its span once a field's expression asks for it, between a filter's
/// question and the event or span: what the filters said of that still holds.
#[test]
fn what_asks_for_the_current_span_within_an_expression_leaves_the_filters_as_they_were() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (lines, spans) = (LogLines::new(), MemorySpans::new());
    let (to_lines, to_spans) = (lines.clone(), spans.clone());
    let mesh = meshwise::builder("asked", "0.0.0")
        .with_env(Env::empty())
        .with_span_filter("trace")
        .logs(move |logs| {
            let logs = logs.with_output(LogOutput::memory(&to_lines));
            logs.with_format(LogFormat::Json).with_filter("warn")
        })
        .traces(move |traces| {
            let traces = traces.with_exporter(SpanExport::memory(&to_spans));
            traces.with_sampler(SamplerConfig::always_off())
        })
        .build()
        .expect("a mesh");
    async fn handler() {
        let id = || format!("{:?}", Span::current().id());
        // The log filter wants no span below WARN, and no event.
        let own = tracing::info_span!("unwanted", id = id());
        tracing::info!(id = id(), "unwanted");
        own.in_scope(|| tracing::warn!("within"));
        tracing::warn!(id = id(), "wanted");
    }
    runtime.expect("a runtime").block_on(async {
        let app = mesh.wrap(Router::new().route("/", get(handler))).expect("layers");
        let request = Request::get("/").body(Body::empty()).expect("a request");
        drop(app.oneshot(request).await.expect("an answer"));
    });
    let told: Vec<Value> = lines.lines().iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    let messages: Vec<_> = told.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["within", "wanted"], "{told:?}");
    assert!(told[0]["spans"].is_null(), "{}", told[0]);
    assert!(spans.spans().is_empty());
}

/// OpenTelemetry's "Mapping arbitrary data to `AnyValue`": integers of 64 bits are integers, larger ones
/// decimal texts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_integer_that_fits_is_one_in_spans_events_and_lines() {
    #[instrument(fields(later, large))]
    async fn counted(small: u8, size: usize, wide: u128, below: i128, huge: u64) {
        Span::current().record("later", 9_u64).record("large", u64::MAX);
        tracing::info!(of_span = 5_u64, "within the counted span");
    }
    async fn handler() {
        tracing::info!(
            small = 1_u8,
            size = 2_usize,
            long = 3_u64,
            wide = 4_u128,
            below = -5_i128,
            most = i64::MAX as u64,
            huge = u64::MAX,
            vast = u128::MAX,
            text = "a",
            "integers of a call"
        );
        counted(1, 2, 4, -5, u64::MAX).await;
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/integers", get(handler))).await;
    assert_eq!(status(&served, "/integers").await, 200);
    let has = |found: Option<&meshwise::opentelemetry::Value>, name: &str| {
        let found = found.unwrap_or_else(|| panic!("{name} is there"));
        let wanted = match name {
            "small" => 1.into(),
            "size" => 2.into(),
            "long" => 3.into(),
            "wide" => 4.into(),
            "below" => (-5).into(),
            "of_span" => 5.into(),
            "later" => 9.into(),
            "most" => i64::MAX.into(),
            "huge" | "large" => "18446744073709551615".into(),
            "vast" => "340282366920938463463374607431768211455".into(),
            _ => panic!("{name}"),
        };
        assert_eq!(*found, wanted, "{name}");
    };
    let span = world.span("GET /integers").await;
    let event = span.events.iter().find(|event| event.name == "integers of a call");
    let event = event.expect("it is there");
    for name in ["small", "size", "long", "wide", "below", "most", "huge", "vast"] {
        let found = event.attributes.iter().find(|kv| kv.key.as_str() == name);
        has(found.map(|kv| &kv.value), name);
    }
    let of_inner = world.span("counted").await;
    for name in ["small", "size", "wide", "below", "huge", "later", "large"] {
        has(attribute(&of_inner, name), name);
    }
    let event = of_inner.events.iter().find(|event| event.name == "within the counted span");
    let found =
        event.and_then(|event| event.attributes.iter().find(|kv| kv.key.as_str() == "of_span"));
    has(found.map(|kv| &kv.value), "of_span");
    let line = world.line("integers of a call").await;
    for (name, wanted) in [("small", 1), ("size", 2), ("long", 3), ("wide", 4), ("below", -5)] {
        assert_eq!(line[name], wanted, "{line}");
    }
    assert_eq!((&line["most"], &line["huge"]), (&Value::from(i64::MAX), &Value::from(u64::MAX)));
}

/// A loop that says how far it is: the newest value is the one that is told, however many came before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_many_values_of_a_field_stays() {
    async fn handler() {
        let poller = tracing::info_span!("poller", offset = tracing::field::Empty, late = false);
        for offset in 0..1000_u64 {
            poller.record("offset", offset);
        }
        poller.in_scope(|| {
            for offset in 1000..2000_u64 {
                poller.record("offset", offset);
            }
            poller.record("late", true);
            tracing::info!("polled");
        });
    }
    let world = installed();
    let served = serve_with(&world.mesh, Router::new().route("/polls", get(handler))).await;
    assert_eq!(status(&served, "/polls").await, 200);
    let span = world.span("poller").await;
    assert_eq!(attribute(&span, "offset"), Some(&1999.into()));
    assert_eq!(attribute(&span, "late"), Some(&true.into()));
    assert_eq!(span.dropped_attributes_count, 0);
    let line = world.line("polled").await;
    assert_eq!(line["spans"][0]["offset"], 1999, "{line}");
}
