//! The long proofs: they say more the longer they run. `MESHWISE_PROOF` says how long
//! (`CONTRIBUTING.md`); what they assert does not depend on it.

mod kills;
mod restart;
mod streams;

use meshwise_tests::PATIENCE;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::Mutex, time::timeout};

/// One proof at a time: each wants the machine for itself.
static ALONE: Mutex<()> = Mutex::const_new(());

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How long a process that is killed and started again leaves its port closed.
const CLOSED: Duration = ms(20);

/// Serves on one port, again and again, for `up` each; then connections break and the port is closed
/// for a moment, as if the process had been killed and started again.
fn killed_and_started(
    times: u32,
    up: Duration,
    app: fn() -> axum::Router,
) -> (SocketAddr, std::thread::JoinHandle<()>) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let server = std::thread::spawn(move || {
        for _ in 0..times {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            let listener = bind(address);
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                drop(timeout(up, axum::serve(listener, app()).into_future()).await);
            });
            drop(runtime);
            // Real time: a real port is closed for that long.
            std::thread::sleep(CLOSED);
        }
    });
    (address, server)
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
