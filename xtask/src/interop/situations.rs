//! Situations in which one caller of an API version is left, however well hidden: a real Prometheus
//! scrapes them all at once, and `can-i-remove` must say yes in none of them; and some in which none is
//! left, where it must say yes.

use super::{
    kits::Kits,
    process::{Server, free_port, target, wait_for},
};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long the story of a situation is, in seconds; a call in its middle is in the window to its end.
const STORY: u64 = 60;
/// When the calls are made.
const CALL: u64 = 30;
/// The window that is asked for: it begins after the first scrapes, and before the calls.
const WINDOW: &str = "40s";

/// What a scrape sees of an instance at a second of the story; none while it is down.
type Script = Box<dyn Fn(u64, &About) -> Option<String> + Send + Sync>;

/// What a script names.
struct About {
    api: String,
    /// When the process began, in seconds since 1970: an hour before the story.
    began: u64,
    /// When the story began.
    start: u64,
}

struct Situation {
    name: String,
    instances: Vec<Script>,
    /// What else is published: the day of the sunset, and a service that requires the version.
    sunset: Option<&'static str>,
    dependant: bool,
    is_free: bool,
}

fn gauge(about: &About, since: u64) -> String {
    let api = &about.api;
    format!("meshwise_api_counting_since_seconds{{api=\"{api}\",version=\"1.1\"}} {since}\n")
}

fn calls(about: &About, labels: &str, calls: u64) -> String {
    let api = &about.api;
    format!("meshwise_api_calls_total{{api=\"{api}\",version=\"1.1\"{labels}}} {calls}\n")
}

/// An instance that counts and is never called.
fn quiet() -> Script {
    Box::new(|_, about| Some(gauge(about, about.began)))
}

fn script(of: impl Fn(u64, &About) -> Option<String> + Send + Sync + 'static) -> Script {
    Box::new(of)
}

