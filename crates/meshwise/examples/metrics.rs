//! Metrics of one's own beside those that every service has, as a scrape sees them.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mesh = meshwise::builder("orders", env!("CARGO_PKG_VERSION")).install()?;

    metrics::describe_counter!("orders_total", "Orders placed, by kind.");
    metrics::counter!("orders_total", "kind" => "gift").increment(2);
    metrics::histogram!("order_value_euros").record(129.90);

    // What `/metrics` answers on the ops port.
    let page = mesh.metrics().render(&Default::default());
    for line in String::from_utf8_lossy(&page.body).lines() {
        if line.contains("order") {
            tracing::info!("{line}");
        }
    }
    mesh.shutdown().await;
    Ok(())
}
