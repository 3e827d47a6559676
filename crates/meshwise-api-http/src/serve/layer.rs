//! The layer that serves versions of APIs.

use super::{
    admission::ServerShared, builder::ApiServerBuilder, error::ApiConfigError,
    service::ApiServerService,
};
use meshwise_api::Declared;
use std::sync::Arc;
use tower_layer::Layer;

/// Tells callers of an API's end, and counts who calls which version.
///
/// Wraps any `Service<http::Request<_>>`, HTTP and gRPC alike; the inner service's errors and bodies
/// pass through untouched. Put it inside the layer that observes calls, so that refusals are seen
/// like other answers.
///
/// | a version's state | its responses carry | calls count as |
/// |---|---|---|
/// | planned, current | nothing; once its end is announced, what a deprecated one carries | `planned`, `current` |
/// | deprecated | `Deprecation`, `Sunset` if its day is set, `Link` if there is where to go | `deprecated` |
/// | retired | the same, or the call is refused ([`AfterSunset`](crate::AfterSunset)) | `retired` |
/// | never declared | nothing | `unknown`, version `_other` |
///
/// What the handler itself says in these headers stays.
///
/// Each request is counted once: by version if a rule of [`ApiRoutes`](crate::ApiRoutes) fits it, or
/// if it can be for no other version; else as unrouted. What the router itself answers (404, 405, an
/// unknown gRPC service) to what no rule fits is counted as neither. A layer that stands around a
/// service says since when, in `meshwise_api_counting_since_seconds`: it has seen every call since.
///
/// ```
/// use meshwise_api::Declared;
/// use meshwise_api_http::{ApiRoutes, ApiServerLayer, AfterSunset};
/// # fn app() -> impl Clone {}
/// # fn declared() -> Declared { Declared::new("orders") }
/// use tower_layer::Layer;
///
/// let layer = ApiServerLayer::builder(declared())      // meshwise_api::declared!()
///     .with_routes(ApiRoutes::provided(&declared()))
///     .with_after_sunset(AfterSunset::Gone)
///     .build()?;
/// let service = layer.layer(app());
/// # Ok::<(), meshwise_api_http::ApiConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ApiServerLayer {
    shared: Arc<ServerShared>,
}

impl ApiServerLayer {
    /// Serves what was declared: routes follow from it ([`ApiRoutes::provided`]), all else is as
    /// [`builder`](Self::builder) has it by default.
    ///
    /// [`ApiRoutes::provided`]: crate::ApiRoutes::provided
    ///
    /// # Errors
    /// None, unless the declaration contradicts itself.
    pub fn new(declared: Declared) -> Result<Self, ApiConfigError> {
        Self::builder(declared).build()
    }

    /// Starts with the default settings.
    pub fn builder(declared: Declared) -> ApiServerBuilder {
        ApiServerBuilder::new(declared)
    }

    pub(super) fn from_shared(shared: ServerShared) -> Self {
        Self { shared: Arc::new(shared) }
    }
}

impl<S> Layer<S> for ApiServerLayer {
    type Service = ApiServerService<S>;

    fn layer(&self, inner: S) -> ApiServerService<S> {
        let ServerShared { calls, versions, clock, .. } = &*self.shared;
        calls.watch(versions.rows(), |row| row.by_request, || clock.seconds());
        ApiServerService::new(inner, Arc::clone(&self.shared))
    }
}
