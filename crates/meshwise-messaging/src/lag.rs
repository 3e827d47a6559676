//! How far a consumer is behind, asked of the broker by a task of its own.
//!
//! Neither by the consumer, which tells nothing while its handler hangs, nor by the scrape, which must
//! not wait for a broker.

use crate::consumer::Consumer;
use std::{
    error::Error,
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};
use tokio::{task::JoinHandle, time};

/// Asks a broker how far a consumer is behind.
pub trait LagProbe: Send + Sync + 'static {
    /// Asks once; the answer is given up after `timeout`, whatever the probe does with it.
    fn probe(&self, timeout: Duration)
    -> impl Future<Output = Result<Vec<Lag>, ProbeError>> + Send;
}

/// Says how many messages a consumer is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lag {
    /// The partition, where there are such.
    partition: Option<u32>,
    /// How many messages.
    messages: u64,
}

impl Lag {
    /// Says how many messages a consumer is behind.
    #[must_use]
    pub const fn new(partition: Option<u32>, messages: u64) -> Self {
        Self { partition, messages }
    }
}

/// Says why a broker did not tell how far a consumer is behind.
#[derive(Debug, thiserror::Error)]
#[error("the broker did not tell how far the consumer is behind")]
pub struct ProbeError(#[source] Box<dyn Error + Send + Sync>);

impl ProbeError {
    /// Takes a client's error.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

/// Asks how far a consumer is behind until it is dropped.
#[must_use = "the task ends as soon as this is dropped"]
pub struct LagTask(JoinHandle<()>);

impl Drop for LagTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for LagTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LagTask").field(&self.0.is_finished()).finish()
    }
}

impl Consumer {
    /// Asks a broker every `every` (at least 100 ms) how far this consumer is behind, and shows it as
    /// `meshwise_consumer_lag_messages`, until what is returned is dropped. One second is usual.
    ///
    /// An answer is waited for as long, and at least two seconds. What a broker does not tell in time keeps
    /// its last value, and the first of several failures in a row is logged, a probe's panic among them.
    /// Partitions that a consumer has no more are shown as 0, and so are all once no one asks any more.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn watch_lag(&self, every: Duration, probe: impl LagProbe) -> LagTask {
        let consumer = self.clone();
        let every = every.max(Duration::from_millis(100));
        let timeout = every.max(Duration::from_secs(2));
        LagTask(tokio::spawn(async move {
            let mut ticks = time::interval(every);
            ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            let (mut shown, mut failing) = (Shown { consumer, partitions: Vec::new() }, false);
            loop {
                ticks.tick().await;
                let asked = time::timeout(timeout, ask(&probe, timeout)).await;
                let asked = asked.unwrap_or_else(|late| Err(ProbeError::new(late)));
                match asked {
                    Ok(lags) => {
                        shown.show(&lags);
                        failing = false;
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut failing, true) {
                            shown.consumer.tell(&error);
                        }
                    }
                }
            }
        }))
    }

    fn tell(&self, error: &ProbeError) {
        let log = || {
            tracing::warn!(
                target: "meshwise",
                destination = self.destination(),
                error = error.0.to_string(),
                "how far the consumer is behind is not known",
            );
        };
        match &self.0.messaging.0.dispatch {
            Some(dispatch) => tracing::dispatcher::with_default(dispatch, log),
            None => log(),
        }
    }
}

/// Asks once; a probe that panics has failed.
async fn ask(probe: &impl LagProbe, timeout: Duration) -> Result<Vec<Lag>, ProbeError> {
    let mut asked = pin!(async { probe.probe(timeout).await });
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| asked.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(ProbeError::new("the probe panicked"))))
    })
    .await
}

/// The partitions whose lag is shown.
struct Shown {
    consumer: Consumer,
    partitions: Vec<Option<u32>>,
}

impl Shown {
    /// Sets the gauges; those of partitions that are gone are set to 0.
    fn show(&mut self, lags: &[Lag]) {
        let Some(metrics) = &self.consumer.0.messaging.0.metrics else { return };
        let channel = self.consumer.0.channel();
        let shown = &mut self.partitions;
        shown.retain(|partition| !lags.iter().any(|lag| lag.partition == *partition));
        for partition in shown.drain(..) {
            metrics.lag(&channel, partition, 0);
        }
        for lag in lags {
            metrics.lag(&channel, lag.partition, lag.messages);
            shown.push(lag.partition);
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.show(&[]);
    }
}
