//! A new user's path: an empty folder, the README's manifest and program, `cargo run`; then what a
//! service goes through, over sockets and by signals. The guide's server of one's own beside it.

use meshwise_tests::{PATIENCE, raw};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// What the test adds to the README's one route.
const MORE_ROUTES: &str = r#"
    .route("/panic", get(|| async { if true { panic!("on purpose") } }))
    .route("/slow", get(|| async { pieces(3) }))
    .route("/events", get(|| async { pieces(u32::MAX) }))"#;

const MORE_CODE: &str = r#"
/// One piece at once, and then one every 50 ms.
fn pieces(n: u32) -> axum::response::Response {
    use futures_util::StreamExt;
    let wait = |n| async move {
        if n > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Ok::<_, std::convert::Infallible>(format!("data: {n}\n\n"))
    };
    let body = axum::body::Body::from_stream(futures_util::stream::iter(0..n).then(wait));
    axum::response::Response::builder()
        .header("content-type", "text/event-stream")
        .body(body)
        .expect("a response")
}
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// Returns the first block of this language after a mark.
fn block(document: &str, after: &str, language: &str) -> String {
    let rest = document.split_once(after).expect("the mark").1;
    let begin = rest.find(&format!("```{language}")).expect("a block");
    let rest = rest[begin..].split_once('\n').expect("a line").1;
    rest.split("```").next().expect("its end").to_owned()
}

/// Replaces what must be there.
fn replace(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no `{from}` in:\n{text}");
    text.replace(from, to)
}

/// Builds the programs, and returns where they are.
fn build(folder: &Path) -> PathBuf {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    let guide = fs::read_to_string(root().join("docs/guide.md")).expect("the guide");
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder.join("src/bin")).expect("a folder");

    let front_door = root().join("crates/meshwise");
    let dependencies = replace(
        &block(&readme, "## In your service", "toml"),
        "meshwise = \"0.1\"",
        &format!("meshwise = {{ path = {front_door:?} }}"),
    );
    let package =
        "[package]\nname = \"orders\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n";
    let manifest = package.to_owned() + &dependencies + "futures-util = \"0.3\"\n";
    fs::write(folder.join("Cargo.toml"), manifest).expect("written");
    // The same versions as ours, so that nothing new is fetched.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("copied");

    // The port in the README may be taken here.
    let address = "std::env::args().nth(1).expect(\"an address\")";
    let program = block(&readme, "## In your service", "rust");
    let program = replace(&program, "\"127.0.0.1:8080\"", address);
    let route = ".route(\"/orders/{id}\", get(order))";
    let program = replace(&program, route, &format!("{route}{MORE_ROUTES}"));
    fs::write(folder.join("src/main.rs"), program + MORE_CODE).expect("written");

    let by_hand = block(&guide, "### With a server of your own", "rust");
    let by_hand = replace(&by_hand, "127.0.0.1:9464", "127.0.0.1:0");
    let by_hand = format!(
        "use axum::{{Router, routing::get}};
         #[tokio::main]
         async fn main() -> anyhow::Result<()> {{
             let mesh = meshwise::builder(\"by-hand\", \"1.0.0\").install()?;
             let listener = tokio::net::TcpListener::bind({address}).await?;
             let routes = Router::new(){MORE_ROUTES};
             {by_hand}
             Ok(())
         }}
         {MORE_CODE}"
    );
    fs::write(folder.join("src/bin/by_hand.rs"), by_hand).expect("written");

    // Among what the workspace has built, with its profile: most of it is there already.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder");
    let debug = std::env::var("CARGO_PROFILE_DEV_DEBUG");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_DEV_DEBUG", debug.as_deref().unwrap_or("line-tables-only"))
        .env("CARGO_INCREMENTAL", "0")
        .output()
        .expect("cargo");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug")
}

fn output(log: &Path) -> Vec<String> {
    let file = fs::File::open(log).expect("its log");
    BufReader::new(file).lines().map(|line| line.expect("text")).collect()
}

