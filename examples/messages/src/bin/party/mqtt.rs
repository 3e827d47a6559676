//! MQTT 5: orders at least once, to a session that outlives its connection.

use super::handler::{Handler, Sender};
use anyhow::Context as _;
use meshwise_messaging::{CarrierMut as _, System};
use rumqttc::v5::{
    AsyncClient, Event, EventLoop, Incoming, MqttOptions,
    mqttbytes::{QoS, v5::PublishProperties},
};

fn connect(broker: &str, id: &str) -> anyhow::Result<(AsyncClient, EventLoop)> {
    let address = broker.strip_prefix("mqtt://").context("mqtt://host:port")?;
    let (host, port) = address.split_once(':').context("mqtt://host:port")?;
    let mut options = MqttOptions::new(id, host, port.parse()?);
    options.set_manual_acks(true);
    options.set_clean_start(false);
    options.set_session_expiry_interval(Some(600));
    Ok(AsyncClient::new(options, 10))
}

pub(crate) async fn send(
    broker: &str,
    destination: &str,
    sender: &mut Sender,
) -> anyhow::Result<()> {
    let (client, mut events) = connect(broker, "orders")?;
    while !sender.is_done() {
        let mut headers = PublishProperties::default();
        headers.add("x-order", "1");
        let (sending, key) = sender.begin(System::MQTT, destination, &mut headers);
        client.publish_with_properties(destination, QoS::AtLeastOnce, false, key, headers).await?;
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Incoming::PubAck(_))) => break,
                Ok(_) => {}
                Err(error) => {
                    sending.failed(&error);
                    return Err(error.into());
                }
            }
        }
        sender.confirmed(sending).await;
    }
    Ok(())
}

pub(crate) async fn receive(
    broker: &str,
    destination: &str,
    handler: &mut Handler,
) -> anyhow::Result<()> {
    let (client, mut events) = connect(broker, "mailer")?;
    client.subscribe(destination, QoS::AtLeastOnce).await?;
    let consumer = handler.recorded.messaging.consumer(System::MQTT, destination);
    while !handler.is_done() {
        match events.poll().await? {
            Event::Incoming(Incoming::SubAck(_)) => {
                println!("{}", serde_json::json!({ "ready": destination }));
            }
            Event::Incoming(Incoming::Publish(message)) => {
                if let Some(processing) = handler.handle(&consumer, &message).await? {
                    client.ack(&message).await?;
                    processing.ack();
                }
            }
            _ => {}
        }
    }
    // The last acknowledgement goes out with the next look at the connection.
    let _sent = tokio::time::timeout(std::time::Duration::from_millis(300), async {
        while events.poll().await.is_ok() {}
    })
    .await;
    Ok(())
}
