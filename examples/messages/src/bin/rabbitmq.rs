//! Sends an order over `RabbitMQ`, and handles it:
//! `cargo run -p messages --features rabbitmq --bin rabbitmq`.

use anyhow::Context as _;
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use meshwise_messaging::{Begun, MemoryInbox, System, lapin_4::QueueLag, message_key};
use messages::Recorded;
use std::{env, time::Duration};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = env::args().nth(1).unwrap_or_else(|| "amqp://127.0.0.1:5672/%2f".to_owned());
    let orders = Recorded::new("orders")?;
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let durable = QueueDeclareOptions::durable();
    channel.queue_declare("orders".into(), durable, <_>::default()).await?;

    let sending = orders.messaging.producer(System::RABBITMQ, "orders").send();
    let mut headers = FieldTable::default();
    sending.inject(&mut headers);
    let properties =
        BasicProperties::default().with_message_id("order-7".into()).with_headers(headers);
    let options = BasicPublishOptions::default();
    let confirm =
        channel.basic_publish("".into(), "orders".into(), options, b"tea", properties).await?;
    sending.watch(confirm).await?;

    let mailer = Recorded::new("mailer")?;
    let inbox = MemoryInbox::new(10_000);
    let consumer = mailer.messaging.consumer(System::RABBITMQ, "orders");
    let asks = connection.create_channel().await?;
    let _lag = consumer.watch_lag(Duration::from_secs(1), QueueLag::new(asks, "orders"));
    let options = BasicConsumeOptions::default();
    let mut messages =
        channel.basic_consume("orders".into(), "".into(), options, FieldTable::default()).await?;
    if let Some(message) = messages.next().await.transpose()? {
        let processing = consumer.receive(&message);
        match inbox.begin(&message_key(&message).context("a message without an id")?) {
            Begun::New(guard) => {
                processing.run(async { println!("mail about {:?}", message.data) }).await;
                guard.done();
            }
            Begun::Done => consumer.count_duplicate(),
            // Another has it in hand, and may fail yet: unsettled, it comes again.
            Begun::InFlight => return Ok(()),
        }
        message.ack(BasicAckOptions::default()).await?;
        processing.ack();
    }
    orders.print();
    mailer.print();
    Ok(())
}
