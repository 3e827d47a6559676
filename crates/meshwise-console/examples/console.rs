//! Starts a console: `cargo run -p meshwise-console --example console`.

use meshwise_console::{Console, ConsoleConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), meshwise_console::ConsoleError> {
    let console = Console::start(ConsoleConfig::new()).await?;
    println!("see {}; OTLP goes to {} or {}", console.url(), console.grpc(), console.http());
    std::future::pending::<()>().await;
    Ok(())
}
