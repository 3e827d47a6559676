//! What binds a service: its own promises, whose an API is, and what others need of it.

use crate::support::place::{Place, Ran};

const PAY: &str = r#"schema = 1
[service]
name = "pay"
owner = "team-pay"
[[provides]]
api = "pay"
scheme = "main-minor"
[[provides.versions]]
version = "1.0"
released = 2020-01-01
"#;

const SHOP: &str = r#"schema = 1
[service]
name = "shop"
owner = "team-shop"
[[requires]]
api = "pay"
version = "1.0"
"#;

/// A dictionary with a provider and its caller.
fn place() -> Place {
    let place = Place::new();
    for (service, text) in [("pay", PAY), ("shop", SHOP)] {
        place.declare(service, text);
        place.publish(service);
    }
    place
}

fn run(place: &Place, code: i32, command: &str, service: &str) -> Ran {
    let file = format!("{service}/api.toml");
    let mut args: Vec<&str> = command.split(' ').collect();
    args.extend(["--declaration", &file]);
    place.expect(code, &args)
}

fn says(ran: &Ran, words: &str) {
    assert!(ran.stdout.contains(words) || ran.stderr.contains(words), "{words:?} is not in {ran}");
}

#[test]
fn nothing_live_is_retired_without_notice() {
    let place = place();
    for (sunset, code) in
        [("2026-11-20", 1), ("2026-11-21", 1), ("2026-11-22", 1), ("2027-02-19", 0)]
    {
        place.declare(
            "pay",
            &format!("{PAY}sunset = {sunset}\n[policy]\nmin-deprecation-days = 0\n"),
        );
        for command in ["publish --dry-run", "publish"] {
            let ran = run(&place, code, command, "pay");
            if code != 0 {
                says(&ran, "short-notice");
            }
        }
    }
    // Unless it is forced, for a reason that is told.
    place.declare("pay", &format!("{PAY}sunset = 2026-12-01\n"));
    says(&run(&place, 1, "publish", "pay"), "sunset-moved-earlier");
    run(&place, 0, "publish --force --reason leak", "pay");
    says(&run(&place, 0, "publish", "pay"), "nothing new");
}

#[test]
fn an_organisation_has_the_last_word() {
    let place = place();
    place.write(
        "dictionary/policy.toml",
        "schema = 1\nmin-deprecation-days = 180\nannounced-end = \"deny\"\n",
    );
    place.declare("pay", &format!("{PAY}sunset = 2027-02-19\n"));
    says(&run(&place, 1, "publish", "pay"), "the policy promises 180");
    place.declare("pay", &format!("{PAY}sunset = 2027-06-01\n"));
    run(&place, 0, "publish", "pay");
    place.declare("shop", &format!("{SHOP}[policy]\nannounced-end = \"allow\"\n"));
    says(&run(&place, 1, "check", "shop"), "announced-end");
    // The build learns of it by the lock file.
    run(&place, 0, "lock", "shop");
    assert!(place.read("shop/api.lock").contains("announced-end = \"deny\""));
    place.write("dictionary/policy.toml", "schema = 1\nmin-deprecation-day = 180\n");
    for judged in ["check", "lock", "publish"] {
        says(&run(&place, 3, judged, "shop"), "min-deprecation-days");
    }
    // A key that a newer release knows looks the same: it stops no answer that is not judged by it.
    for told in ["graph", "who-uses pay", "changelog pay", "notify --since 2026-01-01", "index"] {
        run(&place, 0, told, "shop");
    }
    says(&run(&place, 0, "graph", "shop"), "the policy counts for nothing in this answer");
}

#[test]
fn a_dry_run_tells_who_is_hit_and_when() {
    let place = place();
    place.declare("pay", &format!("{PAY}deprecated = 2026-12-01\nsunset = 2027-03-01\n"));
    let ran = run(&place, 0, "publish --dry-run", "pay");
    says(&ran, "shop is warned from 2026-11-21 on");
    says(&ran, "shop is warned from 2026-12-01 on");
    says(&ran, "shop is denied from 2027-03-01 on");
    let json = run(&place, 0, "publish --dry-run --format json", "pay").json();
    assert_eq!(json["impact"].as_array().map(Vec::len), Some(4), "{json}");
    assert_eq!(json["impact"][0]["owner"], "team-shop");
}

