//! The console, or what else keeps spans in memory for a page: `peer ours` and `peer theirs` say where they take
//! OTLP over gRPC, and serve until they are killed.

use std::net::SocketAddr;

type Error = Box<dyn std::error::Error>;

/// What either may keep, in bytes.
const MEMORY: usize = 400_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    match std::env::args().nth(1).as_deref() {
        Some("ours") => {
            use meshwise_console::{Console, ConsoleConfig};
            let config = ConsoleConfig::new().with_page(any).with_otlp(any, any);
            let console = Console::start(config.with_memory(MEMORY)).await?;
            println!("{} {}", console.grpc(), console.url());
            std::future::pending::<()>().await;
        }
        _ => {
            use otlp_embedded::{Config, State, TraceServiceImpl, TraceServiceServer};
            let state = State::new(Config { max_length: u32::MAX, max_memory_usage: MEMORY });
            let listener = tokio::net::TcpListener::bind(any).await?;
            println!("{} none", listener.local_addr()?);
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(TraceServiceImpl::new(state)))
                .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener))
                .await?;
        }
    }
    Ok(())
}
