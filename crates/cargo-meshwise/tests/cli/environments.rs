//! What runs where, whether a publication may go there, and what became of tests.

use std::fs;

use crate::support::place::Place;

const AUTH: &str = r#"schema = 1
[service]
name = "auth"
owner = "team-identity"
[[provides]]
api = "auth"
scheme = "main-minor"
[[provides.versions]]
version = "1.1"
released = 2024-01-01
"#;

const TWO: &str = r#"[[provides.versions]]
version = "2.0"
released = 2026-01-01
"#;

const ORDERS: &str = r#"schema = 1
[service]
name = "orders"
owner = "team-checkout"
[[requires]]
api = "auth"
version = "1.1"
"#;

/// auth is published with 1.1, then with 2.0 besides; orders requires 1.1.
fn place() -> Place {
    let place = Place::new();
    for (service, text) in [("auth", AUTH.to_owned()), ("auth", format!("{AUTH}{TWO}"))] {
        place.declare(service, &text);
        place.publish(service);
    }
    place.declare("orders", ORDERS);
    place.publish("orders");
    place
}

/// Asks, and wants this exit code and these words in the answer.
#[track_caller]
fn ask(place: &Place, service: &str, code: i32, words: &[&str]) {
    let ran = place.expect(code, &["can-i-deploy", service, "--env", "prod"]);
    for word in words {
        assert!(ran.stdout.contains(word), "{word:?} is not in\n{ran}");
    }
}

#[track_caller]
fn deploy(place: &Place, what: &str) {
    place.expect(0, &["record-deployment", what, "--env", "prod"]);
}

#[test]
fn what_is_required_must_run_there() {
    let place = place();
    ask(&place, "orders", 3, &["unknown:", "nothing is recorded of prod"]);
    deploy(&place, "auth@1");
    ask(&place, "orders", 0, &["yes:", "auth 1.1: current 1.1 of auth runs there"]);
    // Another environment is another question.
    let ran = place.expect(3, &["can-i-deploy", "orders", "--env", "test"]);
    assert!(ran.stdout.contains("nothing is recorded of auth in test"), "{ran}");
    // What requires 2.0 cannot go where only 1.1 runs.
    place.declare("orders", &ORDERS.replace("1.1", "2.0"));
    place.publish("orders");
    ask(&place, "orders", 1, &["no:", "auth 2.0 does not run there; there is 1.1 of auth"]);
    ask(&place, "orders@1", 0, &["yes:"]);
    deploy(&place, "auth");
    ask(&place, "orders", 0, &["yes:"]);
    // It is taken away.
    place.expect(0, &["record-deployment", "auth", "--env", "prod", "--removed"]);
    ask(&place, "orders", 1, &["none that provides it runs there"]);
}

#[test]
fn a_version_of_an_api_is_served_or_not_whatever_its_dates_say() {
    let place = place();
    deploy(&place, "auth@2");
    place.declare("orders", &ORDERS.replace("1.1", "2.0"));
    place.publish("orders");
    ask(&place, "orders", 0, &["yes:"]);
    place.expect(0, &["record-deployment", "auth@2.0", "--env", "prod", "--removed"]);
    ask(&place, "orders", 1, &["auth 2.0 does not run there"]);
    deploy(&place, "auth@2.0");
    ask(&place, "orders", 0, &["yes:"]);
    // A number that is a document's, too, is the service's; a new deployment begins anew.
    place.expect(0, &["record-deployment", "auth@2.0", "--env", "prod", "--removed"]);
    deploy(&place, "auth@2");
    ask(&place, "orders", 0, &["yes:"]);
    for (wrong, words) in [
        ("nix", "neither a service nor a version of an API"),
        ("auth@9", "nothing was published of auth as 9"),
        ("auth@2.9", "nothing was published of auth as 2.9"),
    ] {
        let ran = place.expect(2, &["record-deployment", wrong, "--env", "prod"]);
        assert!(ran.stderr.contains(words), "{ran}");
    }
    place.expect(2, &["record-deployment", "auth", "--env", "../prod"]);
}

#[test]
fn those_that_run_there_keep_what_they_require() {
    let place = place();
    deploy(&place, "auth");
    deploy(&place, "orders");
    ask(&place, "auth", 0, &["orders keep what they require of it"]);
    // What was forced is published, and is stopped here.
    let gone = format!("{AUTH}{TWO}").replace(
        "released = 2024-01-01",
        "released = 2024-01-01\ndeprecated = 2026-01-01\nsunset = 2026-11-20",
    );
    place.declare("auth", &gone);
    place
        .expect(0, &["publish", "--declaration", "auth/api.toml", "--force", "--reason", "a leak"]);
    ask(&place, "auth", 1, &["orders (owned by team-checkout) runs there and would lose auth 1.1"]);
    // The version before may go, and stay.
    ask(&place, "auth@2", 0, &["yes:"]);
    // Of stock nothing is recorded: whether it runs there is not known.
    place.declare("stock", &ORDERS.replace("orders", "stock"));
    place.publish("stock");
    place.expect(0, &["record-deployment", "orders", "--env", "prod", "--removed"]);
    ask(&place, "auth", 3, &["unknown:", "stock (owned by team-checkout) would lose auth 1.1"]);
    place.expect(0, &["record-deployment", "stock", "--env", "prod", "--removed"]);
    ask(&place, "auth", 0, &["yes:"]);
}

