//! What a served call takes of its process: the processor's time, beside the bare service's, and memory
//! once many calls of many series are over.
//!
//! Steadier than requests a second, for what else runs on the machine is in neither of the two.

use crate::{
    sockets::{Server, median, single},
    stacks::{self, Ours, Stack},
};
use axum::{Router, extract::Path, http::StatusCode, routing::get};
use benches::{Bench, Row};
use meshwise::trace::BatchConfig;
use rustix::time::{ClockId, clock_gettime};
use std::{fmt, fs, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) const BARE: &str = "bare axum, many routes";
pub(crate) const OURS: &str = "meshwise, many routes";

/// Each answers in two ways: so there are twice as many series of each metric.
const ROUTES: usize = 1_000;

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// The processor's time, of all its threads.
    cpu: Duration,
    /// The memory that is resident, in bytes.
    memory: u64,
}

impl Used {
    /// Reads what a server has written.
    pub(crate) fn read(line: &str) -> Self {
        let mut numbers = line.split_whitespace().map(|number| number.parse().expect("a number"));
        let mut next = || numbers.next().expect("two numbers");
        Self { cpu: Duration::from_nanos(next()), memory: next() }
    }
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cpu.as_nanos(), self.memory)
    }
}

/// Tells what this process has used.
pub(crate) fn used() -> Used {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    let cpu = clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default();
    Used { cpu, memory: kib.unwrap_or(0) * 1024 }
}

fn routes() -> Router {
    async fn answer(Path(status): Path<u16>) -> StatusCode {
        StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST)
    }
    (0..ROUTES).fold(Router::new(), |routes, i| {
        routes.route(&format!("/route-{i}/{{status}}"), get(answer))
    })
}

pub(crate) fn bare() -> Stack {
    stacks::bare_of(routes())
}

pub(crate) fn ours() -> Stack {
    let all = Ours { sampled: Some(false), metrics: true, logs: true, access: false, span: true };
    // With the queues that a service has; those of the other rows hold the spans of a whole batch.
    stacks::ours_with(all, routes(), stacks::mesh_with(false, BatchConfig::new()))
}

/// Asks so many times over so many connections, for one path after the other.
fn ask(address: SocketAddr, connections: usize, calls: usize, paths: &[String]) {
    let one = |first: usize| {
        let requests: Vec<String> = paths
            .iter()
            .map(|path| format!("GET {path} HTTP/1.1\r\nhost: orders\r\nuser-agent: bench\r\n\r\n"))
            .collect();
        async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let mut buffer = vec![0; 4096];
            for i in first..first + calls / connections {
                let request = requests[i % requests.len()].as_bytes();
                stream.write_all(request).await.expect("sent");
                let mut read = 0;
                while !is_whole(&buffer[..read]) {
                    let got = stream.read(&mut buffer[read..]).await.expect("an answer");
                    assert!(got > 0, "the server hung up");
                    read += got;
                }
            }
        }
    };
    single().block_on(async {
        let share = calls / connections;
        let all: Vec<_> = (0..connections).map(|i| tokio::spawn(one(i * share))).collect();
        for one in all {
            one.await.expect("a connection");
        }
    });
}

/// Tells whether an answer is complete: the head alone, or with the one body that there is.
fn is_whole(answer: &[u8]) -> bool {
    answer.ends_with(b"an order") || answer.ends_with(b"\r\n\r\n") && has_no_body(answer)
}

fn has_no_body(head: &[u8]) -> bool {
    head.windows(17).any(|window| window.eq_ignore_ascii_case(b"content-length: 0"))
}

pub(crate) fn run(bench: &mut Bench) {
    cpu(bench);
    memory(bench);
}

/// Compares the processor's time of a call over sockets.
fn cpu(bench: &mut Bench) {
    let what = "processor's time over sockets";
    if !bench.wants(what) {
        return;
    }
    let names = [
        "bare axum",
        "meshwise, metrics only",
        "meshwise, unsampled",
        "meshwise, sampled, one log line",
        "the usual stack, sampled, one log line",
    ];
    let mut servers = names.map(Server::start);
    let rounds = bench.effort().pick(1, 12);
    let calls = bench.effort().pick(200, 10_000);
    let paths = ["/orders/7".to_owned()];
    for connections in [1, 16, 64] {
        let mut taken = vec![Vec::new(); servers.len()];
        for round in 0..=rounds {
            for (i, server) in servers.iter_mut().enumerate() {
                let before = server.used().cpu;
                ask(server.address, connections, calls, &paths);
                let cpu = server.used().cpu.saturating_sub(before);
                // The first round only warms up.
                if round > 0 {
                    taken[i].push(cpu.as_secs_f64() / (calls / connections * connections) as f64);
                }
            }
        }
        for (server, own) in servers.iter().zip(&taken) {
            let ratios = own.iter().zip(&taken[0]).map(|(own, bare)| own / bare);
            bench.add(Row {
                what: format!("{what}, {connections} connections"),
                who: server.name.to_owned(),
                time: format!("{:.2} s for 10^6 calls", median(own.clone()) * 1e6),
                ratio: format!("{:.1} % of bare", 100.0 * median(ratios.collect())),
                ..Row::default()
            });
        }
    }
}

/// Compares the memory that is resident after many calls.
fn memory(bench: &mut Bench) {
    let what = "memory after 10^6 calls, 2,000 series";
    if !bench.wants(what) {
        return;
    }
    let calls = bench.effort().pick(4_000, 1_000_000);
    let statuses = (0..2 * ROUTES).map(|i| (i / 2, if i % 2 == 0 { 200 } else { 404 }));
    let paths: Vec<String> =
        statuses.map(|(route, status)| format!("/route-{route}/{status}")).collect();
    let mut bare = 0;
    for name in [BARE, OURS] {
        let mut server = Server::start(name);
        ask(server.address, 16, calls, &paths);
        let memory = server.used().memory;
        let ours = name == OURS;
        if !ours {
            bare = memory;
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        bench.add(Row {
            what: what.to_owned(),
            who: name.to_owned(),
            bytes: format!("{:.1} MiB", mib(memory)),
            ratio: if ours {
                format!("{:+.1} MiB", mib(memory) - mib(bare))
            } else {
                String::new()
            },
            ..Row::default()
        });
    }
}
