//! Which setting wins: environment over code over preset over default.

use meshwise::{
    Mesh, MeshBuilder, Preset,
    core::{
        Env,
        propagation::{Format, Propagators},
    },
    log::{LogFormat, LogLines, LogOutput},
    opentelemetry::trace::{Span, Tracer},
    trace::{MemorySpans, SamplerConfig, SpanExport},
};
use std::io::{Read, Write};

struct Built {
    mesh: Mesh,
    lines: LogLines,
    spans: MemorySpans,
}

fn built(env: &[(&str, &str)], change: impl FnOnce(MeshBuilder) -> MeshBuilder) -> Built {
    let (lines, spans) = (LogLines::new(), MemorySpans::new());
    let builder = meshwise::builder("orders", "1.0.0")
        .with_env(Env::from_pairs(env.iter().copied()))
        .logs({
            let lines = lines.clone();
            move |logs| logs.with_output(LogOutput::memory(&lines))
        })
        .traces({
            let spans = spans.clone();
            move |traces| traces.with_exporter(SpanExport::memory(&spans))
        });
    Built { mesh: change(builder).build().expect("a mesh"), lines, spans }
}

impl Built {
    /// Returns how many of a thousand new traces are recorded.
    fn sampled(&self) -> usize {
        for _ in 0..1000 {
            self.mesh.tracing().tracer().start("work").end();
        }
        self.spans.spans().len()
    }

    /// Logs a line at each level and returns what was written.
    fn lines(&self) -> Vec<String> {
        tracing::dispatcher::with_default(self.mesh.dispatch(), || {
            tracing::info!("at info");
            tracing::debug!("at debug");
        });
        self.lines.lines()
    }
}

#[test]
fn the_default_is_every_trace_and_json_at_info() {
    let mesh = built(&[], |builder| builder);
    assert_eq!(mesh.sampled(), 1000);
    let lines = mesh.lines();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with('{') && lines[0].contains("at info"), "{lines:?}");
}

#[test]
fn presets_are_what_they_say() {
    let production = built(&[], |builder| builder.with_preset(Preset::Production));
    let sampled = production.sampled();
    assert!((40..250).contains(&sampled), "1 in 10 of a thousand are about 100, not {sampled}");
    let development = built(&[], |builder| builder.with_preset(Preset::Development));
    assert_eq!(development.sampled(), 1000);
    let lines = development.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].contains(" DEBUG ") && lines[1].contains("at debug"), "{lines:?}");
}

#[test]
fn code_beats_a_preset_and_the_environment_beats_both() {
    let code = |builder: MeshBuilder| {
        builder
            .with_preset(Preset::Production)
            .with_namespace("mine")
            .with_instance("mine")
            .with_span_filter("off")
            .with_propagators(Propagators::new([Format::B3]))
            .traces(|traces| traces.with_sampler(SamplerConfig::always_off()))
            .metrics(|metrics| metrics.with_max_label_sets(7))
            .logs(|logs| logs.with_filter("off").with_format(LogFormat::Json))
    };
    let mesh = built(&[], code);
    assert_eq!(mesh.sampled(), 0);
    assert!(mesh.lines().is_empty());
    assert_eq!(mesh.mesh.service().namespace(), Some("mine"));

    let env = [
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("RUST_LOG", "debug"),
        ("MESHWISE_LOG_FORMAT", "logfmt"),
        ("MESHWISE_TRACES_SPAN_FILTER", "info"),
        ("OTEL_SERVICE_NAME", "renamed"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=theirs,service.instance.id=theirs"),
    ];
    let mesh = built(&env, code);
    let lines = mesh.lines();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for words in [
        "level=info",
        "service.name=renamed",
        "service.version=1.0.0",
        "service.namespace=theirs",
        "service.instance.id=theirs",
    ] {
        assert!(lines[0].contains(words), "{lines:#?}");
    }
    assert_eq!(mesh.mesh.service().instance(), Some("theirs"));
    tracing::dispatcher::with_default(mesh.mesh.dispatch(), || drop(tracing::info_span!("own")));
    assert_eq!(mesh.spans.spans().len(), 1, "the span filter is the environment's");
    assert_eq!(mesh.sampled(), 1001);
}

#[tokio::test]
async fn the_ops_routes_can_have_an_address_of_their_own() {
    let mesh = built(&[], |builder| builder.with_log_level_route(true)).mesh;
    let ops = mesh.serve_ops("127.0.0.1:0").await.expect("a free port");
    let address = ops.address();
    let get = |path: &'static str| {
        tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).expect("a connection");
            write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            answer
        })
    };
    assert!(get("/livez").await.expect("asked").ends_with("\r\n\r\nok\n"));
    assert!(get("/log-level").await.expect("asked").ends_with("\r\n\r\ninfo\n"));
    mesh.health().drain();
    assert!(get("/readyz").await.expect("asked").contains("shutting down"));
    assert!(mesh.serve_ops(address).await.is_err(), "the address is taken");
}
