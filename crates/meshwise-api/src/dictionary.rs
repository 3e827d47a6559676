//! All declarations together: who provides what, and who needs it.
//!
//! ```
//! use meshwise_api::{Declaration, Dictionary, Draft, Found};
//!
//! let auth = Declaration::parse("api.toml", r#"
//! schema = 1
//! service = { name = "auth" }
//! [[provides]]
//! api = "auth"
//! scheme = "main-minor"
//! versions = [
//!     { version = "1.1", released = 2020-01-01, deprecated = 2026-09-01, successor = "2.0" },
//!     { version = "2.0", released = 2026-09-01 },
//! ]
//! "#)?;
//! let document = Draft::new(auth, "2026-09-01T08:00:00Z".parse()?, "ci").seal(None)?;
//! let dictionary = Dictionary::from_documents([document])?;
//!
//! let today = "2026-11-21".parse()?;
//! let Found::Offer(offer) = dictionary.resolve("auth", "1.0", today) else { panic!("1.1 will do") };
//! assert_eq!(offer.release().version.as_str(), "1.1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod resolve;

use std::collections::BTreeMap;

pub use resolve::{Edge, Found, Offer, Usage};

use crate::{
    canonical::Digest,
    date::Date,
    declaration::{Declaration, Provides, Requires},
    document::{ChainError, Document},
    policy::Policy,
    scheme::Scheme,
};

/// Holds every service's documents, and finds providers and callers in the newest of each.
///
/// It lives in memory; where the documents come from (a folder, a bucket, a web server) is the
/// caller's. What an API's providers and callers are is looked up in an index: a question costs what
/// its answer is long.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    /// Each service's documents from the first to the newest; never empty.
    services: BTreeMap<String, Vec<Document>>,
    /// The services whose newest document provides or requires an API, by the API; sorted.
    providers: BTreeMap<String, Vec<String>>,
    callers: BTreeMap<String, Vec<String>>,
    policy: Policy,
}

impl Dictionary {
    /// Starts without documents.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gathers documents, given in any order, and proves the chain of each service.
    ///
    /// # Errors
    /// If a service's documents have a gap, a duplicate, or one that was replaced.
    pub fn from_documents(
        documents: impl IntoIterator<Item = Document>,
    ) -> Result<Self, ChainError> {
        let mut documents: Vec<_> = documents.into_iter().collect();
        documents.sort_by(|a, b| (a.service(), a.seq()).cmp(&(b.service(), b.seq())));
        let mut dictionary = Self::new();
        for document in documents {
            dictionary.append(document)?;
        }
        for (service, documents) in &dictionary.services {
            if let Some(newest) = documents.last() {
                index(
                    &mut dictionary.providers,
                    &mut dictionary.callers,
                    service,
                    newest.declaration(),
                );
            }
        }
        Ok(dictionary)
    }

    /// Gathers the newest document of each service, whose chains are not looked at: for answers that
    /// need no history.
    ///
    /// Of two documents of one service the later one holds.
    #[must_use]
    pub fn from_heads(heads: impl IntoIterator<Item = Document>) -> Self {
        let mut dictionary = Self::new();
        for head in heads {
            let documents = dictionary.services.entry(head.service().to_owned()).or_default();
            if documents.last().is_none_or(|there| there.seq() < head.seq()) {
                *documents = vec![head];
            }
        }
        for (service, documents) in &dictionary.services {
            if let Some(newest) = documents.last() {
                let declaration = newest.declaration();
                index(&mut dictionary.providers, &mut dictionary.callers, service, declaration);
            }
        }
        dictionary
    }

    /// Adds the next document of a service.
    ///
    /// # Errors
    /// If it is not the one that comes after the service's newest; the dictionary stays as it is.
    pub fn insert(&mut self, document: Document) -> Result<(), ChainError> {
        let service = document.service().to_owned();
        let before = self.append(document)?;
        if let Some(before) = before {
            unindex(
                &mut self.providers,
                &service,
                before.provides.iter().map(|provides| &provides.api),
            );
            unindex(
                &mut self.callers,
                &service,
                before.requires.iter().map(|requires| &requires.api),
            );
        }
        if let Some(newest) = self.services.get(&service).and_then(|documents| documents.last()) {
            index(&mut self.providers, &mut self.callers, &service, newest.declaration());
        }
        Ok(())
    }

