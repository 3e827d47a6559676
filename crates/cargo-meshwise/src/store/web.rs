//! Documents on any web server: read only, through `index.json`.
//!
//! Plain HTTP cannot list a folder, so the index says what there is. It is asked for with its
//! entity tag; a document, which never changes, is kept in a cache on this machine and asked for again
//! only when the digest that the index names is another. Every answer is limited in size and time.

mod cache;

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, StatusCode,
    header::{AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH},
};
use serde::Deserialize;
use url::Url;

use super::{
    OpenOptions,
    error::StoreError,
    heads::{self, Heads},
    index,
    key::Key,
    listing::{Listing, MAX_BYTES, Sequence},
    location::Location,
    need::Need,
};
use cache::Cache;

/// The variable with a bearer token for the server.
const TOKEN: &str = "MESHWISE_DICTIONARY_TOKEN";

/// How often a request is made before it counts as failed.
const ATTEMPTS: u32 = 3;

#[derive(Debug)]
pub(super) struct WebStore {
    client: Client,
    base: Url,
    location: Location,
    cache: Cache,
    offline: bool,
    /// What one request brought, and the documents that are newer.
    heads: OnceLock<Fetched>,
}

#[derive(Debug)]
struct Fetched {
    documents: BTreeMap<Key, Bytes>,
    policy: Option<String>,
}

enum WebAnswer {
    New { bytes: Bytes, etag: Option<String> },
    NotModified,
    Missing,
}

