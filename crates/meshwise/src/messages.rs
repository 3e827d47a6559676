//! Messages of the mesh.

use crate::mesh::Mesh;
#[cfg(feature = "axum")]
use meshwise_core::settings::Value;
use meshwise_messaging::Messaging;
#[cfg(feature = "axum")]
use std::time::Duration;

impl Mesh {
    /// Makes producers and consumers of messages, whose spans, metrics and log lines are this mesh's.
    ///
    /// The features of `meshwise-messaging` say which clients' headers are known.
    ///
    /// ```
    /// # fn f(mesh: &meshwise::Mesh, mut headers: Vec<(String, String)>) {
    /// use meshwise::messaging::System;
    /// let producer = mesh.messaging().producer(System::NATS, "order.placed");
    /// let sending = producer.send();
    /// sending.inject(&mut headers);
    /// // ... the client sends it ...
    /// sending.confirmed();
    /// # }
    /// ```
    #[must_use]
    pub fn messaging(&self) -> &Messaging {
        &self.0.messaging
    }
}

#[cfg(feature = "axum")]
impl crate::mesh::Parts {
    /// Waits until the messages in hand are settled, and tells how many are not when the time is up.
    pub(crate) async fn settle_messages(&self, limit: Duration) {
        if tokio::time::timeout(limit, self.messaging.settled()).await.is_ok() {
            return;
        }
        let messages = self.messaging.in_hand().len();
        self.log(|| {
            tracing::warn!(
                target: "meshwise", messages,
                "messages in hand were not settled after {limit:?}; their broker delivers them again"
            );
        });
    }
}

/// Turns the oldest messages in hand into JSON's form.
#[cfg(feature = "axum")]
pub(crate) fn in_hand(messaging: &Messaging, limit: usize) -> Value {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let shown = messaging.in_hand().into_iter().take(limit).map(|message| {
        let millis = (message.age.as_secs_f64() * 1e6).round() / 1e3;
        let members = [
            ("system", text(message.system.as_str())),
            ("destination", text(&message.destination)),
            ("group", message.group.as_deref().and_then(text)),
            ("age_ms", Some(Value::Number(millis))),
            ("attempt", Some(Value::Whole(message.attempt.into()))),
            ("trace_id", message.trace_id.and_then(|id| text(&id.to_string()))),
        ];
        let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Table(there.collect())
    });
    Value::List(shown.collect())
}
