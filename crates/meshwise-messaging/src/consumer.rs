//! Receiving messages.

use crate::{Delivery, Messaging, Processing, System, hands::Hand};
use std::sync::Arc;

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
    pub(crate) hand: Arc<Hand>,
}

/// Says how the span of a message that is processed hangs together with that of its producer
/// (complete by nature).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parenting {
    /// It is the producer's child: one trace.
    #[default]
    Child,
    /// It begins a trace of its own, and links to the producer's span: for messages that wait for
    /// hours, or have thousands of consumers. Batches always do.
    Link,
}

/// Says who may have written a message (complete by nature).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Services of the same mesh.
    #[default]
    Internal,
    /// Strangers: their span is linked to, and nothing else of what they say is believed.
    Edge,
}

impl Consumer {
    pub(crate) fn new(messaging: Messaging, system: System, destination: Arc<str>) -> Self {
        let hand = messaging.0.hands.of(system, &destination, None);
        Self(Arc::new(ConsumerParts {
            process: format!("process {destination}").into(),
            messaging,
            system,
            destination,
            group: None,
            parenting: Parenting::default(),
            trust: Trust::default(),
            hand,
        }))
    }

    /// Sets the consumer group: Kafka's, NATS' queue group, `JetStream`'s durable consumer.
    #[must_use]
    pub fn with_group(self, group: impl Into<Arc<str>>) -> Self {
        self.change(|parts| {
            let group = group.into();
            let hands = &parts.messaging.0.hands;
            parts.hand = hands.of(parts.system, &parts.destination, Some(&group));
            parts.group = Some(group);
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

    fn change(mut self, change: impl FnOnce(&mut ConsumerParts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Takes a message in hand: its span starts.
    pub fn receive(&self, message: &(impl Delivery + ?Sized)) -> Processing {
        Processing::one(self, message)
    }

    /// Takes several messages in hand at once, as one operation, whose span links to those of their
    /// producers (the first 128).
    pub fn receive_batch<'m, D: Delivery + ?Sized + 'm>(
        &self,
        messages: impl IntoIterator<Item = &'m D>,
    ) -> Processing {
        Processing::batch(self, messages)
    }

    /// Counts a message that had been processed before: what an [`Inbox`](crate::Inbox) calls done.
    pub fn count_duplicate(&self) {
        if let Some(metrics) = &self.0.messaging.0.metrics {
            metrics.duplicate(&self.0.channel());
        }
    }

    /// Returns the destination.
    #[must_use]
    pub fn destination(&self) -> &str {
        &self.0.destination
    }
}

impl ConsumerParts {
    pub(crate) fn channel(&self) -> meshwise_metrics::MessagingChannel<'_> {
        meshwise_metrics::MessagingChannel {
            system: self.system.as_str(),
            destination: &self.destination,
            group: self.group.as_deref(),
        }
    }
}
