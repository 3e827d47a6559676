//! What `docs/migration.md` says stands in meshwise is there, under that name.

use std::{collections::BTreeSet, fs, path::Path};

/// Returns what stands between backticks in the last cell of each row.
fn ours(page: &str) -> Vec<&str> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.trim_end_matches('|').rsplit_once(" | "));
    cells.flat_map(|(_, cell)| cell.split('`').skip(1).step_by(2)).collect()
}

/// Splits code into its names: those of types, setters and metrics, which are ours to keep.
fn names(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| {
        let capital = name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
        capital
            || ["with_", "without_", "http_server_", "meshwise_"]
                .iter()
                .any(|p| name.starts_with(p))
    })
}

#[test]
fn names_of_the_migration_page_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/migration.md")).expect("the page");
    let mut known = String::new();
    for entry in fs::read_dir(root.join("docs/api")).expect("the API texts") {
        known += &fs::read_to_string(entry.expect("a text").path()).expect("a text");
    }
    for names in ["meshwise-metrics/src/names.rs", "meshwise-resilience/src/names.rs"] {
        known += &fs::read_to_string(root.join("crates").join(names)).expect("the names");
    }
    let words: BTreeSet<&str> = known.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let found: Vec<&str> = ours(&page).into_iter().flat_map(names).collect();
    assert!(found.len() > 40, "{} names are few", found.len());
    let missing: Vec<_> = found
        .into_iter()
        // `http_server_request_duration_seconds_count` is a histogram's.
        .filter(|name| !words.contains(name) && !words.contains(name.trim_end_matches("_count")))
        .filter(|name| !FOREIGN.contains(name))
        .collect();
    assert!(missing.is_empty(), "not ours: {missing:#?}");
}

/// Names in the right column that are other crates'.
const FOREIGN: [&str; 2] = ["Layer", "Span"];