#[test]
fn results_of_tests_count() {
    let place = place();
    deploy(&place, "auth");
    let demand = ["can-i-deploy", "orders", "--env", "prod", "--tested"];
    let ran = place.expect(3, &demand);
    assert!(ran.stdout.contains("no tests of orders against auth are recorded"), "{ran}");
    ask(&place, "orders", 0, &["yes:"]);
    let result = |outcome: &str| {
        let args = ["record-result", "orders", "--against", "auth", outcome];
        place.expect(0, &[&args[..], &["--url", "https://ci.example.com/7"]].concat());
    };
    result("--failed");
    ask(
        &place,
        "orders",
        1,
        &["the tests of orders against auth failed: https://ci.example.com/7"],
    );
    // The provider is held up as well.
    deploy(&place, "orders");
    ask(&place, "auth", 1, &["the tests of orders against auth failed"]);
    result("--passed");
    assert_eq!(place.expect(0, &demand).code, 0);
    ask(&place, "auth", 0, &["the tests of orders against auth passed"]);
    // They are of these publications alone.
    ask(&place, "auth@1", 0, &["yes:"]);
    let ran = place.expect(3, &["can-i-deploy", "auth@1", "--env", "prod", "--tested"]);
    assert!(ran.stdout.contains("no tests of orders against auth are recorded"), "{ran}");
    let ran = place.expect(2, &["record-result", "auth", "--against", "orders", "--passed"]);
    assert!(ran.stderr.contains("requires no API of"), "{ran}");
    place.expect(2, &["record-result", "orders", "--against", "auth"]);
    place.expect(2, &["record-result", "orders", "--against", "auth", "--passed", "--failed"]);
}

#[test]
fn a_publication_is_named_by_release_number_or_commit() {
    let place = Place::new();
    place.declare("auth", AUTH);
    let publish = |release: &str, commit: &str| {
        let args = ["publish", "--declaration", "auth/api.toml", "--release", release];
        place.expect(0, &[&args[..], &["--commit", commit]].concat())
    };
    publish("1.4.2", "aaaaaaaaaaaa");
    // Another release is another document, though it declares the same.
    assert!(publish("1.4.3", "bbbbbbbbbbbb").stdout.contains("published"));
    assert!(publish("1.4.3", "cccccccccccc").stdout.contains("nothing new"));
    for (name, document) in
        [("1.4.2", 1), ("1.4.3", 2), ("1", 1), ("aaaaaaa", 1), ("bbbbbbbbbbbb", 2)]
    {
        let name = format!("auth@{name}");
        let args = ["can-i-deploy", &name, "--env", "prod", "--format", "json"];
        let json = place.run(&args).json();
        assert_eq!(json["document"], document, "{name}");
    }
    for wrong in ["auth@1.4", "auth@aaaaaa", "auth@3", "auth@0"] {
        place.expect(2, &["can-i-deploy", wrong, "--env", "prod"]);
    }
}

#[test]
fn what_is_damaged_stops_only_answers_that_need_it() {
    let place = place();
    deploy(&place, "auth");
    let fact = "dictionary/journal/environments/prod/auth/1.json";
    let whole = place.read(fact);
    for broken in
        [String::new(), whole.replace("\"document\":2", "\"document\":1"), whole[..50].to_owned()]
    {
        place.write(fact, &broken);
        let ran = place.expect(3, &["can-i-deploy", "orders", "--env", "prod"]);
        assert!(ran.stdout.contains("cannot be trusted"), "{ran}");
        // Nothing else needs it.
        place.expect(0, &["check", "--declaration", "orders/api.toml"]);
        place.expect(0, &["who-uses", "auth"]);
        let ran = place.expect(3, &["can-i-deploy", "orders", "--env", "test"]);
        assert!(!ran.stdout.contains("cannot be trusted"), "{ran}");
    }
    place.write(fact, &whole);
    ask(&place, "orders", 0, &["yes:"]);
    // The document that was deployed is another one now.
    let document = place.path().join("dictionary/services/auth/2.json");
    fs::copy(place.path().join("dictionary/services/auth/1.json"), document).expect("copied");
    let ran = place.run(&["can-i-deploy", "orders", "--env", "prod"]);
    assert_eq!(ran.code, 3, "{ran}");
}

#[cfg(feature = "http")]
mod hooks {
    use super::*;
    use crate::support::receiver::{Reply, Server};

