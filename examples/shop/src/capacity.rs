//! One service with a route that computes and one that waits: what calls cost, and how many more an
//! instance can take, can be seen on its `/metrics`.

use anyhow::Context as _;
use axum::{Router, routing::get};
use meshwise::{OpsAddr, trace::SpanExport};
use std::{
    fs,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

/// What a call of either route takes, of the processor or of the clock.
const TIME: Duration = Duration::from_millis(10);
/// A machine that tells nothing of a thread's time does not keep a call for ever.
const LONGEST: Duration = Duration::from_secs(1);

/// Serves until Ctrl-C, and prints where.
pub(crate) async fn run() -> anyhow::Result<()> {
    let mesh = meshwise::builder("kitchen", env!("CARGO_PKG_VERSION"))
        .with_ops_addr(OpsAddr::Off)
        .logs(|logs| logs.with_filter("warn"))
        .traces(|traces| traces.with_exporter(SpanExport::none()))
        .install()?;
    let app = Router::new()
        .route("/compute", get(async || compute()))
        .route("/wait", get(async || tokio::time::sleep(TIME).await));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let ops = mesh.serve_ops("127.0.0.1:0").await?;
    say!("  kitchen  http://{address}  http://{}", ops.address());
    let report = mesh.serve(listener, app).await.context("the kitchen cannot serve")?;
    say!("{report}");
    Ok(())
}

fn compute() {
    let (until, since) = (on_processor() + TIME, Instant::now());
    while on_processor() < until && since.elapsed() < LONGEST {}
}

/// Returns how long this thread has had a processor, as Linux counts it.
fn on_processor() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok());
    nanoseconds.map_or(Duration::ZERO, Duration::from_nanos)
}
