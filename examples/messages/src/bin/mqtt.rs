//! Sends an order over MQTT 5, and handles it: `cargo run -p messages --features mqtt --bin mqtt`
//! with `mosquitto -p 1883` running.

use anyhow::Context as _;
use meshwise_messaging::{Begun, MemoryInbox, System, message_key};
use messages::Recorded;
use rumqttc::v5::{
    AsyncClient, Event, Incoming, MqttOptions,
    mqttbytes::{QoS, v5::PublishProperties},
};
use std::env;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port = env::args().nth(1).map_or(Ok(1883), |port| port.parse())?;
    let mut options = MqttOptions::new("mailer", "127.0.0.1", port);
    options.set_manual_acks(true);
    let (client, mut events) = AsyncClient::new(options, 10);
    client.subscribe("order/placed", QoS::AtLeastOnce).await?;

    let (orders, mailer) = (Recorded::new("orders")?, Recorded::new("mailer")?);
    let inbox = MemoryInbox::new(10_000);
    let producer = orders.messaging.producer(System::MQTT, "order/placed");
    let consumer = mailer.messaging.consumer(System::MQTT, "order/placed");
    loop {
        match events.poll().await? {
            Event::Incoming(Incoming::SubAck(_)) => {
                let sending = producer.send();
                let mut properties = PublishProperties::default();
                let key = ("x-idempotency-key".to_owned(), "order-7".to_owned());
                properties.user_properties.push(key);
                sending.inject(&mut properties);
                let (topic, qos) = ("order/placed", QoS::AtLeastOnce);
                client.publish_with_properties(topic, qos, false, "tea", properties).await?;
                // That the broker has it shows in an event later: nothing waits for it here.
                sending.unconfirmed();
            }
            Event::Incoming(Incoming::Publish(message)) => {
                let processing = consumer.receive(&message);
                match inbox.begin(&message_key(&message).context("a message without an id")?) {
                    Begun::New(guard) => {
                        processing
                            .run(async { println!("mail about {:?}", message.payload) })
                            .await;
                        guard.done();
                    }
                    Begun::Done => consumer.count_duplicate(),
                    // Another has it in hand, and may fail yet: unsettled, it comes again.
                    Begun::InFlight => return Ok(()),
                }
                client.ack(&message).await?;
                processing.ack();
                break;
            }
            _ => {}
        }
    }
    orders.print();
    mailer.print();
    Ok(())
}
