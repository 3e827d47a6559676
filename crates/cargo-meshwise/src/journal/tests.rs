use std::{sync::Arc, thread};

use object_store::memory::InMemory;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn store(memory: &Arc<InMemory>) -> Store {
    Store::from_object_store(Arc::<InMemory>::clone(memory)).expect("opens")
}

fn read_all(store: &Store, name: &Name) -> Result<Vec<JournalEntry>, StoreError> {
    let listed = store.list_journals(&name.to_string())?.remove(name).expect("listed");
    read(store, name, &listed)
}

#[test]
fn facts_of_200_writers_are_all_there_in_one_chain() {
    let memory = Arc::new(InMemory::new());
    let name = Name::environment("prod", "orders");
    thread::scope(|scope| {
        for writer in 0..200 {
            let (memory, name) = (&memory, &name);
            scope.spawn(move || {
                let by = format!("w{writer}");
                append(&store(memory), name, at("2026-01-01T00:00:00Z"), &by, &Fact::Removed)
                    .expect("appended");
            });
        }
    });
    let entries = read_all(&store(&memory), &name).expect("a whole chain");
    let mut writers: Vec<_> = entries.iter().map(|entry| entry.recorded_by.clone()).collect();
    writers.sort();
    writers.dedup();
    assert_eq!((entries.len(), writers.len()), (200, 200));
}

#[test]
fn a_fact_that_was_changed_swapped_or_removed_is_damage() {
    let name = Name::environment("prod", "orders");
    let served = |version: &str| Fact::Served { api: "orders".into(), version: version.into() };
    let fill = || {
        let folder = tempfile::tempdir().expect("a folder");
        let location = crate::store::Location::Folder(folder.path().to_path_buf());
        let store = Store::open(&location, &crate::store::OpenOptions::default()).expect("opens");
        for version in ["1.0", "1.1", "1.2"] {
            append(&store, &name, at("2026-01-01T00:00:00Z"), "ci", &served(version))
                .expect("appended");
        }
        (folder, store)
    };
    let path = |folder: &tempfile::TempDir, seq: u64| folder.path().join(name.path(seq));
    let (folder, store) = fill();
    assert_eq!(read_all(&store, &name).expect("whole").len(), 3);

    let text = std::fs::read_to_string(path(&folder, 2)).expect("there");
    std::fs::write(path(&folder, 2), text.replace("1.1", "1.9")).expect("written");
    assert!(read_all(&store, &name).expect_err("changed").to_string().contains("was changed"));

    let (folder, store) = fill();
    std::fs::copy(path(&folder, 1), path(&folder, 2)).expect("copied");
    assert!(read_all(&store, &name).expect_err("swapped").to_string().contains("number 1"));

    let (folder, store) = fill();
    std::fs::remove_file(path(&folder, 2)).expect("removed");
    assert!(read_all(&store, &name).expect_err("removed").is_damage());

    let (folder, store) = fill();
    std::fs::write(path(&folder, 3), &text.as_bytes()[..40]).expect("written");
    assert!(read_all(&store, &name).expect_err("truncated").is_damage());

    // One of a newer release is named as such.
    let (folder, store) = fill();
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    value["fact"] = serde_json::json!({"kind": "teleported"});
    value.as_object_mut().expect("an object").remove("digest");
    let digest = Digest::of_json(&value.to_string()).expect("canonical");
    value["digest"] = serde_json::json!(digest);
    std::fs::write(path(&folder, 2), value.to_string()).expect("written");
    assert!(matches!(read_all(&store, &name), Err(StoreError::Newer(..))));
}

#[test]
fn time_never_goes_back() {
    let memory = Arc::new(InMemory::new());
    let (store, name) = (store(&memory), Name::tests("auth", "orders"));
    let late = append(&store, &name, at("2026-06-01T00:00:00Z"), "ci", &Fact::Removed);
    let early = append(&store, &name, at("2026-01-01T00:00:00Z"), "ci", &Fact::Removed);
    assert_eq!(early.expect("appended").recorded_at, late.expect("appended").recorded_at);
}

#[test]
fn only_names_of_journals_are_read() {
    let name = Name::environment("prod", "orders");
    assert_eq!(Name::parse("journal/environments/prod/orders/7.json"), Some((name, 7)));
    for text in [
        "journal/environments/prod/orders/07.json",
        "journal/environments/prod/7.json",
        "journal/environments/prod/a/b/7.json",
        "journal/environments/../orders/7.json",
        "journal/other/prod/orders/7.json",
        "journal/environmentsprod/orders/7.json",
    ] {
        assert_eq!(Name::parse(text), None, "{text}");
    }
}
