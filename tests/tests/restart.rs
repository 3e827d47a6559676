//! A rolling restart, in a process of its own: nothing else takes the machine's time.

use axum::{Router, routing::get};
use meshwise_testing::TestMesh;
use meshwise_tests::PATIENCE;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_costs_next_to_no_call() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let (restarts, gap) = (4, ms(500));
    // A process that is killed and started again: its connections break, its port is closed for
    // 20 ms.
    let server = std::thread::spawn(move || {
        for _ in 0..=restarts {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            let listener = bind(address);
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                let app = Router::new().route("/", get(async || "ok"));
                drop(timeout(gap, axum::serve(listener, app).into_future()).await);
            });
            drop(runtime);
            std::thread::sleep(ms(20));
        }
    });
    let mesh = TestMesh::new("orders");
    let client = mesh.client("stock").with_base_url(format!("http://{address}"));
    let client = client.build().expect("a client");
    while TcpStream::connect(address).await.is_err() {
        tokio::task::yield_now().await;
    }
    let mut calls = JoinSet::new();
    let mut tick = tokio::time::interval(ms(2));
    let (mut sent, mut failed) = (0_u32, Vec::new());
    let last = Instant::now() + (gap + ms(20)) * restarts;
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
    assert!(sent > 500, "{sent}");
    assert!(failed.len() * 200 <= sent as usize, "{} of {sent}: {failed:?}", failed.len());
}

/// Binds a port that was in use a moment ago.
fn bind(address: SocketAddr) -> std::net::TcpListener {
    let began = Instant::now();
    loop {
        match std::net::TcpListener::bind(address) {
            Ok(listener) => {
                listener.set_nonblocking(true).expect("a setting");
                return listener;
            }
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
    }
}
