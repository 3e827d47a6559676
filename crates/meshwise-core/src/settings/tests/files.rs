//! Files, also hostile ones.
#![cfg(feature = "toml")]

use super::*;
use std::{fs, path::PathBuf};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn written(folder: &tempfile::TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn error(path: impl AsRef<std::path::Path>) -> String {
    Settings::from_path(path).unwrap_err().to_string()
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_lines() {
    let text = r#"[log]
fromat = "json"
queue = 8
filter = """
info
"""

[peers.auth]
timeout = "1s"
retry = { attempts = 11, backof = { base = "1s" } }
breaker.failure_rate = 2026-01-01
[peers.auth.routes."GET /items/{id}"]
timeout.limit = 1000
[traces.otlp]
headers = { authorization = 7 }
protocol = "htp/json"
enabled = false
longest_asked = 3
[surprise]
"#;
    assert_eq!(
        Settings::from_toml(text, "m.toml").unwrap_err().to_string(),
        r#"12 settings are wrong: log.fromat, log.queue, peers.auth.timeout, peers.auth.retry.attempts, peers.auth.retry.backof and others
  m.toml:2: log.fromat is not known; did you mean `format`?
  m.toml:3: log.queue is 8, a whole number; allowed: a size with its unit, such as "64KiB" or "8MiB", from 256KiB to 1024GiB
  m.toml:9: peers.auth.timeout is "1s"; allowed: a table of enabled, limit
  m.toml:10: peers.auth.retry.attempts is 11, a whole number; allowed: a whole number from 1 to 10
  m.toml:10: peers.auth.retry.backof is not known; did you mean `backoff`?
  m.toml:11: peers.auth.breaker.failure_rate is 2026-01-01, a date or a time; allowed: a number above 0 to 1
  m.toml:13: peers.auth.routes."GET /items/{id}".timeout.limit is 1000, a whole number; allowed: a duration with its unit, such as "250ms", "10s" or "5m", from 1ms to 365d
  m.toml:15: traces.otlp.headers.authorization is a whole number (not shown); allowed: a header's value: visible ASCII characters and spaces
  m.toml:16: traces.otlp.protocol is "htp/json"; allowed: one of "grpc", "http/protobuf", "http/json"; did you mean `http/json`?
  m.toml:17: traces.otlp.enabled is not known; allowed: protocol, endpoint, traces_endpoint, headers, timeout, compression, insecure, certificate, client_certificate, client_key
  m.toml:18: traces.otlp.longest_asked is not known; did you mean `peer.retry.longest_asked`?
  m.toml:19: surprise is not known; allowed: service, log, metrics, traces, propagation, redaction, ops, drain, shed, peer, peers"#
    );
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let error = Settings::from_toml("[log]\nformat = json\n\n[drain\n", "m.toml").unwrap_err();
    let error = error.to_string();
    assert!(error.contains("m.toml:2: is no TOML: ") && error.contains("m.toml:4: "), "{error}");
    let huge = Settings::from_toml("log.queue = 99999999999999999999", "m.toml").unwrap_err();
    let found = "log.queue is 99999999999999999999, a whole number that does not fit; allowed: ";
    assert!(huge.to_string().starts_with(&format!("m.toml:1: {found}")), "{huge}");
    let twice = Settings::from_toml("[log]\nformat = \"json\"\nformat = \"ecs\"", "m.toml");
    assert!(twice.unwrap_err().to_string().contains("m.toml:3: is no TOML: duplicate key"));
}

#[test]
fn the_files_of_a_directory_are_read_in_the_order_of_their_names() {
    let folder = folder();
    written(&folder, "20.toml", "log.format = \"ecs\"");
    written(&folder, "10.toml", "log.format = \"json\"\ndrain.timeout = \"1s\"");
    written(&folder, ".hidden.toml", "no = 1");
    written(&folder, "notes.txt", "not read");
    fs::create_dir(folder.path().join("30.toml.d")).unwrap();
    let settings = Settings::from_path(folder.path()).unwrap();
    assert_eq!(settings.log.format.get().map(String::as_str), Some("ecs"));
    assert!(settings.log.format.source().to_string().ends_with("20.toml:1"));
    assert!(settings.drain.timeout.source().to_string().ends_with("10.toml:2"));
    written(&folder, "40.toml", "log.x = 1");
    written(&folder, "50.toml", "log.y = 1");
    let told = error(folder.path());
    assert!(told.contains("40.toml:1: log.x") && told.contains("50.toml:1: log.y"), "{told}");
}

#[test]
fn hostile_files_are_errors() {
    let folder = folder();
    let big = written(&folder, "big.toml", "# x\n".repeat(10 << 18));
    assert!(
        error(&big).ends_with("big.toml:1: cannot be read: it is longer than 1024 KiB"),
        "{}",
        error(&big)
    );
    let binary = written(&folder, "binary.toml", b"a = 1\n\xff\xfe");
    assert!(error(&binary).ends_with("is not UTF-8 in line 2"));
    for deep in [
        format!("x = {}1{}", "[".repeat(200_000), "]".repeat(200_000)),
        format!("x = {}1{}", "{a=".repeat(100_000), "}".repeat(100_000)),
        format!("{}x = 1", "a.".repeat(400_000)),
        format!("[{}x]", "a.".repeat(400_000)),
        "[[a]]\n".repeat(100_000),
        format!("x = \"{}", "\\".repeat(500_000)),
        "\u{0}".repeat(1000),
        "=".repeat(500_000),
        "[log]\n".repeat(100_000),
    ] {
        let path = written(&folder, "deep.toml", deep);
        let told = error(&path);
        assert!(told.len() < 100_000 && told.contains("deep.toml:"), "{told:.300}");
    }
    // A name that is hostile to the terminal that shows the error.
    let path = written(&folder, "names.toml", format!("\"{}\\u001b[2J\" = 1", "n".repeat(100_000)));
    let told = error(&path);
    assert!(told.len() < 1000 && !told.contains('\u{1b}'), "{told:.300}");
    let none = folder.path().join("none.toml");
    assert!(error(&none).contains("none.toml:1: cannot be read: "));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_does_not_hang() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = folder();
    symlink(dir.path().join("b.toml"), dir.path().join("a.toml")).unwrap();
    symlink(dir.path().join("a.toml"), dir.path().join("b.toml")).unwrap();
    assert!(error(dir.path()).contains("cannot be read"), "a circle of links");
    let within = folder();
    symlink(within.path(), within.path().join("self.toml")).unwrap();
    assert!(
        error(within.path()).contains("it is a directory, and no regular file"),
        "a directory within itself"
    );
    assert!(error("/dev/zero").contains("it is a device, and no regular file"));
    let socket = folder();
    let _listener = std::os::unix::net::UnixListener::bind(socket.path().join("s.toml")).unwrap();
    assert!(error(socket.path()).contains("it is a socket, and no regular file"));
    let closed = folder();
    let path = written(&closed, "x.toml", "log.format = \"json\"");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Who is root reads it all the same.
    if fs::File::open(&path).is_err() {
        assert!(error(&path).contains("cannot be read"));
    }
    let many = folder();
    for i in 0..102 {
        written(&many, &format!("{i}.toml"), "");
    }
    assert!(error(many.path()).contains("holds more than 100 files"));
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in "[\\[\\]{}=.\"'a-z0-9 \n#\\\\,_-]{0,200}") {
        let _ = Settings::from_toml(&text, "x");
    }
}
