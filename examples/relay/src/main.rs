//! Runs the relay: `cargo run -p relay -- --listen 127.0.0.1:8000`.

use clap::Parser;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Passes calls on: POST a JSON array of {"url", "arguments"} to /test.
#[derive(Debug, Parser)]
struct Args {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mesh = meshwise::builder("relay", env!("CARGO_PKG_VERSION")).install()?;
    let listener = TcpListener::bind(args.listen).await?;
    eprintln!("relay listens on http://{}/test", listener.local_addr()?);
    let routes = relay::routes(&mesh)?;
    eprintln!("{}", mesh.serve(listener, routes).await?);
    Ok(())
}
