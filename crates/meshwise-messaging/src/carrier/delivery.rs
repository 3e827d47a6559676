//! A message as it was delivered.

use super::Carrier;
use std::{borrow::Cow, time::SystemTime};

/// Tells what a client knows of a message beside its headers. All of it may be missing.
pub trait Delivery: Carrier {
    /// Returns the id that the producer or the broker gave to the message (AMQP `message_id`,
    /// `Nats-Msg-Id`): the same when the message is sent again.
    fn message_id(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// Returns where in a log the message stands.
    fn position(&self) -> Option<Position<'_>> {
        None
    }

    /// Returns how often it was delivered before; 0 for the first time, 1 if all that is known is that
    /// this is not the first.
    fn deliveries_before(&self) -> u32 {
        0
    }

    /// Returns when it was published, by the clock of the producer or of the broker.
    fn published_at(&self) -> Option<SystemTime> {
        None
    }

    /// Returns the body's length, in bytes.
    fn body_size(&self) -> Option<usize> {
        None
    }
}

/// Says where in a log a message stands: Kafka's topic, partition and offset; `JetStream`'s stream and
/// sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position<'a> {
    /// The topic or stream.
    pub(crate) log: &'a str,
    /// The partition, where there are such.
    pub(crate) partition: Option<u32>,
    /// The offset or sequence.
    pub(crate) offset: u64,
}

impl<'a> Position<'a> {
    /// Names a place in a log.
    #[must_use]
    pub const fn new(log: &'a str, partition: Option<u32>, offset: u64) -> Self {
        Self { log, partition, offset }
    }
}

impl<D: Delivery + ?Sized> Delivery for &D {
    fn message_id(&self) -> Option<Cow<'_, str>> {
        (**self).message_id()
    }

    fn position(&self) -> Option<Position<'_>> {
        (**self).position()
    }

    fn deliveries_before(&self) -> u32 {
        (**self).deliveries_before()
    }

    fn published_at(&self) -> Option<SystemTime> {
        (**self).published_at()
    }

    fn body_size(&self) -> Option<usize> {
        (**self).body_size()
    }
}
