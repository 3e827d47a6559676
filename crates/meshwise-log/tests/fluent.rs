//! Fluent's forward protocol, with servers that close, lie, hang and restart.

use flate2::read::GzDecoder;
use meshwise_core::Service;
use meshwise_log::{
    DeliveryError, FluentConfig, LogConfig, LogError, LogFormat, LogHandle, LogOutput, SpoolConfig,
};
use rmpv::{Value, decode::read_value};
use sha2::{Digest as _, Sha512};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, BufReader, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant, SystemTime},
};
use tracing::{Dispatch, dispatcher::with_default};
use tracing_subscriber::layer::SubscriberExt;

const PATIENCE: Duration = Duration::from_secs(20);

/// What a server does with the next messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Acknowledge,
    /// Takes the message, and closes the connection instead of an answer.
    Close,
    /// Answers for another message.
    Lie,
    /// Sends what is no MessagePack.
    Babble,
    /// Says nothing.
    Hang,
    /// Closes its half after the answer, while the connection is idle.
    AcknowledgeAndClose,
}

#[derive(Default)]
struct State {
    /// By chunk: the records, and how often they came.
    chunks: BTreeMap<String, (Vec<Entry>, u32)>,
    turns: Vec<Turn>,
    connections: u32,
    problems: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    tag: String,
    seconds: u32,
    record: Value,
}

#[derive(Clone)]
struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    key: Option<&'static str>,
}

