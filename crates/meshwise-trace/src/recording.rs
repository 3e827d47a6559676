//! What the layers, producers and consumers of one service record to.

#[cfg(not(feature = "pipeline"))]
use crate::nowhere::Tracing;
#[cfg(feature = "pipeline")]
use crate::pipeline::Tracing;
use meshwise_core::{Redaction, Service, propagation::Propagators};
use tracing::Dispatch;

/// Says what one service records to: one value, given to all that observes its calls and messages.
///
/// `M` is what counts: `meshwise_metrics::Metrics`, of which this crate knows nothing.
/// `meshwise_http::Recording` and `meshwise_messaging::Recording` are this type with it.
///
/// Each part can be left out: without tracing there are no spans but context is still handed on;
/// without metrics nothing is counted.
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive]
pub struct Recording<M> {
    /// The service that records.
    #[doc(hidden)]
    pub service: Service,
    /// Where spans go; `None` by default.
    #[doc(hidden)]
    pub tracing: Option<Tracing>,
    /// Where counts and times go; `None` by default.
    #[doc(hidden)]
    pub metrics: Option<M>,
    /// The wire formats of context; W3C `tracecontext` and `baggage` by default.
    #[doc(hidden)]
    pub propagators: Propagators,
    /// Where log events go, of the layers, and of handlers while they run; the process-wide subscriber
    /// by default.
    #[doc(hidden)]
    pub dispatch: Option<Dispatch>,
    /// Whether there is a `tracing` span for each call and message; `false` by default.
    #[doc(hidden)]
    pub tracing_span: bool,
    /// Whether what handlers count goes to `metrics` instead of the process-wide recorder; `false` by
    /// default.
    #[doc(hidden)]
    pub local_recorder: bool,
    /// What is hidden in what goes out by other ways than spans and lines; the default [`Redaction`] unless
    /// set.
    #[doc(hidden)]
    pub redaction: Redaction,
}

impl<M> Recording<M> {
    /// Starts with nothing but W3C propagation.
    pub fn new(service: Service) -> Self {
        Self {
            service,
            tracing: None,
            metrics: None,
            propagators: Propagators::default(),
            dispatch: None,
            tracing_span: false,
            local_recorder: false,
            redaction: Redaction::default(),
        }
    }

    /// Records a span for each call, and for each message that is sent or processed.
    pub fn with_tracing(mut self, tracing: Tracing) -> Self {
        self.tracing = Some(tracing);
        self
    }

    /// Counts and times calls and messages.
    pub fn with_metrics(mut self, metrics: M) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Sets the wire formats of context; W3C `tracecontext` and `baggage` by default.
    pub fn with_propagators(mut self, propagators: Propagators) -> Self {
        self.propagators = propagators;
        self
    }

    /// Sends log events of the layers, and of handlers while they run, to a subscriber of one's
    /// own instead of the process-wide one.
    pub fn with_dispatch(mut self, dispatch: Dispatch) -> Self {
        self.dispatch = Some(dispatch);
        self
    }

    /// Makes a `tracing` span for each call, and for each message that is processed, that stands for
    /// its OpenTelemetry span, so that `tracing::Span::current()` is the call's while its code runs; off
    /// by default.
    ///
    /// In a subscriber of the front door's a call has it once its code asks for it; in any other at its
    /// first poll, which costs up to four allocations. It takes a subscriber with the layer that
    /// [`Tracing::layer`] makes: any other OpenTelemetry layer would make a second span of each call.
    pub fn with_tracing_span(mut self, span: bool) -> Self {
        self.tracing_span = span;
        self
    }

    /// Sets what is hidden in the reasons that are written into headers of messages; what spans and lines
    /// hide is set with them.
    pub fn with_redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Records what handlers count with the `metrics` macros, while they run, to this service's
    /// metrics instead of the process-wide recorder; off by default.
    #[doc(hidden)]
    pub fn with_local_recorder(mut self, local: bool) -> Self {
        self.local_recorder = local;
        self
    }
}

impl<M> From<Service> for Recording<M> {
    fn from(service: Service) -> Self {
        Self::new(service)
    }
}
