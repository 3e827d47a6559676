//! `RabbitMQ` through `lapin` 4.
//!
//! Headers are written to a `FieldTable` (or an `Option` of one), which goes into the properties.

use crate::{
    carrier::{Carrier, CarrierMut, Delivery},
    lag::{Lag, LagProbe, ProbeError},
};
use lapin_4::{
    BasicProperties, Channel, message,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable, ShortString},
};
use std::{
    borrow::Cow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// `RabbitMQ` counts deliveries of quorum queues here.
const DELIVERY_COUNT: &str = "x-delivery-count";

impl Carrier for FieldTable {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        for (name, value) in self.inner() {
            match value {
                AMQPValue::LongString(text) => see(name.as_str(), text.as_bytes()),
                AMQPValue::ShortString(text) => see(name.as_str(), text.as_str().as_bytes()),
                AMQPValue::ByteArray(bytes) => see(name.as_str(), bytes.as_slice()),
                _ => {}
            }
        }
    }
}

impl CarrierMut for FieldTable {
    fn add(&mut self, name: &str, value: &str) {
        if let Ok(name) = ShortString::try_new(name) {
            self.insert(name, AMQPValue::LongString(value.into()));
        }
    }

    fn remove_if(&mut self, gone: &dyn Fn(&str) -> bool) {
        let mut kept = std::mem::take(self).inner().clone();
        kept.retain(|name, _| !gone(name.as_str()));
        *self = kept.into();
    }
}

impl CarrierMut for Option<FieldTable> {
    fn add(&mut self, name: &str, value: &str) {
        self.get_or_insert_default().add(name, value);
    }

    fn remove_if(&mut self, gone: &dyn Fn(&str) -> bool) {
        if let Some(table) = self {
            table.remove_if(gone);
        }
    }
}

impl Carrier for BasicProperties {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        if let Some(headers) = self.headers() {
            headers.each(see);
        }
    }
}

impl Carrier for message::Delivery {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        self.properties.each(see);
    }
}

impl Delivery for message::Delivery {
    fn message_id(&self) -> Option<Cow<'_, str>> {
        self.properties.message_id().as_ref().map(|id| Cow::Borrowed(id.as_str()))
    }

    fn deliveries_before(&self) -> u32 {
        let headers = self.properties.headers().as_ref();
        let counted =
            headers.and_then(|headers| headers.inner().get(DELIVERY_COUNT)).and_then(whole);
        counted.unwrap_or(0).max(u32::from(self.redelivered))
    }

    fn published_at(&self) -> Option<SystemTime> {
        let seconds = (*self.properties.timestamp())?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    fn body_size(&self) -> Option<usize> {
        Some(self.data.len())
    }
}

fn whole(value: &AMQPValue) -> Option<u32> {
    match value {
        AMQPValue::ShortShortInt(n) => u32::try_from(*n).ok(),
        AMQPValue::ShortShortUInt(n) => Some(u32::from(*n)),
        AMQPValue::ShortInt(n) => u32::try_from(*n).ok(),
        AMQPValue::ShortUInt(n) => Some(u32::from(*n)),
        AMQPValue::LongInt(n) => u32::try_from(*n).ok(),
        AMQPValue::LongUInt(n) => Some(*n),
        AMQPValue::LongLongInt(n) => u32::try_from(*n).ok(),
        _ => None,
    }
}

/// Asks how many messages are ready in a queue, by declaring it passively. Those that consumers have
/// in hand are not among them.
///
/// Give it a channel of its own: asking for a queue that is not there closes the channel.
#[derive(Debug)]
pub struct QueueLag {
    channel: Channel,
    queue: String,
}

impl QueueLag {
    /// Asks for this queue.
    #[must_use]
    pub fn new(channel: Channel, queue: impl Into<String>) -> Self {
        Self { channel, queue: queue.into() }
    }
}

impl LagProbe for QueueLag {
    async fn probe(&self, _timeout: Duration) -> Result<Vec<Lag>, ProbeError> {
        let name = ShortString::try_new(self.queue.as_str()).map_err(ProbeError::new)?;
        let options = QueueDeclareOptions::default().passive();
        let asked = self.channel.queue_declare(name, options, FieldTable::default()).await;
        let queue = asked.map_err(ProbeError::new)?;
        Ok(vec![Lag::new(None, u64::from(queue.message_count()))])
    }
}
