//! The messaging system that a message goes through.

/// Names a messaging system, as `messaging.system.name` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct System(&'static str);

impl System {
    /// Apache Kafka, and what speaks its protocol.
    pub const KAFKA: Self = Self("kafka");
    /// `RabbitMQ`.
    pub const RABBITMQ: Self = Self("rabbitmq");
    /// NATS, with or without `JetStream`.
    pub const NATS: Self = Self("nats");
    /// Any MQTT broker.
    pub const MQTT: Self = Self("mqtt");

    /// Names another.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Returns the name.
    #[doc(hidden)]
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}
