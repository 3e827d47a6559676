//! Streams that are open for long.

use crate::{ALONE, ms};
use axum::{Router, body::Body, response::Response, routing::get};
use futures_util::StreamExt as _;
use meshwise_testing::TestMesh;
use meshwise_tests::{Proof, serve};
use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

const FULL: Duration = Duration::from_secs(60);

/// Sends an event every 20 ms.
async fn events() -> Response {
    let event = async |n: u32| {
        // Real time: a real server streams.
        tokio::time::sleep(ms(20)).await;
        Ok::<_, Infallible>(format!("data: {n}\n\n"))
    };
    let events = futures_util::stream::iter(0..).then(event);
    let mut response = Response::new(Body::from_stream(events));
    let kind = "text/event-stream".parse().expect("a value");
    response.headers_mut().insert("content-type", kind);
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_outlives_every_default_limit() {
    let _alone = ALONE.lock().await;
    let mesh = TestMesh::new("ticker");
    let app = mesh.wrap(Router::new().route("/events", get(events))).expect("layers");
    let served = serve(app).await;
    let client = mesh.client("ticker").with_base_url(served.url("")).build().expect("a client");
    let length = Proof::asked_for().time(FULL);
    let began = Instant::now();
    let answer = client.get("/events").send().await.expect("a head");
    let mut body = answer.bytes_stream();
    let mut text = String::new();
    while began.elapsed() < length {
        let piece = body.next().await.expect("it goes on").expect("it is whole");
        text.push_str(std::str::from_utf8(&piece).expect("text"));
    }
    drop(body);
    // Nothing is missing, twice, or out of order.
    let numbers: Vec<u32> =
        text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")?.parse().ok()).collect();
    assert!(numbers.iter().copied().eq(0..u32::try_from(numbers.len()).expect("few")));
    assert!(numbers.len() >= 10, "{} events", numbers.len());
}