/// Those who call, by the labels that they are counted under.
const CALLERS: [(&str, &str); 5] = [
    ("a named caller", r#",state="retired",caller="orders",caller_verified="false""#),
    ("a caller without a name", r#",state="retired",caller="unknown",caller_verified="false""#),
    ("a caller beyond the bound", r#",state="retired",caller="_other",caller_verified="false""#),
    ("a proved caller", r#",state="retired",caller="orders",caller_verified="true""#),
    ("a caller of an older build", r#",state="deprecated""#),
];

/// The ways in which one call hides, by what the labels are.
fn hidden(labels: &'static str) -> Vec<(&'static str, Vec<Script>)> {
    let shown = move |about: &About, value: u64| {
        Some(
            gauge(about, about.began)
                + &if value > 0 { calls(about, labels, value) } else { String::new() },
        )
    };
    vec![
        ("its first call", vec![script(move |t, about| shown(about, u64::from(t >= CALL)))]),
        ("one more call", vec![script(move |t, about| shown(about, 5 + u64::from(t >= CALL)))]),
        ("a call each other second", vec![script(move |t, about| shown(about, t / 2))]),
        (
            "a call on another instance",
            vec![quiet(), script(move |t, about| shown(about, u64::from(t >= CALL)))],
        ),
        (
            "a call before a restart",
            vec![script(move |t, about| match t {
                t if t < CALL => shown(about, 0),
                t if t < CALL + 4 => shown(about, 1),
                _ => Some(gauge(about, about.start + CALL + 4)),
            })],
        ),
        (
            "a call before the instance went",
            vec![
                quiet(),
                script(move |t, about| {
                    (t < CALL + 4).then(|| shown(about, u64::from(t >= CALL)))?
                }),
            ],
        ),
        (
            "calls of an instance that came late",
            vec![quiet(), script(move |t, about| (t >= CALL).then(|| shown(about, 3))?)],
        ),
        (
            "a call that only one scrape saw",
            vec![script(move |t, about| shown(about, u64::from((CALL..CALL + 5).contains(&t))))],
        ),
    ]
}

fn situations() -> Vec<Situation> {
    let past = Some("2022-01-01");
    let situation = |name: String, instances, is_free| Situation {
        name,
        instances,
        sunset: past,
        dependant: false,
        is_free,
    };
    let mut all = Vec::new();
    for (caller, labels) in CALLERS {
        for (call, instances) in hidden(labels) {
            all.push(situation(format!("{caller}, {call}"), instances, false));
        }
    }
    let unrouted = |value: u64| {
        format!(
            "meshwise_api_unrouted_requests_total{{caller=\"unknown\",caller_verified=\"false\"}} {value}\n"
        )
    };
    let more: Vec<(&str, Vec<Script>)> = vec![
        (
            "a request that no rule fits",
            vec![script(move |t, about| {
                let own = if t >= CALL { unrouted(1) } else { String::new() };
                Some(gauge(about, about.began) + &own)
            })],
        ),
        (
            "one more request that no rule fits",
            vec![script(move |t, about| {
                Some(gauge(about, about.began) + &unrouted(7 + u64::from(t >= CALL)))
            })],
        ),
        (
            "a call of a version that there is not",
            vec![script(|t, about| {
                let api = &about.api;
                let other = format!(
                    "meshwise_api_calls_total{{api=\"{api}\",version=\"_other\",state=\"unknown\",caller=\"orders\",caller_verified=\"false\"}} 1\n"
                );
                Some(gauge(about, about.began) + if t >= CALL { &other } else { "" })
            })],
        ),
        (
            "an instance that does not count",
            vec![quiet(), script(|_, _| Some("up_and_running 1\n".to_owned()))],
        ),
        (
            "an instance that stopped counting",
            vec![
                quiet(),
                script(|t, about| {
                    Some(if t < CALL {
                        gauge(about, about.began)
                    } else {
                        "up_and_running 1\n".to_owned()
                    })
                }),
            ],
        ),
        (
            "a call of an instance without a gauge",
            vec![
                quiet(),
                script(|t, about| Some(calls(about, CALLERS[0].1, u64::from(t >= CALL)))),
            ],
        ),
        (
            "an instance that was away",
            vec![
                quiet(),
                script(|t, about| {
                    (!(CALL..CALL + 8).contains(&t)).then(|| gauge(about, about.began))
                }),
            ],
        ),
        ("no instance at all", vec![script(|_, _| None)]),
    ];
    all.extend(
        more.into_iter().map(|(name, instances)| situation(name.to_owned(), instances, false)),
    );
    all.push(Situation {
        dependant: true,
        ..situation("a service that requires it".to_owned(), vec![quiet()], false)
    });
    all.push(Situation {
        sunset: Some("2099-01-01"),
        ..situation("a sunset ahead".to_owned(), vec![quiet()], false)
    });

    let other = |labels: &'static str| {
        script(move |t, about| {
            let api = &about.api;
            let calls = format!(
                "meshwise_api_calls_total{{{},state=\"current\",caller=\"orders\",caller_verified=\"false\"}} {t}\n",
                labels.replace("API", api)
            );
            Some(gauge(about, about.began) + &calls)
        })
    };
    let free: Vec<(&str, Vec<Script>)> = vec![
        (
            "a restart between two scrapes",
            vec![script(|t, about| {
                Some(gauge(about, if t < CALL { about.began } else { about.start + CALL }))
            })],
        ),
        ("one instance that is not called", vec![quiet()]),
        ("three instances that are not called", vec![quiet(), quiet(), quiet()]),
        ("calls of another version", vec![other(r#"api="API",version="2.0""#)]),
        ("calls of another API", vec![other(r#"api="other",version="1.1""#)]),
        (
            "calls of long ago",
            vec![script(|_, about| {
                Some(gauge(about, about.began) + &calls(about, CALLERS[0].1, 9))
            })],
        ),
    ];
    all.extend(
        free.into_iter().map(|(name, instances)| situation(name.to_owned(), instances, true)),
    );
    all
}

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    let folder = target().join("interop/situations");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let all = situations();
    let left = all.iter().filter(|situation| !situation.is_free).count();
    ensure!(left >= 50, "{left} situations with a caller left");
    let asker = Asker::new(&folder, &all)?;

    let start = Arc::new(AtomicU64::new(0));
    let mut targets = Vec::new();
    for (number, situation) in all.iter().enumerate() {
        for script in 0..situation.instances.len() {
            targets.push((number, script, TcpListener::bind("127.0.0.1:0")?));
        }
    }
    let groups: Vec<Value> = targets
        .iter()
        .map(|(number, _, listener)| {
            Ok(json!({"targets": [listener.local_addr()?.to_string()], "labels": {"job": format!("s{number}")}}))
        })
        .collect::<anyhow::Result<_>>()?;
    let names: Vec<(String, bool)> = all.iter().map(|it| (it.name.clone(), it.is_free)).collect();
    let all = Arc::new(all);
    for (number, script, listener) in targets {
        let (all, start) = (Arc::clone(&all), Arc::clone(&start));
        thread::spawn(move || serve(&listener, &all[number].instances[script], number, &start));
    }
    std::fs::write(folder.join("targets.json"), json!(groups).to_string())?;
    let config = folder.join("prometheus.yml");
    let scrape = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: x\n  \
         file_sd_configs: [{{files: ['{}']}}]\n",
        folder.join("targets.json").display()
    );
    std::fs::write(&config, scrape)?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    start.store(now()?, Relaxed);
    let began = Instant::now();
    let _prometheus = Server::start(
        Command::new(&kits.prometheus)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}")),
    )?;
    wait_for("the end of the calls", || {
        Ok((began.elapsed() > Duration::from_secs(CALL + 14)).then_some(()))
    })?;
    // Asked again and again while the calls are in the window.
    let mut rounds = 0;
    let mut said_yes = vec![false; names.len()];
    let mut last = vec![String::new(); names.len()];
    while began.elapsed() < Duration::from_secs(STORY) || rounds == 0 {
        for (number, (name, is_free)) in names.iter().enumerate() {
            // Beyond its end a story proves nothing.
            if began.elapsed() > Duration::from_secs(CALL + 36) && rounds > 0 {
                break;
            }
            let (answer, text) = asker.ask(number, address)?;
            ensure!(answer != "yes" || *is_free, "{name}: it is said that it can go\n{text}");
            said_yes[number] |= answer == "yes";
            last[number] = text;
        }
        rounds += 1;
    }
    // Those that are free are so for ever; a machine under load may be late with a scrape.
    for (number, (name, _)) in names.iter().enumerate().filter(|(_, (_, is_free))| *is_free) {
        if !said_yes[number] {
            wait_for(name, || Ok((asker.ask(number, address)?.0 == "yes").then_some(())))
                .with_context(|| last[number].clone())?;
        }
    }
    println!(
        "can-i-remove says yes in none of {left} situations with a caller left, asked {rounds} times, and in \
         each of {} without",
        names.len() - left
    );
    Ok(())
}

fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

fn serve(listener: &TcpListener, script: &Script, number: usize, start: &AtomicU64) {
    for stream in listener.incoming().flatten() {
        let start = start.load(Relaxed);
        let Ok(now) = now() else { return };
        let about = About { api: format!("a{number}"), began: start.saturating_sub(3600), start };
        let text = script(now.saturating_sub(start), &about);
        // A scrape that breaks off is Prometheus's to tell.
        let _ = answer(&stream, text);
    }
}

fn answer(mut stream: &TcpStream, text: Option<String>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let status = if text.is_some() { "200 OK" } else { "503 Service Unavailable" };
    let body = text.unwrap_or_default();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Runs `cargo meshwise can-i-remove` against the server.
struct Asker {
    dictionary: PathBuf,
}

impl Asker {
    /// Publishes a provider for each situation, and a dependant where there is one.
    fn new(folder: &Path, all: &[Situation]) -> anyhow::Result<Self> {
        let asker = Self { dictionary: folder.join("dictionary") };
        asker.must(&["begin"])?;
        let file = folder.join("api.toml");
        for (number, situation) in all.iter().enumerate() {
            let sunset = situation.sunset.unwrap_or("2022-01-01");
            let provider = format!(
                "schema = 1\n[service]\nname = \"s{number}\"\n[[provides]]\napi = \"a{number}\"\n\
                 scheme = \"main-minor\"\n[[provides.versions]]\nversion = \"1.1\"\nreleased = 2020-01-01\n\
                 deprecated = 2021-01-01\nsunset = {sunset}\n[[provides.versions]]\nversion = \"2.0\"\n\
                 released = 2021-01-01\n"
            );
            let mut texts = vec![provider];
            if situation.dependant {
                texts.push(format!(
                    "schema = 1\n[service]\nname = \"d{number}\"\n[[requires]]\napi = \"a{number}\"\nversion = \"1.1\"\n"
                ));
            }
            for text in texts {
                std::fs::write(&file, text)?;
                asker.must(&["publish", "--declaration", &file.display().to_string()])?;
            }
        }
        Ok(asker)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(target().join("debug/cargo-meshwise"));
        command.args(["meshwise", "--format", "json", "--dictionary"]).arg(&self.dictionary);
        command
    }

    fn must(&self, args: &[&str]) -> anyhow::Result<()> {
        let output = self.command().args(args).output()?;
        ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn ask(&self, number: usize, address: SocketAddr) -> anyhow::Result<(String, String)> {
        let output = self
            .command()
            .args(["can-i-remove", &format!("a{number}@1.1"), "--window", WINDOW])
            .args(["--resolution", "4s"])
            .arg(format!("--prometheus=http://{address}"))
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let json: Value = serde_json::from_str(&text)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok((json["answer"].as_str().context("no answer")?.to_owned(), text))
    }
}
