//! `RabbitMQ`: orders through a quorum queue, requests with `reply_to`.

use super::handler::{Handler, Sender};
use anyhow::Context as _;
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use meshwise_core::Deadline;
use meshwise_messaging::{Reason, System, lapin_4::QueueLag};
use messages::Recorded;
use std::time::{Duration, Instant};

fn short(text: &str) -> anyhow::Result<ShortString> {
    Ok(ShortString::try_new(text)?)
}

async fn queue(broker: &str, queue: &str) -> anyhow::Result<(Connection, Channel)> {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut arguments = FieldTable::default();
    // It counts deliveries.
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(short(queue)?, QueueDeclareOptions::durable(), arguments).await?;
    Ok((connection, channel))
}

pub(crate) async fn send(
    broker: &str,
    destination: &str,
    sender: &mut Sender,
) -> anyhow::Result<()> {
    let (_connection, channel) = queue(broker, destination).await?;
    while !sender.is_done() {
        let mut headers = FieldTable::default();
        let (sending, key) = sender.begin(System::RABBITMQ, destination, &mut headers);
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
        let to = short(destination)?;
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), to, options, key.as_bytes(), properties).await;
        let confirmed = match sent {
            Ok(confirm) => confirm.await.map(|confirmed| confirmed.is_ack()),
            Err(error) => Err(error),
        };
        match confirmed {
            Ok(true) => sender.confirmed(sending).await,
            Ok(false) => {
                sending.failed(&Reason::new("the broker has not taken it"));
                anyhow::bail!("the broker has not taken it");
            }
            Err(error) => {
                sending.failed(&error);
                return Err(error.into());
            }
        }
    }
    Ok(())
}

pub(crate) async fn receive(
    broker: &str,
    destination: &str,
    handler: &mut Handler,
) -> anyhow::Result<()> {
    let (connection, channel) = queue(broker, destination).await?;
    channel.basic_qos(10, BasicQosOptions::default()).await?;
    let consumer = handler.recorded.messaging.consumer(System::RABBITMQ, destination);
    let asks = connection.create_channel().await?;
    let _lag = consumer.watch_lag(Duration::from_millis(200), QueueLag::new(asks, destination));
    let options = BasicConsumeOptions::default();
    let mut messages = channel
        .basic_consume(short(destination)?, "".into(), options, FieldTable::default())
        .await?;
    while !handler.is_done() {
        let message = messages.next().await.context("the channel has closed")??;
        if let Some(processing) = handler.handle(&consumer, &message).await? {
            message.ack(BasicAckOptions::default()).await?;
            processing.ack();
        }
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    Ok(())
}

/// Asks, and waits for each answer.
pub(crate) async fn request(
    broker: &str,
    destination: &str,
    count: u64,
    deadline: Duration,
) -> anyhow::Result<()> {
    const REPLY_TO: &str = "amq.rabbitmq.reply-to";
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut answers =
        channel.basic_consume(REPLY_TO.into(), "".into(), options, FieldTable::default()).await?;
    let recorded = Recorded::new("orders")?;
    let producer = recorded.messaging.producer(System::RABBITMQ, destination);
    for _ in 0..count {
        let asking = producer.request().with_deadline(Deadline::after(Instant::now(), deadline));
        let mut headers = FieldTable::default();
        asking.inject(&mut headers);
        let properties =
            BasicProperties::default().with_reply_to(REPLY_TO.into()).with_headers(headers);
        let to = short(destination)?;
        let asked = async {
            let options = BasicPublishOptions::default();
            channel.basic_publish("".into(), to, options, b"tea", properties).await?;
            answers.next().await.context("the channel has closed")?.map_err(anyhow::Error::from)
        };
        match asking.watch(async { asked.await.map_err(Reason::new) }).await {
            Ok(answer) => {
                println!(
                    "{}",
                    serde_json::json!({ "answer": String::from_utf8_lossy(&answer.data) })
                );
            }
            Err(error) => println!("{}", serde_json::json!({ "unanswered": error.to_string() })),
        }
    }
    Ok(())
}

/// Answers with who asked, and how long is left.
pub(crate) async fn answer(broker: &str, destination: &str) -> anyhow::Result<()> {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let queue = QueueDeclareOptions::default().auto_delete();
    channel.queue_declare(short(destination)?, queue, FieldTable::default()).await?;
    let recorded = Recorded::new("stock")?;
    let consumer = recorded.messaging.consumer(System::RABBITMQ, destination);
    let options = BasicConsumeOptions::default();
    let mut requests = channel
        .basic_consume(short(destination)?, "".into(), options, FieldTable::default())
        .await?;
    println!("{}", serde_json::json!({ "ready": destination }));
    while let Some(message) = requests.next().await {
        let message = message?;
        let processing = consumer.receive(&message);
        let caller = processing.caller().map_or("?", |caller| caller).to_owned();
        let left = processing.deadline().and_then(|deadline| deadline.remaining(Instant::now()));
        let answer = format!("{caller} {}", left.unwrap_or_default().as_millis());
        if let Some(reply) = message.properties.reply_to().clone() {
            let options = BasicPublishOptions::default();
            let properties = BasicProperties::default();
            channel.basic_publish("".into(), reply, options, answer.as_bytes(), properties).await?;
        }
        message.ack(BasicAckOptions::default()).await?;
        processing.ack();
    }
    Ok(())
}
