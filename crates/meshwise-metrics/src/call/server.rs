//! Incoming HTTP calls.

use super::{
    BodySizes,
    ends::Ends,
    label_sets::{CallLabels, LabelSets, is_same, mark},
    size, status_label,
};
use crate::{
    backend::Backend,
    catalogue,
    guard::LabelGuard,
    hub::Metrics,
    key::{METADATA, label},
    names,
};
use meshwise_core::ErrorType;
use metrics::{Gauge, Histogram, Key, Label};
use std::{
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
    time::Duration,
};

const MAX_ROUTES: usize = 1000;

/// The duration, the size of a request and that of a response.
const METRICS: [&str; 3] = [
    names::HTTP_SERVER_REQUEST_DURATION,
    names::HTTP_SERVER_REQUEST_BODY_SIZE,
    names::HTTP_SERVER_RESPONSE_BODY_SIZE,
];

/// Counts, times and measures incoming HTTP calls. Cheap to clone.
///
/// Handles are resolved once per label set and kept; what is recorded to a known label set takes
/// no lock and allocates nothing.
#[derive(Clone, Debug)]
pub struct HttpServerMetrics(Arc<HttpServerInner>);

#[derive(Debug)]
struct HttpServerInner {
    active: LabelSets<(&'static str, &'static str), Gauge>,
    calls: LabelSets<OwnedServerLabels, Arc<HttpHandles>>,
    routes: LabelGuard,
    body_sizes: bool,
}

/// What is recorded of the HTTP calls of one label set, a client's too.
#[derive(Debug)]
pub(super) struct HttpHandles {
    duration: Histogram,
    sizes: Option<(Histogram, Histogram)>,
}

/// How many ends of an operation's calls have a place of their own; others are looked up.
const ENDS: usize = 4;

/// Counts the calls of one method and route: what is looked up by labels is found here again.
#[derive(Debug)]
pub struct HttpServerSeries {
    metrics: HttpServerMetrics,
    method: &'static str,
    route: Option<Arc<str>>,
    scheme: &'static str,
    /// Not before an HTTP call comes: one of gRPC has none.
    active: OnceLock<Gauge>,
    ends: Ends<ServerEnd, HttpHandles, ENDS>,
}

/// What tells the ends of one operation's calls apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ServerEnd {
    status: Option<u16>,
    error_type: Option<ErrorType>,
}

/// Tells one finished incoming call from another.
#[derive(Clone, Copy)]
struct HttpServerLabels<'a> {
    /// `_OTHER` for methods that HTTP does not know.
    method: &'static str,
    /// The route's template, one of a bounded set; without one the label is empty.
    route: Option<&'a Arc<str>>,
    status: Option<u16>,
    scheme: &'static str,
    error_type: Option<ErrorType>,
}

#[derive(Debug)]
pub(super) struct OwnedServerLabels {
    method: &'static str,
    route: Option<Arc<str>>,
    status: Option<u16>,
    scheme: &'static str,
    error_type: Option<ErrorType>,
}

const ACTIVE_LABELS: &[&str] = &[names::LABEL_HTTP_REQUEST_METHOD, names::LABEL_URL_SCHEME];
const CALL_LABELS: &[&str] = &[
    names::LABEL_HTTP_REQUEST_METHOD,
    names::LABEL_HTTP_ROUTE,
    names::LABEL_HTTP_RESPONSE_STATUS_CODE,
    names::LABEL_URL_SCHEME,
    names::LABEL_ERROR_TYPE,
];

impl HttpServerMetrics {
    /// Resolves the instruments in `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        catalogue::describe(&**metrics.backend(), catalogue::HTTP_SERVER);
        let (active, duration) =
            (names::HTTP_SERVER_ACTIVE_REQUESTS, names::HTTP_SERVER_REQUEST_DURATION);
        Self(Arc::new(HttpServerInner {
            active: LabelSets::new(metrics, active, ACTIVE_LABELS),
            calls: LabelSets::new(metrics, duration, CALL_LABELS),
            routes: LabelGuard::new(metrics, duration, names::LABEL_HTTP_ROUTE, MAX_ROUTES),
            body_sizes: metrics.body_sizes(),
        }))
    }

    /// Bounds the routes of calls that are served: at most 1000 are told apart.
    #[must_use]
    pub fn routes(&self) -> &LabelGuard {
        &self.0.routes
    }

    /// Finds the series of one method and route; the route is one of the bounded [`routes`](Self::routes).
    #[must_use]
    pub fn series(
        &self,
        method: &'static str,
        route: Option<Arc<str>>,
        scheme: &'static str,
    ) -> HttpServerSeries {
        let (active, ends) = (OnceLock::new(), Ends::default());
        HttpServerSeries { metrics: self.clone(), method, route, scheme, active, ends }
    }
}

impl HttpServerSeries {
    /// Counts a call as being served, until [`dec_active`](Self::dec_active) is told of it.
    #[inline]
    pub fn inc_active(&self) {
        self.active().increment(1.0);
    }