fn lines(log: &Path) -> Vec<Value> {
    output(log).iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A service in a process of its own; killed when dropped.
struct Running {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Running {
    fn start(program: &Path, log: PathBuf, env: &[(&str, &str)]) -> Self {
        let out = fs::File::create(&log).expect("a file").into();
        Self::start_into(program, log, out, Stdio::null(), env)
    }

    fn start_into(
        program: &Path,
        log: PathBuf,
        out: Stdio,
        err: Stdio,
        env: &[(&str, &str)],
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let mut command = Command::new(program);
        command
            .arg(address.to_string())
            .env("MESHWISE_PEERS_AUTH_URL", "http://127.0.0.1:1")
            .env("MESHWISE_LOG_FORMAT", "json")
            .env("MESHWISE_OPS_ADDR", "127.0.0.1:0")
            .envs(env.iter().copied().filter(|(_, value)| !value.is_empty()))
            .stdout(out)
            .stderr(err);
        // What is empty is not there.
        for (name, _) in env.iter().filter(|(_, value)| value.is_empty()) {
            command.env_remove(name);
        }
        let child = command.spawn().expect("it starts");
        let mut running = Self { child, address, log };
        running.until("it listens", || std::net::TcpStream::connect(address).is_ok());
        running
    }

    /// Waits for what another process does.
    fn until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "{what}: never; {:?}", self.output());
            assert_eq!(self.child.try_wait().expect("a state"), None, "{what}: it has ended");
            std::thread::yield_now();
        }
    }

    fn output(&self) -> Vec<String> {
        output(&self.log)
    }

    /// Waits for a line that is as wanted.
    fn line(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let (log, mut found) = (self.log.clone(), None);
        self.until(what, || {
            found = lines(&log).into_iter().find(&wanted);
            found.is_some()
        });
        found.expect("it was found")
    }

    /// Returns where its ops routes are, as its log says.
    fn ops(&mut self) -> SocketAddr {
        let line = self.line("it tells its ops address", |line| line["ops"].is_string());
        assert_eq!(line["address"], self.address.to_string());
        line["ops"].as_str().expect("text").parse().expect("an address")
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().expect("kill");
        assert!(sent.success());
    }

    async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a state") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {:?}", self.output());
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    timeout(PATIENCE, raw(address, request.as_bytes())).await.expect("in time")
}

/// Opens an event stream and reads its first event.
async fn events(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let (mut read, mut buffer) = (String::new(), [0; 1024]);
    while !read.contains("data: 0") {
        let n = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("in time").expect("read");
        assert!(n > 0, "{read}");
        read += &String::from_utf8_lossy(&buffer[..n]);
    }
    stream
}

#[tokio::test]
async fn what_readme_and_guide_print_serves_and_ends_as_they_say() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("newcomer");
    let programs = build(&folder);
    let orders = programs.join("orders");
    calls_are_answered_and_recorded(&orders, folder.join("calls")).await;
    sigterm_ends_within_bounds(&orders, folder.join("sigterm")).await;
    a_pod_is_scraped_from_outside_and_serves_on_for_a_while(&orders, folder.join("pod")).await;
    let full = || fs::File::options().write(true).open("/dev/full").expect("a device").into();
    outputs_that_take_nothing_are_no_matter(&orders, folder.join("full"), full).await;
    let closed = || std::io::pipe().expect("a pipe").1.into();
    outputs_that_take_nothing_are_no_matter(&orders, folder.join("closed"), closed).await;
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let log = folder.join(format!("twice-{code}"));
        a_second_signal_ends_at_once(&orders, log, signal, code).await;
        let log = folder.join(format!("by-hand-{code}"));
        a_second_signal_ends_at_once(&programs.join("by_hand"), log, signal, code).await;
    }
}

async fn calls_are_answered_and_recorded(program: &Path, log: PathBuf) {
    let mut orders = Running::start(program, log, &[]);
    let (address, ops) = (orders.address, orders.ops());
    let answer = ask(address, "GET", "/orders/7").await;
    assert!(answer.contains("order 7: auth cannot be reached"), "{answer}");
    for (method, path, status) in [
        ("GET", "/orders/7", 200),
        ("GET", "/nope", 404),
        ("GET", "/metrics", 404),
        ("DELETE", "/orders/7", 405),
        ("GET", "/panic", 500),
    ] {
        let answer = ask(address, method, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(answer.contains("x-request-id: "), "{path}: {answer}");
    }
    let answer = ask(address, "GET", "/slow").await;
    assert!(answer.contains("data: 2"), "the whole body: {answer}");
    drop(events(address).await);

    let access = |path: &'static str, key: &'static str, value: Value| {
        move |line: &Value| {
            line["target"] == "meshwise::access" && line["url.path"] == path && line[key] == value
        }
    };
    let status = "http.response.status_code";
    orders.line("the 404 is logged", access("/nope", status, 404.into()));
    orders.line("the 405 is logged", access("/orders/7", status, 405.into()));
    orders.line("the panic is logged", access("/panic", "error.type", "panic".into()));
    orders.line("the slow body is logged", access("/slow", status, 200.into()));
    let left = access("/events", "meshwise.ended_by", "caller".into());
    orders.line("the client that left is logged", left);
    let line = orders.line("a call is logged", access("/orders/7", status, 200.into()));
    assert_eq!(line["http.route"], "/orders/{id}");
    assert_eq!(line["service.name"], "orders");

    let metrics = ask(ops, "GET", "/metrics").await;
    let counted = |labels: &[&str]| {
        metrics.lines().any(|line| {
            line.starts_with("http_server_request_duration_seconds_count")
                && labels.iter().all(|label| line.contains(label))
        })
    };
    for labels in [
        &["http_route=\"/orders/{id}\"", "http_response_status_code=\"200\""][..],
        &["http_route=\"\"", "http_response_status_code=\"404\""],
        &["http_route=\"/orders/{id}\"", "http_response_status_code=\"405\""],
        &["http_route=\"/panic\"", "error_type=\"panic\""],
    ] {
        assert!(counted(labels), "{labels:?} in {metrics}");
    }
    assert!(metrics.contains("server_service_name=\"auth\""), "{metrics}");
    assert!(ask(ops, "GET", "/readyz").await.starts_with("HTTP/1.1 200 "));

    orders.signal("TERM");
    assert!(orders.ended().await.success());
    let said = orders.output().pop().expect("its last words");
    assert!(said.contains("logs: ") && said.contains("traces: "), "{said}");
    assert!(!said.contains("broken off"), "{said}");
}

/// Sends SIGTERM: the service is not ready then, and takes calls still.
async fn is_told_to_end(orders: &mut Running, ops: SocketAddr) {
    orders.signal("TERM");
    orders.line("it is not ready", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("SIGTERM"))
    });
    assert!(ask(ops, "GET", "/readyz").await.starts_with("HTTP/1.1 503 "));
    let answer = ask(orders.address, "GET", "/orders/7").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "still taken: {answer}");
}

