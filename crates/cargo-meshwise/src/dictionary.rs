//! Documents out of a store, each proven to be what it must be.
//!
//! A dictionary lies where many can write. So nothing in it is believed: a document must have the
//! digest that it names, and the service and number of its place; a service's numbers have no gap.
//! What fails is [damage](StoreError::Damaged) that names the file and what to do, and makes
//! answers that would need it undetermined rather than wrong.

use std::collections::BTreeMap;

use bytes::Bytes;
use meshwise_api::{Dictionary, Document, DocumentError, Policy};
use meshwise_core::internal::error_chain;

use crate::{
    output::{Output, Progress},
    store::{Key, Need, POLICY, Sequence, Store, StoreError},
};

/// Parses a document and proves that it is the one of this name.
///
/// # Errors
/// [`StoreError::Damaged`] when it is not.
pub(crate) fn parse(store: &Store, key: &Key, bytes: &Bytes) -> Result<Document, StoreError> {
    let document = Document::from_json(bytes).map_err(|error| {
        if bytes.starts_with(b"<<<<<<< ") {
            return StoreError::Damaged(format!(
                "{} is in the middle of a merge: two branches published at once; take the one that is \
                 there already (`git checkout --theirs` or `--ours`), finish the merge, and publish the \
                 other again",
                store.name_of(key)
            ));
        }
        if let DocumentError::Newer(what) = &error {
            return StoreError::Newer(store.name_of(key), what.clone());
        }
        damaged(store, key, &error_chain(&error))
    })?;
    if document.service() != key.service() || document.seq() != key.seq() {
        let why =
            format!("the document in it is number {} of {}", document.seq(), document.service());
        return Err(damaged(store, key, &why));
    }
    Ok(document)
}

/// Reads a service's newest document, and proves that it follows from the one before; `None` when
/// the service never published.
///
/// # Errors
/// [`StoreError`] when it is out of reach or damaged.
pub(crate) fn head(store: &Store, service: &str) -> Result<Option<Document>, StoreError> {
    let Some(sequence) = store.list_service(service)? else {
        return Ok(None);
    };
    check_gap(store, service, &sequence)?;
    let head = read(store, &Key::new(service, sequence.head), sequence.digest.as_deref())?;
    let parent = match head.parent() {
        Some(digest) => Some(read(
            store,
            &Key::new(service, sequence.head.saturating_sub(1)),
            Some(&digest.to_string()),
        )?),
        None => None,
    };
    follows(store, &head, parent.as_ref())?;
    Ok(Some(head))
}

/// Reads the document before another one; none before the first.
///
/// # Errors
/// [`StoreError`] when it is out of reach or damaged.
pub(crate) fn before(store: &Store, document: &Document) -> Result<Option<Document>, StoreError> {
    let Some(digest) = document.parent() else { return Ok(None) };
    let key = Key::new(document.service(), document.seq().saturating_sub(1));
    let parent = read(store, &key, Some(&digest.to_string()))?;
    follows(store, document, Some(&parent))?;
    Ok(Some(parent))
}

/// Reads all documents of a service, the first one first, and proves that each follows from the one
/// before.
///
/// # Errors
/// [`StoreError`] when one is out of reach or damaged.
#[cfg(test)]
pub(crate) fn history(store: &Store, service: &str) -> Result<Vec<Document>, StoreError> {
    let Some(sequence) = store.list_service(service)? else {
        return Ok(Vec::new());
    };
    check_gap(store, service, &sequence)?;
    chain(store, read_chain(store, service, &sequence))
}

/// Holds what could be read of a dictionary.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The services whose documents are whole.
    pub dictionary: Dictionary,
    /// What is wrong with each of the others. No answer that needs one of them is certain.
    pub damage: Vec<StoreError>,
    /// The services that this is about.
    pub unread: Vec<String>,
    /// How many services there are, read or not.
    pub services: usize,
    /// The number of each one's newest document, read or not.
    pub newest: BTreeMap<String, u64>,
    /// Objects that are no documents, named for people.
    pub strays: Vec<String>,
    /// What is wrong with the organisation's policy: the dictionary has none, and nothing can be judged.
    pub no_policy: Option<StoreError>,
}

