//! What producers and consumers of one service share.

use crate::{
    fault::fault,
    hands::{Hands, MessageInHand},
    senders::Senders,
};
use meshwise_core::{Classifier, Redaction, Service, propagation::Propagators};
use meshwise_metrics::{Metrics, SharedRecorder, internal::MessagingMetrics};
use meshwise_trace::Tracing;
use std::{fmt, sync::Arc, time::Instant};
use tracing::Dispatch;

/// Says what the layers of a service, its producers and consumers record to.
pub type Recording = meshwise_trace::Recording<Metrics>;

/// Makes the producers and consumers of one service, which record to a [`Recording`]. Cheap to clone.
#[derive(Clone)]
pub struct Messaging(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) service: Service,
    pub(crate) tracing: Option<Tracing>,
    pub(crate) metrics: Option<MessagingMetrics>,
    pub(crate) propagators: Propagators,
    pub(crate) dispatch: Option<Dispatch>,
    pub(crate) tracing_span: bool,
    pub(crate) recorder: Option<SharedRecorder>,
    pub(crate) classifier: Classifier,
    pub(crate) senders: Senders,
    pub(crate) hands: Hands,
    pub(crate) api: Option<Arc<dyn ApiCounter>>,
    pub(crate) redaction: Redaction,
}

/// Counts the messages of APIs, by version and sender.
pub trait ApiCounter: Send + Sync + 'static {
    /// From now on each message of the API is told.
    fn begin(&self, api: &str);

    /// Counts a message.
    fn count(&self, message: &ApiUse<'_>);
}

/// Says which version of an API a message was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiUse<'a> {
    /// The API, as the consumer names it.
    pub api: &'a str,
    /// The version that the producer named, if it did.
    pub version: Option<&'a str>,
    /// The producing service's name, if it told.
    pub caller: Option<&'a str>,
}

impl Messaging {
    /// Starts with what records, and what errors mean by default.
    pub fn builder(recording: impl Into<Recording>) -> MessagingBuilder {
        let recording = recording.into();
        MessagingBuilder { recording, classifier: Classifier::new(), api: None }
    }

    /// Lists the messages that this service's consumers have in hand, the oldest first.
    #[doc(hidden)]
    #[must_use]
    pub fn in_hand(&self) -> Vec<MessageInHand> {
        self.0.hands.list(Instant::now())
    }

    /// Waits until the messages that consumers have in hand now are settled; those that come later are not
    /// waited for.
    #[doc(hidden)]
    pub async fn settled(&self) {
        self.0.hands.settled().await;
    }

    /// Returns the service that records.
    #[doc(hidden)]
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.0.service
    }
}

impl fmt::Debug for Messaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messaging")
            .field("service", &self.0.service)
            .field("tracing", &self.0.tracing.is_some())
            .field("metrics", &self.0.metrics.is_some())
            .field("propagators", &self.0.propagators)
            .finish_non_exhaustive()
    }
}

/// Puts a [`Messaging`] together.
#[must_use]
pub struct MessagingBuilder {
    recording: Recording,
    classifier: Classifier,
    api: Option<Arc<dyn ApiCounter>>,
}

impl MessagingBuilder {
    /// Sets what errors mean, as for calls.
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// Tells each message of an API ([`Consumer::with_api`](crate::Consumer::with_api)) to what counts
    /// them.
    #[doc(hidden)]
    pub fn with_api_counter(mut self, counter: impl ApiCounter) -> Self {
        self.api = Some(Arc::new(counter));
        self
    }

    /// Resolves the instruments.
    #[must_use]
    pub fn build(self) -> Messaging {
        let Self { recording, classifier, api } = self;
        let metrics = recording.metrics.as_ref();
        let recorder = metrics.filter(|_| recording.local_recorder).map(Metrics::recorder);
        let senders = Senders::new(metrics, recording.service.clone());
        let instruments = metrics.map(MessagingMetrics::new);
        let hands = Hands::new(instruments.clone());
        if let Some(metrics) = metrics {
            let hands = hands.clone();
            metrics.on_scrape(move |_| hands.tell());
        }
        Messaging(Arc::new(Shared {
            service: recording.service,
            tracing: recording.tracing.filter(Tracing::is_enabled),
            metrics: instruments,
            propagators: recording.propagators,
            dispatch: recording.dispatch,
            tracing_span: recording.tracing_span,
            recorder,
            classifier: classifier.with_fault(fault),
            senders,
            hands,
            api,
            redaction: recording.redaction,
        }))
    }
}

impl fmt::Debug for MessagingBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessagingBuilder")
            .field("recording", &self.recording)
            .field("api", &self.api.is_some())
            .finish_non_exhaustive()
    }
}
