//! Each command over the shop, as people and machines see it.

use insta::assert_snapshot;

use crate::support::{
    place::Place,
    shop::{AUTH, ORDERS},
};

const IN_ORDERS: [&str; 2] = ["--declaration", "orders/api.toml"];

/// Runs a command for the service orders.
#[track_caller]
fn orders(place: &Place, code: i32, args: &[&str]) -> crate::support::place::Ran {
    place.expect(code, &[args, &IN_ORDERS].concat())
}

#[test]
fn check_says_what_each_requirement_gets() {
    let place = Place::shop();
    assert_snapshot!(orders(&place, 0, &["check"]));
    assert_snapshot!(orders(&place, 0, &["check", "--format", "json"]));
}

#[test]
fn check_denies_what_is_retired_unknown_or_incompatible() {
    let place = Place::shop();
    let text = format!(
        "{ORDERS}\n[[requires]]\napi = \"auth\"\nversion = \"1.9\"\n\n\
         [[requires]]\napi = \"auht\"\nversion = \"2.0\"\n"
    );
    place.declare("orders", &text);
    assert_snapshot!(orders(&place, 1, &["check"]));
    // A day on which the sunset has passed.
    place.declare("orders", ORDERS);
    assert_snapshot!(orders(&place, 1, &["check", "--today", "2027-03-01"]));
}

#[test]
fn check_without_anything_to_check_against_is_undetermined() {
    let place = Place::new();
    place.declare("orders", ORDERS);
    let mut command = place.command(&[&["check"], &IN_ORDERS[..]].concat());
    command.env_remove("MESHWISE_DICTIONARY");
    let ran = place.finish(&mut command);
    assert_eq!(ran.code, 3);
    assert_snapshot!(ran);
    // Denied in CI, and still no answer.
    assert_eq!(place.finish(command.arg("--ci")).code, 3);
}

#[test]
fn check_finds_the_dictionary_through_the_lock_file() {
    let place = Place::shop();
    orders(&place, 0, &["lock"]);
    let mut command = place.command(&[&["check"], &IN_ORDERS[..]].concat());
    command.env_remove("MESHWISE_DICTIONARY");
    let ran = place.finish(&mut command);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("by dictionary ../dictionary"), "{ran}");
}

#[test]
fn lock_writes_only_what_is_news() {
    let place = Place::shop();
    assert_snapshot!(orders(&place, 3, &["lock", "--locked"]));
    assert_snapshot!(orders(&place, 0, &["lock"]));
    let lock = place.read("orders/api.lock");
    assert_snapshot!(lock);
    orders(&place, 0, &["lock", "--locked"]);

    // Another day, the same answers: the file stays, until it is stale or must be fresh.
    let ran = orders(&place, 0, &["lock", "--today", "2026-12-01"]);
    assert_eq!(ran.stdout, "orders/api.lock is up to date\n");
    assert_eq!(place.read("orders/api.lock"), lock);
    orders(&place, 3, &["lock", "--locked", "--today", "2027-01-01"]);
    let ran = orders(&place, 0, &["lock", "--today", "2027-01-01"]);
    assert!(ran.stdout.contains("it was stale"), "{ran}");
    let ran = orders(&place, 0, &["lock", "--update", "--today", "2027-01-02"]);
    assert!(ran.stdout.contains("--update"), "{ran}");

    // The same dictionary by another name is no news.
    let absolute = place.path().join("dictionary").display().to_string();
    let elsewhere = ["--dictionary", &absolute, "--today", "2027-01-02"];
    orders(&place, 0, &[&["lock", "--locked"], &elsewhere[..]].concat());
    let ran = orders(&place, 0, &[&["lock"], &elsewhere[..]].concat());
    assert_eq!(ran.stdout, "orders/api.lock is up to date\n");

    // The provider moves the sunset: that is news.
    place.declare("auth", &AUTH.replace("sunset = 2027-03-01", "sunset = 2027-06-01"));
    place.publish("auth");
    let ran = orders(&place, 3, &["lock", "--locked", "--today", "2027-01-02"]);
    assert!(ran.stderr.contains("its answers have changed"), "{ran}");
    assert_snapshot!(orders(&place, 0, &["lock", "--format", "json"]));
    assert!(place.read("orders/api.lock").contains("2027-06-01"));
}

#[test]
fn lock_mends_a_damaged_lock_file() {
    let place = Place::shop();
    place.write("orders/api.lock", "<<<<<<< ours\n");
    orders(&place, 3, &["lock", "--locked"]);
    let ran = orders(&place, 0, &["lock"]);
    assert!(ran.stdout.contains("it was damaged"), "{ran}");
    orders(&place, 0, &["lock", "--locked"]);

    // Without a word of where the dictionary is, that word is asked for.
    place.write("orders/api.lock", "<<<<<<< ours\n");
    let ran = orders(&place, 3, &["lock", "--dictionary", ""]);
    assert!(ran.stderr.contains("nothing else says where the dictionary is"), "{ran}");
    let text = place.read("orders/api.toml");
    let named = text.replace("[service]\n", "[service]\ndictionary = \"../dictionary\"\n");
    place.write("orders/api.toml", &named);
    let ran = orders(&place, 0, &["lock", "--dictionary", ""]);
    assert!(ran.stdout.contains("it was damaged"), "{ran}");
}

