//! `RabbitMQ`.

use super::{ASK_EVERY, Answer, Broker, Message, ORDER_PLACED, Taken};
use anyhow::{Context as _, ensure};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions,
        ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use meshwise::messaging::{CarrierMut as _, Lag, LagProbe, LagTask, ProbeError, System};
use meshwise_messaging::lapin_4::QueueLag;
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio::sync::Mutex;
use tokio_stream::StreamExt as _;

/// How long a broker is given to answer when it is connected to anew.
const SOON: Duration = Duration::from_secs(2);

/// A quorum queue, which counts deliveries.
#[derive(Clone)]
pub(super) struct Amqp {
    url: String,
    link: Arc<Mutex<Option<Arc<Link>>>>,
}

/// A connection, with all that is used over it.
struct Link {
    _connection: Connection,
    channel: Channel,
    /// A question for a queue that is not there would close the other one.
    asks: Channel,
    messages: Mutex<Consumer>,
}

impl Link {
    async fn open(url: &str) -> anyhow::Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let durable = QueueDeclareOptions::durable();
        channel.queue_declare(ORDER_PLACED.into(), durable, arguments).await?;
        let options = BasicConsumeOptions::default();
        let messages =
            channel.basic_consume(ORDER_PLACED.into(), "".into(), options, <_>::default()).await?;
        let (asks, messages) = (connection.create_channel().await?, Mutex::new(messages));
        Ok(Self { _connection: connection, channel, asks, messages })
    }

    async fn publish(&self, message: Message) -> anyhow::Result<()> {
        let mut headers = FieldTable::default();
        message.headers.iter().for_each(|(name, value)| headers.add(name, value));
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(message.id.into())
            .with_headers(headers);
        let (to, options) = (ORDER_PLACED.into(), BasicPublishOptions::default());
        let body = message.body.as_bytes();
        let sent = self.channel.basic_publish("".into(), to, options, body, properties);
        ensure!(sent.await?.await?.is_ack(), "the broker has not taken the message");
        Ok(())
    }

    async fn receive(&self) -> anyhow::Result<Delivery> {
        Ok(self.messages.lock().await.next().await.context("the consumer was ended")??)
    }
}

impl Amqp {
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        let link = Link::open(url).await?;
        Ok(Self { url: url.to_owned(), link: Arc::new(Mutex::new(Some(Arc::new(link)))) })
    }

    /// Uses the connection; one that something failed over is left, and the next use opens another.
    /// A client's own recovery stops for good at a broker that takes connections before it has its
    /// queues.
    async fn with<T, F>(&self, used: impl FnOnce(Arc<Link>) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let link = self.link().await?;
        let answer = used(Arc::clone(&link)).await;
        if answer.is_err() {
            self.link.lock().await.take_if(|current| Arc::ptr_eq(current, &link));
        }
        answer
    }

    async fn link(&self) -> anyhow::Result<Arc<Link>> {
        let mut current = self.link.lock().await;
        if let Some(link) = &*current {
            return Ok(Arc::clone(link));
        }
        let opened = tokio::time::timeout(SOON, Link::open(&self.url)).await;
        let link = Arc::new(opened.context("the broker does not answer")??);
        Ok(Arc::clone(current.insert(link)))
    }
}

impl Broker for Amqp {
    fn system(&self) -> System {
        System::RABBITMQ
    }

    fn publish(&self, message: Message) -> Answer<'_, ()> {
        Box::pin(self.with(|link| async move { link.publish(message).await }))
    }

    fn receive(&self) -> Answer<'_, Box<dyn Taken>> {
        Box::pin(
            self.with(|link| async move { Ok(Box::new(link.receive().await?) as Box<dyn Taken>) }),
        )
    }

    fn watch_lag(&self, consumer: &meshwise::messaging::Consumer) -> LagTask {
        consumer.watch_lag(ASK_EVERY, self.clone())
    }
}

impl LagProbe for Amqp {
    async fn probe(&self, timeout: Duration) -> Result<Vec<Lag>, ProbeError> {
        let asked = self.with(|link| async move {
            Ok(QueueLag::new(link.asks.clone(), ORDER_PLACED).probe(timeout).await?)
        });
        asked.await.map_err(ProbeError::new)
    }
}

impl Taken for Delivery {
    fn body(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.data)
    }

    fn ack(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async move {
            self.acker.ack(BasicAckOptions::default()).await?;
            Ok(())
        })
    }

    fn again(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async move {
            let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            self.acker.nack(options).await?;
            Ok(())
        })
    }
}
