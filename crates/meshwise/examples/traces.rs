//! Spans of one's own below a call's span; kept in memory here, and sent by OTLP where
//! `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector.

use meshwise::trace::{MemorySpans, SpanExport};
use std::time::Duration;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let spans = MemorySpans::new();
    let kept = spans.clone();
    let mesh = meshwise::builder("orders", env!("CARGO_PKG_VERSION"))
        .traces(move |traces| traces.with_exporter(SpanExport::memory(&kept)))
        .install()?;

    tracing::info_span!("place an order").in_scope(|| {
        tracing::info_span!("price it").in_scope(|| tracing::info!("an event of this span"));
        tracing::info_span!("reserve it").in_scope(|| ());
    });

    let _report = mesh.tracing().flush(Duration::from_secs(5)).await?;
    for span in spans.spans() {
        tracing::info!("{} below {}", span.name, span.parent_span_id);
    }
    mesh.shutdown().await;
    Ok(())
}
