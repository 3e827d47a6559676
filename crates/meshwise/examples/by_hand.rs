//! The same layers around a router that one serves oneself.

use axum::{Router, routing::get};
use tokio::{net::TcpListener, sync::oneshot};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mesh = meshwise::builder("orders", env!("CARGO_PKG_VERSION")).install()?;
    let app = mesh.wrap(Router::new().route("/", get(async || "hello")))?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    // In a service: `.with_graceful_shutdown(mesh.shutdown_signal())`.
    let server = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    let serving = tokio::spawn(server.into_future());

    let orders = mesh.client("orders").with_base_url(url).build()?;
    for path in ["/", "/nothing-here"] {
        tracing::info!("{path}: {}", orders.get(path).send().await?.status());
    }
    drop((orders, stop));
    serving.await??;
    mesh.shutdown().await;
    Ok(())
}
