//! Kafka, or librdkafka's mock cluster in this process (`kafka://mock`).

use super::{ASK_EVERY, Answer, Broker, MAILER, Message, ORDER_PLACED, Taken};
use anyhow::Context as _;
use meshwise::messaging::{
    Carrier, CarrierMut as _, Consumer, Delivery, LagTask, Position, System,
};
use meshwise_messaging::rdkafka_0_39::KafkaLag;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    message::OwnedMessage,
    producer::{FutureProducer, FutureRecord, Producer as _},
};
use std::{borrow::Cow, sync::Arc, time::Duration, time::SystemTime};

/// How long the broker is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A topic, and a consumer group of it.
pub(super) struct Kafka {
    producer: FutureProducer,
    log: Arc<StreamConsumer>,
}

impl Kafka {
    pub(super) fn connect(url: &str) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        config.set("allow.auto.create.topics", "true");
        let mut address = url.trim_start_matches("kafka://").to_owned();
        // The mock cluster lives as long as the producer that has made it.
        let of_producer = match address == "mock" {
            true => ("test.mock.num.brokers", "1"),
            false => ("bootstrap.servers", &*address),
        };
        let producer: FutureProducer = config.clone().set(of_producer.0, of_producer.1).create()?;
        if address == "mock" {
            let cluster = producer.client().fetch_metadata(None, PATIENCE)?;
            let broker = cluster.brokers().first().context("the mock cluster has no broker")?;
            address = format!("{}:{}", broker.host(), broker.port());
        }
        let log: StreamConsumer = config
            .set("bootstrap.servers", &address)
            .set("group.id", MAILER)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .create()?;
        log.subscribe(&[ORDER_PLACED])?;
        Ok(Self { producer, log: Arc::new(log) })
    }
}

impl Broker for Kafka {
    fn system(&self) -> System {
        System::KAFKA
    }

    fn publish(&self, message: Message) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut record = FutureRecord::to(ORDER_PLACED).key(&message.id).payload(&message.body);
            record.headers.add("x-idempotency-key", &message.id);
            message.headers.iter().for_each(|(name, value)| record.headers.add(name, value));
            self.producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
            Ok(())
        })
    }

    fn receive(&self) -> Answer<'_, Box<dyn Taken>> {
        Box::pin(async {
            let message = self.log.recv().await?.detach();
            Ok(Box::new(Record { message, log: Arc::clone(&self.log) }) as Box<dyn Taken>)
        })
    }

    fn watch_lag(&self, consumer: &Consumer) -> LagTask {
        consumer.watch_lag(ASK_EVERY, KafkaLag::new(Arc::clone(&self.log)))
    }
}

/// A record, and the consumer that has to commit it.
struct Record {
    message: OwnedMessage,
    log: Arc<StreamConsumer>,
}

impl Carrier for Record {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        self.message.each(see);
    }
}

impl Delivery for Record {
    fn position(&self) -> Option<Position<'_>> {
        self.message.position()
    }

    fn published_at(&self) -> Option<SystemTime> {
        self.message.published_at()
    }

    fn body_size(&self) -> Option<usize> {
        self.message.body_size()
    }
}

impl Taken for Record {
    fn body(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.message.payload().unwrap_or_default())
    }

    fn ack(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async move {
            let mut done = TopicPartitionList::new();
            let next = Offset::Offset(self.message.offset() + 1);
            done.add_partition_offset(self.message.topic(), self.message.partition(), next)?;
            let commit = move || self.log.commit(&done, CommitMode::Sync);
            Ok(tokio::task::spawn_blocking(commit).await??)
        })
    }

    /// Kafka delivers nothing again of itself: the consumer goes back.
    fn again(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async move {
            let back = move || {
                let this = Offset::Offset(self.message.offset());
                self.log.seek(self.message.topic(), self.message.partition(), this, PATIENCE)
            };
            Ok(tokio::task::spawn_blocking(back).await??)
        })
    }
}
