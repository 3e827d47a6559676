//! Messages of the mesh.

use crate::Mesh;
use meshwise_messaging::Messaging;

#[cfg(feature = "api")]
pub(crate) use counter::counted;

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

#[cfg(feature = "api")]
mod counter {
    use meshwise_api::Declared;
    use meshwise_api_http::{ApiConfigError, ApiMessages};
    use meshwise_messaging::{ApiCounter, ApiUse, MessagingBuilder};
    use meshwise_metrics::Metrics;

    /// Counts messages where calls are counted.
    struct Counter(ApiMessages);

    /// Counts the messages of declared APIs, if there are any.
    pub(crate) fn counted(
        messaging: MessagingBuilder,
        apis: Option<Declared>,
        metrics: &Metrics,
    ) -> Result<MessagingBuilder, ApiConfigError> {
        let Some(declared) = apis else { return Ok(messaging) };
        let messages = ApiMessages::builder(declared).with_recorder(metrics.recorder()).build()?;
        Ok(messaging.with_api_counter(Counter(messages)))
    }

    impl ApiCounter for Counter {
        fn begin(&self, api: &str) {
            self.0.begin(api);
        }

        fn count(&self, message: &ApiUse<'_>) {
            self.0.received(message.api, message.version, message.caller);
        }
    }
}
