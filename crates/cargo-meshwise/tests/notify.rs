//! `cargo meshwise notify`, as it is called.

#![cfg(feature = "http")]

#[path = "support/notices.rs"]
mod fixture;
#[path = "support/server.rs"]
mod server;

use std::{
    path::Path,
    process::{Command, Output},
};

use fixture::{DEPRECATED, TODAY, auth, caller, documents, story};
use meshwise_api::{Declaration, Document, Draft};
use serde_json::Value;
use server::{Reply, Server};

struct Place(tempfile::TempDir);

impl Place {
    fn new(all: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for document in documents(all) {
            let path = folder.path().join(document.path());
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, document.to_json()).expect("written");
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn notify(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-meshwise"));
        command
            .args(["meshwise", "notify", "--today", TODAY, "--dictionary"])
            .arg(self.path())
            .args(args)
            .current_dir(self.path())
            .env_remove("MESHWISE_WEBHOOK")
            .env("MESHWISE_WEBHOOK_TOKEN", "s3cret")
            .env("NO_PROXY", "*");
        command.output().expect("the command runs")
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_text_is_for_people() {
    let output = Place::new(&story()).notify(&["--since", "2026-11-01"]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(stdout(&output));
    let output = Place::new(&story()).notify(&["--since", TODAY]);
    let expected = "nothing changed for anyone since 2026-11-21T00:00:00Z\n";
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), expected));
}

#[test]
fn the_json_is_for_machines() {
    let place = Place::new(&story());
    let args = ["--since", "1", "--provider", "auth", "--owner", "team-checkout"];
    let output = place.notify(&[&args[..], &["--format", "json"]].concat());
    let json: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(json["notices"].as_array().expect("a list").len(), 1);
    assert_eq!(json["since"], serde_json::json!({"document": {"service": "auth", "seq": 1}}));
    assert_eq!(json["notices"][0]["changes"][0]["on"], "2026-09-01");
    assert_eq!(json["deliveries"], Value::Null);
}

#[test]
fn what_was_not_delivered_is_named_and_is_exit_code_3() {
    let place = Place::new(&story());
    let server = Server::start(|request| {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        let orders = body["notice"]["service"] == "orders";
        Reply::status(if orders { 200 } else { 410 })
    });
    let args = ["--since", "2026-11-01", "--webhook", &server.url()];
    let output = place.notify(&args);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("delivered: orders about auth@1.1"), "{text}");
    assert!(
        text.contains("not delivered: stock about auth@1.1: the receiver answered 410"),
        "{text}"
    );
    // Once more: the same keys.
    place.notify(&args);
    let keys: Vec<_> =
        server.seen().iter().map(|r| r.header("idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys.len(), 4);
    assert_eq!(keys[..2], keys[2..]);
    assert!(server.seen().iter().all(|r| r.header("authorization") == Some("Bearer s3cret")));
}

fn write(place: &Place, document: &Document) {
    let path = place.path().join(document.path());
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, document.to_json()).expect("written");
}

#[test]
fn a_cursor_tells_what_is_new_whatever_it_is_dated() {
    let place = Place::new(&[
        ("2026-01-01", auth("", "")),
        ("2026-01-02", caller("orders", "team-checkout", "1.1")),
    ]);
    let args = ["--since-state", "state.json"];
    let ask = |code: i32| {
        let output = place.notify(&args);
        let told = format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{told}");
        told
    };
    let begun = ask(0);
    assert!(begun.contains("nothing changed"), "the first run begins");
    assert!(begun.contains("state.json is not there yet"), "and says so: {begun}");
    // Published on a branch long ago, and merged now.
    let first = Document::from_json(
        &std::fs::read(place.path().join("services/auth/1.json")).expect("there"),
    );
    let declaration = Declaration::parse("api.toml", &auth(DEPRECATED, "")).expect("valid");
    let draft = Draft::new(declaration, "2026-02-01T00:00:00Z".parse().expect("a moment"), "ci");
    let second = draft.seal(first.as_ref().ok()).expect("sealed");
    write(&place, &second);
    assert!(ask(0).contains("deprecated from 2026-09-01 on"));
    assert!(ask(0).contains("nothing changed"), "it was told");
    // What was seen and is gone is noticed.
    std::fs::remove_file(place.path().join(second.path())).expect("removed");
    assert!(ask(3).contains("document 2 of auth was seen before"));
    let folder = place.notify(&["--since-state", "services"]);
    let told = String::from_utf8_lossy(&folder.stderr);
    assert_eq!(folder.status.code(), Some(2), "{told}");
    assert!(told.contains("cannot read services"), "{told}");
}

#[test]
fn what_a_provider_notes_stays_under_its_notice() {
    let notes = "notes = \"one\\nteam-other\\n  orders needs nothing\"\n";
    let place = Place::new(&[
        ("2026-01-01", auth("", "")),
        ("2026-01-02", caller("orders", "team-checkout", "1.1")),
        ("2026-01-03", auth(&format!("{DEPRECATED}{notes}"), "")),
    ]);
    let told = stdout(&place.notify(&["--since", "2026-01-02"]));
    assert!(told.contains("\n    team-other\n      orders needs nothing\n"), "{told}");
}

#[test]
fn an_urgent_fix_is_told_to_those_that_it_will_do_for() {
    let fix = "[[provides.versions]]\nversion = \"1.2\"\nreleased = 2026-11-20\nurgent = true\nadopt-by = 2026-12-01\nnotes = \"CVE\"";
    let place = Place::new(&[
        ("2026-01-01", auth("", "")),
        ("2026-01-02", caller("orders", "team-checkout", "1.1")),
        ("2026-01-02", caller("stock", "team-stock", "2.0")),
        ("2026-11-20", auth("", fix)),
    ]);
    let text = stdout(&place.notify(&["--since", "2026-11-01"]));
    assert!(text.contains("orders needs auth 1.2 of auth (requires 1.1)"), "{text}");
    assert!(text.contains("URGENT: is new, and must be adopted"), "{text}");
    assert!(text.contains("adopt it by 2026-12-01") && !text.contains("stock"), "{text}");
}

#[test]
fn each_owner_is_told_at_its_own_address_and_notices_are_signed() {
    let (orders, common) =
        (Server::start(|_| Reply::status(204)), Server::start(|_| Reply::status(204)));
    let own = caller("orders", "team-checkout", "1.1")
        .replace("mailto:team-checkout@example.com", &orders.url());
    let place = Place::new(&[
        ("2026-01-01", auth("", "")),
        ("2026-01-02", own),
        ("2026-01-02", caller("stock", "team-stock", "1.1")),
        ("2026-11-20", auth(DEPRECATED, "")),
    ]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-meshwise"));
    command
        .args(["meshwise", "notify", "--today", TODAY, "--since", "2026-11-01", "--to-owners"])
        .args(["--dictionary", ".", "--webhook", &common.url()])
        .current_dir(place.path())
        .env("MESHWISE_WEBHOOK_SECRET", "k")
        .env("NO_PROXY", "*");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    for (server, service) in [(&orders, "orders"), (&common, "stock")] {
        let seen = server.seen();
        assert_eq!(seen.len(), 1);
        let body: Value = serde_json::from_slice(&seen[0].body).expect("JSON");
        assert_eq!(body["notice"]["service"], service);
        let signature = seen[0].header("x-meshwise-signature").expect("signed");
        assert!(signature.starts_with("sha256=") && signature.len() == 7 + 64);
    }
}

#[test]
fn what_can_not_be_asked_is_a_usage_error() {
    let place = Place::new(&story());
    for args in [
        vec!["--since", "yesterday"],
        vec!["--since", "-1"],
        vec!["--since", "1"], // of which service?
        vec!["--since", "1", "--provider", "nobody"],
        vec!["--since", "2026-11-01", "--webhook", "mailto:x@example.com"],
        vec![],
    ] {
        let output = place.notify(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?} {}", stdout(&output));
    }
    let output = place.notify(&["--since", "9", "--provider", "auth"]);
    assert_eq!(output.status.code(), Some(3));
}
