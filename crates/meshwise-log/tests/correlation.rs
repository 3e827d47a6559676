//! Which ids a line carries.

use meshwise_core::{CallInfo, RequestId, Service};
use meshwise_log::{LogConfig, LogFormat, LogLines, LogOutput};
use opentelemetry::{
    Context,
    context::FutureExt,
    trace::{SpanContext, TraceContextExt, TraceFlags, TracerProvider},
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

struct Bench {
    lines: LogLines,
    exporter: InMemorySpanExporter,
    _provider: SdkTracerProvider,
    _default: tracing::subscriber::DefaultGuard,
}

fn bench() -> Bench {
    let lines = LogLines::new();
    let config = LogConfig::new(Service::new("orders", "1")).with_format(LogFormat::Json);
    let (layer, _) = config.with_output(LogOutput::memory(&lines)).build().expect("logs");
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer).with(spans);
    let default = tracing::subscriber::set_default(subscriber);
    Bench { lines, exporter, _provider: provider, _default: default }
}

/// A call that is being served, sampled or not.
fn call(sampled: bool) -> Context {
    let mut info = CallInfo::default();
    info.request_id = Some(RequestId::from_random(0xabc));
    Context::new().with_value(info).with_remote_span_context(SpanContext::new(
        TRACE.into(),
        0x00f0_67aa_0ba9_02b7_u64.into(),
        if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
        false,
        opentelemetry::trace::TraceState::NONE,
    ))
}

impl Bench {
    fn line(&self, text: &str) -> Value {
        let lines = self.lines.lines();
        let line = lines.iter().find(|line| line.contains(text)).expect("the line");
        serde_json::from_str(line).expect("JSON")
    }
}

#[test]
fn a_line_carries_the_ids_of_its_call() {
    let bench = bench();
    let _cx = call(true).attach();
    tracing::info!("inside");
    let line = bench.line("inside");
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["span_id"], "00f067aa0ba902b7");
    assert_eq!(line["trace_flags"], "01");
    assert_eq!(line["request_id"], "00000000000000000000000000000abc");
}

#[test]
fn an_unsampled_call_has_ids_too_and_no_call_has_none() {
    let bench = bench();
    tracing::info!("before");
    assert!(bench.line("before").get("trace_id").is_none());
    let _cx = call(false).attach();
    tracing::info!("inside");
    assert_eq!(bench.line("inside")["trace_flags"], "00");
}

#[test]
fn instrumented_functions_carry_their_own_span() {
    #[tracing::instrument]
    fn work() {
        tracing::info!("working");
    }
    let bench = bench();
    let _cx = call(true).attach();
    work();
    tracing::info!("done");
    let span = bench.exporter.get_finished_spans().expect("spans").remove(0);
    let line = bench.line("working");
    assert_eq!(line["span_id"], span.span_context.span_id().to_string());
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["request_id"], "00000000000000000000000000000abc");
    assert_eq!(bench.line("done")["span_id"], "00f067aa0ba902b7", "the span is over");
}

#[tokio::test]
async fn spawned_tasks_that_carry_their_context_carry_the_ids() {
    use tracing::Instrument;
    let bench = bench();
    let task = async {
        tokio::task::yield_now().await;
        tracing::info!("from the task");
    };
    let span = {
        let _cx = call(true).attach();
        tracing::info_span!("task")
    };
    tokio::spawn(task.instrument(span).with_context(call(true))).await.expect("the task");
    let line = bench.line("from the task");
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["spans"][0]["name"], "task");
    assert_eq!(line["request_id"], "00000000000000000000000000000abc");
}
