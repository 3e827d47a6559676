//! The task that sends what waits in an outbox.

use super::message::OutboxMessage;
use crate::retry::RetryConfig;
use std::{error::Error, fmt, time::Duration};
use tokio::time;

/// At the most so many messages are read at a time, sent in a pass, and borne to fail in one.
const MAX_BATCH: u32 = 10_000;

/// Keeps messages until they are sent.
pub trait OutboxStore: Send {
    /// The store's error.
    type Error: Error + Send + Sync + 'static;

    /// Lists the first messages that wait and whose [`id`](OutboxMessage::id) is beyond `after`, in the
    /// order in which they were put there, which their ids follow; messages of the keys `without` may be
    /// left out. Only where there are none is the list empty.
    fn waiting(
        &mut self,
        after: i64,
        without: &[String],
        limit: u32,
    ) -> impl Future<Output = Result<Vec<OutboxMessage>, Self::Error>> + Send;

    /// Removes a message: the broker has it.
    fn sent(&mut self, id: i64) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Notes that a message was tried in vain.
    fn failed(&mut self, id: i64) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Sets how a [`Relay`] goes about it.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    every: Duration,
    batch: u32,
    publish_timeout: Duration,
    retry: RetryConfig,
}

impl Default for RelayConfig {
    /// Looks every 500 ms, for 100 messages at a time, gives a broker 30 s for each, and waits 1 s to
    /// 60 s after a failure.
    fn default() -> Self {
        Self {
            every: Duration::from_millis(500),
            batch: 100,
            publish_timeout: Duration::from_secs(30),
            retry: RetryConfig::default(),
        }
    }
}

impl RelayConfig {
    /// Sets how often the outbox is looked at, at least every 10 ms.
    #[must_use]
    pub fn with_every(mut self, every: Duration) -> Self {
        self.every = every.max(Duration::from_millis(10));
        self
    }

    /// Sets how many messages are read at a time, 1 to 10,000.
    #[must_use]
    pub fn with_batch(mut self, batch: u32) -> Self {
        self.batch = batch.clamp(1, MAX_BATCH);
        self
    }

    /// Sets how long the broker has to take a message: then it is taken for one that failed, and is sent
    /// again.
    #[must_use]
    pub fn with_publish_timeout(mut self, timeout: Duration) -> Self {
        self.publish_timeout = timeout;
        self
    }

    /// Sets how long to wait after a failure. Its number of attempts is not looked at: what a
    /// transaction has decided is sent, however long it takes.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryConfig) -> Self {
        self.retry = retry;
        self
    }
}

/// Sends what waits in an outbox: at least once, in order for each key.
///
/// Run one at a time for each outbox: two keep no order between them. After a failure the other messages
/// of that key wait for it, and those of other keys go on.
pub struct Relay<O, P> {
    store: O,
    publish: P,
    config: RelayConfig,
}

impl<O, P, F, E> Relay<O, P>
where
    O: OutboxStore,
    P: FnMut(OutboxMessage) -> F + Send,
    F: Future<Output = Result<(), E>> + Send,
    E: fmt::Display + Send,
{
    /// Sends with `publish`, which returns once the broker has the message.
    pub fn new(store: O, publish: P, config: RelayConfig) -> Self {
        Self { store, publish, config }
    }

    /// Sends until the future is dropped. A message that was being sent then is sent again by the next
    /// relay.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            match self.once(failures).await {
                // So much was sent that the broker is there, and more may wait.
                Ok(Passed { full: true, failed, .. }) => {
                    if !failed {
                        failures = 0;
                    }
                    // Where nothing ever waits, others must have their turn.
                    tokio::task::yield_now().await;
                }
                Ok(Passed { failed: false, .. }) => {
                    failures = 0;
                    time::sleep(self.config.every).await;
                }
                Ok(_) | Err(_) => {
                    time::sleep(self.config.retry.backoff(failures)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    /// Sends what waits now, up to 10,000 messages; returns how many the broker has taken.
    ///
    /// # Errors
    /// The store's own. What could not be sent stays there.
    pub async fn pass(&mut self) -> Result<u64, O::Error> {
        self.once(0).await.map(|passed| passed.sent)
    }

    async fn once(&mut self, failures: u32) -> Result<Passed, O::Error> {
        let batch = self.config.batch;
        // A broker that is away is not asked for all that waits. After each pass in vain more failures are
        // borne: a few messages that no broker takes must not hide those behind them.
        let borne = batch.saturating_mul(1 << failures.min(10)).min(MAX_BATCH);
        let mut passed = Passed { sent: 0, failed: false, full: false };
        let (mut after, mut in_vain) = (i64::MIN, 0);
        let mut held: Vec<String> = Vec::new();
        loop {
            let messages = self.store.waiting(after, &held, batch).await.inspect_err(|error| {
                tracing::warn!(target: "meshwise", error = error.to_string(), "outbox cannot be read");
            })?;
            let Some(last) = messages.iter().map(|message| message.id).max() else {
                return Ok(passed);
            };
            after = last;
            for message in messages {
                if message.key.as_ref().is_some_and(|key| held.contains(key)) {
                    continue;
                }
                let (id, key) = (message.id, message.key.clone());
                let limit = self.config.publish_timeout;
                let published = time::timeout(limit, (self.publish)(message)).await;
                let hangs = published.is_err();
                let taken = match published {
                    Ok(taken) => taken.map_err(|error| error.to_string()),
                    Err(_) => Err(format!("the broker has not answered within {limit:?}")),
                };
                match taken {
                    Ok(()) => {
                        self.store.sent(id).await?;
                        passed.sent += 1;
                        // However much comes in, a pass ends: the next one begins with what failed in this
                        // one, and with what was committed late, below what was read already. What failed
                        // does not count: it must not hide what is behind it.
                        passed.full = passed.sent >= u64::from(MAX_BATCH);
                        if passed.full {
                            return Ok(passed);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(target: "meshwise", id, error, "outbox message not sent yet");
                        self.store.failed(id).await?;
                        passed.failed = true;
                        held.extend(key);
                        // One that hangs holds up the pass as a whole batch of others does.
                        in_vain += if hangs { batch } else { 1 };
                        if in_vain >= borne {
                            return Ok(passed);
                        }
                    }
                }
            }
        }
    }
}

struct Passed {
    sent: u64,
    failed: bool,
    /// It ended for it had sent as much as a pass may.
    full: bool,
}

impl<O, P> fmt::Debug for Relay<O, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("config", &self.config).finish_non_exhaustive()
    }
}
