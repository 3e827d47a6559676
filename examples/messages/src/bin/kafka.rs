//! Sends an order over Kafka, and handles it: `cargo run -p messages --features kafka --bin kafka`.
//! Without an address it runs over librdkafka's mock cluster.

use anyhow::Context as _;
use meshwise_messaging::{Begun, MemoryInbox, System, message_key, rdkafka_0_39::KafkaLag};
use messages::Recorded;
use rdkafka::{
    ClientConfig,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    mocking::MockCluster,
    producer::{FutureProducer, FutureRecord},
};
use std::{env, sync::Arc, time::Duration};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mock = MockCluster::new(1)?;
    mock.create_topic("orders", 3, 1)?;
    let address = env::args().nth(1).unwrap_or_else(|| mock.bootstrap_servers());
    let orders = Recorded::new("orders")?;
    let client: FutureProducer = ClientConfig::new().set("bootstrap.servers", &address).create()?;

    let sending = orders.messaging.producer(System::KAFKA, "orders").send();
    let mut record = FutureRecord::to("orders").key("ada").payload("tea");
    sending.inject(&mut record.headers);
    let sent = client.send(record, Duration::from_secs(10));
    sending.watch(async { sent.await.map_err(|(error, _)| error) }).await?;

    let mailer = Recorded::new("mailer")?;
    let inbox = MemoryInbox::new(10_000);
    let consumer = mailer.messaging.consumer(System::KAFKA, "orders").with_group("mailer");
    let log: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &address)
        .set("group.id", "mailer")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    log.subscribe(&["orders"])?;
    let log = Arc::new(log);
    let _lag = consumer.watch_lag(Duration::from_secs(1), KafkaLag::new(Arc::clone(&log)));
    let message = log.recv().await?;
    let processing = consumer.receive(&message);
    match inbox.begin(&message_key(&message).context("a message without an id")?) {
        Begun::New(guard) => {
            processing.run(async { println!("mail about {:?}", message) }).await;
            guard.done();
        }
        Begun::Done => consumer.count_duplicate(),
        // Another has it in hand, and may fail yet: unsettled, it comes again.
        Begun::InFlight => return Ok(()),
    }
    log.commit_message(&message, CommitMode::Sync)?;
    processing.ack();
    orders.print();
    mailer.print();
    Ok(())
}
