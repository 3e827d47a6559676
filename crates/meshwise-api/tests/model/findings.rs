//! Holds the table of findings to its fixtures.

use std::{collections::BTreeSet, fs, path::Path};

use meshwise_api::{Declaration, Finding, Level};

use crate::fixture::{folder, judge};

/// Found while a service runs, or by a command that reads descriptions, so that no fixture shows them.
const AT_RUN_TIME: [&str; 6] = [
    "missing-description",
    "breaking-in-compatible-version",
    "risky-in-compatible-version",
    "unchecked-description",
    "undeclared-call",
    "unread-provider",
];

fn in_files() -> impl Iterator<Item = &'static Finding> {
    Finding::ALL.iter().copied().filter(|finding| !AT_RUN_TIME.contains(&finding.id()))
}

#[test]
fn each_finding_is_found_where_it_is_and_nowhere_else() {
    let mut told = String::new();
    for finding in in_files() {
        let id = finding.id();
        let failing = judge(&folder(id, "fail"), false);
        assert!(
            failing.iter().any(|diagnostic| diagnostic.finding == finding),
            "{id} is not found: {failing:#?}"
        );
        // A fixture shows one thing, so that its message can be read alone.
        let others: Vec<_> =
            failing.iter().filter(|diagnostic| diagnostic.finding != finding).collect();
        assert!(others.is_empty(), "the fixture of {id} has other findings: {others:#?}");
        for diagnostic in &failing {
            assert_eq!(diagnostic.level, finding.level(), "{id}");
            told.push_str(&format!("{diagnostic}\n\n"));
        }
        let passing = judge(&folder(id, "pass"), false);
        let found = passing.iter().any(|diagnostic| diagnostic.finding == finding);
        assert!(!found, "{id} is found where it is not: {passing:#?}");
        let denied = passing.iter().find(|diagnostic| diagnostic.level == Level::Deny);
        assert!(denied.is_none(), "what passes {id} is denied: {denied:#?}");
    }
    insta::assert_snapshot!(told);
}

#[test]
fn ci_is_stricter_where_the_table_says_so() {
    for finding in in_files() {
        let failing = judge(&folder(finding.id(), "fail"), true);
        assert!(
            failing.iter().all(|diagnostic| diagnostic.level == finding.ci_level()),
            "{finding}"
        );
    }
    assert_eq!(Finding::MISSING_LOCK.ci_level(), Level::Deny);
}

#[test]
fn there_is_a_fixture_for_each_and_none_besides() {
    let root = folder("", "");
    let folders: BTreeSet<String> = fs::read_dir(root)
        .expect("fixtures")
        .map(|entry| entry.expect("readable"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("ASCII"))
        .collect();
    let ids: BTreeSet<String> = in_files().map(|finding| finding.id().to_owned()).collect();
    assert_eq!(folders, ids);
    for id in AT_RUN_TIME {
        assert!(Finding::by_id(id).is_some(), "{id}");
    }
}

#[test]
fn the_table_is_complete_and_says_each_thing_once() {
    let ids: BTreeSet<_> = Finding::ALL.iter().map(|finding| finding.id()).collect();
    assert_eq!(ids.len(), Finding::ALL.len());
    for finding in Finding::ALL {
        let id = finding.id();
        assert!(
            id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
            "{id}"
        );
        assert_eq!(Finding::by_id(id), Some(*finding));
        assert!(finding.summary().ends_with('.') && finding.help().ends_with('.'), "{id}");
        assert!(!finding.reference().is_empty(), "{id}");
        assert!(finding.ci_level() >= finding.level(), "{id}: CI is never laxer");
    }
}

#[test]
fn policy_keys_are_the_configurable_findings() {
    for finding in Finding::ALL {
        for level in [Level::Allow, Level::Warn, Level::Deny] {
            let text = format!(
                "schema = 1\nservice = {{ name = \"a\" }}\n[policy]\n{finding} = \"{level}\"\n"
            );
            match Declaration::parse("api.toml", &text) {
                Ok(declaration) => {
                    assert!(finding.is_configurable(), "{finding}");
                    assert_eq!(declaration.policy.level(finding, true), level);
                }
                Err(error) => assert!(!finding.is_configurable(), "{error}"),
            }
        }
    }
}

#[test]
fn a_policy_silences_and_sharpens_what_it_may() {
    for finding in in_files().filter(|finding| finding.is_configurable()) {
        for (level, expected) in [(Level::Allow, 0), (Level::Deny, 1)] {
            let temporary = tempfile::tempdir().expect("a folder");
            copy(&folder(finding.id(), "fail"), temporary.path());
            let api = temporary.path().join("api.toml");
            let text = fs::read_to_string(&api).expect("api.toml");
            fs::write(&api, format!("{text}\n[policy]\n{finding} = \"{level}\"\n"))
                .expect("written");
            let found = judge(temporary.path(), false);
            let denied =
                found.iter().filter(|d| d.finding == finding && d.level == Level::Deny).count();
            assert_eq!(denied, expected, "{finding} = {level}: {found:#?}");
            assert!(
                found.iter().all(|d| d.finding != finding || d.level == level),
                "{finding} = {level}"
            );
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("created");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
