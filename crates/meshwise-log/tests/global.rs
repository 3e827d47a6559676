//! What only a subscriber of the whole process sees: `tracing` keeps events that are made while one
//! is handled from scoped ones, and has none for a thread that ends.

use meshwise_core::Service;
use meshwise_log::{LogConfig, LogFormat, LogLines, LogOutput};
use std::{
    cell::RefCell,
    fmt,
    sync::{OnceLock, mpsc},
    time::Duration,
};
use tracing::field::Empty;
use tracing_subscriber::layer::SubscriberExt;

const PATIENCE: Duration = Duration::from_secs(20);

fn lines() -> &'static LogLines {
    static LINES: OnceLock<LogLines> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = LogLines::new();
        let config = LogConfig::new(Service::new("orders", "1")).with_format(LogFormat::Json);
        let (layer, _logs) = config.with_output(LogOutput::memory(&lines)).build().expect("logs");
        let registry = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(registry).expect("it is the first");
        lines
    })
}

/// Does it in a thread of its own, which may hang.
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        work();
        done.send(()).expect("it is waited for");
    });
    finished.recv_timeout(PATIENCE).expect("it ends");
    thread.join().expect("no panic");
}

fn line(text: &str) -> String {
    let lines = lines().lines();
    let found = lines.iter().find(|line| line.contains(&format!("\"message\":\"{text}\"")));
    found.unwrap_or_else(|| panic!("no `{text}` in {lines:?}")).clone()
}

#[test]
fn a_value_may_log_while_it_becomes_a_span_s_field() {
    struct Chatty;
    impl fmt::Debug for Chatty {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            tracing::info!("from within");
            f.write_str("chatty")
        }
    }
    lines();
    in_time(|| {
        let span = tracing::info_span!("s", value = ?Chatty, later = Empty);
        let _entered = span.enter();
        span.record("later", tracing::field::debug(Chatty));
        tracing::info!(event = ?Chatty, "after");
    });
    assert!(line("from within").contains("\"level\":\"INFO\""));
    let after = line("after");
    assert!(
        after.contains(r#""spans":[{"name":"s","value":"chatty","later":"chatty"}]"#),
        "{after}"
    );
}

#[test]
fn what_a_thread_logs_at_its_end_is_there() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            tracing::info_span!("end", n = 1).in_scope(|| tracing::info!(n = 2, "last"));
        }
    }
    thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });
    lines();
    in_time(|| {
        // Made first, and so gone last: after what the log keeps for the thread.
        LAST.set(Some(Last));
        tracing::info!("first");
    });
    assert!(line("last").contains(r#""n":2,"spans":[{"name":"end","n":1}]"#));
}
