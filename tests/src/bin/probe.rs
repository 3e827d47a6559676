//! A service that starts as its environment has it, makes calls, and says what came of them: log lines
//! to standard output, all else to standard error. Run by tests, as variables are the process's.

use axum::{Router, http::HeaderMap, routing::get};
use meshwise::{
    core::internal::random,
    opentelemetry::trace::{Span as _, Tracer as _},
};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let builder = meshwise::builder("orders", "1.0.0");
    let mesh = match builder.with_resource_attribute("team", "checkout").install() {
        Ok(mesh) => mesh,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    tracing::info!("at info");
    tracing::debug!("at debug");

    let tracer = mesh.tracing().tracer();
    let root = tracer.start("root");
    let ids = root.span_context();
    let flags = ids.trace_flags().to_u8();
    eprintln!("ids trace={} span={} flags={flags}", ids.trace_id(), ids.span_id());
    eprintln!("jitter {}", random::up_to(u64::MAX));
    drop(root);
    if std::env::args().nth(1).as_deref() == Some("ids") {
        // Under a clock that stands still nothing that waits would end.
        eprintln!("clock {:?}", std::time::Instant::now());
        std::process::exit(0);
    }
    let sampled = (0..1000).filter(|_| tracer.start("work").span_context().is_sampled()).count();
    eprintln!("sampled {sampled}");

    let app = Router::new()
        .route("/", get(|headers: HeaderMap| async move { format!("{headers:?}") }))
        .layer(mesh.server_layer());
    let served = meshwise_tests::serve(app).await;
    let client = mesh.client("self").with_base_url(served.url("")).build();
    match client {
        Ok(client) => match client.get("/").send().await {
            Ok(answer) => eprintln!("sent {}", answer.text().await.unwrap_or_default()),
            Err(error) => eprintln!("not sent: {error}"),
        },
        Err(error) => eprintln!("no client: {error}"),
    }

    for (key, value) in mesh.resource().iter() {
        eprintln!("resource {key}={value}");
    }
    for (key, value) in mesh.tracing().resource() {
        eprintln!("span resource {key}={value}");
    }
    let page = mesh.metrics().render_text();
    for line in page.lines().filter(|line| line.starts_with("target_info{")) {
        eprintln!("{line}");
    }
    eprintln!("page of {} lines", page.lines().count());
    eprintln!("{}", mesh.shutdown().await);
    ExitCode::SUCCESS
}
