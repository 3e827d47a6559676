//! The layer that serves versions of APIs.

use super::{
    ApiConfigError, ApiServerBuilder, ApiServerService,
    calls::Calls,
    versions::{Row, Versions},
};
use crate::runtime::{clock::Clock, routes::RequestHead};
use http::{Extensions, HeaderMap, Request};
use meshwise_api::{Declared, State};
use meshwise_core::propagation::{Format, Incoming, Propagators};
use std::{
    cell::OnceCell,
    fmt,
    sync::{Arc, LazyLock},
};
use tower_layer::Layer;

/// Tells callers of an API's end, and counts who calls which version.
///
/// Wraps any `Service<http::Request<_>>`, HTTP and gRPC alike; the inner service's errors and bodies
/// pass through untouched. Put it inside the layer that observes calls, so that refusals are seen
/// like other answers.
///
/// | a version's state | its responses carry | calls count as |
/// |---|---|---|
/// | planned, current | nothing | `planned`, `current` |
/// | deprecated | `Deprecation`, `Sunset` if its day is set, `Link` if there is where to go | `deprecated` |
/// | retired | the same, or the call is refused ([`AfterSunset`]) | `retired` |
/// | never declared | nothing | `unknown`, version `_other` |
///
/// What the handler itself says in these headers stays.
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
    shared: Arc<Shared>,
}

/// Says what becomes of calls to a version whose sunset has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AfterSunset {
    /// They are served, with the headers. The default.
    #[default]
    Serve,
    /// They are refused: 410 with a problem+json body (RFC 9457); gRPC calls get `UNIMPLEMENTED`
    /// in an answer that is trailers only.
    Gone,
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

    pub(super) fn from_shared(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }
}

impl<S> Layer<S> for ApiServerLayer {
    type Service = ApiServerService<S>;

    fn layer(&self, inner: S) -> ApiServerService<S> {
        ApiServerService::new(inner, Arc::clone(&self.shared))
    }
}

/// Finds the caller's name.
pub(super) type CallerHook = dyn Fn(&Extensions) -> Option<Arc<str>> + Send + Sync;

/// Holds what all clones and connections of one layer share.
pub(super) struct Shared {
    pub(super) versions: Versions,
    pub(super) calls: Calls,
    pub(super) clock: Clock,
    pub(super) after_sunset: AfterSunset,
    pub(super) caller: Option<Arc<CallerHook>>,
    pub(super) trust_trace: bool,
}

/// Says what is to be done with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is served as if we were not there.
    Pass,
    /// It is served, and the response carries the notice of this row.
    Announce(usize),
    /// It is refused with the notice of this row.
    Refuse(usize),
}

/// W3C only: the `mw` entry stands nowhere else, and baggage would cost an allocation.
static TRACE: LazyLock<Propagators> = LazyLock::new(|| Propagators::new([Format::TraceContext]));

impl Shared {
    /// Counts a call, and says what is to be done with it.
    pub(super) fn admit<B>(&self, request: &Request<B>) -> Verdict {
        let head = RequestHead::of(request);
        let told = Told { headers: head.headers, trust: self.trust_trace, read: OnceCell::new() };
        let today = self.clock.seconds().div_euclid(86_400);
        let Some(at) = self.versions.find(head, today, || told.version()) else {
            return Verdict::Pass;
        };
        let Some(row) = self.row(at) else { return Verdict::Pass };
        let state = row.state(today);
        let hooked = self.caller.as_ref().and_then(|hook| hook(head.extensions));
        self.calls.count(at, row, state, hooked.as_deref().or_else(|| told.caller()));
        match (state, self.after_sunset) {
            (Some(State::Retired), AfterSunset::Gone) => Verdict::Refuse(at),
            (Some(State::Retired | State::Deprecated), _) => Verdict::Announce(at),
            _ => Verdict::Pass,
        }
    }

    pub(super) fn row(&self, at: usize) -> Option<&Row> {
        self.versions.rows().get(at)
    }
}

/// Reads what the caller says of itself, once and only if somebody asks.
struct Told<'a> {
    headers: &'a HeaderMap,
    trust: bool,
    read: OnceCell<Incoming<'a>>,
}

impl<'a> Told<'a> {
    fn incoming(&self) -> Option<&Incoming<'a>> {
        self.trust.then(|| self.read.get_or_init(|| TRACE.extract(self.headers)))
    }

    fn caller(&self) -> Option<&str> {
        Some(&*self.incoming()?.caller.as_ref()?.service)
    }

    fn version(&self) -> Option<&str> {
        self.incoming()?.caller.as_ref()?.api_version.as_deref()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("versions", &self.versions)
            .field("clock", &self.clock)
            .field("after_sunset", &self.after_sunset)
            .field("trust_trace", &self.trust_trace)
            .finish_non_exhaustive()
    }
}
