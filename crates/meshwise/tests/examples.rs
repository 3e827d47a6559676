//! Every example runs to its end, and says what it is there to show.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What each example prints, among other things.
const SHOWN: [(&str, &[&str]); 10] = [
    ("background", &["order placed", "mail sent"]),
    ("by_hand", &["/: 200 OK", "/nothing-here: 404 Not Found"]),
    ("edge", &["caller: None, request id believed: false"]),
    ("grpc", &["health: Serving"]),
    ("guards", &["call 1: ", "circuit breaker"]),
    ("logs", &["\"message\":\"order placed\"", "\"kind\":\"gift\"", "[redacted]", "\"checkout\""]),
    ("metrics", &["orders_total{kind=\"gift\"} 2", "order_value_euros_count 1"]),
    ("readiness", &["/livez: 200 OK", "/readyz: 503", "no connection is free"]),
    ("serve", &["200 OK order 7 for orders"]),
    ("traces", &["price it below", "place an order below 0000000000000000"]),
];

/// The longest that an example may be.
const LINES: usize = 40;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

#[test]
fn every_example_is_run_and_short() {
    let known: BTreeSet<String> = SHOWN.iter().map(|(name, _)| format!("{name}.rs")).collect();
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder()).expect("the examples") {
        let file = entry.expect("an entry").path();
        let lines = fs::read_to_string(&file).expect("a source").lines().count();
        assert!(lines <= LINES, "{} has {lines} lines", file.display());
        found.insert(file.file_name().expect("a name").to_string_lossy().into_owned());
    }
    assert_eq!(found, known);
}

fn run(name: &str) -> String {
    // `cargo test` has built them, beside the tests' own folder.
    let tests = std::env::current_exe().expect("this test's file");
    let binary = tests.ancestors().nth(2).expect("target").join("examples").join(name);
    // Text as it is, but where it is JSON that is shown.
    let format = if name == "logs" { "json" } else { "pretty" };
    let output = Command::new(&binary)
        .env("MESHWISE_LOG_FORMAT", format)
        .env("MESHWISE_OPS_ADDR", "same-port")
        .env("RUST_LOG", "info")
        .output()
        .unwrap_or_else(|error| {
            panic!("{}: {error}; `cargo build -p meshwise --examples` makes it", binary.display())
        });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{said}\n{errors}", output.status);
    said
}

#[test]
fn examples_show_what_they_are_there_for() {
    for (name, shown) in SHOWN {
        if name == "grpc" && !cfg!(feature = "grpc") {
            continue;
        }
        let said = run(name);
        for text in shown {
            assert!(said.contains(text), "{name} does not say `{text}`:\n{said}");
        }
    }
}
