//! Names of headers and attributes, once each.
//!
//! Attributes follow OpenTelemetry's semantic conventions for messaging, in the version of
//! `meshwise_trace`'s `SCHEMA_URL`; `cargo xtask semconv` holds them to it.

/// `x-request-timeout-ms`, the header that a message's remaining time travels in, as for HTTP.
pub const X_REQUEST_TIMEOUT_MS: &str = "x-request-timeout-ms";
/// `x-request-id`, the header that request ids travel in.
pub const X_REQUEST_ID: &str = "x-request-id";
/// `x-idempotency-key`, the header that names what a message is about, whatever carries it.
pub const X_IDEMPOTENCY_KEY: &str = "x-idempotency-key";
/// `x-attempt`, the header that a message's number of earlier tries travels in, where the broker does
/// not count.
pub const X_ATTEMPT: &str = "x-attempt";
/// `x-dead-letter-reason`, the header that says why a message was set aside.
pub const X_DEAD_LETTER_REASON: &str = "x-dead-letter-reason";

pub(crate) const CLIENT_SERVICE_NAME: &str = "client.service.name";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const MESHWISE_ENDED_BY: &str = "meshwise.ended_by";
pub(crate) const MESHWISE_MESSAGE_ATTEMPT: &str = "meshwise.message.attempt";
pub(crate) const MESHWISE_MESSAGE_SETTLED: &str = "meshwise.message.settled";
pub(crate) const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
pub(crate) const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
pub(crate) const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
pub(crate) const MESSAGING_DESTINATION_PARTITION_ID: &str = "messaging.destination.partition.id";
pub(crate) const KAFKA_OFFSET: &str = "kafka.offset";
pub(crate) const MESSAGING_MESSAGE_BODY_SIZE: &str = "messaging.message.body.size";
pub(crate) const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
pub(crate) const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
pub(crate) const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
pub(crate) const MESSAGING_SYSTEM_NAME: &str = "messaging.system.name";
