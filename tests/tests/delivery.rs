//! Log lines leave by the outputs that the environment names, through the front door.

use meshwise_tests::PATIENCE;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Command, Output},
};

fn ran(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_log_delivery"));
    command.args(["0", "300"]).env_clear().envs(variables.iter().copied());
    command.output().expect("it runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// An address that nothing listens at.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port")
}

#[test]
fn lines_go_to_each_output_and_one_that_is_away_holds_up_no_other() {
    let dir = tempfile::tempdir().expect("directory");
    let (file, spool) = (dir.path().join("orders.log"), dir.path().join("spool"));
    let began = std::time::Instant::now();
    let ran = ran(&[
        ("MESHWISE_LOG_OUTPUTS", "file,stderr,fluent"),
        ("MESHWISE_LOG_FILE_PATH", file.to_str().expect("UTF-8")),
        ("MESHWISE_LOG_FLUENT_SERVERS", &nowhere().to_string()),
        ("MESHWISE_LOG_SPOOL_DIRECTORY", spool.to_str().expect("UTF-8")),
    ]);
    assert!(began.elapsed() < PATIENCE);
    let placed = |text: &str| text.lines().filter(|line| line.contains("order placed")).count();
    assert_eq!(placed(&fs::read_to_string(&file).expect("file")), 300, "{ran:?}");
    assert_eq!(placed(text(&ran.stderr)), 300);
    let told: Vec<_> = text(&ran.stdout).lines().filter(|line| line.contains(": ")).collect();
    assert!(told[0].starts_with("file: 30") && told[0].contains(" 0 lost"), "{told:?}");
    assert!(told[2].starts_with("fluent: 0 delivered, 0 lost, 30"), "{told:?}");
}

#[test]
fn an_output_without_what_it_needs_is_named_with_the_variable() {
    for (output, variable) in [
        ("file", "MESHWISE_LOG_FILE_PATH"),
        ("fluent", "MESHWISE_LOG_FLUENT_SERVERS"),
        ("bulk", "MESHWISE_LOG_BULK_URLS"),
    ] {
        let ran = ran(&[("MESHWISE_LOG_OUTPUTS", output)]);
        assert!(!ran.status.success());
        let first = text(&ran.stderr).lines().next().unwrap_or_default();
        assert!(first.contains(variable), "{first}");
    }
    let odd = ran(&[("MESHWISE_LOG_OUTPUTS", "papyrus")]);
    let first = text(&odd.stderr).lines().next().unwrap_or_default();
    assert!(!odd.status.success() && first.contains("MESHWISE_LOG_OUTPUTS"), "{first}");
}

#[test]
fn a_file_that_cannot_be_opened_stops_no_service() {
    let ran =
        ran(&[("MESHWISE_LOG_OUTPUTS", "file"), ("MESHWISE_LOG_FILE_PATH", "/nowhere/orders.log")]);
    assert!(ran.status.success());
    assert!(text(&ran.stdout).contains("order placed"), "lines go to standard output");
    assert!(text(&ran.stderr).contains("cannot open /nowhere/orders.log"), "{ran:?}");
}

/// Makes a pipe with a name.
#[cfg(unix)]
fn pipe_in(dir: &std::path::Path) -> String {
    let pipe = dir.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    pipe.to_str().expect("UTF-8").to_owned()
}

