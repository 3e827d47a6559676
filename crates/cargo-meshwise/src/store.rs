//! Dictionary storage: immutable documents as bytes, in a folder, a bucket or on a web server.
//!
//! Every document is one object, `services/<service>/<seq>.json`, written once with
//! create-if-absent and never again. That is the one kind of write that folders, memory and all
//! buckets do alike (`object_store`'s local store knows no conditional update, its HTTP store
//! nothing but overwriting), and in a git checkout merges never conflict.
//!
//! | location | read | write |
//! |---|---|---|
//! | a folder, `file:` | yes | yes; in a git checkout the files wait for your commit |
//! | `memory:` | yes | yes, for tests: gone with the process |
//! | `http:`, `https:` | through `index.json`, cached by its tag | no |
//! | `s3:`, `gs:`, `az:` | yes | yes; each needs its cargo feature |
//!
//! What comes out of here is not to be trusted yet: [`crate::dictionary`] checks that digests,
//! numbers and names fit.

pub(crate) mod checkout;
mod error;
mod folder;
pub(crate) mod git;
pub(crate) mod heads;
pub(crate) mod index;
pub(crate) mod journals;
mod key;
mod listing;
mod location;
mod need;
mod objects;
#[cfg(feature = "http")]
mod web;

use std::path::PathBuf;
#[cfg(test)]
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use meshwise_api::Timestamp;
#[cfg(test)]
use object_store::ObjectStore;
use tokio::runtime::Runtime;

use crate::output::Progress;

pub(crate) use error::StoreError;
pub(crate) use key::Key;
pub(crate) use listing::{Listing, MAX_BYTES, Sequence};
pub(crate) use location::Location;
pub(crate) use need::Need;
use objects::Objects;

/// The file with the organisation's policy.
pub(crate) const POLICY: &str = "policy.toml";
/// The file that says that a folder or bucket is a dictionary, and which one.
pub(crate) const MARKER: &str = "dictionary.toml";

/// How many documents are read at once.
const CONCURRENCY: usize = 32;

/// Reads and writes the documents of one dictionary.
///
/// Calls block until they are done; inside, a small runtime of this store's own works.
#[derive(Debug)]
pub(crate) struct Store {
    runtime: Runtime,
    backend: StoreBackend,
    location: Location,
}

#[derive(Debug)]
enum StoreBackend {
    Objects(Objects),
    #[cfg(feature = "http")]
    Web(web::WebStore),
}

/// Says how to open a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpenOptions {
    /// Use nothing but this machine: folders, and what was cached from the web.
    pub offline: bool,
    /// Where to keep what comes from the web. Default: the folder that `MESHWISE_CACHE` names,
    /// else `cargo-meshwise` among the user's caches.
    pub cache: Option<PathBuf>,
}

/// Says whether a document was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// It is new, and is there now.
    Yes,
    /// A document of this number was there already, and stays as it was.
    AlreadyThere,
}

impl Store {
    /// Opens the dictionary at this place.
    ///
    /// # Errors
    /// [`StoreError::Location`] when the folder does not exist, or this build cannot reach such a
    /// place.
    pub(crate) fn open(location: &Location, options: &OpenOptions) -> Result<Self, StoreError> {
        let backend = match location {
            #[cfg(feature = "http")]
            Location::Web(url) => StoreBackend::Web(web::WebStore::open(url, options)?),
            #[cfg(not(feature = "http"))]
            Location::Web(url) => return Err(StoreError::needs_feature(url, "tls")),
            Location::Bucket(url) if options.offline => {
                return Err(StoreError::offline(url.as_str()));
            }
            _ => StoreBackend::Objects(Objects::open(location)?),
        };
        Self::with_backend(backend, location.clone())
    }

    /// Uses any object store as a dictionary.
    ///
    /// # Errors
    /// The operating system's, when the runtime cannot start.
    #[cfg(test)]
    pub(crate) fn from_object_store(store: Arc<dyn ObjectStore>) -> Result<Self, StoreError> {
        Self::with_backend(StoreBackend::Objects(Objects::from_store(store)), Location::Memory)
    }

