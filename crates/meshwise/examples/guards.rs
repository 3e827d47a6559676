//! What a caller sees of a peer that is down: errors first, and refusals once the breaker is open.

use meshwise::{
    client::ClientError,
    core::Refused,
    resilience::{BreakerConfig, PeerConfig},
};
use std::time::Duration;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mesh = meshwise::builder("orders", env!("CARGO_PKG_VERSION")).install()?;
    // A port that nothing listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let breaker = BreakerConfig::new().with_consecutive_failures(3, Duration::ZERO);
    let stock = mesh
        .client("stock")
        .with_base_url(format!("http://{closed}"))
        .with_guards(|guards: PeerConfig| {
            guards.with_timeout(Duration::from_millis(400)).without_retry().with_breaker(breaker)
        })
        .build()?;

    for call in 1..=20 {
        match stock.get("/items/7").send().await {
            Ok(answer) => tracing::info!("call {call}: {}", answer.status()),
            Err(error) => tracing::info!("call {call}: {error}"),
        }
    }
    tracing::info!("{:?}", mesh.guards().snapshot());
    mesh.shutdown().await;
    Ok(())
}

/// What a handler can make of a refusal: it says when to try again.
#[allow(dead_code, reason = "shown, not called")]
fn when(error: &ClientError) -> Option<Duration> {
    error.refused().and_then(Refused::retry_after)
}
