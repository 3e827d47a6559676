//! What a service answers when it is asked for its APIs.

mod catalog;
mod html;
mod json;
mod links;
mod respond;
mod url;

pub(super) use url::encode;

use crate::runtime::{clock::Clock, routes::ApiRoutes};
use meshwise_api::{Date, Declared};
use std::time::SystemTime;

/// Answers questions about a service's APIs, for machines and for people.
///
/// | path | answers |
/// |---|---|
/// | `/apis` | every API provided: history, current and plan; and what is required |
/// | `/apis/{api}` | one API |
/// | `/apis/{api}/{version}` | one version: its state, dates and successor, and no more |
/// | `/.well-known/api-catalog` | a catalogue of APIs (RFC 9727), as `application/linkset+json` |
///
/// The first three are JSON; HTML with `?format=html`, or for who accepts `text/html` and asks for no
/// format. All answer to GET and HEAD, with an `ETag`. Names in paths are percent-encoded.
///
/// It knows no web framework: give it a request, and send what it returns.
///
/// ```
/// use meshwise_api::{Declared, ProvidedApi, ProvidedVersion};
/// use meshwise_api_http::ApiPages;
/// # const ORDERS: ProvidedApi = ProvidedApi {
/// #     api: "orders", scheme: "main-minor", transport: "http", description: None,
/// #     versions: &[ProvidedVersion {
/// #         released: meshwise_api::Date::new(2024, 2, 29), ..ProvidedVersion::new("1.1")
/// #     }],
/// # };
/// # let declared = Declared { provides: &[ORDERS], ..Declared::new("orders") };
///
/// let pages = ApiPages::new(declared);                 // meshwise_api::declared!()
/// let request = http::Request::get("/apis/orders/1.1").body(())?;
/// let response = pages.respond(&request).expect("a page");
/// assert_eq!(response.status(), 200);
/// let text = String::from_utf8_lossy(response.body());
/// assert!(text.contains(r#""state":"current""#), "{text}");
/// assert!(pages.respond(&http::Request::get("/metrics").body(())?).is_none());
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ApiPages {
    declared: Declared,
    routes: ApiRoutes,
    base: String,
    clock: Clock,
}

impl ApiPages {
    /// Answers about what was declared.
    pub fn new(declared: Declared) -> Self {
        let routes = ApiRoutes::provided(&declared);
        Self { declared, routes, base: String::new(), clock: Clock::default() }
    }

    /// Sets where the APIs are served, for the catalogue; [`ApiRoutes::provided`] by default.
    pub fn with_routes(mut self, routes: ApiRoutes) -> Self {
        self.routes = routes;
        self
    }

    /// Sets what links in answers begin with, such as `https://orders.example`. Without it, they are
    /// paths, which hold on the host that was asked.
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        let mut url = url.into();
        url.truncate(url.trim_end_matches('/').len());
        self.base = url;
        self
    }

    /// Sets the clock, for tests.
    #[doc(hidden)]
    pub fn with_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// Writes `/apis` as it stands on a day, as JSON.
    #[must_use]
    #[doc(hidden)]
    pub fn to_json(&self, today: Date) -> String {
        json::text(&json::service(&self.declared, self.view(today)))
    }

    /// Writes `/apis` as it stands on a day, as an HTML page.
    #[must_use]
    #[doc(hidden)]
    pub fn to_html(&self, today: Date) -> String {
        html::service(&self.declared, self.view(today))
    }

    fn view(&self, today: Date) -> html::View<'_> {
        html::View { declared: &self.declared, base: &self.base, today }
    }

    /// Writes the catalogue of APIs (RFC 9727) as it stands on a day: a linkset in JSON (RFC 9264).
    #[must_use]
    #[doc(hidden)]
    pub fn to_catalog(&self, today: Date) -> String {
        json::text(&catalog::linkset(&self.declared, &self.routes, &self.base, today))
    }
}
