//! The attributes that say whose telemetry it is (semantic conventions, "Service").

pub(crate) const NAME: &str = "service.name";
pub(crate) const VERSION: &str = "service.version";
pub(crate) const NAMESPACE: &str = "service.namespace";
pub(crate) const INSTANCE: &str = "service.instance.id";
