//! Which gRPC methods this server has, so that no others become labels.

use meshwise_metrics::internal::LabelGuard;
use std::sync::Arc;

/// Tells whether a route says only where a service is mounted, as those of gRPC services do
/// (`/grpc.health.v1.Health/{*rest}`).
pub(crate) fn is_wildcard(route: &str) -> bool {
    route.rsplit('/').next().is_some_and(|last| last.starts_with("{*"))
}

/// Returns a gRPC path as `package.Service/Method`.
pub(crate) fn full_method(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

/// Lists the gRPC services of a server, if they were named.
#[derive(Clone, Debug, Default)]
pub(crate) struct RpcServices(Option<Arc<[Box<str>]>>);

impl RpcServices {
    pub(crate) fn named(names: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        Self(Some(names.into_iter().map(Into::into).collect()))
    }

    /// Returns the method, if this server is known to have it.
    pub(crate) fn known(&self, learned: &LabelGuard, method: &str) -> Option<Arc<str>> {
        if self.may_have(method) { learned.known(method) } else { None }
    }

    /// Takes note that a handler has answered for the method; `None` if it is none of the services
    /// named, or one too many.
    pub(crate) fn learn(&self, learned: &LabelGuard, method: &str) -> Option<Arc<str>> {
        if !self.may_have(method) {
            return None;
        }
        let kept = learned.intern(method);
        (*kept == *method).then_some(kept)
    }

    fn may_have(&self, method: &str) -> bool {
        let Some(names) = &self.0 else { return true };
        let service = method.rsplit_once('/').map_or(method, |(service, _)| service);
        names.iter().any(|name| **name == *service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_known_once_it_was_learned() {
        let (services, learned) = (RpcServices::default(), LabelGuard::detached(10));
        assert!(services.known(&learned, "auth.v1.Auth/Check").is_none());
        assert!(services.learn(&learned, "auth.v1.Auth/Check").is_some());
        assert_eq!(
            services.known(&learned, "auth.v1.Auth/Check").as_deref(),
            Some("auth.v1.Auth/Check")
        );
        assert!(services.known(&learned, "auth.v1.Auth/Other").is_none());
    }

    #[test]
    fn named_services_are_the_only_ones_and_are_learned_all_the_same() {
        let services = RpcServices::named(["auth.v1.Auth"]);
        let learned = LabelGuard::detached(10);
        assert!(services.known(&learned, "auth.v1.Auth/Check").is_none(), "not by its name alone");
        assert!(services.learn(&learned, "evil.Service/Check").is_none());
        assert!(services.learn(&learned, "auth.v1.Auth/Check").is_some());
        RpcServices::default().learn(&learned, "evil.Service/Check");
        assert!(services.known(&learned, "evil.Service/Check").is_none(), "another layer's");
    }

    #[test]
    fn the_number_of_methods_is_bounded() {
        let (services, learned) = (RpcServices::default(), LabelGuard::detached(1));
        assert!(services.learn(&learned, "a.A/A").is_some());
        assert!(services.learn(&learned, "a.A/B").is_none());
    }
}
