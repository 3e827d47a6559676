use proptest::prelude::*;

use super::*;
use crate::{Document, Draft, Finding};

fn declare(text: &str) -> Declaration {
    Declaration::parse("api.toml", &format!("schema = 1\n{text}"))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn seal(text: &str, at: &str) -> Document {
    Draft::new(declare(text), at.parse().expect("a moment"), "ci").seal(None).expect("sealed")
}

const AUTH: &str = r#"
service = { name = "auth" }
[[provides]]
api = "auth"
scheme = "main-minor"
versions = [
    { version = "1.1", released = 2020-01-01, deprecated = 2026-09-01, sunset = 2027-03-01, successor = "2.0", migration = "docs/v2.md" },
    { version = "2.0", released = 2026-09-01 },
]
[[provides]]
api = "geo"
scheme = "calver"
same-or-later = true
versions = [{ version = "201610", released = 2016-10-01 }]
"#;

const ORDERS: &str = r#"
service = { name = "orders" }
requires = [
    { api = "geo", version = "201601" },
    { api = "auth", version = "2.0" },
    { api = "auth", version = "1.0", since = 2025-01-01 },
    { api = "auth", version = "3.0" },
    { api = "billing", version = "1.0" },
]
"#;

fn lock(previous: Option<&Lock>, at: &str) -> Lock {
    let dictionary = Dictionary::from_documents([
        seal(AUTH, "2026-09-01T08:00:00Z"),
        seal(
            "service = { name = \"orders\" }\nrequires = [{ api = \"geo\", version = \"201601\" }]",
            "2026-10-05T08:00:00Z",
        ),
    ])
    .expect("chained");
    let at = at.parse().expect("a moment");
    Lock::resolve(&declare(ORDERS), &dictionary, previous, "../dictionary", at)
}

#[test]
fn the_file_is_sorted_and_says_everything() {
    let lock = lock(None, "2026-11-21T08:00:00Z");
    insta::assert_snapshot!(lock);
    assert_eq!(Lock::parse("api.lock", &lock.to_string()).expect("well-formed"), lock);
}

#[test]
fn since_when_is_kept_from_lock_to_lock() {
    let first = lock(None, "2026-11-21T08:00:00Z");
    let second = lock(Some(&first), "2026-12-24T08:00:00Z");
    assert!(second.agrees_with(&first), "{second}");
    assert_ne!(second, first);
    assert!(!lock(None, "2026-12-24T08:00:00Z").agrees_with(&first));
    // After the sunset the same version is retired.
    let third = lock(Some(&first), "2027-03-01T00:00:00Z");
    let Some(Answer::Resolved(resolved)) = third.entry("auth", "1.0").map(|entry| &entry.answer)
    else {
        panic!("locked");
    };
    assert_eq!(resolved.state, State::Retired);
}

#[test]
fn what_was_damaged_is_told_and_never_mended_by_hand() {
    let good = lock(None, "2026-11-21T08:00:00Z").to_string();
    let mut told = String::new();
    for (from, to) in [
        ("schema = 1", "schema = 2"),
        ("[[requires]]", "<<<<<<< HEAD\n[[requires]]"),
        ("head = \"sha256:", "head = \"sha256:x"),
        ("state = \"deprecated\"", "state = \"fine\""),
        ("scheme = \"main-minor\"", "scheme = \"semver\""),
        ("provider = \"auth\"\n", ""),
        ("resolved =", "resolvd ="),
        ("2027-03-01", "2027-02-29"),
    ] {
        let damaged = good.replacen(from, to, 1);
        assert_ne!(damaged, good, "{from}");
        let error = Lock::parse("api.lock", &damaged).expect_err(from);
        assert!(error.into_iter().all(|d| d.finding == Finding::INVALID_LOCK));
        let error = Lock::parse("api.lock", &damaged).expect_err(from);
        told.push_str(&format!("{error}\n\n"));
    }
    insta::assert_snapshot!(told);
    assert!(Lock::from_bytes("api.lock", &vec![b' '; Lock::MAX_SIZE + 1]).is_err());
    assert!(Lock::from_bytes("api.lock", b"\xff").is_err());
}

proptest! {
    #[test]
    fn any_text_can_be_written_and_read(source in "\\PC{1,20}|[\\x00-\\x7f]{1,20}", migration in "[^ ]\\PC{0,20}") {
        prop_assume!(!source.trim().is_empty() && !migration.trim().is_empty());
        let mut lock = lock(None, "2026-11-21T08:00:00Z");
        lock.dictionary.source = source;
        if let Answer::Resolved(resolved) = &mut lock.entries[0].answer {
            resolved.migration = Some(migration);
        }
        prop_assert_eq!(Lock::parse("api.lock", &lock.to_string()).expect("well-formed"), lock);
    }

    #[test]
    fn no_damage_panics(at in 0..1200usize, cut in 0..20usize, insert in "[\\[\\]\"=.{}#\n\r a-z0-9é-]{0,5}") {
        let good = lock(None, "2026-11-21T08:00:00Z").to_string();
        let start = good.floor_char_boundary(at.min(good.len()));
        let end = good.floor_char_boundary((at + cut).min(good.len()));
        let _ = Lock::parse("api.lock", &format!("{}{insert}{}", &good[..start], &good[end..]));
    }
}