/// No path that settings name holds up the start or the end.
#[cfg(unix)]
#[test]
fn a_path_that_is_no_file_holds_nothing_up() {
    let dir = tempfile::tempdir().expect("directory");
    let pipe = &*pipe_in(dir.path());
    for (path, told) in [
        (pipe, "a pipe that no one reads"),
        (dir.path().to_str().expect("UTF-8"), "Is a directory"),
    ] {
        let began = std::time::Instant::now();
        let ran = ran(&[("MESHWISE_LOG_OUTPUTS", "file"), ("MESHWISE_LOG_FILE_PATH", path)]);
        assert!(ran.status.success() && began.elapsed() < PATIENCE, "{path}: {ran:?}");
        assert!(text(&ran.stderr).contains(&format!("cannot open {path} ({told}")), "{ran:?}");
        assert!(text(&ran.stdout).contains("order placed"), "lines go to standard output");
    }
    let began = std::time::Instant::now();
    let private = [("MESHWISE_LOG_PRIVATE_FIELDS", "n"), ("MESHWISE_LOG_PRIVATE_PATH", pipe)];
    let private = ran(&private);
    assert!(private.status.success() && began.elapsed() < PATIENCE, "{private:?}");
    assert!(text(&private.stderr).contains("a pipe that no one reads"), "{private:?}");
    if !cfg!(target_os = "linux") {
        return;
    }
    // Takes nothing.
    let full = ran(&[("MESHWISE_LOG_OUTPUTS", "file"), ("MESHWISE_LOG_FILE_PATH", "/dev/full")]);
    assert!(full.status.success(), "{full:?}");
    let counted = text(&full.stdout).lines().find(|line| line.starts_with("file: "));
    assert!(counted.is_some_and(|line| line.contains("0 delivered, 30")), "{full:?}");
    assert!(text(&full.stderr).contains("No space left"), "{full:?}");
}

/// Nor does one that is read.
#[cfg(unix)]
#[test]
fn a_path_that_is_no_file_and_is_read_is_named_at_once() {
    let dir = tempfile::tempdir().expect("directory");
    let pipe = &*pipe_in(dir.path());
    let fluent = [
        ("MESHWISE_LOG_OUTPUTS", "fluent"),
        ("MESHWISE_LOG_FLUENT_SERVERS", "tls://127.0.0.1:1"),
        ("MESHWISE_LOG_FLUENT_CA_FILE", pipe),
    ];
    let collector = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", pipe),
        ("MESHWISE_STRICT", "true"),
    ];
    for variables in [fluent, collector] {
        let (ended, end) = std::sync::mpsc::channel();
        let owned: Vec<_> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        std::thread::spawn(move || {
            let variables: Vec<_> = owned.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            ended.send(ran(&variables))
        });
        let ran = end.recv_timeout(PATIENCE).expect("it ends");
        assert!(!ran.status.success(), "{ran:?}");
        assert!(text(&ran.stderr).contains("it is a pipe"), "{ran:?}");
    }
}

#[test]
fn an_output_that_is_set_up_and_not_switched_on_is_told() {
    let ran = ran(&[("MESHWISE_LOG_FILE_PATH", "/nowhere/orders.log")]);
    assert!(ran.status.success());
    let told = "MESHWISE_LOG_FILE_PATH: log.file.path is set and does nothing: `file` is not among \
                log.outputs";
    assert!(text(&ran.stdout).contains(told), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn private_fields_stand_in_a_file_that_its_group_may_read_and_nowhere_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("private.log");
    let ran = ran(&[
        ("MESHWISE_LOG_PRIVATE_FIELDS", "n"),
        ("MESHWISE_LOG_PRIVATE_PATH", file.to_str().expect("UTF-8")),
    ]);
    let lines = |text: &str| -> Vec<serde_json::Value> {
        let placed = text.lines().filter(|line| line.contains("order placed"));
        placed.map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let public = lines(text(&ran.stdout));
    assert_eq!(public.len(), 300, "{ran:?}");
    assert!(public.iter().all(|line| line["n"] == "[redacted]"), "{}", public[0]);
    let whole = fs::read_to_string(&file).expect("file");
    let whole: Vec<_> = lines(&whole).iter().map(|line| line["n"].as_u64()).collect();
    assert_eq!(whole, (0..300).map(Some).collect::<Vec<_>>());
    let mode = fs::metadata(&file).expect("file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640 & mode, "{mode:o}");
    let told = text(&ran.stdout).lines().find(|line| line.starts_with("private: "));
    assert_eq!(told, Some("private: 300 delivered, 0 lost, 0 spooled, 0 recovered"));
}
