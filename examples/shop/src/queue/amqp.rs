//! `RabbitMQ`.

use super::{Answer, Broker, Message, ORDER_PLACED, Taken};
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
use meshwise::messaging::{CarrierMut as _, System};
use std::borrow::Cow;
use tokio::sync::Mutex;
use tokio_stream::StreamExt as _;

/// A quorum queue, which counts deliveries.
pub(super) struct Amqp {
    _connection: Connection,
    channel: Channel,
    messages: Mutex<Consumer>,
}

impl Amqp {
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
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
        Ok(Self { _connection: connection, channel, messages: Mutex::new(messages) })
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
            let message =
                self.messages.lock().await.next().await.context("the channel closed")??;
            Ok(Box::new(message) as Box<dyn Taken>)
        })
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
