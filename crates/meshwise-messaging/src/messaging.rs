//! What producers and consumers of one service share.

use crate::hands::Hands;
use meshwise_core::{Classifier, Service, propagation::Propagators};
use meshwise_metrics::{
    Metrics, SharedRecorder,
    internal::{LabelGuard, MessagingMetrics},
};
use meshwise_trace::Tracing;
use std::{fmt, sync::Arc};
use tracing::Dispatch;

/// How many calling services are told apart; the rest share one name.
const MAX_CALLERS: usize = 200;

/// Makes the producers and consumers of one service. Cheap to clone.
///
/// Each part can be left out: without tracing, messages make no spans but context is still handed on;
/// without metrics, none are counted.
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
    pub(crate) callers: LabelGuard,
    pub(crate) hands: Hands,
    pub(crate) api: Option<ApiCounter>,
}

type ApiCounter = Arc<dyn Fn(&ApiUse<'_>) + Send + Sync>;

/// Says which version of an API a message was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiUse<'a> {
    /// The topic, queue or subject, as the consumer names it.
    pub destination: &'a str,
    /// The version that the producer named, if it did.
    pub version: Option<&'a str>,
    /// The producing service's name, if it told.
    pub caller: Option<&'a str>,
}

impl Messaging {
    /// Starts with nothing but W3C propagation.
    pub fn builder(service: Service) -> MessagingBuilder {
        MessagingBuilder {
            service,
            tracing: None,
            metrics: None,
            propagators: Propagators::default(),
            dispatch: None,
            tracing_span: false,
            local_recorder: false,
            classifier: Classifier::new(),
            api: None,
        }
    }

    /// Returns the service that records.
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
    service: Service,
    tracing: Option<Tracing>,
    metrics: Option<Metrics>,
    propagators: Propagators,
    dispatch: Option<Dispatch>,
    tracing_span: bool,
    local_recorder: bool,
    classifier: Classifier,
    api: Option<ApiCounter>,
}

impl MessagingBuilder {
    /// Records a span for each message that is sent, and for each that is processed.
    pub fn with_tracing(mut self, tracing: Tracing) -> Self {
        self.tracing = Some(tracing);
        self
    }

    /// Counts and times messages.
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Sets the wire formats of context; W3C `tracecontext` and `baggage` by default.
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.propagators = propagators;
        self
    }

    /// Sends log events of handlers, while they run, to a subscriber of one's own instead of the
    /// process-wide one.
    pub fn with_dispatch(mut self, dispatch: Dispatch) -> Self {
        self.dispatch = Some(dispatch);
        self
    }

    /// Makes a `tracing` span for each message that is processed, which stands for its OpenTelemetry
    /// span: `tracing::Span::current()` is the message's while its handler runs; off by default.
    pub fn with_tracing_span(mut self, span: bool) -> Self {
        self.tracing_span = span;
        self
    }

    /// Records what handlers count with the `metrics` macros to this service's metrics instead of the
    /// process-wide recorder; off by default.
    pub fn with_local_recorder(mut self, local: bool) -> Self {
        self.local_recorder = local;
        self
    }

    /// Sets what errors mean, as for calls.
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// Tells each message's API version to one who counts them.
    pub fn with_api_counter(mut self, count: impl Fn(&ApiUse<'_>) + Send + Sync + 'static) -> Self {
        self.api = Some(Arc::new(count));
        self
    }

    /// Resolves the instruments.
    #[must_use]
    pub fn build(self) -> Messaging {
        let recorder = self.metrics.as_ref().filter(|_| self.local_recorder).map(Metrics::recorder);
        let callers = match &self.metrics {
            Some(metrics) => {
                let metric = meshwise_metrics::names::MESSAGING_PROCESS_DURATION;
                LabelGuard::new(metrics, metric, "caller", MAX_CALLERS)
            }
            None => LabelGuard::detached(MAX_CALLERS),
        };
        let hands = Hands::default();
        let metrics = self.metrics.as_ref().map(|metrics| {
            let instruments = MessagingMetrics::new(metrics);
            let (hands, ages) = (hands.clone(), instruments.clone());
            metrics.on_scrape(move |_| hands.tell(&ages));
            instruments
        });
        Messaging(Arc::new(Shared {
            service: self.service,
            tracing: self.tracing.filter(Tracing::is_enabled),
            metrics,
            propagators: self.propagators,
            dispatch: self.dispatch,
            tracing_span: self.tracing_span,
            recorder,
            classifier: self.classifier,
            callers,
            hands,
            api: self.api,
        }))
    }
}

impl fmt::Debug for MessagingBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessagingBuilder")
            .field("service", &self.service)
            .field("propagators", &self.propagators)
            .finish_non_exhaustive()
    }
}
