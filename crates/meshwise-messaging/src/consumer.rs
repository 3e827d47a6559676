//! Receiving messages.

use crate::{hands::Hand, messaging::Messaging, senders::FirstSenders, system::System};
use std::sync::{Arc, OnceLock};

/// Receives messages of one destination. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Consumer(pub(crate) Arc<ConsumerParts>);

#[derive(Clone, Debug)]
pub(crate) struct ConsumerParts {
    pub(crate) messaging: Messaging,
    pub(crate) system: System,
    pub(crate) destination: Arc<str>,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) process: Arc<str>,
    pub(crate) parenting: Parenting,
    pub(crate) trust: Trust,
    /// The API that the messages are of.
    pub(crate) api: Option<Arc<str>>,
    pub(crate) first_senders: FirstSenders,
    /// Made with the first message: a group may be set until then.
    hand: OnceLock<Arc<Hand>>,
}

/// Says how the span of a message that is processed hangs together with that of its producer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Parenting {
    /// It is the producer's child: one trace.
    #[default]
    Child,
    /// It begins a trace of its own, and links to the producer's span: for messages that wait for
    /// hours, or have thousands of consumers. Batches always do.
    Link,
}

/// Says who may have written a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Trust {
    /// Services of the same mesh.
    #[default]
    Internal,
    /// Strangers: their span is linked to, and nothing else of what they say is believed.
    Edge,
}

impl Messaging {
    /// Makes a consumer of one destination: a topic, queue or subject, or the template of such if there
    /// are many.
    pub fn consumer(&self, system: System, destination: impl Into<Arc<str>>) -> Consumer {
        let destination = destination.into();
        Consumer(Arc::new(ConsumerParts {
            process: format!("process {destination}").into(),
            messaging: self.clone(),
            system,
            hand: OnceLock::new(),
            destination,
            group: None,
            parenting: Parenting::default(),
            trust: Trust::default(),
            api: None,
            first_senders: FirstSenders::default(),
        }))
    }
}

impl Consumer {
    /// Sets the consumer group: Kafka's, NATS' queue group, `JetStream`'s durable consumer.
    #[must_use]
    pub fn with_group(self, group: impl Into<Arc<str>>) -> Self {
        self.change(|parts| {
            parts.hand = OnceLock::new();
            parts.group = Some(group.into());
        })
    }

    /// Sets how spans hang together; [`Parenting::Child`] by default.
    #[must_use]
    pub fn with_parenting(self, parenting: Parenting) -> Self {
        self.change(|parts| parts.parenting = parenting)
    }

    /// Sets who may have written the messages; [`Trust::Internal`] by default.
    #[must_use]
    pub fn with_trust(self, trust: Trust) -> Self {
        self.change(|parts| parts.trust = trust)
    }

    /// Says that these are the messages of an API: each counts in the version that its producer named,
    /// or the only one that it can be of. Call it once the consumer takes all messages of that API.
    #[must_use]
    pub fn with_api(self, api: impl Into<Arc<str>>) -> Self {
        let api = api.into();
        if let Some(counter) = &self.0.messaging.0.api {
            counter.begin(&api);
        }
        self.change(|parts| parts.api = Some(api))
    }

    fn change(mut self, change: impl FnOnce(&mut ConsumerParts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Counts a message that had been processed before: what an [inbox](crate::Begun) calls done.
    pub fn count_duplicate(&self) {
        if let Some(series) = &self.0.hand().series {
            series.duplicate();
        }
    }

    /// Returns the destination.
    #[doc(hidden)]
    #[must_use]
    pub fn destination(&self) -> &str {
        &self.0.destination
    }
}

impl ConsumerParts {
    pub(crate) fn hand(&self) -> &Arc<Hand> {
        let hands = &self.messaging.0.hands;
        self.hand.get_or_init(|| hands.of(self.system, &self.destination, self.group.as_ref()))
    }

    pub(crate) fn channel(&self) -> meshwise_metrics::internal::MessagingChannel<'_> {
        meshwise_metrics::internal::MessagingChannel {
            system: self.system.as_str(),
            destination: &self.destination,
            group: self.group.as_deref(),
        }
    }
}