/// Callers would move from what works to what is gone.
#[test]
fn a_successor_is_there_as_long_as_what_it_follows() {
    let place = place();
    let two = |ends: &str, next_ends: &str| {
        format!(
            "{PAY}successor = \"2.0\"\n{ends}[[provides.versions]]\nversion = \"2.0\"\nreleased = 2024-02-29\n\
             deprecated = 2025-01-01\n{next_ends}"
        )
    };
    let gone = "sunset = 2026-11-21\n";
    for (text, told) in [
        (two("", gone), true),
        (two("", "sunset = 2026-11-22\n"), false),
        (two(&format!("deprecated = 2026-01-01\n{gone}"), gone), false),
    ] {
        place.declare("new", &text.replace("\"pay\"", "\"new\""));
        let ran = run(&place, 0, "check", "new");
        let warning =
            "warning[unknown-successor]: the successor of new 1.0 is retired since 2026-11-21";
        assert_eq!(ran.stderr.contains(warning) || ran.stdout.contains(warning), told, "{ran}");
    }
}

/// A day that has passed would deny all callers at once.
#[test]
fn callers_hear_of_an_urgent_fix_before_they_must_have_adopted_it() {
    let place = place();
    let fix = |dates: &str| {
        format!(
            "{PAY}[[provides.versions]]\nversion = \"1.1\"\nurgent = true\nreleased = {dates}\n"
        )
    };
    for (dates, code) in [
        // A slip of the pen, and a release that turns out to be urgent long after.
        ("2026-11-20\nadopt-by = 2025-12-24", 2),
        ("2026-11-20\nadopt-by = 2026-11-20", 1),
        ("2024-02-29", 1),
        ("2026-12-24\nadopt-by = 2026-12-23", 2),
        // At once, if that is meant, and what is only planned.
        ("2024-02-29\nadopt-by = 2026-11-21", 0),
        ("2026-12-24\nadopt-by = 2026-12-24", 0),
    ] {
        place.declare("pay", &fix(dates));
        let ran = run(&place, code, "publish --dry-run", "pay");
        if code != 0 {
            says(&ran, "dates-out-of-order");
        }
    }
    // What was published stays, once its day has passed.
    place.declare("pay", &fix("2024-02-29\nadopt-by = 2026-11-21"));
    run(&place, 0, "publish", "pay");
    run(&place, 0, "check --today 2026-12-24", "pay");
}

#[test]
fn an_urgent_fix_hides_no_end_and_each_requirement_counts() {
    let place = place();
    let both = format!(
        "{PAY}[[provides]]\napi = \"refund\"\nscheme = \"main-minor\"\n[[provides.versions]]\nversion = \"1.0\"\nreleased = 2020-01-01\n"
    );
    place.declare("pay", &both);
    run(&place, 0, "publish", "pay");
    place.declare("shop", &format!("{SHOP}[[requires]]\napi = \"refund\"\nversion = \"1.0\"\n"));
    run(&place, 0, "publish", "shop");
    // The fix need not say by when: then it is 30 days.
    let ends = "deprecated = 2026-12-01\nsunset = 2027-06-01\n";
    let fix = format!(
        "[[provides.versions]]\nversion = \"1.1\"\nreleased = 2026-11-21\nurgent = true\n{ends}"
    );
    let text =
        both.replace("released = 2020-01-01\n", &format!("released = 2020-01-01\n{ends}{fix}"));
    place.declare("pay", &text);
    let ran = run(&place, 0, "publish --dry-run", "pay");
    for api in ["pay", "refund"] {
        for (told, finding) in [
            ("warned from 2026-11-21", "urgent-fix"),
            ("warned from 2026-11-21", "announced-end"),
            ("denied from 2026-12-21", "behind-urgent-fix"),
            ("warned from 2026-12-01", "deprecated-version"),
            ("warned from 2027-05-02", "sunset-within-30-days"),
            ("denied from 2027-06-01", "retired-version"),
        ] {
            let is_it = |line: &&str| {
                line.contains(&format!("shop is {told} on: {api} 1."))
                    && line.contains(&format!("[{finding}]"))
            };
            assert_eq!(ran.stdout.lines().filter(is_it).count(), 1, "{api} {told} {finding} {ran}");
        }
    }
    assert_eq!(ran.stdout.lines().count(), 13, "{ran}");
    run(&place, 0, "publish", "pay");
    let ran = run(&place, 0, "check", "shop");
    says(&ran, "warning[urgent-fix]: pay 1.0 lacks an urgent fix");
    says(&ran, "warning[announced-end]: pay 1.1 (for 1.0) will be deprecated on 2026-12-01");
}

