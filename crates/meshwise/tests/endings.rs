//! The last lines of a process arrive however it ends, and a standard output that does not block
//! gets whole lines.
//!
//! A program of its own, without the test harness: what is tested is what becomes of `main` and of
//! the process. It starts itself for each ending.

use std::{
    io::{BufRead, BufReader, Read},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, ExitCode, Stdio},
    sync::OnceLock,
    time::Duration,
};

const ENDING: &str = "MESHWISE_TEST_ENDING";
const TIMES: usize = 5;
const MANY: usize = 20_000;

fn main() -> ExitCode {
    match std::env::var(ENDING) {
        Ok(ending) => end(&ending),
        Err(_) => parent(),
    }
}

fn mesh() -> meshwise::Mesh {
    let env = meshwise::core::Env::from_pairs([("MESHWISE_LOG_FULL", "wait")]);
    meshwise::builder("orders", "1.2.3")
        .with_env(env)
        .logs(|logs| logs.with_format(meshwise::log::LogFormat::Json))
        .install()
        .expect("a mesh")
}

/// Logs five lines and ends.
fn end(ending: &str) -> ExitCode {
    static LEAKED: OnceLock<meshwise::Mesh> = OnceLock::new();
    let mesh = mesh();
    (1..5).for_each(|n| tracing::info!(n, "a line"));
    let error = || tracing::error!("LAST: cannot bind 0.0.0.0:80");
    match ending {
        "error, then exit" => {
            error();
            std::process::exit(1)
        }
        "error, then exit in async main" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
            runtime.block_on(async {
                error();
                std::process::exit(1);
            });
        }
        "error, then exit in another thread" => {
            let thread = std::thread::spawn(move || {
                error();
                std::process::exit(1)
            });
            let _ = thread.join();
        }
        "error of the log crate, then exit in another thread" => {
            let thread = std::thread::spawn(|| {
                tracing_log::log::error!("LAST");
                std::process::exit(1)
            });
            let _ = thread.join();
        }
        "error, then abort" => {
            error();
            std::process::abort()
        }
        "error, then a signal" => {
            error();
            let pid = std::process::id().to_string();
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
            loop {
                std::thread::park();
            }
        }
        "info, then exit" => {
            tracing::info!("LAST");
            std::process::exit(0)
        }
        "info, then a return while a static holds the mesh" => {
            let _ = LEAKED.set(mesh);
            tracing::info!("LAST");
        }
        "info, then a return" => tracing::info!("LAST"),
        "panic" => {
            let _ = LEAKED.set(mesh);
            panic!("LAST");
        }
        "panic with a secret" => panic!("LAST: password=hunter2 is wrong"),
        "many" => {
            for n in 5..MANY {
                tracing::info!(n, "a line that has some length to it");
            }
            eprintln!("logged");
            let report = mesh.logs().shutdown(Duration::from_secs(20));
            eprintln!("{report}");
        }
        other => panic!("no ending is called {other}"),
    }
    ExitCode::SUCCESS
}

fn child(ending: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.env(ENDING, ending).stdin(Stdio::null());
    command
}

fn parent() -> ExitCode {
    let mut failed = false;
    let mut check = |name: &str, passed: bool, said: &str| {
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            println!("{said}");
        }
        failed |= !passed;
    };
    for ending in [
        "error, then exit",
        "error, then exit in async main",
        "error, then exit in another thread",
        "error of the log crate, then exit in another thread",
        "error, then abort",
        "error, then a signal",
        "panic",
        "info, then a return",
        #[cfg(target_env = "gnu")]
        "info, then exit",
        #[cfg(target_env = "gnu")]
        "info, then a return while a static holds the mesh",
    ] {
        let mut said = String::new();
        let all = (0..TIMES).all(|_| {
            let output = child(ending).output().expect("it runs");
            said = String::from_utf8_lossy(&output.stdout).into_owned();
            let last = said.lines().filter(|line| line.contains("LAST")).count() == 1;
            last && said.lines().filter(|line| line.contains("a line")).count() == 4
        });
        check(ending, all, &said);
    }
    let (passed, said) = secret();
    check("a panic's text is looked through for secrets wherever it goes", passed, &said);
    let (passed, said) = not_blocking();
    check("an output that does not block", passed, &said);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs a child that panics with a secret in its text: line and standard error have the rest.
fn secret() -> (bool, String) {
    let output = child("panic with a secret").output().expect("it runs");
    let (out, err) = (&output.stdout, &output.stderr);
    let said = format!("{}\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err));
    let rest = "LAST: password=[redacted] is wrong";
    let both = [out, err].iter().all(|text| String::from_utf8_lossy(text).contains(rest));
    let place = String::from_utf8_lossy(err).contains("thread 'main' panicked at ");
    (both && place && !said.contains("hunter2") && !output.status.success(), said)
}

/// Runs a child whose standard output is not blocking, and full most of the time.
fn not_blocking() -> (bool, String) {
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("not blocking");
    let mut command = child("many");
    let mut child = command
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(command); // and its end of the pair
    let mut errors = BufReader::new(child.stderr.take().expect("piped")).lines();
    // All lines wait now, and far more than the pair holds.
    let logged = errors.next().and_then(Result::ok);
    assert_eq!(logged.as_deref(), Some("logged"));
    let mut text = String::new();
    ours.read_to_string(&mut text).expect("UTF-8");
    let report = errors.map_while(Result::ok).collect::<Vec<_>>().join("\n");
    let _ = child.wait();
    let lines = text.lines().count();
    let whole = text.lines().filter(|line| line.starts_with('{') && line.ends_with('}')).count();
    let in_order = text.lines().zip(1..).all(|(line, n)| line.ends_with(&format!("\"n\":{n}}}")));
    let passed = lines == MANY - 1
        && whole == lines
        && in_order
        && report.ends_with(&format!("{lines} delivered"));
    (passed, format!("{lines} lines, {whole} whole, in order: {in_order}; {report}"))
}
