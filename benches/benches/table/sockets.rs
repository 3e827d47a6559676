//! The instrumented service beside the bare one over real sockets, under as much load as one
//! thread makes: requests a second, and how long the slowest percent takes.

use crate::{
    exporting,
    resources::{self, Used},
    stacks::{self, Ours, Stack},
};
use benches::{Bench, Row};
use std::{
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const REQUEST: &[u8] = b"GET /orders/7 HTTP/1.1\r\nhost: orders\r\nuser-agent: bench\r\n\r\n";

pub(crate) fn single() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

type Make = fn() -> Stack;

/// What is served, by name: the first eight under load.
const SERVERS: [(&str, Make); 11] = [
    ("bare axum", stacks::bare),
    ("meshwise, metrics only", || ours(None, false)),
    ("meshwise, unsampled", || ours(Some(false), false)),
    ("meshwise, unsampled, one log line", || ours(Some(false), true)),
    ("meshwise, sampled", || ours(Some(true), false)),
    ("meshwise, sampled, one log line", || ours(Some(true), true)),
    ("the usual stack, unsampled, one log line", || stacks::usual(false, true)),
    ("the usual stack, sampled, one log line", || stacks::usual(true, true)),
    (resources::BARE, resources::bare),
    (resources::OURS, resources::ours),
    (exporting::COLLECTOR, exporting::collector),
];

fn ours(sampled: Option<bool>, logs: bool) -> Stack {
    stacks::ours(Ours { sampled, metrics: true, logs, access: false, span: true })
}

/// Serves if the command line says `--serve NAME`: says its address, and ends with its input.
///
/// Each server is a process of its own, as subscribers in one process see each other's filters.
pub(crate) fn serve_if_asked() -> bool {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some("--serve") {
        return false;
    }
    let name = args.next().unwrap_or_default();
    let Some((_, make)) = SERVERS.iter().find(|(known, _)| *known == name) else { return true };
    thread::spawn(|| {
        for _ in io::stdin().lines() {
            println!("{}", resources::used());
        }
        std::process::exit(0);
    });
    let stack = make();
    if let Some(dispatch) = stack.dispatch {
        tracing::dispatcher::set_global_default(dispatch).expect("nobody else sets one");
    }
    single().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        axum::serve(listener, stack.app).await.expect("a server");
    });
    true
}

/// A server's process; it ends when this is dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Server {
    pub(crate) fn start(name: &'static str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--serve", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("an address");
        Self { name, address: line.trim().parse().expect("an address"), process, output }
    }

    /// Asks what it has used up to now.
    pub(crate) fn used(&mut self) -> Used {
        let input = self.process.stdin.as_mut().expect("a pipe");
        input.write_all(b"\n").expect("a question");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        Used::read(&line)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// One connection, kept alive; asks again as soon as it is answered.
async fn ask(address: SocketAddr, until: Instant) -> Vec<f64> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let (mut times, mut buffer, mut length) = (Vec::with_capacity(65_536), vec![0; 4096], None);
    while Instant::now() < until {
        let started = Instant::now();
        stream.write_all(REQUEST).await.expect("sent");
        let mut read = 0;
        // All answers are of one length; the first one tells it.
        while length.is_none_or(|length| read < length) {
            let got = stream.read(&mut buffer[read..]).await.expect("an answer");
            assert!(got > 0, "the server hung up");
            read += got;
            if length.is_none() && buffer[..read].ends_with(b"an order") {
                length = Some(read);
            }
        }
        times.push(started.elapsed().as_secs_f64());
    }
    times
}

/// Returns requests a second, and the 99th percentile in seconds.
fn load(address: SocketAddr, connections: usize, lasting: Duration) -> (f64, f64) {
    let started = Instant::now();
    let until = started + lasting;
    let mut times: Vec<f64> = single().block_on(async {
        let all: Vec<_> = (0..connections).map(|_| tokio::spawn(ask(address, until))).collect();
        let mut times = Vec::new();
        for one in all {
            times.extend(one.await.expect("a connection"));
        }
        times
    });
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    (rate, times[(times.len() * 99 / 100).min(times.len() - 1)])
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn run(bench: &mut Bench) {
    let what = "over sockets";
    if !bench.wants(what) {
        return;
    }
    let servers: Vec<Server> = SERVERS[..8].iter().map(|(name, _)| Server::start(name)).collect();
    let rounds = bench.effort().pick(1, 12);
    let lasting = Duration::from_millis(bench.effort().pick(20, 400) as u64);
    for connections in [1, 64] {
        let what = format!("{what}, {connections} connections");
        eprintln!("{what} ...");
        let mut all = vec![Vec::new(); servers.len()];
        for round in 0..rounds + 1 {
            for (i, server) in servers.iter().enumerate() {
                let measured = load(server.address, connections, lasting);
                // The first round only warms up.
                if round > 0 {
                    all[i].push(measured);
                }
            }
        }
        let bare = all[0].clone();
        for (server, measured) in servers.iter().zip(&all) {
            let beside = |pick: fn(&(f64, f64)) -> f64| {
                let ratios = measured.iter().zip(&bare).map(|(own, bare)| pick(own) / pick(bare));
                100.0 * median(ratios.collect())
            };
            let (rate, p99) = (
                median(measured.iter().map(|(rate, _)| *rate).collect()),
                median(measured.iter().map(|(_, p99)| *p99).collect()),
            );
            bench.add(Row {
                what: what.clone(),
                who: server.name.to_owned(),
                time: format!("{rate:.0}/s, p99 {:.0} us", p99 * 1e6),
                ratio: format!(
                    "{:.1} % of bare, p99 {:.1} %",
                    beside(|one| one.0),
                    beside(|one| one.1)
                ),
                ..Row::default()
            });
        }
    }
}
