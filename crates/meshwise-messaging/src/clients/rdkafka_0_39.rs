//! Kafka through `rdkafka` 0.39.
//!
//! Headers are written to a record's `headers`, an `Option<OwnedHeaders>`; messages are read as they
//! come.

use crate::{
    carrier::{Carrier, CarrierMut, Delivery, Position},
    lag::{Lag, LagProbe, ProbeError},
};
use rdkafka_0_39::{
    Offset, TopicPartitionList,
    consumer::{Consumer, ConsumerContext, StreamConsumer},
    error::KafkaResult,
    message::{
        BorrowedHeaders, BorrowedMessage, Header, Headers, Message, OwnedHeaders, OwnedMessage,
    },
};
use std::{
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

fn each<'c>(headers: &'c impl Headers, see: &mut dyn FnMut(&'c str, &'c [u8])) {
    for at in 0..headers.count() {
        // rdkafka panics at a name that is no UTF-8; what a stranger writes must not end a consumer.
        let header = catch_unwind(AssertUnwindSafe(|| headers.try_get(at)));
        if let Ok(Some(Header { key, value: Some(value) })) = header {
            see(key, value);
        }
    }
}

impl Carrier for BorrowedHeaders {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        each(self, see);
    }
}

impl Carrier for OwnedHeaders {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        each(self, see);
    }
}

impl CarrierMut for Option<OwnedHeaders> {
    fn add(&mut self, name: &str, value: &str) {
        let headers = self.take().unwrap_or_default();
        *self = Some(headers.insert(Header { key: name, value: Some(value) }));
    }

    fn remove_if(&mut self, gone: &dyn Fn(&str) -> bool) {
        let Some(headers) = self.take() else { return };
        let mut kept = OwnedHeaders::new_with_capacity(headers.count());
        each(&headers, &mut |name, value| {
            if !gone(name) {
                kept = std::mem::take(&mut kept).insert(Header { key: name, value: Some(value) });
            }
        });
        *self = Some(kept);
    }
}

/// Implements both for a kind of message.
macro_rules! messages {
    ($($message:ty)*) => {$(
        impl Carrier for $message {
            fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
                if let Some(headers) = self.headers() {
                    each(headers, see);
                }
            }
        }

        impl Delivery for $message {
            fn position(&self) -> Option<Position<'_>> {
                let partition = u32::try_from(self.partition()).ok();
                let offset = u64::try_from(self.offset()).ok()?;
                Some(Position::new(self.topic(), partition, offset))
            }

            fn published_at(&self) -> Option<SystemTime> {
                let millis = u64::try_from(self.timestamp().to_millis()?).ok()?;
                UNIX_EPOCH.checked_add(Duration::from_millis(millis))
            }

            fn body_size(&self) -> Option<usize> {
                Some(self.payload().map_or(0, <[u8]>::len))
            }
        }
    )*};
}

messages!(BorrowedMessage<'_> OwnedMessage);

/// Asks how far a consumer is behind: for each partition that it has, the log's end less what its group
/// has committed (or, with nothing committed, the log's begin).
///
/// It asks through the consumer's own connections and reads none of its messages, so it answers while
/// a handler hangs.
pub struct KafkaLag<C: ConsumerContext + 'static>(Arc<StreamConsumer<C>>);

impl<C: ConsumerContext + 'static> KafkaLag<C> {
    /// Asks for this consumer.
    #[must_use]
    pub fn new(consumer: Arc<StreamConsumer<C>>) -> Self {
        Self(consumer)
    }
}

impl<C: ConsumerContext + 'static> fmt::Debug for KafkaLag<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLag").finish_non_exhaustive()
    }
}

impl<C: ConsumerContext + 'static> LagProbe for KafkaLag<C> {
    async fn probe(&self, timeout: Duration) -> Result<Vec<Lag>, ProbeError> {
        let consumer = Arc::clone(&self.0);
        let asked = tokio::task::spawn_blocking(move || ask(&consumer, timeout));
        match asked.await {
            Ok(lags) => lags.map_err(ProbeError::new),
            Err(stopped) => Err(ProbeError::new(stopped)),
        }
    }
}

fn ask<C: ConsumerContext>(
    consumer: &StreamConsumer<C>,
    timeout: Duration,
) -> KafkaResult<Vec<Lag>> {
    let committed = consumer.committed(timeout)?;
    let committed: Vec<_> = committed
        .elements()
        .iter()
        .map(|at| ((at.topic().to_owned(), at.partition()), place(at.offset())))
        .collect();
    let all = committed.iter().map(|(at, _)| at);
    let ends = offsets(consumer, all, Offset::End, timeout)?;
    let fresh = committed.iter().filter(|(_, next)| next.is_none()).map(|(at, _)| at);
    let begins = offsets(consumer, fresh, Offset::Beginning, timeout)?;
    let mut lags = Vec::new();
    for (at, next) in &committed {
        let next = next.or_else(|| begins.get(at).copied());
        if let (Some(end), Some(next)) = (ends.get(at), next) {
            let partition = u32::try_from(at.1).ok();
            lags.push(Lag::new(partition, end.saturating_sub(next)));
        }
    }
    Ok(lags)
}

/// A topic and a partition of it.
type At = (String, i32);

/// Asks for the begin or the end of each partition's log: one request to each broker, for every request
/// on a connection may have to wait until a fetch on it has been answered.
fn offsets<'a, C: ConsumerContext>(
    consumer: &StreamConsumer<C>,
    wanted: impl Iterator<Item = &'a At>,
    which: Offset,
    timeout: Duration,
) -> KafkaResult<HashMap<At, u64>> {
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in wanted {
        asked.add_partition_offset(topic, *partition, which)?;
    }
    if asked.count() == 0 {
        return Ok(HashMap::new());
    }
    let answered = consumer.offsets_for_times(asked, timeout)?;
    let mut found = HashMap::new();
    for at in answered.elements() {
        if let Some(place) = place(at.offset()) {
            found.insert((at.topic().to_owned(), at.partition()), place);
        }
    }
    Ok(found)
}

/// Returns the place in the log that an offset names; `None` for a logical one.
fn place(offset: Offset) -> Option<u64> {
    match offset {
        Offset::Offset(place) => u64::try_from(place).ok(),
        _ => None,
    }
}