async fn sigterm_ends_within_bounds(program: &Path, log: PathBuf) {
    let settings = [("MESHWISE_DRAIN_DELAY", "1s"), ("MESHWISE_DRAIN_TIMEOUT", "200ms")];
    let mut orders = Running::start(program, log, &settings);
    let (address, ops) = (orders.address, orders.ops());
    let mut stream = events(address).await;
    is_told_to_end(&mut orders, ops).await;
    assert!(orders.ended().await.success());
    let said = orders.output().pop().expect("its last words");
    assert!(said.contains("calls: 1 broken off"), "{said}");
    let line = lines(&orders.log).into_iter().find(|line| line["url.path"] == "/events");
    let line = line.expect("the stream is logged before the flush");
    assert_eq!(line["meshwise.ended_by"], "shutdown", "{line}");
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it has ended");
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it is not passed off as whole");
}

async fn a_pod_is_scraped_from_outside_and_serves_on_for_a_while(program: &Path, log: PathBuf) {
    let settings = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("MESHWISE_OPS_ADDR", "")];
    let mut orders = Running::start(program, log, &settings);
    let (address, ops) = (orders.address, orders.ops());
    assert!(ops.ip().is_unspecified(), "{ops}");
    if ops.port() != 9464 {
        orders.line("it says that its port is taken", |line| {
            let text = line["message"].as_str().unwrap_or_default();
            line["level"] == "WARN" && text.contains("0.0.0.0:9464 is taken")
        });
    }
    let ops = SocketAddr::from(([127, 0, 0, 1], ops.port()));
    let began = Instant::now();
    is_told_to_end(&mut orders, ops).await;
    // A connection that asks nothing is closed when the drain begins.
    let mut idle = TcpStream::connect(address).await.expect("still accepted");
    let n = timeout(PATIENCE, idle.read(&mut [0; 16])).await.expect("in time").unwrap_or(0);
    assert_eq!(n, 0);
    let accepted = began.elapsed();
    assert!((5..10).contains(&accepted.as_secs()), "{accepted:?}");
    assert!(orders.ended().await.success());
    assert!(TcpStream::connect(address).await.is_err());
}

/// A disk that is full, a reader that has gone: the service serves, and ends as it should.
async fn outputs_that_take_nothing_are_no_matter(
    program: &Path,
    log: PathBuf,
    output: impl Fn() -> Stdio,
) {
    let mut orders = Running::start_into(program, log, output(), output(), &[]);
    for (path, status) in [("/orders/7", 200), ("/nope", 404), ("/panic", 500)] {
        let answer = ask(orders.address, "GET", path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
    orders.signal("TERM");
    assert_eq!(orders.ended().await.code(), Some(0));
}

async fn a_second_signal_ends_at_once(program: &Path, log: PathBuf, signal: &str, code: i32) {
    let mut running = Running::start(program, log, &[]);
    let stream = events(running.address).await;
    running.signal(signal);
    running.line("it heard", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("shutting down"))
    });
    running.signal(signal);
    assert_eq!(running.ended().await.code(), Some(code), "{:?}", running.output());
    drop(stream);
}
