//! The queue between orders and the mailer: one of the shop's own, or a broker's.

#[cfg(feature = "amqp")]
mod amqp;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "nats")]
mod nats;
mod own;

#[cfg(any(feature = "nats", feature = "amqp"))]
use anyhow::Context as _;
use anyhow::bail;
use meshwise::messaging::{Consumer, Delivery, LagTask, System};
use std::{
    borrow::Cow,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

/// Where orders tells of what was placed: a subject, a queue, a topic.
pub(crate) const ORDER_PLACED: &str = "order.placed";
/// Who takes it: a durable consumer, a consumer group.
pub(crate) const MAILER: &str = "mailer";

/// How often the broker is asked how far the mailer is behind.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Numbers the messages of this process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What comes of something that is asked of a broker.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send + 'a>>;

/// A message: what its producer wrote.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Message {
    /// Makes a message whose id no other has, of this process or an earlier one.
    pub(crate) fn new(body: String) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let id = format!("order-{}-{}", now.as_micros(), NEXT.fetch_add(1, Relaxed));
        Self { id, headers: Vec::new(), body }
    }
}

/// What the shop needs of a broker: at least once.
trait Broker: Send + Sync {
    fn system(&self) -> System;

    /// Sends a message; returns once the broker has it.
    fn publish(&self, message: Message) -> Answer<'_, ()>;

    /// Waits for the next message.
    fn receive(&self) -> Answer<'_, Box<dyn Taken>>;

    /// Asks how far the consumer is behind, until what is returned is dropped.
    fn watch_lag(&self, consumer: &Consumer) -> LagTask;
}

/// A message in hand.
pub(crate) trait Taken: Delivery + Send + Sync {
    fn body(&self) -> Cow<'_, str>;

    /// Takes the message out of the queue for good.
    fn ack(self: Box<Self>) -> Answer<'static, ()>;

    /// Lets it be delivered again at once.
    fn again(self: Box<Self>) -> Answer<'static, ()>;
}

/// A queue of messages. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Queue(Arc<Counted>);

struct Counted {
    broker: Box<dyn Broker>,
    published: AtomicU64,
    handled: AtomicU64,
}

/// Waits 10 s for a broker to answer: its client would try again for ever.
#[cfg(any(feature = "nats", feature = "amqp"))]
async fn soon<T>(
    url: &str,
    connecting: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let answer = tokio::time::timeout(Duration::from_secs(10), connecting).await;
    answer
        .with_context(|| format!("no broker answers at `{url}`; start one, or leave out --queue"))?
}

impl Queue {
    /// Opens the queue that a URL names, or one in this process.
    pub(crate) async fn open(url: Option<&str>) -> anyhow::Result<Self> {
        let broker: Box<dyn Broker> = match url {
            None => Box::new(own::Queue::new()),
            #[cfg(feature = "nats")]
            Some(url) if url.starts_with("nats://") => {
                Box::new(soon(url, nats::Nats::connect(url)).await?)
            }
            #[cfg(feature = "amqp")]
            Some(url) if url.starts_with("amqp://") => {
                Box::new(soon(url, amqp::Amqp::connect(url)).await?)
            }
            #[cfg(feature = "kafka")]
            Some(url) if url.starts_with("kafka://") => Box::new(kafka::Kafka::connect(url)?),
            Some(other) => bail!(
                "no queue is known at `{other}`; allowed: nats://, amqp://, and with \
                 `--features kafka` kafka://host:port and kafka://mock"
            ),
        };
        let (published, handled) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self(Arc::new(Counted { broker, published, handled })))
    }

    pub(crate) fn system(&self) -> System {
        self.0.broker.system()
    }

    pub(crate) async fn publish(&self, message: Message) -> anyhow::Result<()> {
        self.0.broker.publish(message).await?;
        self.0.published.fetch_add(1, Relaxed);
        Ok(())
    }

    pub(crate) async fn receive(&self) -> anyhow::Result<Box<dyn Taken>> {
        self.0.broker.receive().await
    }

    pub(crate) fn watch_lag(&self, consumer: &Consumer) -> LagTask {
        self.0.broker.watch_lag(consumer)
    }

    /// Takes a message that was handled out of the queue for good.
    pub(crate) async fn ack(&self, message: Box<dyn Taken>) -> anyhow::Result<()> {
        message.ack().await?;
        self.0.handled.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Tells whether all that this process has published was handled.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.handled.load(Relaxed) >= self.0.published.load(Relaxed)
    }
}
