//! How a declaration gets into the dictionary without anything getting lost.
//!
//! ```text
//! read the newest document of this service ── says the same ──> nothing to do
//!   │ next number, its parent's digest, sealed
//! create it if there is none of this number
//!   ├─ created ────────────────────────────────────────────────> published
//!   ├─ one is there, or the answer was lost: read it
//!   │    ├─ it is ours ────────────────────────────────────────> published after all
//!   │    ├─ it says the same ──────────────────────────────────> nothing to do
//!   │    ├─ it says something else ── conflict, or, if so told: again on top of it
//!   │    └─ nothing is there ── again, a little later
//!   └─ refused ────────────────────────────────────────────────> error
//! ```
//!
//! Services have folders of their own, so only a service can race with itself: two of its pipelines
//! at once. Nothing is ever overwritten, whatever crashes where: a number is taken or it is not.

use std::time::Duration;

use meshwise_api::{Declaration, Document, Draft};

use crate::{
    dictionary,
    store::{Created, Key, Store, StoreError},
};

/// Says what to do when this service was published differently at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnRace {
    /// Stop with [`PublishError::Conflict`]: a person must say which one holds.
    #[default]
    Stop,
    /// Publish on top of it.
    LastWins,
}

/// Bounds how often and how fast a publish is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retries {
    /// How many attempts there are in all.
    pub attempts: u32,
    /// The wait after the first attempt; each later one is twice as long, up to 5 s, and each is
    /// cut at random so that those who collided do not meet again.
    pub first_wait: Duration,
}

impl Default for Retries {
    /// 10 attempts, 50 ms: gives up after about half a minute.
    fn default() -> Self {
        Self { attempts: 10, first_wait: Duration::from_millis(50) }
    }
}

impl Retries {
    pub(crate) fn wait(&self, attempt: u32) {
        let full = self.first_wait.saturating_mul(1 << attempt.min(16));
        let full = full.min(Duration::from_secs(5));
        if !full.is_zero() {
            std::thread::sleep(full.mul_f64(0.5 + meshwise_core::internal::random::f64() / 2.0));
        }
    }
}

/// Says how a publish ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// The document is new.
    New(Document),
    /// The newest document says the same, so there is nothing to add.
    Unchanged(Document),
}

/// Says why a publish failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PublishError<E> {
    /// The store or the documents in it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The caller refused to follow this document.
    #[error("refused")]
    Refused(E),
    /// The declaration cannot be sealed.
    #[error("the declaration cannot be published")]
    Draft(#[source] meshwise_api::DocumentError),
    /// The same service was published differently at the same time.
    #[error(
        "{service} was published differently at the same time: number {seq} is by {by}{commit}; \
         bring both declarations together and publish again, or publish on top with --last-wins",
        service = .0.service(), seq = .0.seq(), by = .0.published_by(),
        commit = .0.commit().map(|commit| format!(" from commit {commit}")).unwrap_or_default()
    )]
    Conflict(Box<Document>),
    /// No attempt succeeded.
    #[error("gave up after {attempts} attempts; publish again, nothing is half done")]
    GaveUp {
        /// How many there were.
        attempts: u32,
        /// What the last one ended with, unless it was a race.
        source: Option<StoreError>,
    },
}

/// Publishes a declaration. `draft` must hold the same declaration; `judge` is asked before each
/// attempt whether it may follow the newest document.
///
/// # Errors
/// [`PublishError`]. After an error nothing is half done, though after
/// [`GaveUp`](PublishError::GaveUp) the document may be there: publishing again finds out.
pub(crate) fn publish<E>(
    store: &Store,
    declaration: &Declaration,
    draft: &Draft,
    on_race: OnRace,
    retries: Retries,
    mut judge: impl FnMut(Option<&Document>) -> Result<(), E>,
) -> Result<Published, PublishError<E>> {
    let service = declaration.service.name.as_str();
    let mut base: Option<Option<Document>> = None;
    let mut last = None;
    for attempt in 0..retries.attempts {
        if attempt > 0 {
            retries.wait(attempt - 1);
        }
        let parent = match &base {
            Some(parent) => parent,
            None => match dictionary::head(store, service) {
                Ok(head) => base.insert(head),
                Err(error) if error.is_transient() => {
                    last = Some(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            },
        };
        if let Some(head) = parent
            && draft.is_said_by(head)
        {
            return Ok(Published::Unchanged(head.clone()));
        }
        judge(parent.as_ref()).map_err(PublishError::Refused)?;
        let ours = draft.clone().seal(parent.as_ref()).map_err(PublishError::Draft)?;
        let key = Key::new(service, ours.seq());
        match store.create(&key, ours.to_json().to_owned().into()) {
            Ok(Created::Yes) => return Ok(Published::New(ours)),
            Ok(Created::AlreadyThere) => {}
            Err(error) if error.is_transient() => last = Some(error),
            Err(error) => return Err(error.into()),
        }
        // Taken, or the answer was lost: what is there now decides.
        let theirs = match store.read(&key, None) {
            Ok(Some(bytes)) => dictionary::parse(store, &key, &bytes)?,
            Ok(None) => continue,
            Err(error) if error.is_transient() => {
                last = Some(error);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if theirs.digest() == ours.digest() {
            return Ok(Published::New(ours));
        }
        if draft.is_said_by(&theirs) {
            return Ok(Published::Unchanged(theirs));
        }
        match on_race {
            OnRace::Stop => return Err(PublishError::Conflict(theirs.into())),
            // Others may have gone on meanwhile, so the newest is read again.
            OnRace::LastWins => base = None,
        }
    }
    Err(PublishError::GaveUp { attempts: retries.attempts, source: last })
}

#[cfg(test)]
mod tests;
