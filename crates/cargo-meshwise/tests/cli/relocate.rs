//! Services and APIs that move: renamed, handed over, ended.

use crate::support::place::Place;

const OLD: &str = r#"schema = 1
# Ours since 2020.
[service]
name = "order-svc"
owner = "team-checkout"

[[provides]]
api = "orders"
scheme = "main-minor"
[[provides.versions]]
version = "1.0"
released = 2024-01-01
deprecated = 2026-01-01
sunset = 2027-06-01
successor = "2.0"
[[provides.versions]]
version = "2.0"
released = 2026-01-01

[[requires]]
api = "auth"
version = "1.1"
reason = "tokens"
since = 2020-02-01
"#;

fn place() -> Place {
    let place = Place::shop();
    place.declare("order-svc", OLD);
    place.publish("order-svc");
    place.declare("web", "schema = 1\n[service]\nname = \"web\"\n[[requires]]\napi = \"orders\"\nversion = \"2.0\"\n");
    place.publish("web");
    place
}

const FILE: [&str; 2] = ["--declaration", "order-svc/api.toml"];

#[test]
fn a_service_is_renamed_with_its_apis_its_history_and_what_it_requires() {
    let place = place();
    let args = [&["rename", "checkout"], &FILE[..]].concat();
    let ran = place.expect(0, &args);
    assert!(ran.stdout.contains("published checkout as"), "{ran}");
    let text = place.read("order-svc/api.toml");
    assert!(text.contains("name = \"checkout\"") && text.contains("# Ours since 2020."), "{text}");
    let users = place.expect(0, &["who-uses", "orders", "--format", "json"]).json();
    assert_eq!(users["users"][0]["provider"], "checkout");
    // The old one has ended, and holds nothing.
    let map = place.expect(0, &["graph", "--format", "json"]).json();
    let services = map["services"].as_array().expect("services");
    let old = services.iter().find(|it| it["name"] == "order-svc").expect("its history stays");
    assert_eq!(old["provides"], serde_json::json!([]));
    place.expect(0, &["check", "--declaration", "web/api.toml"]);
    // auth 1.1 is deprecated, and its use is not new: the name is.
    let ran = place.expect(0, &[&["check"], &FILE[..]].concat());
    assert!(!ran.stderr.contains("new-use-of-deprecated"), "{ran}");
    place.expect(0, &[&["publish"], &FILE[..]].concat());
    place.expect(0, &["index"]);
}

#[test]
fn since_is_noted_from_what_was_published() {
    let place = place();
    let text = OLD.replace("since = 2020-02-01\n", "").replace("1.1\"\nreason", "2.0\"\nreason");
    place.declare("order-svc", &text);
    place.publish("order-svc");
    place.expect(0, &[&["rename", "checkout"], &FILE[..]].concat());
    assert!(place.read("order-svc/api.toml").contains("since = 2026-11-21"));
}

#[test]
fn a_rename_can_be_taken_up_again_and_takes_no_name_that_is_taken() {
    let place = place();
    let taken = [&["rename", "billing"], &FILE[..]].concat();
    assert!(place.expect(2, &taken).stderr.contains("billing is a service already"));
    for wrong in ["order-svc", "../x", "a b", ""] {
        place.expect(2, &[&["rename", wrong], &FILE[..]].concat());
    }
    let args = [&["rename", "checkout"], &FILE[..]].concat();
    place.expect(0, &args);
    // As after a crash before the file was written.
    place.declare("order-svc", OLD);
    let ran = place.run(&args);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stdout.contains("nothing new"), "{ran}");
}

#[test]
fn an_api_is_handed_over_by_consent_and_its_promises_stay() {
    let place = place();
    let new = OLD.replace("order-svc", "checkout");
    place.declare("checkout", &new);
    let publish = ["publish", "--declaration", "checkout/api.toml"];
    assert!(place.expect(1, &publish).stderr.contains("api-taken"));
    for wrong in
        [["hand-over", "order", "--to", "checkout"], ["hand-over", "orders", "--to", "order-svc"]]
    {
        place.expect(2, &[&wrong[..], &FILE[..]].concat());
    }
    place.expect(0, &[&["hand-over", "orders", "--to", "checkout"], &FILE[..]].concat());
    assert!(place.read("order-svc/api.toml").contains("shared-with = [\"checkout\"]"));
    let gone = "schema = 1\n[service]\nname = \"order-svc\"\nowner = \"team-checkout\"\n";
    let leave = |place: &Place, code: i32| {
        place.declare("order-svc", gone);
        place.expect(code, &[&["publish"], &FILE[..]].concat())
    };
    // No one has it yet, nor may take it with an end that is sooner than was promised.
    assert!(leave(&place, 1).stderr.contains("published-version-changed"));
    place.declare("checkout", &new.replace("2027-06-01", "2027-01-01"));
    assert!(place.expect(1, &publish).stderr.contains("sunset-moved-earlier"));
    assert!(leave(&place, 1).stderr.contains("published-version-changed"));
    // Nor has it what it only plans to provide.
    let planned = new.replace("2027-06-01", "2027-07-01").replace("released = 2026-01-01\n", "");
    place.declare("checkout", &planned);
    place.expect(0, &publish);
    assert!(leave(&place, 1).stderr.contains("published-version-changed"));
    place.declare("checkout", &new.replace("2027-06-01", "2027-07-01"));
    place.expect(0, &publish);
    leave(&place, 0);
    // What it promised then binds the new one.
    place.declare("checkout", &new.replace("2027-06-01", "2027-02-01"));
    assert!(place.expect(1, &publish).stderr.contains("sunset-moved-earlier"));
}

#[test]
fn what_can_be_called_can_not_be_ended_with_its_service() {
    let place = place();
    let ran = place.expect(1, &[&["retire"], &FILE[..]].concat());
    assert!(ran.stderr.contains("the API orders was published and is gone"), "{ran}");
    assert!(place.read("order-svc/api.toml").contains("provides"), "it is as it was");
    // A consumer may go at any time, though its repository is gone.
    assert!(place.expect(0, &["who-uses", "orders"]).stdout.contains("web"));
    place.expect(2, &["retire", "nix"]);
    place.expect(0, &["retire", "web"]);
    assert!(!place.expect(0, &["who-uses", "orders"]).stdout.contains("  web"));
    assert!(place.expect(0, &["retire", "web"]).stdout.contains("nothing new"));
    // With its own file that says so from now on.
    let web = ["retire", "--declaration", "orders/api.toml"];
    place.expect(0, &web);
    let text = place.read("orders/api.toml");
    assert!(text.contains("retired = true") && !text.contains("requires"), "{text}");
}
