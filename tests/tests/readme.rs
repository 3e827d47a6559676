//! A new user's path: an empty folder, the README's manifest and program, `cargo run`.

use meshwise_tests::raw;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// Returns the README's first block of this language.
fn block(readme: &str, language: &str) -> String {
    let begin = readme.find(&format!("```{language}")).expect("a block");
    let rest = readme[begin..].split_once('\n').expect("a line").1;
    rest.split("```").next().expect("its end").to_owned()
}

/// Ends the program when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_readme_s_service_runs_as_printed() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("newcomer");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("src")).expect("a folder");

    let front_door = root().join("crates/meshwise");
    let dependencies = block(&readme, "toml")
        .replace("meshwise = \"0.1\"", &format!("meshwise = {{ path = {front_door:?} }}"));
    assert!(dependencies.contains("path ="), "the README names version 0.1:\n{dependencies}");
    let package =
        "[package]\nname = \"orders\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n";
    fs::write(folder.join("Cargo.toml"), package.to_owned() + &dependencies).expect("written");
    // The same versions as ours, so that nothing new is fetched.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("copied");

    // The port in the README may be taken here.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let program = block(&readme, "rust").replace("127.0.0.1:8080", &free.to_string());
    fs::write(folder.join("src/main.rs"), program).expect("written");

    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("newcomer-target");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("cargo");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let log = folder.join("log");
    let mut running = Running(
        Command::new(target.join("debug/orders"))
            .env("MESHWISE_CLIENT_AUTH_URL", "http://127.0.0.1:1")
            .env("MESHWISE_LOG_FORMAT", "json")
            .stdout(fs::File::create(&log).expect("a file"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts"),
    );
    wait_until_it_listens(free);
    let get =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n");
    let answer = raw(free, get("/orders/7").as_bytes()).await;
    assert!(answer.contains("order 7: auth can't be reached"), "{answer}");
    assert!(answer.contains("x-request-id: "), "{answer}");
    let metrics = raw(free, get("/metrics").as_bytes()).await;
    assert!(metrics.contains("http_route=\"/orders/{id}\""), "{metrics}");
    assert!(metrics.contains("server_service_name=\"auth\""), "{metrics}");
    let ready = raw(free, get("/readyz").as_bytes()).await;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");

    let pid = running.0.id().to_string();
    Command::new("kill").args(["-s", "TERM", &pid]).status().expect("kill");
    let stderr = running.0.stderr.take().expect("a pipe");
    let said = std::io::read_to_string(stderr).expect("its last words");
    assert!(running.0.wait().expect("it ends").success(), "{said}");
    assert!(said.contains("logs: ") && said.contains("traces: "), "{said}");
    let lines = fs::read_to_string(&log).expect("its log");
    let line =
        lines.lines().find(|line| line.contains("meshwise::access")).expect("an access line");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["http.route"], "/orders/{id}");
    assert_eq!(line["service.name"], "orders");
}

fn wait_until_it_listens(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "it never listens on {address}");
        std::thread::yield_now();
    }
}
