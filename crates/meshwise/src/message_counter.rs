//! Counts messages of declared APIs where calls are counted.

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
