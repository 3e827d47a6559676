//! What a `TestMesh` sees, and what its assertions say when they fail.

use axum::{Router, body::Body, http::Request, routing::get};
use meshwise_testing::TestMesh;
use std::panic::catch_unwind;
use tower::ServiceExt;

async fn call(mesh: &TestMesh, path: &str) {
    let app = Router::new().route("/orders/{id}", get(order)).layer(mesh.server_layer());
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let response = app.oneshot(request).await.expect("infallible");
    axum::body::to_bytes(response.into_body(), 1024).await.expect("a body");
}

#[tracing::instrument]
async fn look_up() {
    tracing::info!(found = false, "looked up");
}

async fn order() -> &'static str {
    metrics::counter!("orders_total", "kind" => "a,b\"c").increment(1);
    look_up().await;
    "none"
}

#[tokio::test]
async fn all_three_signals_of_a_call_are_seen() {
    let mesh = TestMesh::new("orders");
    call(&mesh, "/orders/7").await;
    let server = mesh.spans().named("GET /orders/{id}").one();
    let inner = mesh.spans().named("look_up").one();
    inner.assert_child_of(&server).assert_not_failed();
    server.assert_attribute("http.response.status_code", 200).assert_no_attribute("error.type");
    mesh.lines().containing("looked up").one().assert_field("found", false).assert_in_span(&inner);
    mesh.lines().of_target("meshwise::access").one().assert_in_span(&server);
    mesh.lines().in_trace(&server.trace_id()).assert_count(2);
    mesh.metric("orders_total").label("kind", "a,b\"c").assert_value(1.0);
    mesh.metric("orders_total").label("kind", "a").assert_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn meshes_do_not_see_each_other() {
    let meshes: Vec<_> = (0..16).map(|i| TestMesh::new(&format!("service-{i}"))).collect();
    let tasks: Vec<_> = meshes
        .into_iter()
        .enumerate()
        .map(|(i, mesh)| {
            tokio::spawn(async move {
                for _ in 0..=i {
                    call(&mesh, "/orders/7").await;
                }
                mesh.spans().named("look_up").assert_count(i + 1);
                mesh.lines().containing("looked up").assert_count(i + 1);
                mesh.metric("orders_total").assert_value((i + 1) as f64);
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("assertions hold");
    }
}

#[test]
fn code_outside_of_layers_is_seen_once_entered() {
    let mesh = TestMesh::new("orders");
    tracing::info!("before");
    {
        let _entered = mesh.enter();
        tracing::info!("inside");
        metrics::counter!("inside_total").increment(2);
    }
    tracing::info!("after");
    mesh.lines().assert_count(1);
    mesh.metric("inside_total").assert_value(2.0);
}

#[tokio::test]
async fn failures_print_what_was_there() {
    let mesh = TestMesh::new("orders");
    call(&mesh, "/orders/7").await;
    let said = |check: &dyn Fn()| {
        let panic = catch_unwind(std::panic::AssertUnwindSafe(check)).expect_err("it fails");
        panic.downcast_ref::<String>().expect("a message").clone()
    };
    let spans = said(&|| drop(mesh.spans().named("GET /order").one()));
    assert!(spans.contains("spans named `GET /order`: expected 1, found 0"), "{spans}");
    assert!(spans.contains("GET /orders/{id}") && spans.contains("http.route"), "{spans}");
    let lines = said(&|| drop(mesh.lines().at_level("ERROR").one()));
    assert!(lines.contains("lines at level ERROR") && lines.contains("looked up"), "{lines}");
    let value = said(&|| drop(mesh.metric("orders_total").assert_value(5.0).clone()));
    assert!(value.contains("expected 5, found Some(1.0)"), "{value}");
    let name = said(&|| drop(mesh.metric("order_total").assert_value(1.0).clone()));
    assert!(name.contains("nothing of that name") && name.contains("orders_total"), "{name}");
}
