//! A real Prometheus is asked whether an API version can go: with its counters complete, with
//! calls, with a gap made on purpose, and with an instance that appears late.

use super::{
    kits::Kits,
    process::{Server, free_port, target, wait_for},
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

/// The provider, whose version 1.1 is past its sunset.
const DECLARATION: &str = r#"schema = 1
[service]
name = "auth"
[[provides]]
api = "auth"
scheme = "main-minor"
[[provides.versions]]
version = "1.1"
released = 2020-01-01
deprecated = 2021-01-01
sunset = 2022-01-01
[[provides.versions]]
version = "2.0"
released = 2021-01-01
"#;

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO")).args(["build", "-p", "cargo-meshwise"]).status()?;
    ensure!(status.success(), "cargo-meshwise does not build");
    let folder = target().join("interop/removal");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;

    let (a, b, late) = (Target::start()?, Target::start()?, Target::start()?);
    let targets = folder.join("targets.json");
    write_targets(&targets, &[&a, &b])?;
    let config = folder.join("prometheus.yml");
    let scrape = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: x\n  \
         file_sd_configs: [{{files: ['{}'], refresh_interval: 1s}}]\n",
        targets.display()
    );
    std::fs::write(&config, scrape)?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let _prometheus = Server::start(
        Command::new(&kits.prometheus)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}")),
    )?;
    let asker = Asker::new(&folder, address)?;

    wait_for("an answer", || Ok(asker.ask()?.says("unknown", "no instance was scraped")))?;
    println!("can-i-remove does not know before the counters cover the window");
    wait_for("a yes", || Ok(asker.ask()?.says("yes", "no-calls")))?;
    println!("can-i-remove says yes once they do, and no one called");

    a.change(|state| state.calls = Some(("orders", 1)));
    wait_for("a no", || Ok(asker.ask()?.says("no", "orders")))?;
    println!("can-i-remove names a caller by its very first call");
    wait_for("a yes again", || Ok(asker.ask()?.says("yes", "no-calls")))?;

    b.change(|state| state.up = false);
    wait_for("a gap", || Ok(asker.ask()?.says("unknown", &b.name())))?;
    b.change(|state| state.up = true);
    // Scraped again, and the gap is in the window still.
    wait_for("the gap's end", || Ok(asker.ask()?.says("unknown", "was not scraped all the time")))?;
    println!("can-i-remove does not know after a gap made on purpose");
    wait_for("a yes after the gap", || Ok(asker.ask()?.says("yes", "no-calls")))?;

    late.change(|state| state.calls = Some(("stock", 9)));
    write_targets(&targets, &[&a, &b, &late])?;
    wait_for("a late instance", || {
        Ok(asker.ask()?.says("unknown", "ran before it was first scraped"))
    })?;
    println!("can-i-remove does not know what an instance did before it was scraped");
    wait_for("a yes with three", || Ok(asker.ask()?.says("yes", "\"instances\": 3")))?;

    late.change(|state| state.counts = false);
    wait_for("an older build", || Ok(asker.ask()?.says("unknown", &late.name())))?;
    println!("can-i-remove does not trust an instance that stopped counting");
    Ok(())
}

fn write_targets(path: &Path, targets: &[&Target]) -> anyhow::Result<()> {
    let names: Vec<String> = targets.iter().map(|target| target.name()).collect();
    let text = serde_json::json!([{"targets": names, "labels": {"job": "auth"}}]);
    Ok(std::fs::write(path, text.to_string())?)
}

/// Runs `cargo meshwise can-i-remove` against the server.
struct Asker {
    dictionary: PathBuf,
    address: SocketAddr,
}

struct Answer {
    answer: String,
    text: String,
}

impl Answer {
    fn says(&self, answer: &str, words: &str) -> Option<()> {
        (self.answer == answer && self.text.contains(words)).then_some(())
    }
}

impl Asker {
    /// Publishes the declaration into a dictionary of its own.
    fn new(folder: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        let (declaration, dictionary) = (folder.join("api.toml"), folder.join("dictionary"));
        std::fs::write(&declaration, DECLARATION)?;
        std::fs::create_dir_all(&dictionary)?;
        let asker = Self { dictionary, address };
        let output = asker.command().arg("begin").output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let output =
            asker.command().arg("publish").arg("--declaration").arg(&declaration).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(asker)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(target().join("debug/cargo-meshwise"));
        command.args(["meshwise", "--format", "json", "--dictionary"]).arg(&self.dictionary);
        command
    }

    fn ask(&self) -> anyhow::Result<Answer> {
        let output = self
            .command()
            .args(["can-i-remove", "auth@1.1", "--window", "20s", "--resolution", "3s"])
            .arg(format!("--prometheus=http://{}", self.address))
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let json: Value = serde_json::from_str(&text)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let answer = json["answer"].as_str().context("no answer")?.to_owned();
        let code = match answer.as_str() {
            "yes" => 0,
            "no" => 1,
            _ => 3,
        };
        ensure!(output.status.code() == Some(code), "{answer} with {}", output.status);
        Ok(Answer { answer, text })
    }
}

/// An instance of a service, as far as a scrape sees one.
struct Target {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Clone)]
struct State {
    up: bool,
    counts: bool,
    since: u64,
    calls: Option<(&'static str, u64)>,
}

impl State {
    /// Writes the metrics as the API layer names them.
    fn metrics(&self) -> String {
        let about = r#"api="auth",version="1.1""#;
        let mut text = String::new();
        if self.counts {
            text += "# TYPE meshwise_api_counting_since_seconds gauge\n";
            text += &format!("meshwise_api_counting_since_seconds{{{about}}} {}\n", self.since);
        }
        if let Some((caller, calls)) = self.calls {
            text += "# TYPE meshwise_api_calls_total counter\n";
            text += &format!(
                "meshwise_api_calls_total{{{about},state=\"retired\",caller=\"{caller}\"}} {calls}\n"
            );
        }
        text
    }
}

impl Target {
    fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        // It ran for an hour before anyone looked.
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() - 3600;
        let state = State { up: true, counts: true, since, calls: None };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(state) = shared.lock().map(|state| state.clone()) else { return };
                // A scrape that breaks off is Prometheus's to tell.
                let _ = answer(&stream, &state);
            }
        });
        Ok(Self { address, state })
    }

    fn name(&self) -> String {
        self.address.to_string()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        if let Ok(mut state) = self.state.lock() {
            change(&mut state);
        }
    }
}

fn answer(mut stream: &TcpStream, state: &State) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let (status, body) = match state.up {
        true => ("200 OK", state.metrics()),
        false => ("503 Service Unavailable", String::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}
