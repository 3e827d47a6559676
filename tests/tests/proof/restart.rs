//! A rolling restart.

use crate::{ALONE, CLOSED, killed_and_started, ms};
use axum::{Router, routing::get};
use meshwise_testing::TestMesh;
use meshwise_tests::Proof;
use std::time::Instant;
use tokio::{net::TcpStream, task::JoinSet, time::MissedTickBehavior};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_costs_next_to_no_call() {
    let _alone = ALONE.lock().await;
    let (restarts, gap) = (Proof::asked_for().times(100, 4), ms(500));
    let (address, server) =
        killed_and_started(restarts + 1, gap, || Router::new().route("/", get(async || "ok")));
    let mesh = TestMesh::new("orders");
    let client = mesh.client("stock").with_base_url(format!("http://{address}"));
    let client = client.build().expect("a client");
    while TcpStream::connect(address).await.is_err() {
        tokio::task::yield_now().await;
    }
    let mut calls = JoinSet::new();
    let mut tick = tokio::time::interval(ms(2));
    // A machine that is busy sends fewer calls, and not all of those that it missed at once.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut sent, mut failed) = (0_u32, Vec::new());
    let last = Instant::now() + (gap + CLOSED) * restarts;
    while Instant::now() < last {
        tick.tick().await;
        let client = client.clone();
        sent += 1;
        calls.spawn(async move {
            let answer = client.get("/").send().await.map_err(|error| error.to_string())?;
            let body = answer.bytes().await.map_err(|error| error.to_string())?;
            (body == "ok").then_some(()).ok_or_else(|| "another body".to_owned())
        });
    }
    while let Some(done) = calls.join_next().await {
        failed.extend(done.expect("joined").err());
    }
    server.join().expect("the server");
    assert!(sent > 20 * restarts, "{sent}");
    let few = (sent as usize / 200).max(1);
    assert!(failed.len() <= few, "{} of {sent}: {:?}", failed.len(), failed.first());
}
