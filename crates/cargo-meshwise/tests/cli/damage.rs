//! Dictionaries that lie: a clear word about which file and what to do, never a panic.

use std::fs;

use insta::assert_snapshot;
use meshwise_api::{Digest, Document, Draft};

use crate::support::place::{Place, Ran};

/// Damages the shop's dictionary and draws the map.
fn graph(damage: impl FnOnce(&Place)) -> Ran {
    let place = Place::shop();
    damage(&place);
    place.expect(3, &["graph"])
}

const AUTH: &str = "dictionary/services/auth/1.json";

#[test]
fn a_digest_that_lies() {
    let ran = graph(|place| {
        let text = place.read(AUTH).replace("2027-03-01", "2026-12-01");
        place.write(AUTH, &text);
    });
    assert_snapshot!(ran);
}

#[test]
fn no_document_at_all() {
    for text in ["", "{}", "[[[[", "null", "{\"schema\": 1}", "\u{0}\u{1}"] {
        let ran = graph(|place| {
            place.write(AUTH, text);
        });
        assert!(ran.stderr.contains("auth/1.json cannot be trusted"), "{text:?}: {ran}");
        assert!(ran.stderr.contains("restore it"), "{text:?}: {ran}");
        // The others are shown, and what they need from auth is open.
        assert!(ran.stdout.contains("billing"), "{text:?}: {ran}");
        assert!(ran.stdout.contains("auth@1.1 <- not checked"), "{text:?}: {ran}");
        assert!(!ran.stdout.contains("no service provides"), "{text:?}: {ran}");
    }
}

#[test]
fn a_huge_file() {
    let ran = graph(|place| {
        let file = fs::File::options().write(true).open(place.path().join(AUTH)).expect("opens");
        file.set_len(1 << 40).expect("grows");
    });
    assert!(ran.stderr.contains("auth/1.json is larger than 16 MiB"), "{ran}");
    let ran = graph(|place| {
        place.write(AUTH, &" ".repeat(5 << 20));
    });
    assert!(ran.stderr.contains("auth/1.json cannot be trusted"), "{ran}");
}

#[test]
fn a_number_that_jumps() {
    for number in ["3", "18446744073709551615"] {
        let ran = graph(|place| {
            place.write(&format!("dictionary/services/auth/{number}.json"), "{}");
        });
        let expected =
            format!("auth/2.json is missing, and dictionary/services/auth/{number}.json is there");
        assert!(ran.stderr.contains(&expected), "{ran}");
    }
}

#[test]
fn a_document_in_another_place() {
    let ran = graph(|place| {
        let text = place.read(AUTH);
        place.write("dictionary/services/thief/1.json", &text);
    });
    assert!(ran.stderr.contains("the document in it is number 1 of auth"), "{ran}");
    let ran = graph(|place| {
        let text = place.read(AUTH);
        place.write("dictionary/services/auth/2.json", &text);
    });
    assert!(ran.stderr.contains("the document in it is number 1 of auth"), "{ran}");
}

#[test]
fn a_chain_that_was_begun_anew() {
    // Whoever reads the newest documents alone believes their digests; `index` proves the chains.
    let place = Place::shop();
    let ran = {
        // A second document, then another first one under it.
        let longer = format!("{}\n", crate::support::shop::AUTH.replace("opaque", "signed"));
        place.declare("auth", &longer);
        place.publish("auth");
        fs::remove_file(place.path().join(AUTH)).expect("removes");
        let other = Place::new();
        other.declare("auth", "schema = 1\n[service]\nname = \"auth\"\n");
        other.publish("auth");
        place.write(AUTH, &other.read(AUTH));
        place.expect(3, &["index"])
    };
    assert!(ran.stderr.contains("auth/2.json cannot be trusted"), "{ran}");
    assert!(ran.stderr.contains("one of the two was replaced"), "{ran}");
}

#[test]
fn damage_is_never_an_answer() {
    let place = Place::shop();
    place.write(AUTH, "{}");
    let auth = ["--declaration", "auth/api.toml"];
    let orders = ["--declaration", "orders/api.toml"];
    for args in [
        &["who-uses", "auth"][..],
        &["changelog", "billing"],
        &["changelog", "auth"],
        &["export", "backstage"],
        &["index"],
        &[&["check"], &orders[..]].concat(),
        &[&["lock"], &orders[..]].concat(),
        &[&["publish"], &auth[..]].concat(),
        &[&["publish", "--dry-run"], &auth[..]].concat(),
    ] {
        let ran = place.expect(3, args);
        assert!(ran.stderr.contains("auth/1.json"), "{args:?}: {ran}");
    }
    assert!(!place.path().join("orders/api.lock").exists());
    let json = place.expect(3, &["graph", "--format", "json"]).json();
    assert_eq!(json["damage"].as_array().map(Vec::len), Some(1), "{json}");
    // Another service's publish is not held up.
    place.write("new/api.toml", "schema = 1\n[service]\nname = \"new\"\n");
    place.publish("new");
}