#[test]
fn an_api_is_shared_and_handed_over_by_consent_alone() {
    let place = place();
    let other = PAY.replace("name = \"pay\"", "name = \"evil\"").replace("1.0", "1.9");
    place.declare("evil", &other);
    says(&run(&place, 1, "publish", "evil"), "api-taken");
    // A hand-over: the old one agrees, the new one takes it, the old one lets go.
    let new = PAY.replace("name = \"pay\"", "name = \"payments\"");
    place.declare("payments", &new);
    says(&run(&place, 1, "publish", "payments"), "api-taken");
    place.declare("pay", &PAY.replace("scheme =", "shared-with = [\"payments\"]\nscheme ="));
    run(&place, 0, "publish", "pay");
    run(&place, 0, "publish", "payments");
    place.declare("pay", "schema = 1\n[service]\nname = \"pay\"\nretired = true\n");
    run(&place, 0, "publish", "pay");
    says(&run(&place, 0, "check", "shop"), "current 1.0 of payments");
}

#[test]
fn an_api_that_is_taken_over_keeps_what_was_promised_of_it() {
    let place = place();
    // Promised once, and lifted: the promise stands.
    for end in ["sunset = 2028-01-01\n", ""] {
        let shared = PAY.replace("scheme =", "shared-with = [\"payments\"]\nscheme =");
        place.declare("pay", &format!("{shared}{end}"));
        run(&place, 0, "publish", "pay");
    }
    let new = PAY.replace("name = \"pay\"", "name = \"payments\"");
    let earlier = |code: i32| {
        place.declare("payments", &format!("{new}sunset = 2027-06-01\n"));
        let ran = run(&place, code, "publish --dry-run", "payments");
        says(&ran, "sunset-moved-earlier");
        says(&ran, "services/pay/");
    };
    earlier(1);
    place.declare("payments", &new);
    run(&place, 0, "publish", "payments");
    earlier(1);
    place.declare("pay", "schema = 1\n[service]\nname = \"pay\"\nretired = true\n");
    run(&place, 0, "publish", "pay");
    earlier(1);
    place.declare("payments", &format!("{new}sunset = 2028-01-01\n"));
    run(&place, 0, "publish", "payments");
}

#[test]
fn a_service_ends_when_its_versions_have() {
    let place = place();
    place.declare("pay", "schema = 1\n[service]\nname = \"pay\"\nretired = true\n");
    says(&run(&place, 1, "publish", "pay"), "was published and is gone");
    // A caller may end at any time.
    place.declare("shop", "schema = 1\n[service]\nname = \"shop\"\nretired = true\n");
    run(&place, 0, "publish", "shop");
    assert!(place.expect(0, &["who-uses", "pay"]).stdout.contains("used by 0 of 2"));
}

#[test]
fn a_dictionary_of_a_newer_format_is_neither_read_nor_written() {
    let place = place();
    place.write("dictionary/dictionary.toml", "format = 2\nid = \"x\"\n");
    place.declare("pay", &PAY.replace("team-pay", "team-money"));
    for (command, service) in [("check", "shop"), ("lock", "shop"), ("publish", "pay")] {
        says(&run(&place, 3, command, service), "begun by a newer release (format = 2)");
    }
    place.write("dictionary/dictionary.toml", "format = 1\n");
    says(&run(&place, 0, "publish", "pay"), "pay/2.json");
}

