//! A service that serves one route, and is called once by its own client.

use axum::{Router, extract::Path, routing::get};
use meshwise::prelude::*;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mesh = meshwise::builder("orders", env!("CARGO_PKG_VERSION")).install()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);

    let app = Router::new().route("/orders/{id}", get(order));
    let serving = tokio::spawn({
        let mesh = mesh.clone();
        async move { mesh.serve(listener, app).await } // until SIGTERM
    });

    let orders = mesh.client("orders").with_base_url(url).build()?;
    let answer = orders.get("/orders/7").send().await?;
    tracing::info!("{} {}", answer.status(), answer.text().await?);
    serving.abort();
    mesh.shutdown().await;
    Ok(())
}

async fn order(Path(id): Path<u64>, call: CurrentCall) -> String {
    tracing::info!(id, "order looked up");
    format!("order {id} for {}", call.caller().unwrap_or("a stranger"))
}
