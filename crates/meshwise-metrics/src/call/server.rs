//! Incoming HTTP calls.

use super::{
    BodySizes, InFlight,
    ends::Ends,
    family::{CallFamily, CallLabels, is_same, mark},
    size, status_label,
};
use crate::{
    catalogue,
    guard::LabelGuard,
    handles::{gauge, histogram, label},
    hub::Metrics,
    names,
};
use meshwise_core::ErrorType;
use metrics::{Gauge, Histogram, Label};
use std::{
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
    time::Duration,
};

const MAX_ROUTES: usize = 1000;

/// Counts, times and measures incoming HTTP calls. Cheap to clone.
///
/// Handles are resolved once per label set and kept; what is recorded to a known label set takes
/// no lock and allocates nothing.
#[derive(Clone, Debug)]
pub struct HttpServerMetrics(Arc<HttpServerInner>);

#[derive(Debug)]
struct HttpServerInner {
    active: CallFamily<(&'static str, &'static str), Gauge>,
    calls: CallFamily<OwnedServerLabels, Arc<HttpServerHandles>>,
    routes: LabelGuard,
}

#[derive(Debug)]
struct HttpServerHandles {
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
    ended: Ends<ServerEnd, HttpServerHandles, ENDS>,
}

/// What tells the ends of one operation's calls apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ServerEnd {
    status: Option<u16>,
    error_type: Option<ErrorType>,
}

/// Tells one finished incoming call from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "only this workspace makes one")]
pub struct HttpServerLabels<'a> {
    /// The method, `_OTHER` for those that HTTP does not know.
    pub method: &'static str,
    /// The route's template, never the raw path; without one the label is empty.
    pub route: Option<&'a str>,
    /// The response's status, if there was a response.
    pub status: Option<u16>,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The kind of error, if the call failed or was cancelled.
    pub error_type: Option<ErrorType>,
}

#[derive(Debug)]
pub(super) struct OwnedServerLabels {
    method: &'static str,
    route: Option<Arc<str>>,
    status: Option<u16>,
    scheme: &'static str,
    error_type: Option<ErrorType>,
}

impl HttpServerMetrics {
    /// Resolves the instruments in `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        catalogue::describe(&metrics.recorder(), catalogue::HTTP_SERVER);
        let sizes = metrics.body_sizes();
        let duration = names::HTTP_SERVER_REQUEST_DURATION;
        let active_names = &[names::LABEL_HTTP_REQUEST_METHOD, names::LABEL_URL_SCHEME];
        let call_names = &[
            names::LABEL_HTTP_REQUEST_METHOD,
            names::LABEL_HTTP_ROUTE,
            names::LABEL_HTTP_RESPONSE_STATUS_CODE,
            names::LABEL_URL_SCHEME,
            names::LABEL_ERROR_TYPE,
        ];
        Self(Arc::new(HttpServerInner {
            active: CallFamily::new(
                metrics,
                names::HTTP_SERVER_ACTIVE_REQUESTS,
                active_names,
                |recorder, labels| gauge(recorder, names::HTTP_SERVER_ACTIVE_REQUESTS, labels),
            ),
            calls: CallFamily::new(metrics, duration, call_names, move |recorder, labels| {
                Arc::new(HttpServerHandles {
                    sizes: sizes.then(|| {
                        let request = names::HTTP_SERVER_REQUEST_BODY_SIZE;
                        let response = names::HTTP_SERVER_RESPONSE_BODY_SIZE;
                        (
                            histogram(recorder, request, labels.clone()),
                            histogram(recorder, response, labels.clone()),
                        )
                    }),
                    duration: histogram(recorder, duration, labels),
                })
            }),
            routes: LabelGuard::new(metrics, duration, names::LABEL_HTTP_ROUTE, MAX_ROUTES),
        }))
    }

    /// Counts a call as being served until the guard is dropped.
    pub fn started(&self, method: &'static str, scheme: &'static str) -> InFlight {
        InFlight::begin(self.0.active(method, scheme))
    }

    /// Records a finished call.
    pub fn finished(&self, labels: &HttpServerLabels<'_>, duration: Duration, sizes: BodySizes) {
        let inner = &*self.0;
        inner.calls.known(labels).unwrap_or_else(|| inner.resolve(labels)).record(duration, sizes);
    }

    /// Finds the series of one method and route; the route is one of a bounded set.
    #[must_use]
    pub fn series(
        &self,
        method: &'static str,
        route: Option<&str>,
        scheme: &'static str,
    ) -> HttpServerSeries {
        HttpServerSeries {
            metrics: self.clone(),
            method,
            route: route.map(Arc::from),
            scheme,
            active: OnceLock::new(),
            ended: Ends::default(),
        }
    }
}

impl HttpServerSeries {
    /// Counts a call as being served until the guard is dropped.
    #[inline]
    pub fn started(&self) -> InFlight {
        let find = || self.metrics.0.active(self.method, self.scheme).clone();
        InFlight::begin(self.active.get_or_init(find))
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
        match self.ended.find(|ended| *ended == end) {
            Some(handles) => handles.record(duration, sizes),
            None => self.find(end).record(duration, sizes),
        }
    }

    fn find(&self, end: ServerEnd) -> Arc<HttpServerHandles> {
        let Self { method, scheme, .. } = *self;
        let ServerEnd { status, error_type } = end;
        let labels =
            HttpServerLabels { method, route: self.route.as_deref(), status, scheme, error_type };
        let inner = &*self.metrics.0;
        // What is resolved may be one set too many, each use of which is counted.
        let Some(handles) = inner.calls.known(&labels) else {
            return Arc::clone(inner.resolve(&labels));
        };
        self.ended.keep(end, handles);
        Arc::clone(handles)
    }
}

impl HttpServerHandles {
    #[inline]
    fn record(&self, duration: Duration, sizes: BodySizes) {
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

impl HttpServerInner {
    fn active(&self, method: &'static str, scheme: &'static str) -> &Gauge {
        let labels = Active { method, scheme };
        self.active.known(&labels).unwrap_or_else(|| self.active.resolve(&labels))
    }

    fn resolve(&self, labels: &HttpServerLabels<'_>) -> &Arc<HttpServerHandles> {
        let route = labels.route.map(|route| self.routes.intern(route));
        self.calls.resolve(&HttpServerLabels { route: route.as_deref(), ..*labels })
    }
}

impl Hash for HttpServerLabels<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.route.unwrap_or_default().as_bytes());
        state.write_u64(u64::from(self.status.unwrap_or(0)) << 16 | mark(self.method));
    }
}

impl CallLabels for HttpServerLabels<'_> {
    type Owned = OwnedServerLabels;

    fn are(&self, kept: &OwnedServerLabels) -> bool {
        self.status == kept.status
            && self.route == kept.route.as_deref()
            && is_same(self.method, kept.method)
            && is_same(self.scheme, kept.scheme)
            && self.error_type == kept.error_type
    }

    fn keep(&self) -> OwnedServerLabels {
        OwnedServerLabels {
            method: self.method,
            route: self.route.map(Arc::from),
            status: self.status,
            scheme: self.scheme,
            error_type: self.error_type,
        }
    }

    fn list(&self) -> Vec<Label> {
        let mut labels = vec![
            label(names::LABEL_HTTP_REQUEST_METHOD, self.method),
            label(names::LABEL_HTTP_ROUTE, Arc::from(self.route.unwrap_or_default())),
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
struct Active {
    method: &'static str,
    scheme: &'static str,
}

impl Hash for Active {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(mark(self.method) | mark(self.scheme) << 16);
    }
}

impl CallLabels for Active {
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
