//! A peer that is killed in the middle of calls.

use crate::{ALONE, killed_and_started, ms};
use axum::{Router, body::Body, routing::get};
use futures_util::StreamExt as _;
use meshwise_testing::TestMesh;
use meshwise_tests::{Proof, eventually};
use std::{convert::Infallible, time::Duration};
use tokio::task::JoinSet;

/// Answers at once, and then piece by piece for longer than the server lives.
fn pieces() -> Router {
    let body = || {
        let piece = async |n: u32| {
            // Real time: a real server streams until it is gone.
            tokio::time::sleep(ms(10)).await;
            Ok::<_, Infallible>(format!("{n}\n"))
        };
        Body::from_stream(futures_util::stream::iter(0..1000).then(piece))
    };
    Router::new().route("/", get(async move || body()))
}

/// Adds up a metric's samples.
fn sum(mesh: &TestMesh, name: &str) -> f64 {
    let text = mesh.metrics_text();
    let samples = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_of_a_peer_that_is_killed_ends_once() {
    let _alone = ALONE.lock().await;
    let kills = Proof::asked_for().times(100, 3);
    let (address, server) = killed_and_started(kills, ms(300), pieces);
    let mesh = TestMesh::new("orders");
    let client = mesh.client("stock").with_base_url(format!("http://{address}"));
    let client = client.without_guards().build().expect("a client");
    let mut calls = JoinSet::new();
    let mut tick = tokio::time::interval(ms(5));
    let (mut sent, mut broken) = (0_u32, 0_u32);
    while !server.is_finished() {
        tick.tick().await;
        sent += 1;
        let client = client.clone();
        calls.spawn(async move {
            let answer = client.get("/").send().await.map_err(drop)?;
            answer.bytes().await.map(drop).map_err(drop)
        });
    }
    server.join().expect("the server");
    let ended = async {
        while let Some(done) = calls.join_next().await {
            broken += u32::from(done.expect("joined").is_err());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("no call hangs");
    // No body ends by itself.
    assert_eq!(broken, sent);
    assert!(sent > 5 * kills, "{sent}");
    eventually("no call in flight", || sum(&mesh, "http_client_active_requests") == 0.0).await;
    let counted = sum(&mesh, "http_client_request_duration_seconds_count");
    assert!((counted - f64::from(sent)).abs() < 0.5, "{counted} of {sent} calls have ended");
}
