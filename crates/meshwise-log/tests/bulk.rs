//! The bulk API, with clusters that refuse, lie, hang and restart.

mod told;

use flate2::read::GzDecoder;
use meshwise_core::{DropReason, Service};
use meshwise_log::{BulkConfig, LogConfig, LogFormat, LogHandle, LogOutput};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};
use told::told_by;
use tracing::{Dispatch, dispatcher::with_default};
use tracing_subscriber::layer::SubscriberExt;

const PATIENCE: Duration = Duration::from_secs(20);

/// What a node does with the next requests.
#[derive(Clone, Debug)]
enum Turn {
    /// Makes the documents.
    Take,
    /// Answers with a status, and this header.
    Status(u16, &'static str),
    /// Makes the documents, and closes the connection instead of an answer.
    TakeAndClose,
    /// Answers with this text.
    Babble(&'static str),
    Hang,
}

#[derive(Default)]
struct State {
    /// By id.
    documents: BTreeMap<String, serde_json::Value>,
    turns: Vec<Turn>,
    requests: Vec<String>,
    /// How many documents a request may have, and how many had more.
    most: usize,
    too_large: u32,
    /// Of the documents of these numbers, the next attempts end with these statuses.
    others: BTreeMap<u64, Vec<u16>>,
    attempts: BTreeMap<u64, u32>,
    /// What is said of those.
    reason: String,
    /// What is said of all.
    errors: Option<bool>,
}

#[derive(Clone)]
struct Node {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Node {
    fn start(turns: &[Turn]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let address = listener.local_addr().expect("address");
        let mut turns = turns.to_vec();
        turns.reverse();
        let node = Self {
            address,
            state: Arc::new(Mutex::new(State { turns, most: usize::MAX, ..State::default() })),
        };
        let serving = node.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(&stream));
            }
        });
        node
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut from = BufReader::new(stream);
        let mut to = stream;
        loop {
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if from.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().map_err(io::Error::other)?;
                }
                if line == "\r\n" {
                    break;
                }
                head += &line;
            }
            let mut body = vec![0; length];
            from.read_exact(&mut body)?;
            let mut plain = String::new();
            if head.contains("content-encoding: gzip") {
                GzDecoder::new(&body[..]).read_to_string(&mut plain)?;
            } else {
                plain = String::from_utf8(body).map_err(io::Error::other)?;
            }
            let turn = self.state().turns.pop().unwrap_or(Turn::Take);
            self.state().requests.push(head);
            let too_large = plain.lines().count() / 2 > self.state().most;
            self.state().too_large += u32::from(too_large);
            let turn = if too_large { Turn::Status(413, "") } else { turn };
            let answer = match turn {
                Turn::Take => ok(&self.take(&plain)),
                Turn::TakeAndClose => {
                    self.take(&plain);
                    return Ok(());
                }
                Turn::Status(status, header) => {
                    format!("HTTP/1.1 {status} x\r\n{header}content-length: 0\r\n\r\n")
                }
                Turn::Babble(text) => ok(text),
                Turn::Hang => return from.read_exact(&mut [0]),
            };
            to.write_all(answer.as_bytes())?;
        }
    }

    fn take(&self, body: &str) -> String {
        assert!(body.ends_with('\n'), "the last line has an end");
        let mut items = String::new();
        let mut errors = false;
        let mut lines = body.lines();
        while let (Some(action), Some(document)) = (lines.next(), lines.next()) {
            let action: serde_json::Value = serde_json::from_str(action).expect("action");
            let id = action["create"]["_id"].as_str().expect("id").to_owned();
            let document: serde_json::Value = serde_json::from_str(document).expect("document");
            let number = document["n"].as_u64().or_else(|| document["labels"]["n"].as_u64());
            let mut state = self.state();
            let number = number.unwrap_or(u64::MAX);
            *state.attempts.entry(number).or_default() += 1;
            let other = state.others.get_mut(&number).filter(|others| !others.is_empty());
            let other = other.map(|others| others.remove(0));
            let status = match other {
                Some(status) => status,
                None if state.documents.contains_key(&id) => 409,
                None => {
                    state.documents.insert(id, document);
                    201
                }
            };
            let separator = if items.is_empty() { "" } else { "," };
            let reason = serde_json::Value::from(state.reason.as_str());
            let error = match status {
                201 => String::new(),
                _ => format!(r#","error":{{"type":"t","reason":{reason}}}"#),
            };
            errors = state.errors.unwrap_or(errors || status != 201);
            let _ = write!(items, r#"{separator}{{"create":{{"status":{status}{error}}}}}"#);
        }
        format!(r#"{{"errors":{errors},"items":[{items}]}}"#)
    }

    fn numbers(&self) -> Vec<u64> {
        let mut all: Vec<_> =
            self.state().documents.values().filter_map(|document| document["n"].as_u64()).collect();
        all.sort_unstable();
        all
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn config(nodes: &[&Node]) -> BulkConfig {
    let urls = nodes.iter().map(|node| node.url());
    BulkConfig::new(urls, "logs-orders-default").with_timeout(Duration::from_millis(500))
}

fn logs(config: BulkConfig) -> (Dispatch, LogHandle) {
    let output = LogOutput::delivery(config.build().expect("transport"));
    let config = LogConfig::new(Service::new("orders", "1")).with_format(LogFormat::Json);
    let (layer, logs) = config.with_output(output).build().expect("logs");
    (Dispatch::new(tracing_subscriber::registry().with(layer)), logs)
}

fn say(dispatch: &Dispatch, numbers: impl IntoIterator<Item = u64>) {
    with_default(dispatch, || numbers.into_iter().for_each(|n| tracing::info!(n, "placed")));
}

#[test]
fn each_line_is_one_document() {
    let node = Node::start(&[]);
    let (dispatch, logs) = logs(config(&[&node]).with_api_key("key"));
    say(&dispatch, 0..1000);
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.total_dropped()), (1000, 0));
    assert_eq!(node.numbers(), (0..1000).collect::<Vec<_>>());
    let head = node.state().requests[0].clone();
    assert!(head.starts_with("POST /logs-orders-default/_bulk?filter_path="), "{head}");
    assert!(head.contains("authorization: ApiKey key"), "{head}");
}

#[test]
fn only_documents_that_may_come_later_are_sent_again_and_the_others_counted() {
    let node = Node::start(&[]);
    node.state().others = [(1, vec![429]), (2, vec![400]), (3, vec![503, 500])].into();
    let (dispatch, logs) = logs(config(&[&node]).with_gzip(false));
    say(&dispatch, 0..6);
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.dropped_because(DropReason::ExportFailed)), (5, 1));
    assert_eq!(node.numbers(), [0, 1, 3, 4, 5]);
    let attempts: Vec<_> = node.state().attempts.values().copied().collect();
    assert_eq!(attempts, [1, 2, 1, 3, 1, 1]);
}

