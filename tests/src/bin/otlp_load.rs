//! Logs so many records, and sends so many points or a few more, to where the environment says, and
//! tells what became of them (`cargo xtask interop otlp`): `otlp_load RECORDS POINTS [plain]`. Without
//! histograms if they are plain.

use meshwise::{
    core::{SignalReport, SpanId, TraceId},
    log::LogOutput,
    metrics::{Exemplar, with_exemplar},
};
use std::time::Duration;

/// In how many rounds points are sent.
const ROUNDS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let plain = std::env::args().nth(3).is_some_and(|word| word == "plain");
    let mut counts = std::env::args().skip(1).map(|count| count.parse::<usize>());
    let mut count = || counts.next().ok_or("say RECORDS and POINTS")?.map_err(Error::from);
    let (records, points) = (count()?, count()?);
    let mesh = meshwise::builder("load", "1.0.0")
        .logs(|logs| logs.with_output(LogOutput::writer(std::io::sink())))
        .metrics(move |metrics| {
            metrics.with_max_label_sets(points).with_native_histogram("load_native_seconds")
        })
        .install()?;
    for n in 0..records {
        tracing::info!({ n, password = "hunter2", http.route = "/orders/{id}" }, "record");
        if n % 500 == 0 {
            // Others run, too: a queue that is full at once proves nothing.
            tokio::task::yield_now().await;
        }
    }
    let exemplar = Exemplar::new(TraceId::from_int(7), SpanId::from_int(8));
    for round in 0..ROUNDS {
        for n in 0..points / ROUNDS {
            metrics::gauge!("load_gauge", "n" => n.to_string()).set(n as f64);
        }
        metrics::counter!("load_total").increment(3);
        // A number for which JSON has no digits.
        metrics::gauge!("load_endless").set(f64::INFINITY);
        let histograms = ["load_seconds", "load_native_seconds"];
        for name in if plain { &[][..] } else { &histograms[..] }.iter().copied() {
            with_exemplar(Some(exemplar), || metrics::histogram!(name).record(1.0 + round as f64));
        }
        mesh.metrics().flush(PATIENCE).await;
    }
    let flushed = mesh.logs().clone();
    tokio::task::spawn_blocking(move || flushed.flush(PATIENCE)).await?;
    let _report = mesh.shutdown().await;
    let told = |report: Option<SignalReport>| {
        report.map_or((0, 0), |report| (report.delivered, report.total_dropped()))
    };
    let (logs, sent) = (told(mesh.logs().exported()), told(mesh.metrics().exported()));
    // The last line tells what became of the others.
    println!("logs: {} in, {} delivered, {} dropped", records + 1, logs.0, logs.1);
    println!("points: {} in, {} delivered, {} dropped", sent.0 + sent.1, sent.0, sent.1);
    Ok(())
}
