//! Who this service is.

use std::sync::Arc;

/// Names one running service, as every signal carries it.
///
/// The fields are OpenTelemetry's `service.*` resource attributes. Cloning is cheap.
///
/// ```
/// let me = meshwise_core::Service::new("orders", "1.4.2").with_namespace("shop");
/// assert_eq!(me.name(), "orders");
/// assert_eq!(me.namespace(), Some("shop"));
/// assert_eq!(me.instance(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    name: Arc<str>,
    version: Arc<str>,
    namespace: Option<Arc<str>>,
    instance: Option<Arc<str>>,
}

impl Service {
    /// Names a service and the version of its code (`service.name`, `service.version`).
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, version: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), version: version.into(), namespace: None, instance: None }
    }

    /// Renames the service (`service.name`).
    #[doc(hidden)]
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the version of the code (`service.version`).
    #[doc(hidden)]
    #[must_use]
    pub fn with_version(mut self, version: impl Into<Arc<str>>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets the group that the name is unique in (`service.namespace`).
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<Arc<str>>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Sets what tells this process from its replicas (`service.instance.id`).
    #[must_use]
    pub fn with_instance(mut self, instance: impl Into<Arc<str>>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Returns `service.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns `service.version`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns `service.namespace`, if set.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Returns `service.instance.id`, if set.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setter_sets_its_own() {
        let me = Service::new("a", "1")
            .with_name("orders")
            .with_version("2")
            .with_namespace("shop")
            .with_instance("pod-1");
        assert_eq!(
            (me.name(), me.version(), me.namespace(), me.instance()),
            ("orders", "2", Some("shop"), Some("pod-1"))
        );
    }
}
