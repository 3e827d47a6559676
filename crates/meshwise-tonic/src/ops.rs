//! Health and reflection, as routes to put beside a server's services.

use meshwise_http::Health;
use tonic::service::Routes;

/// Builds the gRPC services that operators' tools ask for: health, and reflection if descriptors
/// are given.
///
/// Add your services to what [`build`](Self::build) returns, and serve it with
/// `Server::builder().add_routes(routes)`, or merge `routes.into_axum_router()` into an axum router.
#[derive(Debug)]
#[must_use]
pub struct OpsRoutes {
    #[cfg_attr(not(feature = "health"), expect(dead_code, reason = "only health reads it"))]
    health: Health,
    services: Vec<String>,
    #[cfg(feature = "reflection")]
    descriptors: Vec<&'static [u8]>,
}

impl OpsRoutes {
    /// Starts with health alone.
    pub fn new(health: Health) -> Self {
        Self {
            health,
            services: Vec::new(),
            #[cfg(feature = "reflection")]
            descriptors: Vec::new(),
        }
    }

    /// Lets health answer for these services by name too, such as `auth.v1.Auth`.
    pub fn with_services(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.services.extend(names.into_iter().map(Into::into));
        self
    }

    /// Describes services to tools like grpcurl: an encoded `FileDescriptorSet`, as
    /// `tonic-prost-build` writes it.
    #[cfg(feature = "reflection")]
    pub fn with_reflection(mut self, descriptors: &'static [u8]) -> Self {
        self.descriptors.push(descriptors);
        self
    }

    /// Makes the routes.
    ///
    /// # Errors
    /// If a descriptor set does not decode or two of them disagree.
    pub fn build(self) -> Result<Routes, ReflectionError> {
        let routes = Routes::default();
        #[cfg(feature = "health")]
        let routes = {
            let health =
                crate::health::HealthService::new(self.health).with_services(self.services);
            routes.add_service(health.into_server())
        };
        #[cfg(feature = "reflection")]
        let routes = reflection(routes, &self.descriptors)?;
        Ok(routes)
    }
}

/// Says that descriptors cannot be served by reflection.
#[derive(Debug, thiserror::Error)]
#[error(
    "the descriptors cannot be served by reflection: {reason}; give the bytes of a FileDescriptorSet with its imports"
)]
pub struct ReflectionError {
    reason: String,
}

/// Adds both versions of reflection: tools older than 2023 know `v1alpha` only.
#[cfg(feature = "reflection")]
fn reflection(routes: Routes, descriptors: &[&'static [u8]]) -> Result<Routes, ReflectionError> {
    use tonic_reflection::server::Builder;
    if descriptors.is_empty() {
        return Ok(routes);
    }
    let builder = || {
        let builder = Builder::configure();
        #[cfg(feature = "health")]
        let builder =
            builder.register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        descriptors
            .iter()
            .fold(builder, |builder, set| builder.register_encoded_file_descriptor_set(set))
    };
    let refuse =
        |error: tonic_reflection::server::Error| ReflectionError { reason: error.to_string() };
    Ok(routes
        .add_service(builder().build_v1().map_err(refuse)?)
        .add_service(builder().build_v1alpha().map_err(refuse)?))
}
