//! The services whose messages come here.

use meshwise_core::{CallInfo, Service};
use meshwise_metrics::{
    Metrics,
    internal::{Edge, EdgeCall, LabelGuard, ServiceMap, Table},
    names,
};
use opentelemetry::Context;
use std::sync::{Arc, OnceLock};

/// How many are told apart; the rest share one name. So many API versions are kept, too.
const MAX_SENDERS: usize = 200;

/// Finds the service that a message comes from, with its edge of the map, in one look-up.
pub(crate) struct Senders {
    known: Table<Arc<Sender>>,
    names: LabelGuard,
    map: Option<ServiceMap>,
    receiver: Service,
    unnamed: OnceLock<Arc<Sender>>,
    versions: Table<Arc<str>>,
}

/// A service that sends messages.
#[derive(Debug)]
pub(crate) struct Sender {
    /// `None` for those that do not say theirs.
    pub(crate) name: Option<Arc<str>>,
    edge: Option<Edge>,
    /// What a handler's context holds of a message that says no more than who sent it, and has no id but its
    /// trace's: the same for all of them, and made once.
    pub(crate) facts: Context,
}

impl Senders {
    pub(crate) fn new(metrics: Option<&Metrics>, receiver: Service) -> Self {
        let bounded = |metrics| {
            let metric = names::MESSAGING_PROCESS_DURATION;
            LabelGuard::new(metrics, metric, "caller", MAX_SENDERS)
        };
        Self {
            known: Table::new(MAX_SENDERS + 1),
            names: metrics.map_or_else(|| LabelGuard::detached(MAX_SENDERS), bounded),
            map: metrics.map(ServiceMap::new),
            receiver,
            unnamed: OnceLock::new(),
            versions: Table::new(MAX_SENDERS),
        }
    }

    pub(crate) fn find(&self, name: Option<&str>) -> Arc<Sender> {
        let Some(name) = name else {
            return Arc::clone(self.unnamed());
        };
        match self.get(name) {
            Some(known) => Arc::clone(known),
            None => self.learn(name),
        }
    }

    /// Returns what those go by that do not say their names.
    pub(crate) fn unnamed(&self) -> &Arc<Sender> {
        self.unnamed.get_or_init(|| Arc::new(self.sender(None)))
    }

    fn get(&self, name: &str) -> Option<&Arc<Sender>> {
        self.known.get(self.known.hash(&name), |known| known.name.as_deref() == Some(name))
    }

    /// Takes in a service that was not heard of; one too many goes by the name that they share.
    fn learn(&self, name: &str) -> Arc<Sender> {
        let name = self.names.intern(name);
        let hash = self.known.hash(&&*name);
        let is = |known: &Arc<Sender>| known.name.as_deref() == Some(&*name);
        let make = || Arc::new(self.sender(Some(Arc::clone(&name))));
        self.known.get_or_insert(hash, is, make).map_or_else(make, Arc::clone)
    }

    fn sender(&self, name: Option<Arc<str>>) -> Sender {
        let map = self.map.as_ref();
        let edge = map.map(|map| map.messages(name.as_deref(), self.receiver.name()));
        let mut info = CallInfo::default().named_by_trace();
        info.caller.clone_from(&name);
        Sender { facts: Context::new().with_value(info), name, edge }
    }

    /// Returns an API version, kept if there are not too many.
    pub(crate) fn version(&self, version: &str) -> Arc<str> {
        let versions = &self.versions;
        let make = || Arc::from(version);
        let kept = versions.get_or_insert(versions.hash(&version), |kept| **kept == *version, make);
        kept.map_or_else(make, Arc::clone)
    }
}

/// How many senders a consumer knows by what their messages say.
const FIRST: usize = 4;

/// The first senders of a consumer, by the bytes in which their messages name them: to take these apart, and to
/// look the name up, costs more. Most destinations have one sender.
#[derive(Clone, Debug, Default)]
pub(crate) struct FirstSenders([OnceLock<Arc<KnownSender>>; FIRST]);

/// What a message says by naming its sender.
#[derive(Debug)]
pub(crate) struct KnownSender {
    said: Box<[u8]>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) api_version: Option<Arc<str>>,
}

impl FirstSenders {
    #[inline]
    pub(crate) fn find(&self, said: &[u8]) -> Option<&KnownSender> {
        // Without gaps.
        let mut known = self.0.iter().map_while(OnceLock::get);
        known.find(|known| *known.said == *said).map(|known| &**known)
    }

    /// Keeps what such bytes mean, if there is room; not where other entries may follow.
    #[inline(never)]
    pub(crate) fn keep(&self, said: &[u8], sender: &Arc<Sender>, api_version: Option<&Arc<str>>) {
        let Some(place) = self.0.iter().find(|place| place.get().is_none()) else { return };
        if !said.contains(&b',') {
            let (sender, api_version) = (Arc::clone(sender), api_version.cloned());
            // If another thread is faster, the next message will be kept.
            let _taken =
                place.set(Arc::new(KnownSender { said: said.into(), sender, api_version }));
        }
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.0[FIRST - 1].get().is_some()
    }
}

impl Sender {
    /// Counts messages that were processed in one operation.
    pub(crate) fn count(&self, messages: u64, call: &EdgeCall) {
        if let Some(edge) = &self.edge {
            edge.processed(messages, call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_found_again_and_those_beyond_the_bound_share_a_name() {
        let senders = Senders::new(None, Service::new("mailer", "1"));
        let names: Vec<_> = (0..2 * MAX_SENDERS).map(|i| format!("service-{i}")).collect();
        let found: Vec<_> = names.iter().map(|name| senders.find(Some(name))).collect();
        assert_eq!(found[0].name.as_deref(), Some("service-0"));
        assert!(Arc::ptr_eq(&found[0], &senders.find(Some("service-0"))));
        assert_eq!(found[MAX_SENDERS].name.as_deref(), Some("_other"));
        assert!(Arc::ptr_eq(&found[MAX_SENDERS], &found[2 * MAX_SENDERS - 1]));
        assert!(senders.find(None).name.is_none());
        let known = allocation_counter::measure(|| {
            let _found = (senders.find(Some("service-1")), senders.find(None));
        });
        assert_eq!(known.count_total, 0);
    }

    #[test]
    fn the_first_senders_are_known_by_what_their_messages_say() {
        let senders = Senders::new(None, Service::new("mailer", "1"));
        let first = FirstSenders::default();
        let said = |i: usize| format!(";s:service-{i}").into_bytes();
        for i in 0..2 * FIRST {
            let sender = senders.find(Some(&format!("service-{i}")));
            first.keep(b";s:orders,a=1", &sender, None);
            first.keep(&said(i), &sender, Some(&senders.version("2")));
        }
        for i in 0..FIRST {
            let known = first.find(&said(i)).expect("one of the first");
            assert!(Arc::ptr_eq(&known.sender, &senders.find(Some(&format!("service-{i}")))));
            assert_eq!(known.api_version.as_deref(), Some("2"));
        }
        assert!(first.is_full() && first.find(&said(FIRST)).is_none());
        assert!(first.find(b";s:orders,a=1").is_none(), "another entry may follow");
    }

    #[test]
    fn versions_are_whole_beyond_the_bound() {
        let senders = Senders::new(None, Service::new("mailer", "1"));
        for i in 0..2 * MAX_SENDERS {
            assert_eq!(*senders.version(&i.to_string()), *i.to_string());
        }
        assert!(Arc::ptr_eq(&senders.version("0"), &senders.version("0")));
    }
}
