//! Where a peer's calls go: an address is taken apart, and its series are found, once.

use super::config::ClientConfig;
use crate::{calls::facts::Callee, method};
use http::uri::Authority;
use meshwise_metrics::internal::{Edge, HttpClientSeries, HttpClientTarget, Table};
use opentelemetry::Value;
use std::sync::{Arc, OnceLock};

/// How many addresses of one peer are kept; each call to one beyond takes it apart anew.
const MAX_TARGETS: usize = 64;

/// Knows the addresses of a peer.
#[derive(Debug)]
pub(crate) struct Targets {
    /// The first one called: most peers have one, and it is not hashed then.
    first: OnceLock<Arc<Target>>,
    all: Table<Arc<Target>>,
}

/// An address, as a request says it.
#[derive(Debug)]
pub(crate) struct Target {
    authority: Option<Authority>,
    scheme: &'static str,
    /// The host, without user and port; empty if the request says none.
    pub(crate) host: Box<str>,
    /// The host, as spans say it.
    pub(crate) address: Option<Value>,
    /// What its URLs begin with, in which there is no secret.
    pub(crate) origin: Option<Box<str>>,
    /// The port that the request says.
    pub(crate) port: Option<u16>,
    /// What is shown of its calls.
    pub(crate) callee: Arc<Callee>,
    /// The series of its calls, if they are counted.
    pub(crate) http: Option<HttpClientSeries>,
    /// Its edge of the service map, if it has one of its own.
    pub(crate) edge: OnceLock<Edge>,
}

impl Targets {
    /// Finds the target of a request.
    pub(crate) fn find(
        &self,
        config: &ClientConfig,
        authority: Option<&Authority>,
        scheme: &'static str,
    ) -> Arc<Target> {
        let text = authority.map_or("", Authority::as_str);
        let is_it = |known: &Arc<Target>| {
            known.scheme == scheme && known.authority.as_ref().map_or("", Authority::as_str) == text
        };
        let make = || Arc::new(Target::of(config, authority, scheme));
        let first = self.first.get_or_init(make);
        if is_it(first) {
            return Arc::clone(first);
        }
        let hash = self.all.hash(&text);
        match self.all.get(hash, is_it) {
            Some(known) => Arc::clone(known),
            None => self.all.get_or_insert(hash, is_it, make).map_or_else(make, Arc::clone),
        }
    }
}

impl Target {
    fn of(config: &ClientConfig, authority: Option<&Authority>, scheme: &'static str) -> Self {
        let (host, told) = authority.map_or(("", None), method::host_and_port);
        let port = told.or(method::default_port(scheme));
        let shared = &config.telemetry.0;
        let target = HttpClientTarget { address: host, port, peer: &config.peer };
        Self {
            // A copy, which shares no bytes with the request.
            authority: authority.and_then(|authority| authority.as_str().parse().ok()),
            scheme,
            host: host.into(),
            address: authority.map(|_| config.address(host)),
            origin: authority.and_then(|authority| origin(scheme, authority)),
            port: told,
            callee: Arc::new(Callee {
                peer: Arc::clone(&config.peer),
                address: authority.map(|authority| shown(authority).into()),
            }),
            http: shared.metrics.as_ref().map(|metrics| metrics.http_client.series(&target)),
            edge: OnceLock::new(),
        }
    }
}

fn origin(scheme: &str, authority: &Authority) -> Option<Box<str>> {
    let is_plain = scheme != method::OTHER && !authority.as_str().contains('@');
    is_plain.then(|| format!("{scheme}://{authority}").into())
}

fn shown(authority: &Authority) -> String {
    match authority.port_u16() {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    }
}

impl Default for Targets {
    fn default() -> Self {
        Self { first: OnceLock::new(), all: Table::new(MAX_TARGETS - 1) }
    }
}

impl Clone for Targets {
    /// Settings that are cloned are about to be changed.
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Telemetry, client::ClientLayer};
    use meshwise_core::Service;

    #[test]
    fn a_target_is_found_again_without_allocation_and_those_beyond_the_bound_are_not_kept() {
        let telemetry = Telemetry::new(Service::new("orders", "1"));
        let layer = ClientLayer::new(telemetry, "stock");
        let config = layer.config();
        let authority: Authority = "user:secret@stock:8080".parse().unwrap();
        let first = config.targets.find(config, Some(&authority), "http");
        assert_eq!(&*first.host, "stock");
        assert_eq!(first.callee.address.as_deref(), Some("stock:8080"), "no secret");
        assert_eq!(first.origin, None, "no secret");
        let inside = allocation_counter::measure(|| {
            let again = config.targets.find(config, Some(&authority), "http");
            assert!(Arc::ptr_eq(&first, &again));
        });
        assert_eq!(inside.count_total, 0);
        let other = config.targets.find(config, Some(&authority), "https");
        assert!(!Arc::ptr_eq(&first, &other));
        let plain: Authority = "stock:8080".parse().unwrap();
        let plain = config.targets.find(config, Some(&plain), "https");
        assert_eq!(plain.origin.as_deref(), Some("https://stock:8080"));
        assert_eq!(&*config.targets.find(config, None, "http").host, "");
        for i in 0..2 * MAX_TARGETS {
            let authority: Authority = format!("host-{i}").parse().unwrap();
            let target = config.targets.find(config, Some(&authority), "http");
            assert_eq!(&*target.host, authority.host());
        }
        let beyond: Authority = format!("host-{}", 2 * MAX_TARGETS - 1).parse().unwrap();
        let find = || config.targets.find(config, Some(&beyond), "http");
        assert!(!Arc::ptr_eq(&find(), &find()));
    }
}
