//! NATS: orders over `JetStream`, requests over core NATS.

use super::handler::{Handler, Sender};
use anyhow::Context as _;
use async_nats::{
    HeaderMap,
    jetstream::{self, consumer::pull, stream},
};
use futures_util::StreamExt as _;
use meshwise_core::Deadline;
use meshwise_messaging::{System, async_nats_0_51::JetStreamLag};
use messages::Recorded;
use std::time::{Duration, Instant};

async fn stream(
    broker: &str,
    destination: &str,
) -> anyhow::Result<(jetstream::Context, stream::Stream)> {
    let context = jetstream::new(async_nats::connect(broker).await?);
    let config = stream::Config {
        name: destination.to_owned(),
        subjects: vec![destination.to_owned()],
        storage: stream::StorageType::File,
        ..stream::Config::default()
    };
    let stream = context.get_or_create_stream(config).await?;
    Ok((context, stream))
}

pub(crate) async fn send(
    broker: &str,
    destination: &str,
    sender: &mut Sender,
) -> anyhow::Result<()> {
    let (context, _) = stream(broker, destination).await?;
    while !sender.is_done() {
        let mut headers = HeaderMap::new();
        let (sending, key) = sender.begin(System::NATS, destination, &mut headers);
        let subject = destination.to_owned();
        let sent = context.publish_with_headers(subject, headers, key.into()).await;
        let acknowledged = match sent {
            Ok(sent) => sent.await.map(drop),
            Err(error) => Err(error),
        };
        match acknowledged {
            Ok(()) => sender.confirmed(sending).await,
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
    group: &str,
    handler: &mut Handler,
) -> anyhow::Result<()> {
    let (_, stream) = stream(broker, destination).await?;
    let config = pull::Config {
        durable_name: Some(group.to_owned()),
        // What a consumer that was killed had in hand comes again soon.
        ack_wait: Duration::from_secs(2),
        ..pull::Config::default()
    };
    let pull = stream.get_or_create_consumer(group, config).await?;
    let consumer =
        handler.recorded.messaging.consumer(System::NATS, destination).with_group(group.to_owned());
    let _lag = consumer.watch_lag(Duration::from_millis(200), JetStreamLag::new(pull.clone()));
    let mut messages = pull.stream().max_messages_per_batch(10).messages().await?;
    while !handler.is_done() {
        let message = messages.next().await.context("the stream has ended")??;
        if let Some(processing) = handler.handle(&consumer, &message).await? {
            // Until the broker has said that it knows: what is lost here comes again.
            message.double_ack().await.map_err(anyhow::Error::from_boxed)?;
            processing.ack();
        }
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    Ok(())
}

/// Asks, and waits for each answer.
pub(crate) async fn request(
    broker: &str,
    subject: &str,
    count: u64,
    deadline: Duration,
) -> anyhow::Result<()> {
    let client = async_nats::connect(broker).await?;
    let recorded = Recorded::new("orders")?;
    let producer = recorded.messaging.producer(System::NATS, subject);
    for _ in 0..count {
        let asking = producer.request().with_deadline(Deadline::after(Instant::now(), deadline));
        let mut headers = HeaderMap::new();
        asking.inject(&mut headers);
        let asked = client.request_with_headers(subject.to_owned(), headers, "tea".into());
        match asking.watch(asked).await {
            Ok(answer) => println!(
                "{}",
                serde_json::json!({ "answer": String::from_utf8_lossy(&answer.payload) })
            ),
            Err(error) => println!("{}", serde_json::json!({ "unanswered": error.to_string() })),
        }
    }
    for span in recorded.spans.spans() {
        println!(
            "{}",
            serde_json::json!({ "sent": span.name, "trace": span.span_context.trace_id().to_string(), "span": span.span_context.span_id().to_string() })
        );
    }
    Ok(())
}

/// Answers with who asked, and how long is left.
pub(crate) async fn answer(broker: &str, subject: &str) -> anyhow::Result<()> {
    let client = async_nats::connect(broker).await?;
    let recorded = Recorded::new("stock")?;
    let consumer = recorded.messaging.consumer(System::NATS, subject);
    let mut requests = client.queue_subscribe(subject.to_owned(), "stock".to_owned()).await?;
    println!("{}", serde_json::json!({ "ready": subject }));
    while let Some(message) = requests.next().await {
        let processing = consumer.receive(&message);
        let caller = processing.caller().map_or("?", |caller| caller).to_owned();
        let left = processing.deadline().and_then(|deadline| deadline.remaining(Instant::now()));
        let answer = format!("{caller} {}", left.unwrap_or_default().as_millis());
        if let Some(reply) = message.reply.clone() {
            client.publish(reply, answer.into()).await?;
        }
        processing.ack();
    }
    Ok(())
}