impl Loaded {
    /// Returns the dictionary, to judge by.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the policy cannot be read: what it forbids must not pass.
    pub(crate) fn judged(self) -> Result<Dictionary, StoreError> {
        self.no_policy.map_or(Ok(self.dictionary), Err)
    }
}

/// Reads the whole dictionary.
///
/// # Errors
/// [`StoreError`] when it is out of reach. Damage to a service is told in [`Loaded`], so that one
/// bad file hides nothing but itself.
pub(crate) fn load(store: &Store, out: &Output) -> Result<Loaded, StoreError> {
    let listing = {
        let _progress = out.progress("listing the dictionary", 0);
        store.list()?
    };
    let (mut damage, mut unread) = (Vec::new(), Vec::new());
    let mut whole = Vec::new();
    for (service, sequence) in &listing.services {
        match check_gap(store, service, sequence) {
            Ok(()) => whole.push((service.as_str(), sequence)),
            Err(error) => {
                damage.push(error);
                unread.push(service.clone());
            }
        }
    }
    let total = whole.iter().map(|(_, sequence)| sequence.head).sum();
    let progress = out.progress("reading documents", total);
    let all = whole.iter().flat_map(|(service, sequence)| keys(service, sequence));
    let mut documents = Vec::new();
    let parse = |key: &Key, bytes: &Bytes| parse(store, key, bytes);
    let mut read = store.read_all(all, &progress, parse).into_iter().peekable();
    for (service, sequence) in whole {
        let of_service =
            std::iter::from_fn(|| read.next_if(|(key, _)| key.service() == service)).collect();
        let mut chained = chain(store, of_service);
        if chained.as_ref().is_err_and(StoreError::is_damage) && store.forget(service) {
            // The dictionary may have been begun anew since its documents were cached.
            chained = chain(store, read_chain(store, service, sequence));
        }
        match chained {
            Ok(mut chain) => documents.append(&mut chain),
            Err(error) if error.is_damage() => {
                damage.push(error);
                unread.push(service.to_owned());
            }
            Err(error) => return Err(error),
        }
    }
    let dictionary = Dictionary::from_documents(documents)
        .map_err(|error| StoreError::Damaged(format!("{}: {error}", store.location())))?;
    let (dictionary, no_policy) = under_policy(dictionary, store)?;
    let services = listing.services.len();
    let newest =
        listing.services.into_iter().map(|(name, sequence)| (name, sequence.head)).collect();
    Ok(Loaded { dictionary, damage, unread, services, newest, strays: listing.strays, no_policy })
}

/// Reads the newest documents that an answer needs, and no others. Their digests are proven; that they
/// follow from those before is what `cargo meshwise index` proves.
///
/// # Errors
/// [`StoreError`] when the dictionary is out of reach. Damage to a service is told in [`Loaded`].
pub(crate) fn load_heads(store: &Store, need: &Need, out: &Output) -> Result<Loaded, StoreError> {
    let listing = {
        let _progress = out.progress("listing the dictionary", 0);
        store.list_for(need)?
    };
    let (mut damage, mut unread, mut heads) = (Vec::new(), Vec::new(), Vec::new());
    let mut keys = Vec::new();
    for (service, sequence) in &listing.services {
        match check_gap(store, service, sequence) {
            Ok(()) => keys.push((Key::new(service, sequence.head), sequence.digest.clone())),
            Err(error) => {
                damage.push(error);
                unread.push(service.clone());
            }
        }
    }
    let progress = out.progress("reading documents", u64::try_from(keys.len()).unwrap_or(0));
    let parse = |key: &Key, bytes: &Bytes| match need.may_need(key, bytes) {
        true => parse(store, key, bytes).map(Some),
        false => Ok(None),
    };
    for (key, document) in store.read_all(keys, &progress, parse) {
        match document {
            Ok(document) => heads.extend(document),
            Err(error) if error.is_damage() => {
                damage.push(error);
                unread.push(key.service().to_owned());
            }
            Err(error) => return Err(error),
        }
    }
    let (dictionary, no_policy) = under_policy(Dictionary::from_heads(heads), store)?;
    let services = listing.services.len();
    let newest =
        listing.services.into_iter().map(|(name, sequence)| (name, sequence.head)).collect();
    Ok(Loaded { dictionary, damage, unread, services, newest, strays: listing.strays, no_policy })
}

