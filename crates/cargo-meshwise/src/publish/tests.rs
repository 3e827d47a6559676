//! The publish protocol: many writers, lost answers, crashes and races.

mod faults;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use meshwise_api::{Declaration, Document, Draft};
use object_store::memory::InMemory;

use super::{OnRace, PublishError, Published, Retries, publish};
use crate::{
    dictionary, reindex,
    store::{Location, OpenOptions, Store, index::Index},
};
use faults::{Call, Fault, Faulty};

/// No waiting, and as many attempts as a crowd may need.
const AT_ONCE: Retries = Retries { attempts: 5_000, first_wait: Duration::ZERO };

/// Opens a store over this memory.
fn over(memory: &Arc<InMemory>) -> Store {
    Store::from_object_store(Arc::<InMemory>::clone(memory)).expect("opens")
}

fn declaration(service: &str, says: &str) -> Declaration {
    let mut declaration = Declaration::new(service);
    declaration.service.owner = Some(says.to_owned());
    declaration
}

/// Publishes a declaration that says `says`, or with `says/by` in the name of another.
fn try_publish(
    store: &Store,
    service: &str,
    says: &str,
    on_race: OnRace,
    retries: Retries,
) -> Result<Published, PublishError<Infallible>> {
    let (owner, by) = says.split_once('/').unwrap_or((says, says));
    let declaration = declaration(service, owner);
    let at = "2026-11-21T08:00:00Z".parse().expect("a moment");
    let draft = Draft::new(declaration.clone(), at, by);
    publish(store, &declaration, &draft, on_race, retries, |_| Ok(()))
}

#[track_caller]
fn publish_new(store: &Store, service: &str, says: &str) -> Document {
    match try_publish(store, service, says, OnRace::LastWins, AT_ONCE) {
        Ok(Published::New(document)) => document,
        other => panic!("{service} {says}: {other:?}"),
    }
}

/// Proves that the documents of a service are just these, chained, whatever their order.
#[track_caller]
fn assert_all_there(store: &Store, service: &str, written: impl IntoIterator<Item = Document>) {
    let history = dictionary::history(store, service).expect("a whole chain");
    let digests = |documents: &[Document]| -> BTreeSet<String> {
        documents.iter().map(|document| document.digest().to_string()).collect()
    };
    let written: Vec<Document> = written.into_iter().collect();
    assert_eq!(history.len(), written.len(), "{service}");
    assert_eq!(digests(&history), digests(&written), "{service}");
}

