//! gRPC both ways: a service (the health service that every one has) and an observed, guarded client.

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mesh = meshwise::builder("auth", env!("CARGO_PKG_VERSION")).install()?;
    mesh.health().add_check("keys", || async { Ok(()) });
    let routes = mesh.grpc_ops().build()?; // .add_service(AuthServer::new(auth))

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn({
        let mesh = mesh.clone();
        async move { mesh.serve_grpc(listener, routes).await }
    });

    // What any generated client takes: `AuthClient::new(channel)`.
    let channel = mesh.grpc_client("auth").with_endpoint(url).build()?;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let answer = health.check(tonic_health::pb::HealthCheckRequest::default()).await?;
    tracing::info!("health: {:?}", answer.get_ref().status());
    serving.abort();
    mesh.shutdown().await;
    Ok(())
}