#[test]
fn damage_stops_only_answers_that_need_it() {
    let whole = place();
    whole.declare("bystander", &PAY.replace("\"pay\"", "\"bystander\""));
    whole.publish("bystander");
    let answer = run(&whole, 0, "check", "shop").stdout;
    let document = "dictionary/services/bystander/1.json";
    let text = whole.read(document);
    // Truncated, emptied, another's, of a newer release: what does not need it stays as it was.
    let newer = newer(&text);
    for damaged in
        [&text[..text.len() / 2], "", &whole.read("dictionary/services/pay/1.json"), &newer]
    {
        whole.write(document, damaged);
        assert_eq!(run(&whole, 0, "check", "shop").stdout, answer);
        run(&whole, 0, "lock", "shop");
    }
    says(&run(&whole, 0, "publish", "shop"), "nothing new");
    says(&whole.expect(3, &["graph"]), "newer release");
    // A provider that cannot be read makes no one a violator.
    let pay = "dictionary/services/pay/1.json";
    let text = whole.read(pay);
    for damaged in [&text[..text.len() / 2], &newer_of(&text)] {
        whole.write(pay, damaged);
        let ran = run(&whole, 3, "check --format json", "shop");
        assert_eq!(ran.json()["denied"], 0, "{ran}");
        assert_eq!(ran.json()["requirements"][0]["verdict"], "unchecked", "{ran}");
    }
}

fn newer(text: &str) -> String {
    newer_of(text)
}

/// Seals a document anew that says what this release does not know.
fn newer_of(text: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(text).expect("a document");
    value["declaration"]["provides"][0]["scheme"] = "zerover".into();
    value.as_object_mut().expect("an object").remove("digest");
    let digest = meshwise_api::Digest::of(value.to_string().as_bytes()).to_string();
    value["digest"] = digest.into();
    value.to_string()
}

#[test]
fn not_every_folder_is_a_dictionary() {
    let place = place();
    std::fs::create_dir(place.path().join("empty")).expect("made");
    for folder in [".", "empty", "shop"] {
        for command in
            ["graph", "check --declaration shop/api.toml", "publish --declaration shop/api.toml"]
        {
            let mut args: Vec<&str> = command.split(' ').collect();
            args.extend(["--dictionary", folder]);
            says(&place.expect(2, &args), "is no dictionary");
        }
    }
    place.expect(0, &["begin", "--dictionary", "empty"]);
    says(&place.expect(2, &["begin", "--dictionary", "empty"]), "is there already");
    place.expect(0, &["graph", "--dictionary", "empty"]);
}

#[test]
fn the_clock_is_the_machine_s_and_never_goes_back() {
    let place = place();
    place.declare("pay", &PAY.replace("team-pay", "team-payments"));
    let mut command = place.command(&["publish", "--declaration", "pay/api.toml"]);
    command.env("SOURCE_DATE_EPOCH", "315532800").env("MESHWISE_TODAY", "1999-01-01");
    assert_eq!(place.finish(&mut command).code, 0);
    let text = place.read("dictionary/services/pay/2.json");
    assert!(text.contains("\"published_at\":\"2026-11-21T00:00:00Z\""), "{text}");
    // A machine whose clock is behind is lifted to what was published before.
    place.declare("pay", PAY);
    let behind = ["--clock", "2001-01-01T00:00:00Z", "publish", "--declaration", "pay/api.toml"];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cargo-meshwise"));
    command.arg("meshwise").args(behind).current_dir(place.path());
    command.env("MESHWISE_DICTIONARY", "dictionary");
    let ran = place.finish(&mut command);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(place.read("dictionary/services/pay/3.json").contains("2026-11-21T00:00:00Z"));
    place.expect(0, &["notify", "--since", "2026-11-01"]);
}
