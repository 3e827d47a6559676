//! What became of consumers' tests against providers, by their journals.

use std::collections::BTreeMap;

use crate::{
    journal::{self, Fact, Kind, Name},
    store::{Store, StoreError},
};

/// The newest fact about each pair of publications.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tested {
    /// By provider, its document, consumer and its document.
    pairs: BTreeMap<(String, u64, String, u64), Fact>,
    /// What could not be read, by provider and consumer.
    unread: BTreeMap<(String, String), String>,
}

/// Says what is known of a consumer's tests against a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome<'t> {
    /// They passed.
    Passed { url: Option<&'t str> },
    /// They failed.
    Failed { url: Option<&'t str> },
    /// They were asked to begin, and no result is recorded.
    Awaited { run: &'t str },
    /// They could not be asked to begin.
    NotStarted { error: &'t str },
    /// What is recorded cannot be read.
    Unread { error: &'t str },
    /// Nothing is recorded.
    None,
}

impl Tested {
    /// Reads what is recorded of a service, as provider and as consumer; of all without one.
    ///
    /// # Errors
    /// [`StoreError`] when the dictionary is out of reach.
    pub(crate) fn read(store: &Store, service: Option<&str>) -> Result<Self, StoreError> {
        let mut tested = Self::default();
        for (name, sequence) in store.list_journals(Kind::Tests.folder())? {
            let (provider, consumer) = (name.first(), name.second());
            if service.is_some_and(|service| service != provider && service != consumer) {
                continue;
            }
            match journal::read(store, &name, &sequence) {
                Ok(entries) => entries.into_iter().for_each(|entry| tested.take(&name, entry.fact)),
                Err(error) if error.is_damage() => {
                    let pair = (provider.to_owned(), consumer.to_owned());
                    tested.unread.insert(pair, error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(tested)
    }

    fn take(&mut self, name: &Name, fact: Fact) {
        let (provider, consumer) = match &fact {
            Fact::Started { provider, consumer, .. }
            | Fact::NotStarted { provider, consumer, .. }
            | Fact::Tested { provider, consumer, .. } => (*provider, *consumer),
            _ => return,
        };
        let key = (name.first().to_owned(), provider, name.second().to_owned(), consumer);
        self.pairs.insert(key, fact);
    }

    /// Says what is known of a pair of publications.
    pub(crate) fn outcome(
        &self,
        (provider, document): (&str, u64),
        (consumer, of_consumer): (&str, u64),
    ) -> Outcome<'_> {
        if let Some(error) = self.unread.get(&(provider.to_owned(), consumer.to_owned())) {
            return Outcome::Unread { error };
        }
        let key = (provider.to_owned(), document, consumer.to_owned(), of_consumer);
        match self.pairs.get(&key) {
            Some(Fact::Tested { passed: true, url, .. }) => Outcome::Passed { url: url.as_deref() },
            Some(Fact::Tested { url, .. }) => Outcome::Failed { url: url.as_deref() },
            Some(Fact::Started { run, .. }) => Outcome::Awaited { run },
            Some(Fact::NotStarted { error, .. }) => Outcome::NotStarted { error },
            _ => Outcome::None,
        }
    }

    /// Lists the newest fact of each consumer against a provider, by consumer.
    pub(crate) fn against(&self, provider: &str) -> Vec<(&str, u64, u64, &Fact)> {
        let of = self.pairs.iter().filter(|((name, ..), _)| name == provider);
        of.map(|((_, document, consumer, own), fact)| (consumer.as_str(), *document, *own, fact))
            .collect()
    }
}
