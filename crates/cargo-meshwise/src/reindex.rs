//! How `index.json` is kept right.
//!
//! The listing is the truth. The process that writes the index lists again afterwards and writes
//! anew if the listing has moved on: so of many writers the last one leaves it right, and a crash
//! leaves a cache that is behind, which the next publish or `cargo meshwise index` mends.

use std::collections::BTreeMap;

use meshwise_api::{Dictionary, Document};

use crate::{
    cli::Format,
    dictionary,
    output::Output,
    store::{
        Key, Listing, Need, POLICY, Store, StoreError,
        heads::{self, Heads},
        index::{Head, Index, MAX_SEQ},
    },
};

/// How often the listing may move on before the rest is left to the others who move it.
const ROUNDS: u32 = 5;

/// Brings the index up to date, if there is one: no one reads a folder through an index that never
/// was made.
///
/// # Errors
/// [`StoreError`] when the index cannot be read or written.
pub(crate) fn refresh(store: &Store) -> Result<(), StoreError> {
    refresh_index(store)?;
    refresh_heads(store)?;
    refresh_journals(store)
}

/// Brings `journals.json` up to date, where there is an index.
///
/// # Errors
/// [`StoreError`] when it cannot be read or written.
pub(crate) fn refresh_journals(store: &Store) -> Result<(), StoreError> {
    if store.read_index()?.is_none() {
        return Ok(());
    }
    store.write_journals()
}

fn refresh_index(store: &Store) -> Result<(), StoreError> {
    let Some(mut index) = store.read_index()? else {
        return Ok(());
    };
    for _ in 0..ROUNDS {
        let listing = store.list()?;
        if agrees(&index, &listing) {
            return Ok(());
        }
        index = updated(store, &index, &listing)?;
        store.write_index(&index)?;
    }
    Ok(())
}

/// Writes the index of a dictionary that was read and proven; `newest` has the numbers of the newest
/// documents, also of services that could not be read.
///
/// # Errors
/// As [`refresh`].
pub(crate) fn rebuild(
    store: &Store,
    dictionary: &Dictionary,
    newest: &BTreeMap<String, u64>,
) -> Result<Index, StoreError> {
    let heads = newest.iter().map(|(service, seq)| {
        let digest = dictionary.newest(service).map(|document| document.digest().to_string());
        (service.clone(), Head { seq: (*seq).min(MAX_SEQ), digest: digest.unwrap_or_else(unknown) })
    });
    let index = Index::new(heads.collect());
    store.write_index(&index)?;
    write_heads(store, dictionary, newest)?;
    // What was published since the dictionary was read.
    refresh(store)?;
    Ok(index)
}

/// Writes `heads.json` anew, if there is one.
fn refresh_heads(store: &Store) -> Result<(), StoreError> {
    if store.read_file(heads::FILE)?.is_none() {
        return Ok(());
    }
    let quiet = Output::to_writers(Format::Json, std::io::sink(), std::io::sink());
    let loaded = dictionary::load_heads(store, &Need::All, &quiet)?;
    write_heads(store, &loaded.dictionary, &loaded.newest)
}

/// Writes the newest documents of a dictionary in one file.
///
/// # Errors
/// [`StoreError`] when it cannot be written.
fn write_heads(
    store: &Store,
    dictionary: &Dictionary,
    newest: &BTreeMap<String, u64>,
) -> Result<(), StoreError> {
    let policy = store.read_file(POLICY)?.map(|it| String::from_utf8_lossy(&it).into_owned());
    let unread = newest.iter().filter(|(service, _)| dictionary.newest(service).is_none());
    let unread = unread.map(|(service, seq)| (service.clone(), (*seq).min(MAX_SEQ))).collect();
    let heads = Heads::new(policy, dictionary.services().map(Document::to_json), unread)
        .map_err(|error| StoreError::Damaged(error.to_string()))?;
    store.write_file(heads::FILE, heads.to_json().into())
}

/// Stands for the digest of a document that cannot be read: no cached copy will do.
fn unknown() -> String {
    "unknown".to_owned()
}

fn agrees(index: &Index, listing: &Listing) -> bool {
    index.services.len() == listing.services.len()
        && index.services.iter().all(|(service, head)| {
            listing.services.get(service).map(|sequence| sequence.head.min(MAX_SEQ))
                == Some(head.seq)
        })
}

/// Takes over the digests that are known, and reads the documents of the others.
fn updated(store: &Store, old: &Index, listing: &Listing) -> Result<Index, StoreError> {
    let mut heads = BTreeMap::new();
    for (service, sequence) in &listing.services {
        let known = old.services.get(service).filter(|head| head.seq == sequence.head);
        let head = match known {
            Some(head) => head.clone(),
            None => {
                let key = Key::new(service, sequence.head);
                let read = store.read(&key, None).and_then(|bytes| match bytes {
                    Some(bytes) => dictionary::parse(store, &key, &bytes),
                    None => Err(StoreError::missing(&store.name_of(&key))),
                });
                let digest = match read {
                    Ok(document) => document.digest().to_string(),
                    // Its readers are told; the others' index goes on.
                    Err(error) if error.is_damage() => unknown(),
                    Err(error) => return Err(error),
                };
                Head { seq: sequence.head.min(MAX_SEQ), digest }
            }
        };
        heads.insert(service.clone(), head);
    }
    Ok(Index::new(heads))
}