#[test]
fn documents_that_were_refused_are_not_there_though_all_are_said_to_be() {
    let node = Node::start(&[Turn::Babble(r#"{"errors":false}"#)]);
    node.state().errors = Some(false);
    node.state().others = [(1, vec![429]), (2, vec![400]), (3, vec![0])].into();
    let (dispatch, logs) = logs(config(&[&node]).with_timeout(PATIENCE));
    say(&dispatch, 0..6);
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.dropped_because(DropReason::ExportFailed)), (5, 1));
    assert_eq!(node.numbers(), [0, 1, 3, 4, 5]);
}

#[test]
fn what_waits_and_what_is_lost_are_told_apart_and_without_secrets() {
    let test = "what_waits_and_what_is_lost_are_told_apart_and_without_secrets";
    let Some(told) = told_by(test) else {
        let node = Node::start(&[]);
        node.state().reason = format!("because password=hunter2 {}", "x".repeat(5000));
        let statuses = [201, 429, 503, 400];
        let others = (0..40).zip(statuses.into_iter().cycle());
        node.state().others = others.map(|(n, status)| (n, vec![status])).collect();
        let (dispatch, logs) = logs(config(&[&node]).with_timeout(PATIENCE));
        say(&dispatch, 0..40);
        let report = logs.shutdown(PATIENCE);
        assert_eq!((report.delivered, report.dropped_because(DropReason::ExportFailed)), (30, 10));
        return;
    };
    let lines: Vec<_> = told.lines().filter(|line| line.starts_with("meshwise: ")).collect();
    let of = |word: &str| lines.iter().filter(|line| line.contains(word)).collect::<Vec<_>>();
    let (waiting, lost) = (of(" those after them wait: "), of(" lines are lost: status 400, t: "));
    assert_eq!((lines.len(), waiting.len(), lost.len()), (2, 1, 1), "{told}");
    assert!(
        ["status 429, t:", "status 503, t:"].iter().any(|own| waiting[0].contains(own)),
        "{told}"
    );
    assert!(!told.contains("hunter2") && told.contains("password="), "{told}");
    assert!(lines.iter().all(|line| line.len() < 700 && line.ends_with('…')), "{told}");
}

#[test]
fn a_lost_answer_makes_no_document_twice() {
    let node = Node::start(&[Turn::TakeAndClose, Turn::TakeAndClose]);
    let (dispatch, logs) = logs(config(&[&node]));
    say(&dispatch, 0..10);
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.total_dropped()), (10, 0));
    assert_eq!(node.numbers(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_cluster_that_is_away_busy_or_no_cluster_is_asked_again() {
    let turns = [
        Turn::Status(503, ""),
        Turn::Status(429, "retry-after: 0\r\n"),
        Turn::Status(401, ""),
        Turn::Status(302, "location: http://127.0.0.1:1/\r\n"),
        Turn::Babble("<html>"),
        Turn::Babble(r#"{"errors":true,"items":[]}"#),
        Turn::Hang,
    ];
    // The next node takes over each time, so that no wait grows long.
    let (one, other) = (Node::start(&turns), Node::start(&[]));
    let (dispatch, logs) = logs(config(&[&one, &other, &one]));
    for n in 0..14 {
        say(&dispatch, [n]);
        assert!(logs.flush(PATIENCE));
    }
    assert_eq!(logs.shutdown(PATIENCE).delivered, 14);
    let mut all = [one.numbers(), other.numbers()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..14).collect::<Vec<_>>());
}

#[test]
fn what_an_operator_can_mend_is_waited_for_and_told_with_its_status() {
    let test = "what_an_operator_can_mend_is_waited_for_and_told_with_its_status";
    let Some(told) = told_by(test) else {
        for status in [302, 401, 403, 404] {
            let node = Node::start(&[Turn::Status(status, ""), Turn::Status(status, "")]);
            let (dispatch, logs) = logs(config(&[&node]).with_timeout(PATIENCE));
            say(&dispatch, [1]);
            assert_eq!(logs.shutdown(PATIENCE).delivered, 1);
        }
        return;
    };
    assert_eq!(told.matches("wait: http://127.0.0.1:").count(), 4, "{told}");
    for said in ["302, a redirect", "401: the cluster wants", "403: the cluster", "404: the URL"] {
        assert_eq!(told.matches(&format!(": status {said}")).count(), 1, "{told}");
    }
}

#[test]
fn the_time_a_node_asks_for_is_waited() {
    let node = Node::start(&[Turn::Status(429, "retry-after: 1\r\n")]);
    let (dispatch, logs) = logs(config(&[&node]));
    let begun = Instant::now();
    say(&dispatch, [1]);
    assert_eq!(logs.shutdown(PATIENCE).delivered, 1);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_request_that_is_too_large_is_halved_until_its_parts_are_taken() {
    // Those that are logged until it is asked again go in one batch.
    let busy = Turn::Status(503, "");
    let node = Node::start(&[busy.clone(), busy.clone(), busy]);
    node.state().most = 3;
    let (dispatch, logs) = logs(config(&[&node]));
    say(&dispatch, 0..20);
    assert!(logs.flush(PATIENCE));
    node.state().most = 0;
    say(&dispatch, 20..22);
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.dropped_because(DropReason::ExportFailed)), (20, 2));
    assert_eq!(node.numbers(), (0..20).collect::<Vec<_>>());
    assert!(node.state().too_large > 0);
}

#[test]
fn what_a_cluster_will_never_take_is_counted() {
    let node = Node::start(&[Turn::Status(413, ""), Turn::Status(400, "")]);
    let (dispatch, logs) = logs(config(&[&node]));
    for n in 0..3 {
        say(&dispatch, [n]);
        assert!(logs.flush(PATIENCE));
    }
    let report = logs.shutdown(PATIENCE);
    assert_eq!((report.delivered, report.dropped_because(DropReason::ExportFailed)), (1, 2));
}

#[test]
fn the_template_is_json_and_settings_that_make_no_sense_are_named() {
    let template: serde_json::Value = serde_json::from_str(BulkConfig::template()).expect("JSON");
    assert_eq!(template["template"]["mappings"]["properties"]["@timestamp"]["type"], "date");
    let told = |config: BulkConfig| config.build().expect_err("odd").to_string();
    assert!(told(BulkConfig::new(Vec::<String>::new(), "logs")).contains("at least one"));
    assert!(told(BulkConfig::new(["ftp://me:hush@search"], "logs")).contains("`search`"));
    assert!(told(BulkConfig::new(["http://search"], "a/b")).contains("a/b"));
    let shown = format!("{:?}", BulkConfig::new(["http://me:hush@search"], "logs"));
    assert!(!shown.contains("hush"), "{shown}");
}