#[test]
fn publish_says_what_it_did_and_does_nothing_twice() {
    let place = Place::new();
    place.declare("auth", AUTH);
    let auth = |code, args: &[&str]| {
        place.expect(code, &[&["publish", "--declaration", "auth/api.toml"], args].concat())
    };
    assert_snapshot!(auth(0, &["--dry-run"]));
    assert!(!place.path().join("dictionary/services").exists());
    assert_snapshot!(auth(0, &[]));
    assert_snapshot!(auth(0, &["--format", "json"]));
    assert!(!place.path().join("dictionary/services/auth/2.json").exists());

    let sooner = AUTH.replace("sunset = 2027-03-01", "sunset = 2027-01-01");
    place.declare("auth", &sooner);
    assert_snapshot!(auth(1, &[]));
    assert_snapshot!(auth(1, &["--dry-run", "--format", "json"]));
    auth(2, &["--force"]);
    assert_snapshot!(auth(0, &["--force", "--reason", "a leak of tokens"]));
    let document = place.read("dictionary/services/auth/2.json");
    assert!(document.contains("a leak of tokens"), "{document}");
}

#[test]
fn publish_refuses_a_declaration_that_contradicts_itself() {
    let place = Place::new();
    place.declare("auth", &AUTH.replace("sunset = 2027-03-01", "sunset = 2026-03-01"));
    let args = ["--declaration", "auth/api.toml"];
    assert_snapshot!(place.expect(2, &[&["publish"], &args[..]].concat()));
    place.expect(2, &[&["validate"], &args[..]].concat());
}

#[test]
fn graph_draws_the_map() {
    let place = Place::shop();
    place.declare("loner", "schema = 1\n[service]\nname = \"loner\"\n[[requires]]\napi = \"ghosts\"\nversion = \"1\"\n");
    place.publish("loner");
    for format in ["human", "json", "dot", "mermaid"] {
        assert_snapshot!(
            format!("graph-{format}"),
            place.expect(0, &["graph", "--format", format])
        );
    }
    assert_snapshot!(place.expect(0, &["graph", "--service", "billing"]));
    assert_snapshot!(place.expect(2, &["graph", "--service", "nobody"]));
}

#[test]
fn who_uses_an_api_or_one_version() {
    let place = Place::shop();
    assert_snapshot!(place.expect(0, &["who-uses", "auth"]));
    assert_snapshot!(place.expect(0, &["who-uses", "auth@1.1", "--format", "json"]));
    assert_snapshot!(place.expect(0, &["who-uses", "auth@2.1"]));
    // No one uses what no one provides: that is a question gone wrong.
    assert_snapshot!(place.expect(2, &["who-uses", "auth@7.7"]));
    assert_snapshot!(place.expect(2, &["who-uses", "aut"]));
    place.expect(2, &["who-uses", "auth@"]);
}

#[test]
fn the_changelog_has_history_current_and_plan() {
    let place = Place::shop();
    for format in ["human", "json", "markdown", "html"] {
        assert_snapshot!(
            format!("changelog-{format}"),
            place.expect(0, &["changelog", "auth", "--format", format])
        );
    }
    place.expect(2, &["changelog", "auth@1.1"]);
    place.expect(2, &["changelog", "nothing"]);
    place.expect(2, &["changelog", "auth", "--provider", "billing"]);
}

#[test]
fn export_writes_for_other_tools() {
    let place = Place::shop();
    assert_snapshot!(place.expect(0, &["export", "backstage"]));
    assert_snapshot!(
        place.expect(0, &["export", "linkset", "--base", "https://apis.example.com/x"])
    );
    place.expect(2, &["export", "linkset", "--base", "ftp://apis.example.com"]);
    place.expect(2, &["export", "linkset"]);
}

#[test]
fn schema_is_the_json_schema_of_the_declaration() {
    let place = Place::new();
    let schema = place.expect(0, &["schema"]).json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["properties"]["service"].is_object(), "{schema}");
}

#[test]
fn colour_and_progress_are_for_terminals_only() {
    let place = Place::shop();
    let coloured = |args: &[&str], variable: Option<&str>| {
        let mut command = place.command(args);
        command.envs(variable.map(|name| (name, "1")));
        let ran = place.finish(&mut command);
        ran.stdout.contains('\x1b')
    };
    assert!(!coloured(&["graph"], None));
    assert!(coloured(&["graph", "--color", "always"], None));
    assert!(coloured(&["graph", "--color", "always"], Some("NO_COLOR")), "asked for by name");
    assert!(!coloured(&["graph"], Some("NO_COLOR")));
    assert!(!coloured(&["graph", "--color", "never"], Some("CLICOLOR_FORCE")));
    assert_eq!(place.expect(0, &["graph"]).stderr, "", "no progress in a pipe");
}

#[test]
fn what_cannot_be_written_is_internal() {
    let place = Place::shop();
    let full = std::fs::File::options().write(true).open("/dev/full");
    if let Ok(full) = full {
        let mut command = place.command(&["graph"]);
        let output = command.stdout(full).output().expect("runs");
        assert_eq!(output.status.code(), Some(70));
    }
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let place = Place::shop();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = place.command(&["graph"]).stdout(writer).output().expect("runs");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
