//! What a span costs once it has ended: the exporter's work, over OTLP as protobuf, to a collector that
//! takes all and does nothing with it.
//!
//! Exporters have threads of their own, so what the process's other threads take is measured, and not what
//! the one takes that ends the spans. The collector is another process.

use crate::{
    sockets::{Server, median},
    stacks::{self, NEVER, QUEUE, Stack},
};
use axum::{Router, body::Bytes, http::header, routing::post};
use benches::{Bench, Row, budgets};
use meshwise::trace::{BatchConfig, OtlpConfig, OtlpProtocol, SpanExport};
use opentelemetry::{
    KeyValue, StringValue,
    trace::{Span as _, SpanKind, Status, Tracer, TracerProvider as _},
};
use opentelemetry_otlp::{Protocol, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use rustix::time::{ClockId, clock_gettime};
use std::{net::SocketAddr, sync::Arc, time::Duration};

const WHAT: &str = "exporting a span, protobuf";
pub(crate) const COLLECTOR: &str = "a collector that takes all";

type Make = fn(SocketAddr) -> Pipeline;

const CONTESTANTS: [(&str, Make); 2] =
    [("meshwise", ours), ("opentelemetry_sdk's batch processor, opentelemetry-otlp", sdk)];

/// Four batches.
const SPANS: usize = 2048;

/// Takes what comes, as a collector does, and answers.
pub(crate) fn collector() -> Stack {
    async fn take(_: Bytes) -> [(header::HeaderName, &'static str); 1] {
        [(header::CONTENT_TYPE, "application/x-protobuf")]
    }
    let app = Router::new().route("/v1/traces", post(take));
    Stack { app, dispatch: None, settle: Box::new(|| ()) }
}

/// What records spans and exports them.
struct Pipeline {
    /// Begins and ends one.
    record: Box<dyn Fn()>,
    /// Waits until all are exported.
    flush: Box<dyn Fn()>,
}

impl Pipeline {
    fn export(&self, spans: usize) {
        (0..spans).for_each(|_| (self.record)());
        (self.flush)();
    }

    /// Returns what the other threads take for one span, in nanoseconds of the processor.
    fn measure(&self) -> f64 {
        let before = others();
        self.export(SPANS);
        others().saturating_sub(before).as_secs_f64() * 1e9 / SPANS as f64
    }
}

/// Returns the processor's time of all threads but this one.
fn others() -> Duration {
    let moment = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    moment(ClockId::ProcessCPUTime).saturating_sub(moment(ClockId::ThreadCPUTime))
}

fn ours(collector: SocketAddr) -> Pipeline {
    let otlp = OtlpConfig::new()
        .with_protocol(OtlpProtocol::HttpProtobuf)
        .with_endpoint(format!("http://{collector}"));
    let batch = BatchConfig::new().with_queue_size(QUEUE).with_delay(NEVER);
    let mesh = stacks::mesh_to(true, SpanExport::otlp(otlp), batch);
    let tracer = mesh.tracing().tracer().clone();
    let record = served(tracer);
    let flush = move || {
        mesh.tracing().provider().force_flush().expect("spans are stuck");
        assert_eq!(mesh.tracing().report().total_dropped(), 0, "spans are lost");
    };
    Pipeline { record, flush: Box::new(flush) }
}

fn sdk(collector: SocketAddr) -> Pipeline {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("http://{collector}/v1/traces"))
        .build()
        .expect("an exporter");
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_scheduled_delay(NEVER)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    let attributes = [KeyValue::new("service.version", "0.0.0")];
    let provider = SdkTracerProvider::builder()
        .with_resource(
            Resource::builder().with_service_name("bench").with_attributes(attributes).build(),
        )
        .with_span_processor(processor)
        .build();
    let record = served(provider.tracer("bench"));
    let flush = move || provider.force_flush().expect("spans are stuck");
    Pipeline { record, flush: Box::new(flush) }
}

/// Records what a served call does: its attributes, of which some are shared by many calls, and the event that
/// a log line is.
fn served<T: Tracer + 'static>(tracer: T) -> Box<dyn Fn()> {
    let shared = |text: &str| StringValue::from(Arc::<str>::from(text));
    let (route, host) = (shared("/orders/{id}"), shared("orders.internal"));
    let agent = shared("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");
    let caller = shared("storefront");
    Box::new(move || {
        let mut attributes = Vec::with_capacity(14);
        attributes.extend([
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("url.path", "/orders/4711".to_owned()),
            KeyValue::new("url.query", "page=2".to_owned()),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("http.route", route.clone()),
            KeyValue::new("network.protocol.version", "1.1"),
            KeyValue::new("server.address", host.clone()),
            KeyValue::new("server.port", 8080),
            KeyValue::new("client.address", "192.168.17.4".to_owned()),
            KeyValue::new("user_agent.original", agent.clone()),
            KeyValue::new("client.service.name", caller.clone()),
        ]);
        let builder = tracer
            .span_builder("GET /orders/{id}")
            .with_kind(SpanKind::Server)
            .with_attributes(attributes);
        let mut span = builder.start(&tracer);
        let fields = vec![
            KeyValue::new("level", "INFO"),
            KeyValue::new("target", "orders::handlers"),
            KeyValue::new("id", 4711),
        ];
        span.add_event("looking up".to_owned(), fields);
        span.set_attribute(KeyValue::new("http.response.status_code", 200));
        span.set_status(Status::Unset);
        span.end();
    })
}

/// Exports so many spans and nothing else, if the command line says `--export NAME SPANS`: for callgrind.
pub(crate) fn export_if_asked() -> bool {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [flag, name, spans] = args.as_slice() else { return false };
    if flag != "--export" {
        return false;
    }
    let collector = Server::start(COLLECTOR);
    if let Some((_, make)) = CONTESTANTS.iter().find(|(known, _)| known == name) {
        make(collector.address).export(spans.parse().expect("a number"));
    }
    true
}

pub(crate) fn run(bench: &mut Bench) {
    if !bench.wants(WHAT) {
        return;
    }
    eprintln!("{WHAT} ...");
    let collector = Server::start(COLLECTOR);
    let pipelines = CONTESTANTS.map(|(_, make)| make(collector.address));
    let rounds = bench.effort().pick(3, 60);
    let mut taken = vec![Vec::new(); pipelines.len()];
    for round in 0..=rounds {
        for turn in 0..pipelines.len() {
            let i = (turn + round) % pipelines.len();
            let own = pipelines[i].measure();
            // The first round only warms up.
            if round > 0 {
                taken[i].push(own);
            }
        }
    }
    drop(pipelines);
    let counts = CONTESTANTS
        .map(|(name, _)| bench.callgrind()?.count_others(&["--export", name], SPANS as u64));
    for (i, (name, _)) in CONTESTANTS.iter().enumerate() {
        let ratios = taken[i].iter().zip(&taken[0]).map(|(own, ours)| own / ours);
        bench.add(Row {
            what: WHAT.to_owned(),
            who: (*name).to_owned(),
            time: benches::nanoseconds(median(taken[i].clone())),
            ratio: format!("{:.2}", median(ratios.collect())),
            instructions: counts[i].map(|count| count.to_string()).unwrap_or_default(),
            ..Row::default()
        });
    }
    if let [Some(own), Some(theirs)] = counts
        && own as f64 > budgets::EXPORT_SHARE * theirs as f64
    {
        bench.over_budget(format!(
            "{WHAT}: {own} instructions, {} of {theirs} allowed",
            budgets::EXPORT_SHARE
        ));
    }
}