    fn with_backend(backend: StoreBackend, location: Location) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(CONCURRENCY)
            .build()
            .map_err(|error| StoreError::unavailable("the runtime", error))?;
        Ok(Self { runtime, backend, location })
    }

    /// Says where the dictionary is.
    #[must_use]
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// Returns when the dictionary was last asked, where that is not now: offline, of one on the
    /// web.
    #[must_use]
    pub(crate) fn as_of(&self) -> Option<Timestamp> {
        match &self.backend {
            StoreBackend::Objects(_) => None,
            #[cfg(feature = "http")]
            StoreBackend::Web(web) => web.as_of().and_then(Timestamp::from_unix_seconds),
        }
    }

    /// Names an object for people: the file, or its URL.
    #[must_use]
    pub(crate) fn name_of(&self, key: &Key) -> String {
        self.location.join(&key.to_string())
    }

    /// Lists all services.
    ///
    /// # Errors
    /// [`StoreError`] when the dictionary is out of reach or its index is damaged.
    pub(crate) fn list(&self) -> Result<Listing, StoreError> {
        self.runtime.block_on(async {
            match &self.backend {
                StoreBackend::Objects(objects) => objects.list(None).await,
                #[cfg(feature = "http")]
                StoreBackend::Web(web) => web.list().await,
            }
        })
    }

    /// Lists the services that an answer may need; a folder or bucket lists all of them.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    #[cfg_attr(not(feature = "http"), allow(unused_variables, reason = "folders list all"))]
    pub(crate) fn list_for(&self, need: &Need) -> Result<Listing, StoreError> {
        match &self.backend {
            StoreBackend::Objects(_) => match self.location.folder() {
                Some(folder) => folder::list(folder),
                None => self.list(),
            },
            #[cfg(feature = "http")]
            StoreBackend::Web(web) => self.runtime.block_on(web.list_for(need)),
        }
    }

    /// Reads a file beside the documents, such as the organisation's policy; `None` if there is none.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_file(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.runtime.block_on(async {
            match &self.backend {
                StoreBackend::Objects(objects) => objects.read_path(name).await,
                #[cfg(feature = "http")]
                StoreBackend::Web(web) => web.read_file(name).await,
            }
        })
    }

    /// Writes a file beside the documents, over an old one if there is one.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] on a web server; or whatever kept it from being written.
    pub(crate) fn write_file(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.runtime.block_on(self.objects()?.write_file(name, bytes))
    }

    /// Lists the documents of one service; `None` when there are none.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub(crate) fn list_service(&self, service: &str) -> Result<Option<Sequence>, StoreError> {
        let mut listing = self.runtime.block_on(async {
            match &self.backend {
                StoreBackend::Objects(objects) => objects.list(Some(service)).await,
                #[cfg(feature = "http")]
                StoreBackend::Web(web) => web.list().await,
            }
        })?;
        Ok(listing.services.remove(service))
    }

    /// Reads one document; `None` when there is none of this name.
    ///
    /// The digest, where it is known, says whether a cached copy will do. That the document has it
    /// is for the caller to check.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] beyond [`MAX_BYTES`], or whatever keeps it out of reach.
    pub(crate) fn read(
        &self,
        key: &Key,
        digest: Option<&str>,
    ) -> Result<Option<Bytes>, StoreError> {
        self.runtime.block_on(self.backend.read(key, digest))
    }

    /// Reads many documents at once, each with its digest where that is known, and parses them.
    /// The results come in the order asked for.
    ///
    /// A document that cannot be read or parsed is an error of its own, beside those that can.
    pub(crate) fn read_all<T: Send>(
        &self,
        keys: impl IntoIterator<Item = (Key, Option<String>)>,
        progress: &Progress,
        parse: impl Fn(&Key, &Bytes) -> Result<T, StoreError> + Sync,
    ) -> Vec<(Key, Result<T, StoreError>)> {
        let parse = |key: &Key, read: Result<Option<Bytes>, StoreError>| {
            let parsed = match read {
                Ok(Some(bytes)) => parse(key, &bytes),
                Ok(None) => Err(StoreError::missing(&self.name_of(key))),
                Err(error) => Err(error),
            };
            progress.step();
            parsed
        };
        if let Some(folder) = self.location.folder() {
            let keys: Vec<Key> = keys.into_iter().map(|(key, _)| key).collect();
            let parsed = folder::in_parallel(&keys, |key| {
                parse(key, folder::read(&folder.join(key.to_string())))
            });
            return keys.into_iter().zip(parsed).collect();
        }
        let reads = stream::iter(keys).map(|(key, digest)| async move {
            let read = self.backend.read(&key, digest.as_deref()).await;
            (key, read)
        });
        let parsed = reads.buffered(CONCURRENCY).map(|(key, read)| {
            let parsed = parse(&key, read);
            (key, parsed)
        });
        self.runtime.block_on(parsed.collect())
    }

    /// Drops what is cached of a service; `false` where nothing is.
    ///
    /// A cached document is the document, unless the dictionary was begun anew.
    pub(crate) fn forget(&self, service: &str) -> bool {
        match &self.backend {
            StoreBackend::Objects(_) => {
                let _ = service;
                false
            }
            #[cfg(feature = "http")]
            StoreBackend::Web(web) => web.forget(service),
        }
    }

    /// Writes a document if there is none of this number.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] on a web server; or whatever kept it from being written. After an
    /// error that is [transient](StoreError::is_transient) the document may be there all the same.
    pub(crate) fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StoreError> {
        self.runtime.block_on(self.objects()?.create(key, bytes))
    }

    /// Writes an object beside the documents, if there is none of this name.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub(crate) fn create_blob(&self, path: &str, bytes: Bytes) -> Result<Created, StoreError> {
        self.runtime.block_on(self.objects()?.create_path(path, bytes))
    }

    /// Reads an object beside the documents; `None` when there is none of this name. Whether it is
    /// what its name says is for the caller to check.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_blob(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        self.runtime.block_on(async {
            match &self.backend {
                StoreBackend::Objects(objects) => objects.read_path(path).await,
                #[cfg(feature = "http")]
                StoreBackend::Web(web) => web.read_path(path).await,
            }
        })
    }

    /// Reads the index, if there is one.
    ///
    /// # Errors
    /// As [`read`](Self::read). A damaged index reads as none: it can be rebuilt.
    pub(crate) fn read_index(&self) -> Result<Option<index::Index>, StoreError> {
        let bytes = self.runtime.block_on(self.objects()?.read_index())?;
        Ok(bytes.and_then(|bytes| index::Index::parse(&bytes).ok()))
    }

    /// Writes the index, over an old one if there is one.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] on a web server; or whatever kept it from being written.
    pub(crate) fn write_index(&self, index: &index::Index) -> Result<(), StoreError> {
        self.runtime.block_on(self.objects()?.write_index(index.to_json().into()))
    }

    fn objects(&self) -> Result<&Objects, StoreError> {
        match &self.backend {
            StoreBackend::Objects(objects) => Ok(objects),
            #[cfg(feature = "http")]
            StoreBackend::Web(_) => Err(StoreError::ReadOnly(self.location.to_string())),
        }
    }
}

impl StoreBackend {
    async fn read(&self, key: &Key, digest: Option<&str>) -> Result<Option<Bytes>, StoreError> {
        // Only what comes from the web is kept in a cache, which the digest proves fresh.
        let _ = digest;
        match self {
            Self::Objects(objects) => objects.read(key).await,
            #[cfg(feature = "http")]
            Self::Web(web) => web.read(key, digest).await,
        }
    }
}

#[cfg(test)]
mod tests;
