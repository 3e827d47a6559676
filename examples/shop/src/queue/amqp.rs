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
use meshwise::messaging::{CarrierMut as _, LagTask, System};
use meshwise_messaging::lapin_4::QueueLag;
use std::{borrow::Cow, time::Duration};
use tokio::sync::Mutex;
use tokio_stream::StreamExt as _;

/// How long is waited at most before a broker that is away is tried again.
const SOON: Duration = Duration::from_secs(2);

/// A quorum queue, which counts deliveries.
pub(super) struct Amqp {
    _connection: Connection,
    channel: Channel,
    /// A question for a queue that is not there would close the other one.
    asks: Channel,
    messages: Mutex<Consumer>,
}

impl Amqp {
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        // A broker that is started anew is connected to again, with queue and consumer.
        let properties = ConnectionProperties::default().enable_auto_recover();
        let properties = properties
            .configure_backoff(|backoff| backoff.with_max_delay(SOON).without_max_times());
        let connection = Connection::connect(url, properties).await?;
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
}

impl Broker for Amqp {
    fn system(&self) -> System {
        System::RABBITMQ
    }

    fn publish(&self, message: Message) -> Answer<'_, ()> {
        Box::pin(async move {
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
        })
    }

    fn receive(&self) -> Answer<'_, Box<dyn Taken>> {
        Box::pin(async {
            let mut messages = self.messages.lock().await;
            loop {
                match messages.next().await.context("the channel closed")? {
                    Ok(message) => return Ok(Box::new(message) as Box<dyn Taken>),
                    Err(error) => self.channel.wait_for_recovery(error).await?,
                }
            }
        })
    }

    fn watch_lag(&self, consumer: &meshwise::messaging::Consumer) -> LagTask {
        consumer.watch_lag(ASK_EVERY, QueueLag::new(self.asks.clone(), ORDER_PLACED))
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