    /// Counts a call as being served no longer, also one that began as a call of another series of the same
    /// method and scheme.
    #[inline]
    pub fn dec_active(&self) {
        self.active().decrement(1.0);
    }

    fn active(&self) -> &Gauge {
        self.active.get_or_init(|| {
            let labels = ActiveLabels { method: self.method, scheme: self.scheme };
            let active = self.metrics.0.active.get_or_make(&labels, |recorder, labels| {
                let key = Key::from_parts(names::HTTP_SERVER_ACTIVE_REQUESTS, labels.to_vec());
                recorder.register_gauge(&key, &METADATA)
            });
            active.clone()
        })
    }

    /// Records a finished call: the response's status, if there was one, and the kind of error, if the
    /// call failed or was cancelled.
    pub fn finished(
        &self,
        status: Option<u16>,
        error_type: Option<ErrorType>,
        duration: Duration,
        sizes: BodySizes,
    ) {
        let end = ServerEnd { status, error_type };
        match self.ends.find(|ended| *ended == end) {
            Some(handles) => handles.record(duration, sizes),
            None => self.handles(end).record(duration, sizes),
        }
    }

    /// Finds the handles of the whole label set, or has them registered.
    fn handles(&self, end: ServerEnd) -> Arc<HttpHandles> {
        let Self { method, scheme, .. } = *self;
        let ServerEnd { status, error_type } = end;
        let labels =
            HttpServerLabels { method, route: self.route.as_ref(), status, scheme, error_type };
        let HttpServerInner { calls, body_sizes, .. } = &*self.metrics.0;
        if let Some(known) = calls.get(&labels) {
            self.ends.keep(end, known);
            return Arc::clone(known);
        }
        // What is made may be of one set too many, each use of which is counted.
        Arc::clone(calls.get_or_make(&labels, |recorder, labels| {
            Arc::new(HttpHandles::register(recorder, labels, METRICS, *body_sizes))
        }))
    }
}

impl HttpHandles {
    /// Registers a label set: the recorder writes it out, and keeps its numbers. The metrics are the duration
    /// and, if wanted, the sizes of requests and responses.
    pub(super) fn register(
        recorder: &dyn Backend,
        labels: &[Label],
        [duration, request, response]: [&'static str; 3],
        body_sizes: bool,
    ) -> Self {
        let histogram = |name: &'static str| {
            recorder.register_histogram(&Key::from_parts(name, labels.to_vec()), &METADATA)
        };
        Self {
            duration: histogram(duration),
            sizes: body_sizes.then(|| (histogram(request), histogram(response))),
        }
    }

    #[inline]
    pub(super) fn record(&self, duration: Duration, sizes: BodySizes) {
        self.duration.record(duration);
        if let Some((request, response)) = &self.sizes {
            if let Some(bytes) = sizes.request {
                request.record(size(bytes));
            }
            if let Some(bytes) = sizes.response {
                response.record(size(bytes));
            }
        }
    }
}

impl Hash for HttpServerLabels<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.route.map_or(&[], |route| route.as_bytes()));
        state.write_u64(u64::from(self.status.unwrap_or(0)) << 16 | mark(self.method));
    }
}

impl CallLabels for HttpServerLabels<'_> {
    type Owned = OwnedServerLabels;

    fn are(&self, kept: &OwnedServerLabels) -> bool {
        self.status == kept.status
            && self.route == kept.route.as_ref()
            && is_same(self.method, kept.method)
            && is_same(self.scheme, kept.scheme)
            && self.error_type == kept.error_type
    }

    fn keep(&self) -> OwnedServerLabels {
        OwnedServerLabels {
            method: self.method,
            route: self.route.cloned(),
            status: self.status,
            scheme: self.scheme,
            error_type: self.error_type,
        }
    }

    fn list(&self) -> Vec<Label> {
        let mut labels = vec![
            label(names::LABEL_HTTP_REQUEST_METHOD, self.method),
            label(names::LABEL_HTTP_ROUTE, self.route.cloned().unwrap_or_default()),
            label(names::LABEL_URL_SCHEME, self.scheme),
        ];
        if let Some(status) = self.status {
            labels.push(label(names::LABEL_HTTP_RESPONSE_STATUS_CODE, status_label(status)));
        }
        if let Some(error_type) = self.error_type {
            labels.push(label(names::LABEL_ERROR_TYPE, error_type.as_str()));
        }
        labels
    }
}

#[derive(Clone, Copy)]
struct ActiveLabels {
    method: &'static str,
    scheme: &'static str,
}

impl Hash for ActiveLabels {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(mark(self.method) | mark(self.scheme) << 16);
    }
}

impl CallLabels for ActiveLabels {
    type Owned = (&'static str, &'static str);

    fn are(&self, kept: &Self::Owned) -> bool {
        is_same(self.method, kept.0) && is_same(self.scheme, kept.1)
    }

    fn keep(&self) -> Self::Owned {
        (self.method, self.scheme)
    }

    fn list(&self) -> Vec<Label> {
        vec![
            label(names::LABEL_HTTP_REQUEST_METHOD, self.method),
            label(names::LABEL_URL_SCHEME, self.scheme),
        ]
    }
}
