//! Several services of one workspace at once.

use crate::support::{
    place::Place,
    shop::{AUTH, BILLING, ORDERS},
};

fn place() -> Place {
    let place = Place::new();
    place.write("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"auth-service\", \"billing\", \"orders\", \"tool\"]\n");
    for (package, declaration) in [
        ("auth-service", Some(AUTH)),
        ("billing", Some(BILLING)),
        ("orders", Some(ORDERS)),
        ("tool", None),
    ] {
        let manifest =
            format!("[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        place.write(&format!("{package}/Cargo.toml"), &manifest);
        place.write(&format!("{package}/src/lib.rs"), "");
        if let Some(text) = declaration {
            place.write(&format!("{package}/api.toml"), text);
        }
    }
    place
}

/// Runs the command where cargo is to be found.
fn run(place: &Place, code: i32, args: &[&str]) -> crate::support::place::Ran {
    let mut command = place.command(args);
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("CARGO", env!("CARGO"));
    let ran = place.finish(&mut command);
    assert_eq!(ran.code, code, "cargo meshwise {}\n{ran}", args.join(" "));
    ran
}

#[test]
fn all_services_are_published_locked_and_checked_at_once() {
    let place = place();
    // In the order of their names; the second time each finds the others.
    let ran = run(&place, 0, &["publish", "--workspace"]);
    assert_eq!(ran.stdout.matches("published ").count(), 3, "{ran}");
    run(&place, 0, &["validate", "--workspace"]);
    run(&place, 0, &["lock", "--workspace"]);
    assert!(place.read("orders/api.lock").contains("auth"));
    let ran = run(&place, 0, &["check", "--workspace", "--format", "json"]);
    let json = ran.json();
    let services = json["services"].as_array().expect("services");
    assert_eq!(services.len(), 3, "{ran}");
    assert_eq!(
        (&services[2]["result"]["service"], &services[2]["exit"]),
        (&"orders".into(), &"ok".into())
    );
    assert_eq!(services[0]["declaration"], "auth-service/api.toml");
}

#[test]
fn packages_and_services_are_named_and_the_worst_is_the_exit_code() {
    let place = place();
    run(&place, 0, &["publish", "-p", "auth-service", "-p", "billing"]);
    // By the service's own name.
    let ran = run(&place, 0, &["validate", "-p", "auth", "--format", "json"]);
    assert_eq!(ran.json()["services"][0]["result"]["service"], "auth");
    let ran = run(&place, 2, &["check", "-p", "tool"]);
    assert!(ran.stderr.contains("no package or service tool has an api.toml"), "{ran}");
    place.write("billing/api.toml", &BILLING.replace("version = \"2.0\"", "version = \"7.0\""));
    run(&place, 0, &["check", "-p", "auth"]);
    let ran = run(&place, 1, &["check", "--workspace", "--format", "github"]);
    assert!(
        ran.stdout.contains("::error title=incompatible-version,file=billing/api.toml"),
        "{ran}"
    );
    place.write("auth-service/api.toml", "schema = 1\n");
    // One that is not valid hides nothing of the others.
    let ran = run(&place, 2, &["check", "--workspace"]);
    assert!(ran.stderr.contains("incompatible-version"), "{ran}");
}