/// Lets `writers` publish at once, each another declaration, for a few services, through stores of
/// their own; then `reader` must find all of it.
fn crowd(writers: usize, services: usize, reader: &Store, open: impl Fn() -> Store + Send + Sync) {
    let start = Barrier::new(writers);
    let written: Vec<Document> = thread::scope(|scope| {
        let (start, open) = (&start, &open);
        let threads: Vec<_> = (0..writers)
            .map(|writer| {
                scope.spawn(move || {
                    let store = open();
                    start.wait();
                    publish_new(&store, &format!("s{}", writer % services), &format!("w{writer}"))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("publishes")).collect()
    });
    assert_eq!(reader.list().expect("lists").services.len(), services);
    for service in (0..services).map(|service| format!("s{service}")) {
        let of_service = written.iter().filter(|document| document.service() == service);
        assert_all_there(reader, &service, of_service.cloned());
    }
}

#[test]
fn two_hundred_writers_share_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("utf-8");
    let open =
        || Store::open(&Location::Folder(path.into()), &OpenOptions::default()).expect("opens");
    let reader = open();
    crowd(200, 20, &reader, open);
    let strays = reader.list().expect("lists").strays;
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn two_hundred_writers_survive_lost_answers_and_refused_calls() {
    let memory = Arc::new(InMemory::new());
    let reader = over(&memory);
    crowd(200, 20, &reader, || {
        // Every writer has another seed, and about every third call fails one way or the other.
        let seed = meshwise_core::internal::random::u64();
        let faulty = Faulty::new(&memory, move |call, count| {
            let roll = fastrand::Rng::with_seed(seed ^ count.wrapping_mul(0x9e37_79b9)).u8(..6);
            match (call, roll) {
                (_, 0) => Some(Fault::Before),
                (Call::Create, 1) => Some(Fault::After),
                _ => None,
            }
        });
        Store::from_object_store(faulty).expect("opens")
    });
}

#[test]
fn all_writers_of_one_service_get_their_number() {
    let memory = Arc::new(InMemory::new());
    let open = || over(&memory);
    crowd(40, 1, &open(), open);
}

#[test]
fn a_crash_at_any_step_leaves_a_whole_chain() {
    for fault in [Fault::Before, Fault::After] {
        for step in 0..6 {
            let memory = Arc::new(InMemory::new());
            let good = over(&memory);
            let first = publish_new(&good, "orders", "first");
            // From this call on nothing comes back: the process is dead.
            let dying = Faulty::new(&memory, move |call, count| match (call, fault) {
                _ if count < step => None,
                (Call::Create, Fault::After) if count == step => Some(Fault::After),
                _ => Some(Fault::Before),
            });
            let dying = Store::from_object_store(dying).expect("opens");
            let retries = Retries { attempts: 3, ..AT_ONCE };
            let result = try_publish(&dying, "orders", "crashed", OnRace::Stop, retries);
            let history = dictionary::history(&good, "orders").expect("a whole chain");
            match &result {
                Ok(Published::New(document)) => assert_eq!(history, [first, document.clone()]),
                Err(PublishError::GaveUp { attempts: 3, source: Some(_) }) => {
                    assert!((1..=2).contains(&history.len()));
                }
                other => panic!("step {step}: {other:?}"),
            }
            // Who comes after goes on, and who publishes again finds what was done.
            let before = history.len() as u64;
            match try_publish(&good, "orders", "crashed", OnRace::Stop, AT_ONCE) {
                Ok(Published::New(document)) => assert_eq!((before, document.seq()), (1, 2)),
                Ok(Published::Unchanged(document)) => assert_eq!((before, document.seq()), (2, 2)),
                other => panic!("step {step}: {other:?}"),
            }
            assert_eq!(publish_new(&good, "orders", "next").seq(), 3);
            dictionary::history(&good, "orders").expect("a whole chain");
        }
    }
}

/// Publishes `ours`, while at one of its steps another publishes `theirs`.
fn race(
    step: u64,
    ours: &str,
    theirs: &'static str,
    on_race: OnRace,
) -> (Store, Result<Published, PublishError<Infallible>>) {
    let memory = Arc::new(InMemory::new());
    let good = over(&memory);
    publish_new(&good, "orders", "first");
    let rival = Arc::clone(&memory);
    let store = Faulty::new(&memory, move |_, count| {
        if count == step {
            let rival = Arc::clone(&rival);
            // In a thread of its own: stores block, and this is the inside of one.
            let publish = move || {
                let store = over(&rival);
                publish_new(&store, "orders", theirs);
            };
            thread::spawn(publish).join().expect("publishes");
        }
        None
    });
    let store = Store::from_object_store(store).expect("opens");
    let result = try_publish(&store, "orders", ours, on_race, AT_ONCE);
    (good, result)
}

/// The calls of a publish on top of one document: list, read that document, create.
const CREATE: u64 = 2;

#[test]
fn an_answer_that_was_lost_is_looked_up() {
    for fault in [Fault::Before, Fault::After] {
        let memory = Arc::new(InMemory::new());
        let good = over(&memory);
        publish_new(&good, "orders", "first");
        let faulty = Faulty::new(&memory, move |_, count| (count == CREATE).then_some(fault));
        let faulty = Store::from_object_store(faulty).expect("opens");
        let result = try_publish(&faulty, "orders", "second", OnRace::Stop, AT_ONCE);
        // New either way: that another would have said the same is not what happened.
        match result {
            Ok(Published::New(document)) => assert_eq!(document.seq(), 2),
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(dictionary::history(&good, "orders").expect("a whole chain").len(), 2);
    }
}

#[test]
fn a_race_between_different_declarations_is_a_conflict() {
    let (good, result) = race(CREATE, "ours", "theirs", OnRace::Stop);
    match result {
        Err(error @ PublishError::Conflict(_)) => {
            let text = error.to_string();
            assert!(text.contains("orders") && text.contains("number 2 is by theirs"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(dictionary::history(&good, "orders").expect("a whole chain").len(), 2);
    // Who was there before the first look is no rival: that is just the one before.
    let (_, result) = race(0, "ours", "theirs", OnRace::Stop);
    assert!(matches!(&result, Ok(Published::New(document)) if document.seq() == 3), "{result:?}");
}

#[test]
fn a_race_between_equal_declarations_adds_nothing() {
    for step in [0, CREATE] {
        // Said by another, it is another document, and still nothing new.
        let (good, result) = race(step, "same/me", "same/rival", OnRace::Stop);
        assert!(
            matches!(&result, Ok(Published::Unchanged(document)) if document.seq() == 2),
            "{result:?}"
        );
        let history = dictionary::history(&good, "orders").expect("a whole chain");
        assert_eq!(history.len(), 2);
        assert_eq!(history[1].published_by(), "rival");
    }
}

#[test]
fn the_last_one_wins_on_top_of_the_other_if_so_told() {
    let (good, result) = race(CREATE, "ours", "theirs", OnRace::LastWins);
    assert!(matches!(&result, Ok(Published::New(document)) if document.seq() == 3), "{result:?}");
    let history = dictionary::history(&good, "orders").expect("a whole chain");
    let says: Vec<_> = history.iter().map(Document::published_by).collect();
    assert_eq!(says, ["first", "theirs", "ours"]);
}

#[test]
fn each_judge_sees_what_is_followed_each_time() {
    let memory = Arc::new(InMemory::new());
    let store = over(&memory);
    publish_new(&store, "orders", "first");
    let declaration = declaration("orders", "second");
    let at = "2026-11-21T08:00:00Z".parse().expect("a moment");
    let draft = Draft::new(declaration.clone(), at, "me");
    let result = publish(&store, &declaration, &draft, OnRace::Stop, AT_ONCE, |parent| {
        Err(parent.map(Document::seq))
    });
    assert!(matches!(result, Err(PublishError::Refused(Some(1)))), "{result:?}");
    assert_eq!(dictionary::history(&store, "orders").expect("a chain").len(), 1);
}

#[test]
fn the_index_is_right_when_the_last_writer_is_done() {
    let memory = Arc::new(InMemory::new());
    let open = || over(&memory);
    publish_new(&open(), "first", "first");
    open().write_index(&Index::new(BTreeMap::new())).expect("writes");
    thread::scope(|scope| {
        for writer in 0..30 {
            scope.spawn(move || {
                let store = open();
                publish_new(&store, &format!("s{}", writer % 10), &format!("w{writer}"));
                reindex::refresh(&store).expect("refreshes");
            });
        }
    });
    let (store, kept) = (open(), open().read_index().expect("reads").expect("kept"));
    let listing = store.list().expect("lists");
    assert_eq!(kept.services.len(), 11);
    for (service, head) in &kept.services {
        assert_eq!(head.seq, listing.services[service].head, "{service}");
        let newest = dictionary::head(&store, service).expect("reads").expect("published");
        assert_eq!(head.digest, newest.digest().to_string(), "{service}");
    }
}

#[test]
fn an_index_that_was_written_too_late_is_written_again() {
    let memory = Arc::new(InMemory::new());
    let good = over(&memory);
    publish_new(&good, "ours", "ours");
    good.write_index(&Index::new(BTreeMap::new())).expect("writes");
    let rival = Arc::clone(&memory);
    // The calls of a refresh: read the index, list, read the new document, write the index.
    let slow = Faulty::new(&memory, move |call, count| {
        if count == 3 {
            assert_eq!(call, Call::Create);
            let rival = Arc::clone(&rival);
            let publish = move || {
                let store = over(&rival);
                publish_new(&store, "theirs", "theirs");
                reindex::refresh(&store).expect("refreshes");
            };
            thread::spawn(publish).join().expect("publishes");
        }
        None
    });
    let slow = Store::from_object_store(slow).expect("opens");
    reindex::refresh(&slow).expect("refreshes");
    let index = good.read_index().expect("reads").expect("kept");
    assert_eq!(index.services.keys().collect::<Vec<_>>(), ["ours", "theirs"]);
}
