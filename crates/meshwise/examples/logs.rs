//! Log lines as JSON: fields of one's own, ids of the call, and secrets that stay hidden.

use meshwise::log::{LogFormat, LogOutput};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mesh = meshwise::builder("orders", env!("CARGO_PKG_VERSION"))
        .logs(|logs| logs.with_format(LogFormat::Json).with_output(LogOutput::stdout()))
        .install()?;

    tracing::info!(id = 7, kind = "gift", "order placed");
    tracing::warn!(password = "hunter2", "this field's name is that of a secret");
    tracing::info_span!("checkout", cart = 3).in_scope(|| tracing::info!("inside of a span"));

    mesh.shutdown().await; // waits until all lines are written
    Ok(())
}
