//! Messages that keep their trace, and take effect once.
//!
//! Users keep their client of Kafka, `RabbitMQ`, NATS or MQTT; nothing is wrapped. [`Messaging`] makes
//! [`Producer`]s and [`Consumer`]s. A [`Sending`] writes into a message's headers what its consumer
//! shall know; a [`Processing`] reads it there, and makes it current while the handler runs. Each has
//! one span, one set of metrics and one finish.
//!
//! ```
//! use meshwise_core::Service;
//! use meshwise_messaging::{Messaging, System};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let messaging = Messaging::builder(Service::new("orders", "1.4.2")).build();
//!
//! // On the way out: any headers that a client has.
//! let producer = messaging.producer(System::NATS, "order.placed");
//! let sending = producer.send();
//! let mut headers: Vec<(String, String)> = Vec::new();
//! sending.inject(&mut headers);
//! // ... the client sends it ...
//! sending.confirmed();
//!
//! // On the way in.
//! let consumer = messaging.consumer(System::NATS, "order.placed").with_group("mailer");
//! let processing = consumer.receive(&headers);
//! match processing.run(async { Ok::<(), std::fmt::Error>(()) }).await {
//!     Ok(()) => processing.ack(), // after the broker was told
//!     Err(error) => processing.nack(&error),
//! }
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Behaviour
//!
//! | what happens | what comes of it |
//! |---|---|
//! | a header's name is written in another case (`Traceparent`) | it is read |
//! | `traceparent` comes twice | there is no parent; of other headers the first counts, `tracestate` and `baggage` are joined |
//! | a header is a number, a table, no UTF-8, or 64 KiB long | it was not sent |
//! | a message has more than 512 headers | the rest is not looked at |
//! | a message is forwarded | what stood in its headers of context is replaced |
//! | a message is only sent ([`Producer::send`]) | it inherits no deadline; [`Sending::with_deadline`] sets one |
//! | a message is answered ([`Producer::request`]) | the deadline of the call being served goes on with it, and ends the wait |
//! | a deadline came with a message | the time in the queue counts against it, where the broker or producer says when it was published |
//! | a batch is processed | its span begins a trace and links to the first 128 producers'; its deadline is the latest of its messages', if each has one |
//! | a message fails | `error.type` is what the error, or one of its sources, is known as: `connect`, `timeout`, ...; `_OTHER` else |
//! | the process is asked to end | `Mesh::serve` waits for the messages in hand, up to the drain timeout; stop taking others once `mesh.health().drained()` is ready |
//! | a handler panics or is cancelled | the message counts as `dropped`; the broker delivers it again |
//! | a message comes again | an inbox says that it is done: [`MemoryInbox`], [`SqlInbox`], [`RedisInbox`] |
//! | a handler hangs | `meshwise_consumer_age_seconds` grows |
//!
//! # Features
//!
//! None is on by default, and none brings a client into the tree that is not there already. Each names
//! a client's line, so that several can live side by side; a new line is a new feature.
//!
//! | feature | client | what it adds |
//! |---|---|---|
//! | `rdkafka-0_39` | `rdkafka` 0.39 | headers, messages, lag (committed offsets against the log's end) |
//! | `lapin-4` | `lapin` 4 | field tables, deliveries, lag (messages ready in the queue) |
//! | `async-nats-0_51` | `async-nats` 0.51 | header maps, messages of core NATS and `JetStream`, lag (messages pending, and those in hand) |
//! | `rumqttc-0_25` | `rumqttc` 0.25 | user properties and messages of MQTT 5; no broker tells of lag |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod carrier;
mod clients;
mod consumer;
mod dead_letter;
mod exemplar;
mod fault;
mod hands;
mod inbox;
mod key;
mod lag;
mod messaging;
#[doc(hidden)]
pub mod names;
mod outbox;
mod processing;
mod producer;
mod reason;
mod retry;
mod senders;
mod sending;
mod sql;
mod system;

pub use carrier::{Carrier, CarrierMut, Delivery, Position};
#[cfg(feature = "async-nats-0_51")]
pub use clients::async_nats_0_51;
#[cfg(feature = "lapin-4")]
pub use clients::lapin_4;
#[cfg(feature = "rdkafka-0_39")]
pub use clients::rdkafka_0_39;
#[cfg(feature = "rumqttc-0_25")]
pub use clients::rumqttc_0_25;
pub use consumer::{Consumer, Parenting, Trust};
#[doc(hidden)]
pub use hands::MessageInHand;
pub use inbox::{
    Begun, MemoryGuard, MemoryInbox, Redis, RedisGuard, RedisInbox, RedisReply, SqlInbox,
};
pub use key::message_key;
pub use lag::{Lag, LagProbe, LagTask, ProbeError};
#[doc(hidden)]
pub use messaging::{ApiCounter, ApiUse};
pub use messaging::{Messaging, MessagingBuilder, Recording};
pub use outbox::{OutboxMessage, OutboxStore, Relay, RelayConfig, SqlOutbox, SqlOutboxStore};
pub use processing::{Entered, Processing, Running, Settled};
pub use producer::Producer;
pub use reason::Reason;
pub use retry::{Retry, RetryConfig};
pub use sending::{Sending, WatchError};
pub use sql::{Dialect, Sql, SqlValue, TableNameError};
pub use system::System;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
