//! What all served calls of one method and route share: found once a call, by one look-up.

use crate::method;
use http::Extensions;
use meshwise_metrics::internal::{HttpServerMetrics, HttpServerSeries, LabelGuard, Table};
use std::{
    borrow::Cow,
    collections::HashSet,
    fmt,
    hash::{Hash, Hasher},
    ptr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// How many operations are kept; each call of one beyond makes its own.
const MAX_OPERATIONS: usize = 2_000;
/// How many names of spans are kept for the life of the process.
const MAX_NAMES: usize = 2_000;

/// Knows a service's operations.
pub(crate) struct Operations {
    routes: LabelGuard,
    http: Option<HttpServerMetrics>,
    known: Table<Arc<Operation>>,
}

/// A method of a route. Those of one route that are beyond the bound of routes share one.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) scheme: &'static str,
    /// The route's template, if there is one.
    pub(crate) route: Option<Arc<str>>,
    /// The series of its calls, if they are counted.
    pub(crate) http: Option<HttpServerSeries>,
    span_name: OnceLock<Cow<'static, str>>,
}

/// What an operation is found by.
#[derive(Clone, Copy)]
struct OperationKey<'a> {
    method: &'static str,
    scheme: &'static str,
    route: Option<&'a str>,
}

impl Operations {
    pub(crate) fn new(routes: LabelGuard, http: Option<HttpServerMetrics>) -> Self {
        Self { routes, http, known: Table::new(MAX_OPERATIONS) }
    }

    /// Finds the operation of a request, whose route is what the adapter's function sees in it.
    #[inline]
    pub(crate) fn of_request(
        &self,
        method: &'static str,
        route: fn(&Extensions) -> Option<&str>,
        scheme: &'static str,
        extensions: &Extensions,
    ) -> Arc<Operation> {
        self.find(method, route(extensions), scheme)
    }

    /// Finds the operation of a method and route.
    #[inline]
    pub(crate) fn find(
        &self,
        method: &'static str,
        route: Option<&str>,
        scheme: &'static str,
    ) -> Arc<Operation> {
        let key = OperationKey { method, scheme, route };
        match self.known.get(self.known.hash(&key), |known| key.is_of(known)) {
            Some(known) => Arc::clone(known),
            None => self.add(key),
        }
    }

    fn add(&self, key: OperationKey<'_>) -> Arc<Operation> {
        // One route too many has the name that all of those share.
        let route = key.route.map(|route| self.routes.intern(route));
        let key = OperationKey { route: route.as_deref(), ..key };
        let OperationKey { method, scheme, .. } = key;
        let http = self.http.as_ref();
        let make = || {
            Arc::new(Operation {
                method,
                scheme,
                route: route.clone(),
                http: http.map(|http| http.series(method, route.clone(), scheme)),
                span_name: OnceLock::new(),
            })
        };
        let known = self.known.get_or_insert(self.known.hash(&key), |known| key.is_of(known), make);
        known.map_or_else(make, Arc::clone)
    }
}

impl OperationKey<'_> {
    #[inline]
    fn is_of(&self, known: &Operation) -> bool {
        // Methods and schemes are few, and nearly always in the same place.
        let is_same = |one: &str, other: &str| ptr::eq(one, other) || one == other;
        is_same(self.method, known.method)
            && is_same(self.scheme, known.scheme)
            && self.route == known.route.as_deref()
    }
}

impl Hash for OperationKey<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.route.unwrap_or_default().as_bytes());
        // Methods that share a first letter differ in length.
        let first = self.method.as_bytes().first().copied().unwrap_or_default();
        state.write_u64(
            u64::from(first) << 16 | (self.method.len() << 8 | self.scheme.len()) as u64,
        );
    }
}

impl Operation {
    /// Names its spans: `{method} {route}`, `HTTP` for a method that is not known.
    pub(crate) fn span_name(&self) -> Cow<'static, str> {
        let make = || match http_name(self.method, self.route.as_deref()) {
            Cow::Owned(name) => keep(name),
            name @ Cow::Borrowed(_) => name,
        };
        self.span_name.get_or_init(make).clone()
    }
}

/// Names the span of an HTTP call: `{method} {route}`, or the method.
pub(crate) fn http_name(method: &'static str, route: Option<&str>) -> Cow<'static, str> {
    let method = if method == method::OTHER { "HTTP" } else { method };
    match route {
        Some(route) => Cow::Owned([method, " ", route].concat()),
        None => Cow::Borrowed(method),
    }
}

/// Keeps a name for as long as the process lives, so that each span need not have its own. There are as
/// many as there are routes, whatever callers send; beyond the bound a name is not kept.
fn keep(name: String) -> Cow<'static, str> {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(&*name) {
        return Cow::Borrowed(known);
    }
    if names.len() >= MAX_NAMES {
        return Cow::Owned(name);
    }
    let kept: &'static str = name.leak();
    names.insert(kept);
    Cow::Borrowed(kept)
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("method", &self.method)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_found_again_without_allocation() {
        let operations = Operations::new(LabelGuard::detached(10), None);
        let first = operations.find("GET", Some("/orders/{id}"), "http");
        let inside = allocation_counter::measure(|| {
            let again = operations.find("GET", Some("/orders/{id}"), "http");
            assert!(Arc::ptr_eq(&first, &again));
        });
        assert_eq!(inside.count_total, 0);
        for (method, route, scheme) in [
            ("PUT", Some("/orders/{id}"), "http"),
            ("GET", Some("/orders"), "http"),
            ("GET", None, "http"),
            ("GET", Some("/orders/{id}"), "https"),
        ] {
            assert!(!Arc::ptr_eq(&first, &operations.find(method, route, scheme)));
        }
        assert_eq!(first.span_name(), "GET /orders/{id}");
        assert!(matches!(first.span_name(), Cow::Borrowed(_)));
        assert_eq!(operations.find(method::OTHER, None, "http").span_name(), "HTTP");
    }

    #[test]
    fn routes_beyond_the_bound_share_one_operation() {
        let operations = Operations::new(LabelGuard::detached(1), None);
        operations.find("GET", Some("/a"), "http");
        let (one, other) = (
            operations.find("GET", Some("/b"), "http"),
            operations.find("GET", Some("/c"), "http"),
        );
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!(one.route.as_deref(), Some("_other"));
    }
}
