//! A readiness check, and what a probe is told when it fails.

use axum::{Router, routing::get};
use meshwise::OpsAddr;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mesh = meshwise::builder("orders", env!("CARGO_PKG_VERSION"))
        .with_ops_addr(OpsAddr::SamePort) // else on 127.0.0.1:9464
        .install()?;
    mesh.health().add_check("database", || async { Err("no connection is free".to_owned()) });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn({
        let mesh = mesh.clone();
        async move { mesh.serve(listener, Router::new().route("/", get(async || "hello"))).await }
    });

    let probe = mesh.client("orders").with_base_url(url).without_guards().build()?;
    for path in ["/livez", "/readyz"] {
        let answer = probe.get(path).send().await?;
        tracing::info!("{path}: {} {}", answer.status(), answer.text().await?);
    }
    serving.abort();
    mesh.shutdown().await;
    Ok(())
}
