//! The attributes that say whose telemetry it is (semantic conventions, "Service").

pub(crate) const NAME: &str = "service.name";
pub(crate) const VERSION: &str = "service.version";
pub(crate) const NAMESPACE: &str = "service.namespace";
pub(crate) const INSTANCE: &str = "service.instance.id";
/// Where the ops pages are, for a console on the same machine.
pub(crate) const OPS_ADDRESS: &str = "meshwise.ops.address";
