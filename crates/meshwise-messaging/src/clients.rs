//! What is known of each client: its headers, its messages, where its broker tells of lag.

#[cfg(feature = "async-nats-0_51")]
pub mod async_nats_0_51;
#[cfg(feature = "lapin-4")]
pub mod lapin_4;
#[cfg(feature = "rdkafka-0_39")]
pub mod rdkafka_0_39;
#[cfg(feature = "rumqttc-0_25")]
pub mod rumqttc_0_25;
