//! The map's edges, over real sockets: each is counted once, and says what kind it is.

use axum::{Router, http::StatusCode, routing::get};
use meshwise::{
    Mesh,
    api::Declared,
    builder,
    client::reqwest,
    http::ClientMode,
    log::{LogLines, LogOutput},
    trace::SpanExport,
};
use std::{net::SocketAddr, time::Duration};
use tokio::net::TcpListener;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn mesh(name: &str, declared: Option<Declared>) -> Mesh {
    let lines = LogLines::new();
    let mut builder = builder(name, "1")
        .with_env(meshwise::core::Env::from_pairs::<&str, &str>([]))
        .logs(move |logs| logs.with_output(LogOutput::memory(&lines)))
        .traces(|traces| traces.with_exporter(SpanExport::none()));
    if let Some(declared) = declared {
        builder = builder.apis(declared);
    }
    builder.build().expect("a mesh")
}

async fn serve(mesh: &Mesh) -> SocketAddr {
    let app = Router::new()
        .route("/", get(async || "well"))
        .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let app = mesh.wrap(app).expect("layers");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Returns the value of an edge's counter; labels are in the order of the exposition.
fn calls(mesh: &Mesh, metric: &str, edge: &str) -> Option<f64> {
    let text = mesh.metrics().render_text();
    let start = format!("traces_service_graph_request_{metric}{{{edge}}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

#[tokio::test]
async fn a_call_between_two_services_is_counted_by_the_caller_alone() {
    let (orders, stock) = (mesh("orders", None), mesh("stock", None));
    let url = format!("http://{}", serve(&stock).await);
    let client = orders.client("stock").with_base_url(url).build().expect("a client");
    for path in ["/", "/broken", "/"] {
        client.get(path).send().await.expect("an answer").bytes().await.expect("a body");
    }
    let edge = r#"client="orders",server="stock""#;
    assert_eq!(calls(&orders, "total", edge), Some(3.0));
    assert_eq!(calls(&orders, "failed_total", edge), Some(1.0));
    assert_eq!(calls(&orders, "server_seconds_count", edge), Some(3.0));
    let text = stock.metrics().render_text();
    assert!(!text.contains("traces_service_graph_request_total{"), "counted twice:\n{text}");
}

#[tokio::test]
async fn a_caller_without_a_name_is_counted_by_the_side_that_serves() {
    let stock = mesh("stock", None);
    let url = format!("http://{}/", serve(&stock).await);
    reqwest::get(url).await.expect("an answer").bytes().await.expect("a body");
    let edge = r#"client="user",connection_type="virtual_node",server="stock""#;
    // The server ends the call on its own time.
    let counted = async {
        while calls(&stock, "total", edge) != Some(1.0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("counted");
    assert_eq!(calls(&stock, "failed_total", edge), Some(0.0));
}

#[tokio::test]
async fn a_third_party_is_a_node_by_its_address() {
    let (orders, bank) = (mesh("orders", None), mesh("bank", None));
    let url = format!("http://{}", serve(&bank).await);
    let client = orders
        .client("bank")
        .with_base_url(url)
        .with_layer(|layer| layer.with_mode(ClientMode::External))
        .build()
        .expect("a client");
    client.get("/").send().await.expect("an answer").bytes().await.expect("a body");
    let edge = r#"client="orders",connection_type="virtual_node",server="127.0.0.1""#;
    assert_eq!(calls(&orders, "total", edge), Some(1.0));
}

#[tokio::test]
async fn a_peer_of_which_nothing_is_required_is_an_undeclared_edge() {
    static NOTHING: Declared = Declared::new("orders");
    let (orders, stock) = (mesh("orders", Some(NOTHING)), mesh("stock", None));
    let url = format!("http://{}", serve(&stock).await);
    let client = orders.client("stock").with_base_url(url).build().expect("a client");
    client.get("/").send().await.expect("an answer").bytes().await.expect("a body");
    let edge = r#"client="orders",connection_type="undeclared",server="stock""#;
    assert_eq!(calls(&orders, "total", edge), Some(1.0));
}