    #[test]
    fn hooks_start_the_tests_of_dependents_and_results_come_back() {
        let place = place();
        place.declare("stock", &ORDERS.replace("orders", "stock"));
        place.publish("stock");
        let (taken, refused) =
            (Server::start(|_| Reply::status(204)), Server::start(|_| Reply::status(422)));
        let hooks = format!(
            "[[hook]]\nservices = [\"orders\"]\nurl = \"{}/repos/{{{{consumer}}}}/dispatches\"\n\
             token = \"DISPATCH_TOKEN\"\nheaders = {{ accept = \"application/vnd.github+json\" }}\n\
             body = '{{\"event_type\": \"meshwise\", \"client_payload\": {{\"provider\": \"{{{{provider}}}}\", \"run\": \"{{{{run}}}}\"}}}}'\n\
             [[hook]]\nservices = [\"*\"]\nurl = \"{}\"\n",
            taken.url(),
            refused.url()
        );
        let args = ["start-tests", "auth"];
        let ran = place.expect(2, &args);
        assert!(ran.stderr.contains("hooks.toml is not there"), "{ran}");
        place.write("dictionary/hooks.toml", &hooks);
        let ran = place.expect(2, &args);
        assert!(ran.stderr.contains("DISPATCH_TOKEN is not set"), "{ran}");
        assert!(taken.seen().is_empty());
        let mut command = place.command(&args);
        command.env("DISPATCH_TOKEN", "s3cret").env("NO_PROXY", "*");
        let ran = place.finish(&mut command);
        assert_eq!(ran.code, 3, "one was not started\n{ran}");
        assert!(ran.stdout.contains("orders: started"), "{ran}");
        assert!(ran.stdout.contains("stock: NOT started: the receiver answered 422"), "{ran}");
        let seen = taken.seen();
        assert_eq!((seen.len(), seen[0].target.as_str()), (1, "/repos/orders/dispatches"));
        assert_eq!(seen[0].header("authorization"), Some("Bearer s3cret"));
        assert_eq!(seen[0].header("accept"), Some("application/vnd.github+json"));
        let body: serde_json::Value = serde_json::from_slice(&seen[0].body).expect("JSON");
        assert_eq!(body["client_payload"]["provider"], "auth");
        // The token goes to the address of its own hook alone.
        assert_eq!(refused.seen()[0].header("authorization"), None);
        // Both are waited for until a result is recorded.
        deploy(&place, "auth");
        ask(&place, "orders", 3, &["the tests of orders against auth: run ", "has no result"]);
        ask(&place, "stock", 3, &["not started: the receiver answered 422"]);
        for service in ["orders", "stock"] {
            place.expect(0, &["record-result", service, "--against", "auth", "--passed"]);
            ask(&place, service, 0, &["passed"]);
        }
    }
}

#[cfg(feature = "http")]
mod live {
    use super::*;
    use crate::support::receiver::{Reply, Server};

    #[test]
    fn a_running_service_is_compared_with_what_was_published() {
        let place = place();
        let page = |versions: &str| {
            format!(
                r#"{{"schema":1,"service":{{"name":"auth","contacts":[]}},"today":"2026-11-21","provides":[{{"api":"auth","scheme":"main-minor","transport":"http","current":[{versions}],"plan":[],"history":[]}}],"requires":[]}}"#
            )
        };
        let one = r#"{"version":"1.1","state":"current","released":"2024-01-01"}"#;
        let two = r#"{"version":"2.0","state":"current","released":"2026-01-01"}"#;
        let early =
            r#"{"version":"2.0","state":"current","released":"2026-01-01","sunset":"2026-12-01"}"#;
        for (says, code, words) in [
            (page(&format!("{one},{two}")), 0, "auth says what document 2 says"),
            (page(one), 1, "auth says what document 1 says; the newest is 2"),
            (page(&format!("{one},{early}")), 1, "sunset is 2026-12-01 there, none as published"),
            (page(two), 1, "auth 1.1: published, and not there"),
            (
                page(&format!("{one},{two}")).replace("\"name\":\"auth\"", "\"name\":\"other\""),
                1,
                "was never published",
            ),
            ("<html>please log in</html>".to_owned(), 3, "does not answer with a list of APIs"),
        ] {
            let shown = says.clone();
            let server = Server::start(move |_| Reply::Answer(200, vec![], says.clone().into()));
            let mut command = place.command(&["check", "--live", &server.url()]);
            let ran = place.finish(command.env("NO_PROXY", "*"));
            assert_eq!(ran.code, code, "{shown}\n{ran}");
            let all = format!("{}{}", ran.stdout, ran.stderr);
            assert!(all.contains(words), "{words:?} is not in\n{all}");
            assert_eq!(server.seen()[0].target, "/apis");
        }
        let server = Server::start(|_| Reply::status(404));
        let mut command = place.command(&["check", "--live", &server.url()]);
        assert_eq!(place.finish(command.env("NO_PROXY", "*")).code, 3);
    }
}
