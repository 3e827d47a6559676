//! A service that strangers reach: what they say of traces, callers and deadlines is not believed.

use axum::{Router, routing::get};
use meshwise::{http::ServerMode, prelude::*};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mesh = meshwise::builder("gateway", env!("CARGO_PKG_VERSION")).install()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().route("/", get(whoami));
    let serving = tokio::spawn({
        let server = mesh.server().with_mode(ServerMode::Edge);
        async move { server.serve(listener, app).await }
    });

    // The client is an honest one, and says its name; at the edge that is no proof.
    let client = mesh.client("gateway").with_base_url(url).build()?;
    let answer = client.get("/").header("x-request-id", "made-up").send().await?;
    tracing::info!("{}", answer.text().await?);
    serving.abort();
    mesh.shutdown().await;
    Ok(())
}

async fn whoami(call: CurrentCall) -> String {
    let made_up = call.request_id().is_some_and(|id| id == "made-up");
    format!("caller: {:?}, request id believed: {made_up}", call.caller())
}
