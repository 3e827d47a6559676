//! Which gRPC methods this server has, so that nobody else's become labels.

use meshwise_core::GrpcCode;
use meshwise_metrics::LabelGuard;
use std::sync::Arc;

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

    /// Returns the method, if this server has it: once it is known to, it stays so.
    ///
    /// A method is known by its answers: a server that has it not says `UNIMPLEMENTED`. Where the
    /// services were not named, answers that come as well from guards before the handler (access,
    /// limits, deadlines) prove nothing, unless it was `answering`: had begun without a status.
    pub(crate) fn known(
        &self,
        learned: &LabelGuard,
        method: &str,
        code: GrpcCode,
        answering: bool,
    ) -> Option<Arc<str>> {
        if let Some(known) = learned.known(method) {
            return Some(known);
        }
        let proven = match &self.0 {
            Some(names) => {
                let service = method.rsplit_once('/').map_or(method, |(service, _)| service);
                code != GrpcCode::Unimplemented && names.iter().any(|name| **name == *service)
            }
            None => {
                answering
                    || !matches!(
                        code,
                        GrpcCode::Cancelled
                            | GrpcCode::DeadlineExceeded
                            | GrpcCode::PermissionDenied
                            | GrpcCode::ResourceExhausted
                            | GrpcCode::Unimplemented
                            | GrpcCode::Unavailable
                            | GrpcCode::Unauthenticated
                    )
            }
        };
        if !proven {
            return None;
        }
        let kept = learned.intern(method);
        (*kept == *method).then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(services: &RpcServices, learned: &LabelGuard, method: &str, code: GrpcCode) -> bool {
        services.known(learned, method, code, false).is_some()
    }

    #[test]
    fn a_method_is_learned_from_an_answer_that_only_its_handler_gives() {
        let (services, learned) = (RpcServices::default(), LabelGuard::detached(10));
        for code in [GrpcCode::Unimplemented, GrpcCode::Unauthenticated, GrpcCode::Cancelled] {
            assert!(!known(&services, &learned, "auth.v1.Auth/Check", code), "{code}");
        }
        assert!(known(&services, &learned, "auth.v1.Auth/Check", GrpcCode::NotFound));
        assert!(known(&services, &learned, "auth.v1.Auth/Check", GrpcCode::Cancelled), "for good");
        assert!(!known(&services, &learned, "auth.v1.Auth/Other", GrpcCode::Cancelled));
        let stream = services.known(&learned, "auth.v1.Auth/Watch", GrpcCode::Cancelled, true);
        assert_eq!(stream.as_deref(), Some("auth.v1.Auth/Watch"), "cancelled in mid-stream");
    }

    #[test]
    fn named_services_are_the_only_ones() {
        let services = RpcServices::named(["auth.v1.Auth"]);
        let learned = LabelGuard::detached(10);
        assert!(!known(&services, &learned, "auth.v1.Auth/Nope", GrpcCode::Unimplemented));
        assert!(!known(&services, &learned, "evil.Service/Check", GrpcCode::Ok));
        assert!(known(&services, &learned, "auth.v1.Auth/Check", GrpcCode::Unauthenticated));
    }

    #[test]
    fn the_number_of_methods_is_bounded() {
        let (services, learned) = (RpcServices::default(), LabelGuard::detached(1));
        assert!(known(&services, &learned, "a.A/A", GrpcCode::Ok));
        assert!(!known(&services, &learned, "a.A/B", GrpcCode::Ok));
    }
}
