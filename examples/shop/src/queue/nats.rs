//! NATS `JetStream`.

use super::{ASK_EVERY, Answer, Broker, MAILER, Message, ORDER_PLACED, Taken};
use anyhow::Context as _;
use async_nats::{
    HeaderMap,
    jetstream::{self, AckKind, consumer::pull, stream},
};
use meshwise::messaging::{CarrierMut as _, Consumer, LagTask, System};
use meshwise_messaging::async_nats_0_51::JetStreamLag;
use std::borrow::Cow;
use tokio::sync::Mutex;
use tokio_stream::StreamExt as _;

/// A stream, and a durable consumer of it.
pub(super) struct Nats {
    context: jetstream::Context,
    consumer: jetstream::consumer::Consumer<pull::Config>,
    messages: Mutex<pull::Stream>,
}

impl Nats {
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        let context = jetstream::new(async_nats::connect(url).await?);
        let stream = stream::Config {
            name: "shop".to_owned(),
            subjects: vec![ORDER_PLACED.to_owned()],
            ..stream::Config::default()
        };
        let stream = context.get_or_create_stream(stream).await?;
        let durable =
            pull::Config { durable_name: Some(MAILER.to_owned()), ..pull::Config::default() };
        let consumer = stream.get_or_create_consumer(MAILER, durable).await?;
        let messages = Mutex::new(consumer.clone().messages().await?);
        Ok(Self { context, consumer, messages })
    }
}

impl Broker for Nats {
    fn system(&self) -> System {
        System::NATS
    }

    fn publish(&self, message: Message) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", message.id);
            message.headers.iter().for_each(|(name, value)| headers.add(name, value));
            let body = message.body.into();
            self.context.publish_with_headers(ORDER_PLACED, headers, body).await?.await?;
            Ok(())
        })
    }

    fn receive(&self) -> Answer<'_, Box<dyn Taken>> {
        Box::pin(async {
            let message = self.messages.lock().await.next().await.context("the stream ended")??;
            Ok(Box::new(message) as Box<dyn Taken>)
        })
    }

    fn watch_lag(&self, consumer: &Consumer) -> LagTask {
        consumer.watch_lag(ASK_EVERY, JetStreamLag::new(self.consumer.clone()))
    }
}

impl Taken for jetstream::Message {
    fn body(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.payload)
    }

    fn ack(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async move { self.double_ack().await.map_err(anyhow::Error::from_boxed) })
    }

    fn again(self: Box<Self>) -> Answer<'static, ()> {
        let nak = AckKind::Nak(None);
        Box::pin(async move { self.ack_with(nak).await.map_err(anyhow::Error::from_boxed) })
    }
}
