//! Kafka: orders over a topic, committed one by one.

use super::handler::{Handler, Sender};
use anyhow::Context as _;
use meshwise_messaging::{System, rdkafka_0_39::KafkaLag};
use rdkafka::{
    ClientConfig,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    message::OwnedHeaders,
    producer::{FutureProducer, FutureRecord},
};
use std::{sync::Arc, time::Duration};

fn config(broker: &str) -> anyhow::Result<ClientConfig> {
    let address = broker.strip_prefix("kafka://").context("kafka://host:port")?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("allow.auto.create.topics", "true");
    Ok(config)
}

pub(crate) async fn send(
    broker: &str,
    destination: &str,
    sender: &mut Sender,
) -> anyhow::Result<()> {
    let producer: FutureProducer = config(broker)?.set("message.timeout.ms", "10000").create()?;
    while !sender.is_done() {
        let mut headers = None::<OwnedHeaders>;
        let (sending, key) = sender.begin(System::KAFKA, destination, &mut headers);
        let mut record = FutureRecord::to(destination).key(&key).payload(&key);
        record.headers = headers;
        match producer.send(record, Duration::from_secs(10)).await {
            Ok(_) => sender.confirmed(sending).await,
            Err((error, _)) => {
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
    group: &str,
    handler: &mut Handler,
) -> anyhow::Result<()> {
    let log: StreamConsumer = config(broker)?
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("session.timeout.ms", "6000")
        .create()?;
    log.subscribe(&[destination])?;
    let log = Arc::new(log);
    let consumer = handler
        .recorded
        .messaging
        .consumer(System::KAFKA, destination)
        .with_group(group.to_owned());
    let _lag = consumer.watch_lag(Duration::from_millis(500), KafkaLag::new(Arc::clone(&log)));
    while !handler.is_done() {
        let message = log.recv().await?;
        if let Some(processing) = handler.handle(&consumer, &message).await? {
            log.commit_message(&message, CommitMode::Sync)?;
            processing.ack();
        }
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    Ok(())
}
