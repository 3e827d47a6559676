//! Work that outlives the call which began it, and still belongs to its trace.

use axum::{Router, routing::get};
use tokio::{net::TcpListener, sync::mpsc};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mesh = meshwise::builder("orders", env!("CARGO_PKG_VERSION")).install()?;
    let (sender, mut done) = mpsc::channel(1);
    let place = async move || {
        let sender = sender.clone();
        // `tokio::spawn` would lose the call; this carries its context, span and log ids along.
        meshwise::spawn(async move {
            tracing::info!("mail sent"); // with the trace_id of the call
            let _ = sender.send("mail sent").await;
        });
        "order placed"
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn({
        let mesh = mesh.clone();
        async move { mesh.serve(listener, Router::new().route("/", get(place))).await }
    });

    let orders = mesh.client("orders").with_base_url(url).build()?;
    tracing::info!("{}", orders.get("/").send().await?.text().await?);
    tracing::info!("{}", done.recv().await.unwrap_or("nothing was sent"));
    serving.abort();
    mesh.shutdown().await;
    Ok(())
}