    /// Adds a document without the index; returns the declaration that it replaces.
    fn append(&mut self, document: Document) -> Result<Option<Declaration>, ChainError> {
        let newest = self.newest(document.service());
        document.verify_parent(newest)?;
        let before = newest.map(|newest| newest.declaration().clone());
        self.services.entry(document.service().to_owned()).or_default().push(document);
        Ok(before)
    }

    /// Returns the newest document of a service.
    #[must_use]
    pub fn newest(&self, service: &str) -> Option<&Document> {
        self.services.get(service)?.last()
    }

    /// Returns all documents of a service, from the first to the newest.
    #[must_use]
    pub fn history(&self, service: &str) -> &[Document] {
        self.services.get(service).map_or(&[], Vec::as_slice)
    }

    /// Returns the newest document of each service, by name.
    pub fn services(&self) -> impl Iterator<Item = &Document> {
        self.services.values().filter_map(|documents| documents.last())
    }

    /// Counts the services.
    #[must_use]
    pub fn len(&self) -> usize {
        self.services.len()
    }

    /// Tells whether there is no service.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// Returns the names of all APIs that are provided, sorted.
    pub fn apis(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(String::as_str)
    }

    /// Returns who provides an API, by service name.
    pub fn providers<'d>(
        &'d self,
        api: &'d str,
    ) -> impl Iterator<Item = (&'d Document, &'d Provides)> {
        self.of(&self.providers, api).flat_map(move |document| {
            let provides = document.declaration().provides.iter();
            provides
                .filter(move |provides| provides.api == api)
                .map(move |provides| (document, provides))
        })
    }

    /// Returns who requires an API, in whatever version, by service name.
    pub fn callers<'d>(
        &'d self,
        api: &'d str,
    ) -> impl Iterator<Item = (&'d Document, &'d Requires)> {
        self.of(&self.callers, api).flat_map(move |document| {
            let requires = document.declaration().requires.iter();
            requires
                .filter(move |requires| requires.api == api)
                .map(move |requires| (document, requires))
        })
    }

    fn of<'d>(
        &'d self,
        index: &'d BTreeMap<String, Vec<String>>,
        api: &str,
    ) -> impl Iterator<Item = &'d Document> + use<'d> {
        let services = index.get(api).map_or(&[][..], Vec::as_slice);
        services.iter().filter_map(|service| self.newest(service))
    }

    /// Returns the day since which a service has published that it requires this version of an API, or
    /// one that can stand in for it under a scheme, without a break; none if its newest document
    /// requires neither.
    #[must_use]
    pub fn used_since(
        &self,
        service: &str,
        api: &str,
        version: &str,
        scheme: Option<Scheme>,
    ) -> Option<Date> {
        self.newest(service)?.used_since(api, version, scheme)
    }

    /// Returns the organisation's policy, which a service may tighten and never loosen.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Sets the organisation's policy.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Computes one digest over the newest document of each service: two dictionaries with the same
    /// say the same.
    #[must_use]
    pub fn head_digest(&self) -> Digest {
        let heads: String = self
            .services()
            .map(|document| {
                format!("{} {} {}\n", document.service(), document.seq(), document.digest())
            })
            .collect();
        Digest::of(heads.as_bytes())
    }
}

fn index(
    providers: &mut BTreeMap<String, Vec<String>>,
    callers: &mut BTreeMap<String, Vec<String>>,
    service: &str,
    declaration: &Declaration,
) {
    for provides in &declaration.provides {
        add(providers, &provides.api, service);
    }
    for requires in &declaration.requires {
        add(callers, &requires.api, service);
    }
}

fn add(index: &mut BTreeMap<String, Vec<String>>, api: &str, service: &str) {
    if let Some(services) = index.get_mut(api) {
        if let Err(at) = services.binary_search_by(|other| other.as_str().cmp(service)) {
            services.insert(at, service.to_owned());
        }
    } else {
        index.insert(api.to_owned(), vec![service.to_owned()]);
    }
}

fn unindex<'a>(
    index: &mut BTreeMap<String, Vec<String>>,
    service: &str,
    apis: impl Iterator<Item = &'a String>,
) {
    for api in apis {
        if let Some(services) = index.get_mut(api) {
            services.retain(|other| other != service);
            if services.is_empty() {
                index.remove(api);
            }
        }
    }
}

#[cfg(test)]
mod tests;