/// Puts a dictionary under the organisation's policy. What is wrong with that, or newer than this release,
/// stops only the answers that need it.
fn under_policy(
    dictionary: Dictionary,
    store: &Store,
) -> Result<(Dictionary, Option<StoreError>), StoreError> {
    match policy(store) {
        Ok(policy) => Ok((dictionary.with_policy(policy), None)),
        Err(error) if error.is_damage() => Ok((dictionary, Some(error))),
        Err(error) => Err(error),
    }
}

/// Reads the organisation's policy; the default where there is none.
///
/// # Errors
/// [`StoreError::Damaged`] when it is not valid.
pub(crate) fn policy(store: &Store) -> Result<Policy, StoreError> {
    let Some(bytes) = store.read_file(POLICY)? else { return Ok(Policy::default()) };
    let name = store.location().join(POLICY);
    Policy::parse(&name, &String::from_utf8_lossy(&bytes))
        .map_err(|error| StoreError::Damaged(error.to_string()))
}

/// Names all documents of a service; of the newest the digest may be known.
fn keys(service: &str, sequence: &Sequence) -> impl Iterator<Item = (Key, Option<String>)> {
    let (head, digest) = (sequence.head, sequence.digest.clone());
    (1..=head).map(move |seq| {
        let digest = digest.clone().filter(|_| seq == head);
        (Key::new(service, seq), digest)
    })
}

type Read = Vec<(Key, Result<Document, StoreError>)>;

fn read_chain(store: &Store, service: &str, sequence: &Sequence) -> Read {
    let parse = |key: &Key, bytes: &Bytes| parse(store, key, bytes);
    store.read_all(keys(service, sequence), &Progress::hidden(), parse)
}

/// Proves that each of a service's documents follows from the one before.
fn chain(store: &Store, read: Read) -> Result<Vec<Document>, StoreError> {
    let mut documents: Vec<Document> = Vec::with_capacity(read.len());
    for (_, document) in read {
        let document = document?;
        follows(store, &document, documents.last())?;
        documents.push(document);
    }
    Ok(documents)
}

/// Proves that a document comes right after another.
///
/// # Errors
/// [`StoreError::Damaged`] when it does not.
pub(crate) fn follows(
    store: &Store,
    document: &Document,
    parent: Option<&Document>,
) -> Result<(), StoreError> {
    let key = Key::new(document.service(), document.seq());
    document.verify_parent(parent).map_err(|error| damaged(store, &key, &error.to_string()))
}

/// Proves that no document is missing below the newest.
///
/// # Errors
/// [`StoreError::Damaged`] when one is.
pub(crate) fn check_gap(
    store: &Store,
    service: &str,
    sequence: &Sequence,
) -> Result<(), StoreError> {
    let Some(gap) = sequence.gap else {
        return Ok(());
    };
    Err(StoreError::Damaged(format!(
        "{} is missing, and {} is there; restore the one, or remove the other if it does not \
         belong here",
        store.name_of(&Key::new(service, gap)),
        store.name_of(&Key::new(service, sequence.head)),
    )))
}

fn read(store: &Store, key: &Key, digest: Option<&str>) -> Result<Document, StoreError> {
    match store.read(key, digest)? {
        Some(bytes) => parse(store, key, &bytes),
        None => Err(StoreError::missing(&store.name_of(key))),
    }
}

fn damaged(store: &Store, key: &Key, why: &str) -> StoreError {
    StoreError::Damaged(format!(
        "{} cannot be trusted ({why}); restore it from a copy, or from the service's repository \
         at the commit it was published from",
        store.name_of(key)
    ))
}