impl WebStore {
    pub(super) fn open(base: &Url, options: &OpenOptions) -> Result<Self, StoreError> {
        let location = Location::Web(base.clone());
        if base.scheme() == "https" && !cfg!(feature = "tls") {
            return Err(StoreError::needs_feature(base, "tls"));
        }
        let mut headers = HeaderMap::new();
        if let Ok(token) = std::env::var(TOKEN) {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                StoreError::Location(format!("{TOKEN} holds characters that no header may"))
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = Client::builder()
            .user_agent(concat!("cargo-meshwise/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| StoreError::unavailable(location.to_string(), error))?;
        Ok(Self {
            client,
            cache: Cache::of(base, options.cache.as_deref()),
            base: base.clone(),
            location,
            offline: options.offline,
            heads: OnceLock::new(),
        })
    }

    /// Lists what an answer may need: out of `heads.json`, if the server has it, with what is newer of
    /// each provider that is needed; else by the index.
    pub(super) async fn list_for(&self, need: &Need) -> Result<Listing, StoreError> {
        let Some(heads) = self.fetch_heads().await? else { return self.list().await };
        let mut documents = heads.documents();
        if let Need::Apis { apis, .. } = need
            && !self.offline
        {
            let needed = documents
                .iter()
                .filter(|(key, bytes)| need.may_need(key, bytes) && heads::provides(bytes, apis));
            let needed: Vec<Key> = needed.map(|(key, _)| key.clone()).collect();
            for mut key in needed {
                // The head is the last one that is there.
                loop {
                    let next = Key::new(key.service(), key.seq().saturating_add(1));
                    let WebAnswer::New { bytes, .. } = self.get(&next.to_string(), None).await?
                    else {
                        break;
                    };
                    documents.remove(&key);
                    documents.insert(next.clone(), bytes);
                    key = next;
                }
            }
        }
        let unread: Vec<Key> = heads.unread().collect();
        let services = unread.iter().chain(documents.keys()).map(|key| {
            let sequence = Sequence { head: key.seq(), gap: None, digest: None };
            (key.service().to_owned(), sequence)
        });
        let listing = Listing { services: services.collect(), strays: Vec::new() };
        let policy = heads.policy().map(str::to_owned);
        let _ = self.heads.set(Fetched { documents, policy });
        Ok(listing)
    }

    /// Reads `heads.json`; none where the server has none.
    async fn fetch_heads(&self) -> Result<Option<Heads>, StoreError> {
        let cached = self.cache.read(heads::FILE);
        let bytes = if self.offline {
            let Some((bytes, _)) = cached else { return Ok(None) };
            bytes
        } else {
            let etag = cached.as_ref().and_then(|(_, etag)| etag.as_deref());
            match (self.get(heads::FILE, etag).await?, cached) {
                (WebAnswer::New { bytes, etag }, _) => {
                    // A page to log in, say, is no answer: the index tells more.
                    if Heads::parse(&bytes).is_err() {
                        return Ok(None);
                    }
                    self.cache.write(heads::FILE, &bytes, etag.as_deref());
                    bytes
                }
                (WebAnswer::NotModified, Some((bytes, _))) => {
                    self.cache.touch(heads::FILE);
                    bytes
                }
                (WebAnswer::NotModified, None) | (WebAnswer::Missing, _) => return Ok(None),
            }
        };
        Ok(Heads::parse(&bytes).ok())
    }

    /// Reads a file beside the documents.
    pub(super) async fn read_file(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        if let Some(fetched) = self.heads.get()
            && name == super::POLICY
        {
            return Ok(fetched.policy.clone().map(Bytes::from));
        }
        if self.offline {
            return Ok(self.cache.read(name).map(|(bytes, _)| bytes));
        }
        match self.get(name, None).await? {
            WebAnswer::New { bytes, .. } => {
                self.cache.write(name, &bytes, None);
                Ok(Some(bytes))
            }
            WebAnswer::NotModified | WebAnswer::Missing => Ok(None),
        }
    }

    pub(super) async fn list(&self) -> Result<Listing, StoreError> {
        let what = self.location.join(index::FILE);
        let cached = self.cache.read(index::FILE);
        if self.offline {
            let (bytes, _) = cached.ok_or(StoreError::Offline(what))?;
            return self.parse_index(&bytes);
        }
        let etag = cached.as_ref().and_then(|(_, etag)| etag.as_deref());
        match (self.get(index::FILE, etag).await?, &cached) {
            (WebAnswer::New { bytes, etag }, _) => {
                let listing = self.parse_index(&bytes)?;
                self.cache.write(index::FILE, &bytes, etag.as_deref());
                Ok(listing)
            }
            (WebAnswer::NotModified, Some((bytes, _))) => {
                self.cache.touch(index::FILE);
                self.parse_index(bytes)
            }
            (WebAnswer::NotModified, None) => Err(StoreError::Damaged(format!(
                "{what}: the server says \"not modified\" to a question that had no condition"
            ))),
            (WebAnswer::Missing, _) => Err(StoreError::Damaged(format!(
                "{what} is not there; run `cargo meshwise index` on the folder that is served"
            ))),
        }
    }

    /// Returns when the dictionary was last asked, if it is not asked now.
    pub(super) fn as_of(&self) -> Option<i64> {
        let asked = |file| self.cache.as_of(file);
        if self.offline { asked(heads::FILE).max(asked(index::FILE)) } else { None }
    }

    fn parse_index(&self, bytes: &[u8]) -> Result<Listing, StoreError> {
        let index = index::Index::parse(bytes).map_err(|why| {
            StoreError::Damaged(format!(
                "{} is no index ({why}); if a page to log in or of a proxy came in its place, see to that \
                 first, else rebuild it with `cargo meshwise index`",
                self.location.join(index::FILE)
            ))
        })?;
        Ok(index.into_listing())
    }

    /// Drops what is cached of a service, if it can be asked for again.
    pub(super) fn forget(&self, service: &str) -> bool {
        !self.offline && self.cache.remove_folder(&format!("services/{service}"))
    }

    pub(super) async fn read(
        &self,
        key: &Key,
        digest: Option<&str>,
    ) -> Result<Option<Bytes>, StoreError> {
        if let Some(bytes) = self.heads.get().and_then(|fetched| fetched.documents.get(key)) {
            return Ok(Some(bytes.clone()));
        }
        let path = key.to_string();
        if let Some((bytes, _)) = self.cache.read(&path)
            && digest.is_none_or(|digest| claimed_digest(&bytes).as_deref() == Some(digest))
        {
            return Ok(Some(bytes));
        }
        if self.offline {
            return Err(StoreError::Offline(self.location.join(&path)));
        }
        match self.get(&path, None).await? {
            WebAnswer::New { bytes, .. } => {
                self.cache.write(&path, &bytes, None);
                Ok(Some(bytes))
            }
            WebAnswer::NotModified | WebAnswer::Missing => Ok(None),
        }
    }

    /// Reads an object whose name is its digest, so that a cached one never ages.
    pub(super) async fn read_path(&self, path: &str) -> Result<Option<Bytes>, StoreError> {
        if let Some((bytes, _)) = self.cache.read(path) {
            return Ok(Some(bytes));
        }
        if self.offline {
            return Err(StoreError::Offline(self.location.join(path)));
        }
        match self.get(path, None).await? {
            WebAnswer::New { bytes, .. } => {
                self.cache.write(path, &bytes, None);
                Ok(Some(bytes))
            }
            WebAnswer::NotModified | WebAnswer::Missing => Ok(None),
        }
    }

    async fn get(&self, path: &str, etag: Option<&str>) -> Result<WebAnswer, StoreError> {
        let mut attempt = 1;
        loop {
            match self.get_once(path, etag).await {
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(100 << (2 * (attempt - 1)))).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    async fn get_once(&self, path: &str, etag: Option<&str>) -> Result<WebAnswer, StoreError> {
        let what = || self.location.join(path);
        let failed = |error: reqwest::Error| StoreError::Unavailable {
            what: what(),
            transient: true,
            // The URL is in `what`, where a password is left out.
            source: error.without_url().into(),
        };
        let url = self.base.join(path).map_err(|error| StoreError::unavailable(what(), error))?;
        let mut request = self.client.get(url);
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => return Ok(WebAnswer::NotModified),
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(WebAnswer::Missing),
            status => {
                return Err(StoreError::Unavailable {
                    what: what(),
                    transient: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
                    source: format!("the server answered {status}").into(),
                });
            }
        }
        let etag =
            response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let mut bytes = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > MAX_BYTES {
                return Err(StoreError::TooLarge(what()));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(WebAnswer::New { bytes: bytes.freeze(), etag })
    }
}

/// Reads the digest that a document claims. Whether it is true is checked where it is used.
fn claimed_digest(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Claim {
        digest: String,
    }
    serde_json::from_slice::<Claim>(bytes).ok().map(|claim| claim.digest)
}
