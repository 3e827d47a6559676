//! Sends an order over NATS `JetStream`, and handles it: `cargo run -p messages --features nats --bin nats`
//! with `nats-server -a 127.0.0.1 -js` running.

use anyhow::Context as _;
use async_nats::{
    HeaderMap,
    jetstream::{self, consumer::pull, stream},
};
use futures_util::StreamExt as _;
use meshwise_messaging::{Begun, MemoryInbox, System, async_nats_0_51::JetStreamLag, message_key};
use messages::Recorded;
use std::{env, time::Duration};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = env::args().nth(1).unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned());
    let orders = Recorded::new("orders")?;
    let jetstream = jetstream::new(async_nats::connect(url).await?);
    let stream = stream::Config {
        name: "orders".to_owned(),
        subjects: vec!["order.*".to_owned()],
        ..stream::Config::default()
    };
    let stream = jetstream.get_or_create_stream(stream).await?;
    let durable =
        pull::Config { durable_name: Some("mailer".to_owned()), ..pull::Config::default() };
    let pull = stream.get_or_create_consumer("mailer", durable).await?;

    let sending = orders.messaging.producer(System::NATS, "order.placed").send();
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", "order-7");
    sending.inject(&mut headers);
    let acknowledged =
        jetstream.publish_with_headers("order.placed", headers, "tea".into()).await?;
    sending.watch(acknowledged.into_future()).await?;

    let mailer = Recorded::new("mailer")?;
    let inbox = MemoryInbox::new(10_000);
    let consumer = mailer.messaging.consumer(System::NATS, "order.placed").with_group("mailer");
    let _lag = consumer.watch_lag(Duration::from_secs(1), JetStreamLag::new(pull.clone()));
    if let Some(message) = pull.messages().await?.next().await {
        let message = message?;
        let processing = consumer.receive(&message);
        match inbox.begin(&message_key(&message).context("a message without an id")?) {
            Begun::New(guard) => {
                processing.run(async { println!("mail about {:?}", message.payload) }).await;
                guard.done();
            }
            Begun::Done => consumer.count_duplicate(),
            // Another has it in hand, and may fail yet: unsettled, it comes again.
            Begun::InFlight => return Ok(()),
        }
        message.ack().await.map_err(anyhow::Error::from_boxed)?;
        processing.ack();
    }
    orders.print();
    mailer.print();
    Ok(())
}
