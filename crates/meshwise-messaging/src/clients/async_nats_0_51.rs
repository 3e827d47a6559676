//! NATS and `JetStream` through `async-nats` 0.51.

use crate::{
    carrier::{Carrier, CarrierMut, Delivery, Position},
    lag::{Lag, LagProbe, ProbeError},
};
use async_nats_0_51::{
    HeaderMap, HeaderName, HeaderValue, Message,
    jetstream::{self, consumer::Consumer},
};
use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

/// What `JetStream` tells copies of a message by.
const MESSAGE_ID: &str = "Nats-Msg-Id";

fn name(name: &HeaderName) -> &str {
    name.as_ref()
}

impl Carrier for HeaderMap {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        for (header, values) in self.iter() {
            for value in values {
                see(name(header), value.as_str().as_bytes());
            }
        }
    }
}

impl CarrierMut for HeaderMap {
    fn add(&mut self, name: &str, value: &str) {
        // `insert` panics at what is no name or value.
        if name.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            self.insert(name, value);
        }
    }

    fn remove_if(&mut self, gone: &dyn Fn(&str) -> bool) {
        let mut kept = Self::new();
        for (header, values) in self.iter().filter(|(header, _)| !gone(name(header))) {
            for value in values {
                kept.append(header.clone(), value.clone());
            }
        }
        *self = kept;
    }
}

impl CarrierMut for Option<HeaderMap> {
    fn add(&mut self, name: &str, value: &str) {
        self.get_or_insert_default().add(name, value);
    }

    fn remove_if(&mut self, gone: &dyn Fn(&str) -> bool) {
        if let Some(headers) = self {
            headers.remove_if(gone);
        }
    }
}

impl Carrier for Message {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        self.headers.each(see);
    }
}

impl Delivery for Message {
    fn message_id(&self) -> Option<Cow<'_, str>> {
        let id = self.headers.as_ref()?.get(MESSAGE_ID)?;
        Some(Cow::Borrowed(id.as_str()))
    }

    fn body_size(&self) -> Option<usize> {
        Some(self.payload.len())
    }
}

impl Carrier for jetstream::Message {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        self.message.each(see);
    }
}

impl Delivery for jetstream::Message {
    fn message_id(&self) -> Option<Cow<'_, str>> {
        self.message.message_id()
    }

    fn position(&self) -> Option<Position<'_>> {
        let info = self.info().ok()?;
        Some(Position::new(info.stream, None, info.stream_sequence))
    }

    fn deliveries_before(&self) -> u32 {
        // The first delivery is number 1.
        self.info().map_or(0, |info| u32::try_from(info.delivered.saturating_sub(1)).unwrap_or(0))
    }

    fn published_at(&self) -> Option<SystemTime> {
        self.info().ok().map(|info| SystemTime::from(info.published))
    }

    fn body_size(&self) -> Option<usize> {
        self.message.body_size()
    }
}

/// Asks how many messages a `JetStream` consumer has still to acknowledge: those that it was not given,
/// and those that it has in hand.
#[derive(Debug)]
pub struct JetStreamLag<T: jetstream::consumer::IntoConsumerConfig>(Consumer<T>);

impl<T: jetstream::consumer::IntoConsumerConfig> JetStreamLag<T> {
    /// Asks for this consumer.
    #[must_use]
    pub fn new(consumer: Consumer<T>) -> Self {
        Self(consumer)
    }
}

impl<T> LagProbe for JetStreamLag<T>
where
    T: jetstream::consumer::IntoConsumerConfig + Send + Sync + 'static,
{
    async fn probe(&self, _timeout: Duration) -> Result<Vec<Lag>, ProbeError> {
        let info = self.0.get_info().await.map_err(ProbeError::new)?;
        let in_hand = u64::try_from(info.num_ack_pending).unwrap_or(0);
        Ok(vec![Lag::new(None, info.num_pending.saturating_add(in_hand))])
    }
}
