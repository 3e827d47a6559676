//! Mailer: writes to customers about orders that were placed. It takes its messages from a queue, which
//! delivers at least once, and writes each mail once.

use crate::queue::{MAILER, ORDER_PLACED, Queue};
use meshwise::messaging::{Begun, Consumer, MemoryInbox, Messaging, Reason, message_key};
use std::time::Duration;

/// Handles messages until it is dropped.
pub(crate) async fn run(messaging: Messaging, queue: Queue) {
    let consumer = messaging.consumer(queue.system(), ORDER_PLACED).with_group(MAILER);
    let _lag = queue.watch_lag(&consumer);
    // In memory: a mailer whose mails matter keeps it in its database (`SqlInbox`).
    let inbox = MemoryInbox::new(10_000);
    loop {
        if let Err(error) = handle(&consumer, &inbox, &queue).await {
            eprintln!("mailer: {error:#}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn handle(consumer: &Consumer, inbox: &MemoryInbox, queue: &Queue) -> anyhow::Result<()> {
    let message = queue.receive().await?;
    let processing = consumer.receive(&*message);
    let Some(key) = message_key(&*message) else {
        queue.ack(message).await?;
        processing.reject(&Reason::new("a message without an id"));
        return Ok(());
    };
    match inbox.begin(&key) {
        Begun::New(guard) => {
            processing.run(write(&message.body())).await;
            guard.done();
            // As if this process had ended between the work and its acknowledgement: neither the
            // message nor its processing is settled, and the queue delivers it again.
            drop(processing);
            message.again().await
        }
        Begun::Done => {
            consumer.count_duplicate();
            let order = message.body().into_owned();
            let told = async { tracing::info!(order, "mailed before: nothing to do") };
            processing.run(told).await;
            queue.ack(message).await?;
            processing.ack();
            Ok(())
        }
        Begun::InFlight => message.again().await,
    }
}

async fn write(order: &str) {
    tracing::info!(order, "mail written");
}