#[test]
fn what_is_declared_cannot_steer_a_terminal() {
    let place = Place::new();
    let evil = r#"schema = 1
[service]
name = "evil"
owner = "\u001b[2J\u0007\rme"
[[provides]]
api = "evil"
scheme = "exact"
[[provides.versions]]
version = "1"
notes = "\u001b]0;title\u0007<script>alert(1)</script> [x](javascript:1)"
migration = "javascript:alert(1)"
[[requires]]
api = "evil"
version = "1"
reason = "\u009b2J"
"#;
    place.declare("evil", evil);
    place.publish("evil");
    for args in [
        &["graph"][..],
        &["graph", "--format", "dot"],
        &["graph", "--format", "mermaid"],
        &["who-uses", "evil"],
        &["changelog", "evil"],
        &["changelog", "evil", "--format", "markdown"],
        &["changelog", "evil", "--format", "html"],
        &["export", "backstage"],
    ] {
        let ran = place.expect(0, args);
        let odd = ran.stdout.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(odd, None, "{args:?}: {ran}");
        // A terminal shows text as it is; where it could become markup it is escaped.
        let markup: &[&str] = match args.last() {
            Some(&"markdown") => &["<script>", "[x](javascript"],
            Some(&"html") => &["<script>", "href=\"javascript"],
            _ => &[],
        };
        for markup in markup {
            assert!(!ran.stdout.contains(markup), "{args:?}: {ran}");
        }
    }
}

const LONELY: &str = "schema = 1\n[service]\nname = \"lonely\"\n[[provides]]\napi = \"lonely\"\nscheme = \"exact\"\nversions = [{ version = \"1\", released = 2024-01-01 }]\n";
const FRIEND: &str =
    "schema = 1\n[service]\nname = \"friend\"\n[[requires]]\napi = \"lonely\"\nversion = \"1\"\n";