impl Server {
    fn start(turns: &[Turn], key: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let address = listener.local_addr().expect("address");
        let mut turns = turns.to_vec();
        turns.reverse();
        let state = Arc::new(Mutex::new(State { turns, ..State::default() }));
        let server = Self { address, state, key };
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serving.state().connections += 1;
                let serving = serving.clone();
                thread::spawn(move || {
                    if let Err(error) = serving.serve(&stream) {
                        serving.state().problems.push(error.to_string());
                    }
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        server
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut from = BufReader::new(stream);
        if let Some(key) = self.key
            && !hand_shake(key, &mut from, stream)?
        {
            return Ok(());
        }
        loop {
            let Ok(message) = read_value(&mut from) else { return Ok(()) };
            let (chunk, entries) = entries(&message);
            let turn = {
                let mut state = self.state();
                state.chunks.entry(chunk.clone()).or_insert((entries, 0)).1 += 1;
                state.turns.pop().unwrap_or(Turn::Acknowledge)
            };
            let mut to = stream;
            let ack = |chunk: &str| Value::Map(vec![("ack".into(), chunk.into())]);
            let mut send = |value: &Value| rmpv::encode::write_value(&mut to, value);
            match turn {
                Turn::Acknowledge => send(&ack(&chunk))?,
                Turn::AcknowledgeAndClose => {
                    send(&ack(&chunk))?;
                    stream.shutdown(Shutdown::Write)?;
                    return Ok(());
                }
                Turn::Lie => send(&ack("another"))?,
                Turn::Babble => to.write_all(&[0xc1; 100])?,
                Turn::Close => return Ok(()),
                // Until the other side has had enough.
                Turn::Hang => drop(read_value(&mut from)),
            }
        }
    }

    fn numbers(&self) -> Vec<u64> {
        let state = self.state();
        let entries = state.chunks.values().flat_map(|(entries, _)| entries);
        let mut all: Vec<_> =
            entries.filter_map(|entry| field(&entry.record, "n").and_then(Value::as_u64)).collect();
        all.sort_unstable();
        all
    }
}

fn field<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    let fields = map.as_map()?;
    fields.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

/// Unpacks a message as the specification has it.
fn entries(message: &Value) -> (String, Vec<Entry>) {
    let parts = message.as_array().expect("array");
    let [tag, packed, options] = &parts[..] else { panic!("three parts: {parts:?}") };
    assert_eq!(field(options, "compressed").and_then(Value::as_str), Some("gzip"));
    let chunk = field(options, "chunk").and_then(Value::as_str).expect("chunk").to_owned();
    let mut plain = GzDecoder::new(packed.as_slice().expect("bin"));
    let mut entries = Vec::new();
    while let Ok(entry) = read_value(&mut plain) {
        let parts = entry.as_array().expect("entry").clone();
        let [Value::Ext(0, time), record] = &parts[..] else { panic!("EventTime: {parts:?}") };
        let seconds = u32::from_be_bytes(time[..4].try_into().expect("8 bytes"));
        let tag = tag.as_str().expect("tag").to_owned();
        entries.push(Entry { tag, seconds, record: record.clone() });
    }
    let size = field(options, "size").and_then(Value::as_u64);
    assert_eq!(size, Some(entries.len() as u64));
    (chunk, entries)
}

fn sha512(parts: &[&[u8]]) -> String {
    let mut digest = Sha512::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The server's side of HELO, PING and PONG; the nonce is raw bytes in a text, as Fluentd sends it.
fn hand_shake(key: &str, from: &mut BufReader<&TcpStream>, mut to: &TcpStream) -> io::Result<bool> {
    let nonce = [0xff, 0xfe, 0, b'n', b'o', b'n', b'c', b'e'];
    to.write_all(b"\x92\xa4HELO\x83\xa5nonce\xa8")?;
    to.write_all(&nonce)?;
    to.write_all(b"\xa4auth\xa0\xa9keepalive\xc3")?;
    let ping = read_value(from).map_err(io::Error::other)?;
    let part = |index: usize| ping[index].as_str().unwrap_or_default().as_bytes().to_vec();
    let (host, salt, digest) = (part(1), part(2), part(3));
    let known = sha512(&[&salt, &host, &nonce, key.as_bytes()]).as_bytes() == digest;
    let reason = if known { "" } else { "shared_key mismatch" };
    let own = sha512(&[&salt, b"server", &nonce, key.as_bytes()]);
    let parts = ["PONG".into(), known.into(), reason.into(), "server".into(), own.into()];
    rmpv::encode::write_value(&mut to, &Value::Array(parts.to_vec()))?;
    Ok(known)
}

fn config(servers: &[&Server]) -> FluentConfig {
    let servers = servers.iter().map(|server| server.address.to_string());
    FluentConfig::new(servers, "orders").with_timeout(Duration::from_millis(500))
}

fn output(config: FluentConfig) -> LogOutput {
    LogOutput::delivery(config.build().expect("transport"))
}

fn logs(output: LogOutput, format: LogFormat) -> (Dispatch, LogHandle) {
    let config = LogConfig::new(Service::new("orders", "1")).with_format(format);
    let config = config.with_output(output).with_error_wait(Duration::ZERO);
    let (layer, logs) = config.build().expect("logs");
    (Dispatch::new(tracing_subscriber::registry().with(layer)), logs)
}

fn say(dispatch: &Dispatch, numbers: impl IntoIterator<Item = u64>) {
    with_default(dispatch, || numbers.into_iter().for_each(|n| tracing::info!(n, "placed")));
}

#[test]
fn records_have_the_line_s_fields_and_time() {
    let server = Server::start(&[], None);
    let (dispatch, logs) = logs(output(config(&[&server])), LogFormat::Json);
    say(&dispatch, 0..1000);
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.total_dropped()), (1000, 0));
    assert_eq!(server.numbers(), (0..1000).collect::<Vec<_>>());
    let state = server.state();
    let (entry, often) =
        state.chunks.values().next().map(|(e, n)| (e[0].clone(), *n)).expect("one");
    assert_eq!((entry.tag.as_str(), often, state.connections), ("orders", 1, 1));
    assert_eq!(field(&entry.record, "message").and_then(Value::as_str), Some("placed"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("clock").as_secs();
    assert!(now.abs_diff(entry.seconds.into()) < 3600, "{}", entry.seconds);
}

#[test]
fn lines_that_are_no_json_are_records_with_the_field_log() {
    let server = Server::start(&[], None);
    let (dispatch, logs) = logs(output(config(&[&server])), LogFormat::Logfmt);
    say(&dispatch, [7]);
    assert_eq!(logs.shutdown(PATIENCE).delivered, 1);
    let state = server.state();
    let entry = &state.chunks.values().next().expect("chunk").0[0];
    let line = field(&entry.record, "log").and_then(Value::as_str).expect("log");
    assert!(line.contains("n=7") && !line.ends_with('\n'), "{line}");
}

#[test]
fn whatever_a_server_does_all_lines_arrive_and_are_repeated_only_as_the_same_chunk() {
    use Turn::{Acknowledge, AcknowledgeAndClose, Babble, Close, Hang, Lie};
    let turns = [Close, Acknowledge, Lie, AcknowledgeAndClose, Babble, Acknowledge, Hang, Close];
    let server = Server::start(&turns, None);
    let (dispatch, logs) = logs(output(config(&[&server])), LogFormat::Json);
    for n in 0..20 {
        say(&dispatch, [n]);
        assert!(logs.flush(PATIENCE));
    }
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.total_dropped()), (20, 0));
    assert_eq!(server.numbers(), (0..20).collect::<Vec<_>>(), "{:?}", server.state().problems);
    let often: u32 = server.state().chunks.values().map(|(_, n)| n).sum();
    // `Hang` and what comes before the first good answer are sent again; an idle connection that the
    // server closed is no loss.
    assert_eq!(often, 20 + 5);
}

#[test]
fn a_server_that_is_away_is_replaced_by_the_next() {
    let gone = Server::start(&[Turn::Close; 100], None);
    let good = Server::start(&[], None);
    let (dispatch, logs) = logs(output(config(&[&gone, &good])), LogFormat::Json);
    say(&dispatch, 0..10);
    assert!(logs.flush(PATIENCE));
    say(&dispatch, 10..20);
    assert_eq!(logs.shutdown(PATIENCE).delivered, 20);
    assert_eq!(good.numbers(), (0..20).collect::<Vec<_>>());
    assert_eq!(gone.state().connections, 1, "the one that answered is used on");
}

#[test]
fn the_shared_key_is_proved_by_both_sides() {
    let server = Server::start(&[], Some("secret"));
    let (dispatch, right) =
        logs(output(config(&[&server]).with_shared_key("secret")), LogFormat::Json);
    say(&dispatch, 0..3);
    assert_eq!(right.shutdown(PATIENCE).delivered, 3);
    for wrong in [config(&[&server]).with_shared_key("guess"), config(&[&server])] {
        let (dispatch, logs) = logs(output(wrong), LogFormat::Json);
        say(&dispatch, 3..6);
        let report = logs.shutdown(Duration::from_millis(300));
        assert_eq!((report.delivered, report.total_dropped()), (0, 3));
    }
    assert_eq!(server.numbers(), [0, 1, 2]);
}

#[test]
fn with_a_spool_lines_outlive_a_server_that_is_away() {
    let dir = tempfile::tempdir().expect("directory");
    let port = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = port.local_addr().expect("address");
    drop(port);
    let away = FluentConfig::new([address.to_string()], "orders");
    let spooled = output(away).with_spool(SpoolConfig::new(dir.path()));
    let (dispatch, logs) = logs(spooled, LogFormat::Json);
    say(&dispatch, 0..100);
    let begun = Instant::now();
    let report = logs.shutdown(Duration::from_millis(300));
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!((report.delivered, report.total_dropped()), (0, 0));
    assert_eq!(logs.outputs()[0].spooled, 100);
}

#[test]
fn a_second_output_that_hangs_holds_up_no_other() {
    let server = Server::start(&[Turn::Hang; 100], None);
    let lines = meshwise_log::LogLines::new();
    let config = LogConfig::new(Service::new("orders", "1")).with_format(LogFormat::Json);
    let config = config.with_output(LogOutput::memory(&lines));
    let config = config.with_other_output("fluent", output(self::config(&[&server])));
    let (layer, logs) = config.build().expect("logs");
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    with_default(&dispatch, || (0..100).for_each(|n: u64| tracing::error!(n, "failed")));
    assert_eq!(lines.lines().len(), 100);
    let _ = logs.shutdown(Duration::from_millis(100));
    let [main, fluent] = &logs.outputs()[..] else { panic!("two outputs") };
    assert_eq!((main.name.as_str(), main.lines.delivered), ("main", 100));
    assert_eq!((fluent.name.as_str(), fluent.lines.total_dropped()), ("fluent", 100));
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let none = FluentConfig::new(Vec::<String>::new(), "orders").build();
    assert!(matches!(none, Err(DeliveryError::NoServer)));
    let odd = FluentConfig::new(["http://logs"], "orders").build().expect_err("odd");
    let told = LogError::from(odd).to_string();
    assert!(told.starts_with("`http://logs` is no server") && told.contains("tls://"), "{told}");
    let unread = FluentConfig::new(["tls://logs"], "orders").with_ca_file("/nowhere.pem").build();
    assert!(unread.expect_err("unread").to_string().contains("/nowhere.pem"));
    let shown = format!("{:?}", FluentConfig::new(["logs"], "a").with_shared_key("hush"));
    assert!(!shown.contains("hush"), "{shown}");
}