/// Does something bad to the newest document of a service.
type Damage = (&'static str, fn(&str, &str) -> Option<String>);

/// Writes a document anew with a change, under a digest that is right.
fn resealed(text: &str, change: impl Fn(&mut serde_json::Value)) -> String {
    let mut value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    change(&mut value);
    value.as_object_mut().expect("an object").remove("digest");
    let digest = Digest::of_json(&value.to_string()).expect("canonical").to_string();
    value["digest"] = digest.into();
    value.to_string()
}

const DAMAGES: [Damage; 7] = [
    ("truncated", |text, _| Some(text[..text.len() / 2].to_owned())),
    ("emptied", |_, _| Some(String::new())),
    ("swapped", |_, other| Some(other.to_owned())),
    ("removed", |_, _| None),
    ("from the future", |text, _| {
        let document = Document::from_json(text.as_bytes()).expect("a document");
        let at = "2099-01-01T00:00:00Z".parse().expect("a moment");
        let sealed = Draft::new(document.declaration().clone(), at, "ci").seal(None);
        Some(sealed.expect("sealed").to_json().to_owned())
    }),
    ("of another schema", |text, _| Some(resealed(text, |value| value["schema"] = 2.into()))),
    ("of a newer release", |text, _| {
        Some(resealed(text, |value| {
            value["declaration"]["provides"] = serde_json::json!([
                {"api": "moon", "scheme": "lunar", "transport": "warp", "versions": [{"version": "1"}]}
            ]);
        }))
    }),
];

#[test]
fn answers_that_do_not_need_what_is_damaged_are_unchanged() {
    // Who needs the newest document of whom, besides its own.
    const NEEDS: [(&str, &[&str]); 5] = [
        ("auth", &[]),
        ("billing", &["auth"]),
        ("orders", &["auth", "billing"]),
        ("lonely", &[]),
        ("friend", &["lonely"]),
    ];
    let place = Place::shop();
    for (service, text) in [("lonely", LONELY), ("friend", FRIEND)] {
        place.declare(service, text);
        place.publish(service);
    }
    for (service, _) in NEEDS {
        place.expect(0, &["lock", "--declaration", &format!("{service}/api.toml")]);
    }
    let answers = |service: &str| -> Vec<(i32, String)> {
        let file = format!("{service}/api.toml");
        let all: [&[&str]; 3] = [
            &["check", "--declaration", &file],
            &["lock", "--locked", "--declaration", &file],
            &["check", "--offline", "--ci", "--declaration", &file],
        ];
        all.iter().map(|args| place.run(args)).map(|ran| (ran.code, ran.stdout)).collect()
    };
    let before: Vec<_> = NEEDS.iter().map(|(service, _)| answers(service)).collect();
    let mut compared = 0;
    for (damaged, _) in NEEDS {
        let file = format!("dictionary/services/{damaged}/1.json");
        let whole = place.read(&file);
        let other = if damaged == "auth" { "billing" } else { "auth" };
        let other = place.read(&format!("dictionary/services/{other}/1.json"));
        for (name, damage) in DAMAGES {
            match damage(&whole, &other) {
                Some(text) => drop(place.write(&file, &text)),
                None => fs::remove_file(place.path().join(&file)).expect("removed"),
            }
            for ((service, needs), before) in NEEDS.iter().zip(&before) {
                if *service == damaged || needs.contains(&damaged) {
                    continue;
                }
                let now = answers(service);
                assert_eq!(now, *before, "{service} does not need {damaged}, which is {name}");
                compared += 1;
            }
            // An answer that needs it is never a yes by mistake.
            for (service, _) in NEEDS.iter().filter(|(_, needs)| needs.contains(&damaged)) {
                let ran = place.run(&["check", "--declaration", &format!("{service}/api.toml")]);
                let whole = name == "from the future";
                assert!(
                    whole || ran.code != 0,
                    "{service} needs {damaged}, which is {name}\n{ran}"
                );
            }
            place.write(&file, &whole);
        }
    }
    assert_eq!(compared, 7 * (5 * 4 - 4));
}

/// A provider whose version has ended, its one caller, and a service that has to do with neither.
#[cfg(feature = "http")]
fn ended() -> Place {
    let place = Place::new();
    let provider = |name: &str, end: &str| {
        format!(
            "schema = 1\n[service]\nname = \"{name}\"\n[[provides]]\napi = \"{name}\"\nscheme = \"main-minor\"\n\
             [[provides.versions]]\nversion = \"1.0\"\nreleased = 2020-01-01\n{end}\n"
        )
    };
    place.declare("pay", &provider("pay", "deprecated = 2025-01-01\nsunset = 2026-01-01"));
    place.declare("bystander", &provider("bystander", ""));
    place.declare(
        "shop",
        "schema = 1\n[service]\nname = \"shop\"\n[[requires]]\napi = \"pay\"\nversion = \"1.0\"\n",
    );
    for service in ["pay", "shop", "bystander"] {
        place.publish(service);
    }
    place.write(
        "usage.json",
        r#"{"schema":1,"api":"pay","version":"1.0","from":"2026-01-01T00:00:00Z","to":"2026-11-21T00:00:00Z","instances":1,"calls":{},"gaps":[]}"#,
    );
    place.expect(0, &["index"]);
    place
}

#[cfg(feature = "http")]
/// What is asked of the newest documents costs nothing for each of those before them.
#[test]
fn answers_of_the_newest_documents_read_no_others() {
    let place = Place::shop();
    for step in 0..4 {
        let text = place.read("auth/api.toml").replace("team-", &format!("team-{step}"));
        place.declare("auth", &text);
        place.publish("auth");
    }
    let ask = || {
        [
            &["graph", "--format", "json"][..],
            &["who-uses", "auth", "--format", "json"],
            &["check", "--declaration", "orders/api.toml", "--format", "json"],
            &["lock", "--declaration", "orders/api.toml", "--format", "json"],
        ]
        .map(|args| place.expect(0, args).json().to_string())
    };
    ask(); // The lock file is there from here on.
    let whole = ask();
    for seq in 1..5 {
        let document = format!("dictionary/services/auth/{seq}.json");
        assert!(!place.read(&document).is_empty());
        place.write(&document, "");
    }
    assert_eq!(ask(), whole);
}

#[test]
fn over_http_too_what_cannot_be_read_is_not_taken_for_gone() {
    use crate::support::web::WebServer;
    let place = ended();
    let server = WebServer::start(&place.path().join("dictionary"));
    let url = server.url();
    let asked = |code: i32, command: &str| {
        fs::remove_dir_all(place.path().join("cache")).ok();
        let mut args: Vec<&str> = command.split(' ').collect();
        args.extend(["--dictionary", url.as_str()]);
        place.expect(code, &args)
    };
    let can_i_remove = "can-i-remove pay@1.0 --usage usage.json";
    asked(1, can_i_remove);
    let whole = place.read("dictionary/services/shop/1.json");
    let newer = newer(&whole);
    for damaged in [&whole[..40], "", newer.as_str()] {
        place.write("dictionary/services/shop/1.json", damaged);
        // Who writes the index next leaves the only caller out of no answer, and says so.
        let note = format!("notes = \"{}\"\n", damaged.len());
        let text = place.read("bystander/api.toml");
        let text = text.lines().filter(|line| !line.starts_with("notes"));
        let text: String = text.map(|line| format!("{line}\n")).collect();
        place.declare("bystander", &(text + &note));
        let ran = place.expect(0, &["publish", "--declaration", "bystander/api.toml"]);
        assert!(!ran.stderr.contains("is behind"), "{ran}");
        for rebuilt in [false, true] {
            if rebuilt {
                let ran = place.expect(3, &["index"]);
                assert!(ran.stdout.contains("but for shop"), "{ran}");
            }
            let ran = asked(3, can_i_remove);
            assert!(ran.stdout.starts_with("unknown"), "{ran}");
            let by_folder = place.run(&can_i_remove.split(' ').collect::<Vec<_>>()).stdout;
            assert_eq!(ran.stdout.replace(&url, "dictionary/"), by_folder);
            // What needs neither of them is answered as ever.
            asked(0, "check --declaration bystander/api.toml");
            asked(3, "graph");
        }
    }
    // A provider that cannot be read makes no one a violator.
    place.write("dictionary/services/shop/1.json", &whole);
    place.write("dictionary/services/pay/1.json", "{");
    place.expect(3, &["index"]);
    let ran = asked(3, "check --declaration shop/api.toml");
    assert!(ran.stderr.contains("unread-provider") && !ran.stderr.contains("unknown-api"), "{ran}");
    let ran = asked(3, "who-uses payments");
    assert!(ran.stderr.contains("unread: pay"), "{ran}");
}

/// What a newer release might have written in a document's place.
#[cfg(feature = "http")]
fn newer(document: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(document).expect("JSON");
    let members = value.as_object_mut().expect("an object");
    members.remove("digest");
    members.insert("schema".to_owned(), 2.into());
    // In canonical JSON members are sorted, as they are in the map.
    let digest = Digest::of(value.to_string().as_bytes());
    value["digest"] = digest.to_string().into();
    value.to_string()
}

#[test]
fn documents_that_the_lock_file_was_made_from_are_missed() {
    let place = Place::new();
    let pay = |notes: &str| {
        format!(
            "schema = 1\n[service]\nname = \"pay\"\n[[provides]]\napi = \"pay\"\nscheme = \"main-minor\"\n\
             [[provides.versions]]\nversion = \"1.0\"\nreleased = 2020-01-01\nnotes = \"{notes}\"\n"
        )
    };
    let pays = ["one", "two"].map(|notes| {
        place.declare("pay", &pay(notes));
        place.publish("pay");
        place.read("dictionary/services/pay/1.json")
    });
    place.declare(
        "shop",
        "schema = 1\n[service]\nname = \"shop\"\n[[requires]]\napi = \"pay\"\nversion = \"1.0\"\n",
    );
    let run = |code: i32, command: &str| {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.extend(["--declaration", "shop/api.toml"]);
        place.expect(code, &args)
    };
    run(0, "lock");
    let newest = place.read("dictionary/services/pay/2.json");
    let gone = |what: &str| {
        for command in ["check", "lock"] {
            let ran = run(3, command);
            assert!(ran.stderr.contains(&format!("made from, is {what} in")), "{ran}");
        }
    };
    // The newest; all; and another in its place.
    fs::remove_file(place.path().join("dictionary/services/pay/2.json")).expect("removed");
    gone("missing");
    fs::remove_file(place.path().join("dictionary/services/pay/1.json")).expect("removed");
    gone("missing");
    place.write("dictionary/services/pay/1.json", &pays[0]);
    place.declare("pay", &pay("three"));
    place.publish("pay");
    gone("another");
    run(0, "lock --update");
    run(0, "check");
    // What comes on top is no loss, and no news for the lock file.
    place.write("dictionary/services/pay/2.json", &newest);
    run(0, "lock --update");
    place.declare("pay", &pay("four"));
    place.publish("pay");
    let ran = run(0, "lock");
    assert!(ran.stdout.contains("is up to date"), "{ran}");
}

#[test]
fn half_a_merge_says_the_way_out() {
    let ran = graph(|place| {
        let text = place.read(AUTH);
        place.write(AUTH, &format!("<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n"));
    });
    for words in ["in the middle of a merge", "publish the other again"] {
        assert!(ran.stderr.contains(words), "{words}: {ran}");
    }
}
