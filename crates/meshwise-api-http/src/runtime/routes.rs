//! Which API, and which of its versions, a request is for.

use http::{Extensions, HeaderMap, HeaderName, Method, Request, Uri};
use meshwise_api::Declared;
use meshwise_core::Protocol;
use std::{borrow::Cow, fmt, sync::Arc};

/// Maps requests to APIs and their versions.
///
/// | rule | a request belongs to it if | asks for |
/// |---|---|---|
/// | [`by`](Self::by) | the closure says so | what the closure says |
/// | [`grpc`](Self::grpc) | its path is `/package.Service/Method` | a fixed version |
/// | [`path`](Self::path) | its path is the prefix, or goes on with `/` | a fixed version |
/// | [`path_by_header`](Self::path_by_header) | the same | the version in a header |
///
/// Closures are asked first, in order; then the longest package counts, then the longest prefix.
/// Requests that no rule fits are not counted: health checks, metrics, assets.
///
/// A version is written as it was declared (`v1_20171001-2`), or as its main part alone (`v1` or
/// `1`): then it means the best of them on that day, the highest that is current, else the highest
/// that is deprecated, then retired. Routes that name main parts need no change when a bugfix is
/// released.
///
/// ```
/// use meshwise_api_http::ApiRoutes;
/// let routes = ApiRoutes::new()
///     .path("/v1", "orders", "v1_20171001-2")
///     .path("/v2", "orders", "v2")
///     .path_by_header("/stock", "stock", http::HeaderName::from_static("accept-version"))
///     .grpc("auth.v1", "auth", "1")
///     .by(|head| (head.uri.host() == Some("old.example")).then_some(("orders", "v1")));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ApiRoutes {
    pub(crate) rules: Vec<Rule>,
    closures: Vec<Closure>,
    any_package: bool,
}

/// Shows the head of a request to a closure of [`ApiRoutes::by`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The URI; a server sees just path and query, as a rule.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The extensions, such as axum's `MatchedPath`.
    pub extensions: &'a Extensions,
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) matches: Matches,
    pub(crate) api: Cow<'static, str>,
    pub(crate) version: Asked,
}

#[derive(Clone, Debug)]
pub(crate) enum Matches {
    Path(Cow<'static, str>),
    Package(Cow<'static, str>),
}

/// Says where the version is named.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Fixed(Cow<'static, str>),
    Header(HeaderName),
}

type Named = (&'static str, &'static str);

#[derive(Clone)]
struct Closure(Arc<dyn Fn(RequestHead<'_>) -> Option<Named> + Send + Sync>);

/// What a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// The rule of this number.
    Rule(usize),
    /// API and version, as a closure named them.
    Named(&'static str, &'static str),
    /// API and main version, as a gRPC package names them that no rule knows.
    Package(&'a str, &'a str),
}

impl ApiRoutes {
    /// Starts with no rule.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the rules that follow from what a service provides.
    ///
    /// A gRPC API `auth` with versions `1.0` and `1.1` gets the package `auth.v1`. An HTTP API
    /// `orders` gets `/orders/v1`, and `/v1` as well if it is the only one over HTTP; a version's
    /// whole text will do in place of `v1`. APIs made of messages get none.
    pub fn provided(declared: &Declared) -> Self {
        let mut routes = Self::new();
        let only = declared.provides.iter().filter(|api| api.transport == HTTP).count() == 1;
        for api in declared.provides {
            // Whole versions first: where they read like main parts, they are meant.
            for version in api.versions {
                routes = routes.derived(api.api, api.transport, version.version, None, only);
            }
            for version in api.versions {
                let main = has_main(api.scheme).then(|| main_of(version.version)).flatten();
                if let Some(main) = main {
                    routes = routes.derived(api.api, api.transport, main, Some(main), only);
                }
            }
        }
        routes
    }

    /// Makes the rules that follow from what a service requires: the package `auth.v1` for version
    /// `1.1` of `auth`. The package `name.v1` of any other gRPC call is taken for an API `name`,
    /// unless it is one of gRPC's own (`grpc.health.v1`).
    pub fn required(declared: &Declared) -> Self {
        let mut routes = Self { any_package: true, ..Self::new() };
        for api in declared.requires {
            if let Some(main) = main_of(api.version) {
                routes = routes.new_rule(
                    Matches::Package(format!("{}.v{main}", api.api).into()),
                    api.api,
                    api.version,
                );
            }
        }
        routes
    }

    /// Maps a path and all below it.
    pub fn path(
        self,
        prefix: impl Into<Cow<'static, str>>,
        api: impl Into<Cow<'static, str>>,
        version: impl Into<Cow<'static, str>>,
    ) -> Self {
        let version = Asked::Fixed(version.into());
        self.rule(Matches::Path(prefix.into()), api.into(), version)
    }

    /// Maps a path and all below it to an API whose version stands in a header.
    ///
    /// Without the header, a server takes the version that the caller's `mw` entry in `tracestate`
    /// asks for, or else the best one; a client takes the one that it requires.
    pub fn path_by_header(
        self,
        prefix: impl Into<Cow<'static, str>>,
        api: impl Into<Cow<'static, str>>,
        header: HeaderName,
    ) -> Self {
        self.rule(Matches::Path(prefix.into()), api.into(), Asked::Header(header))
    }

    /// Maps the services of a gRPC package: `auth.v1` for `/auth.v1.Auth/Check`, and for
    /// `/acme.auth.v1.Auth/Check` too.
    pub fn grpc(
        self,
        package: impl Into<Cow<'static, str>>,
        api: impl Into<Cow<'static, str>>,
        version: impl Into<Cow<'static, str>>,
    ) -> Self {
        let version = Asked::Fixed(version.into());
        self.rule(Matches::Package(package.into()), api.into(), version)
    }

    /// Asks a closure for API and version; `None` leaves the request to the other rules.
    ///
    /// A server ignores an API that it does not provide, and counts a version that it does not know
    /// as `_other`.
    pub fn by(
        mut self,
        find: impl Fn(RequestHead<'_>) -> Option<(&'static str, &'static str)> + Send + Sync + 'static,
    ) -> Self {
        self.closures.push(Closure(Arc::new(find)));
        self
    }

    fn rule(mut self, matches: Matches, api: Cow<'static, str>, version: Asked) -> Self {
        self.rules.push(Rule { matches: matches.trimmed(), api, version });
        self
    }

    /// Adds a rule unless there is one that matches the same.
    fn new_rule(self, matches: Matches, api: &'static str, version: &'static str) -> Self {
        if self.rules.iter().any(|rule| rule.matches.is_same(&matches)) {
            return self;
        }
        self.rule(matches, api.into(), Asked::Fixed(version.into()))
    }

    fn derived(
        self,
        api: &'static str,
        transport: &str,
        version: &'static str,
        main: Option<&'static str>,
        only: bool,
    ) -> Self {
        let segment = main.map_or_else(|| version.to_owned(), |main| format!("v{main}"));
        match transport {
            GRPC if main.is_some() => {
                self.new_rule(Matches::Package(format!("{api}.{segment}").into()), api, version)
            }
            HTTP => {
                let path = |path: String| Matches::Path(path.into());
                let routes = self.new_rule(path(format!("/{api}/{segment}")), api, version);
                if only {
                    routes.new_rule(path(format!("/{segment}")), api, version)
                } else {
                    routes
                }
            }
            _ => self,
        }
    }

    /// Finds what a request belongs to.
    pub(crate) fn find<'a>(&self, head: RequestHead<'a>) -> Option<Found<'a>> {
        for closure in &self.closures {
            if let Some((api, version)) = (closure.0)(head) {
                return Some(Found::Named(api, version));
            }
        }
        let path = head.uri.path();
        let package = package(path);
        let best = self
            .rules
            .iter()
            .enumerate()
            .filter_map(|(number, rule)| Some((rule.matches.weight(path, package)?, number)))
            .max_by_key(|(weight, number)| (*weight, std::cmp::Reverse(*number)));
        if let Some((_, number)) = best {
            return Some(Found::Rule(number));
        }
        // A path of another protocol may look the same: `/report.v2.pdf/download`.
        let asked = self.any_package && Protocol::of(head.headers) == Protocol::Grpc;
        let (name, main) = package.filter(|_| asked)?.rsplit_once(".v")?;
        let main = main.get(..main.find(|c: char| !c.is_ascii_digit()).unwrap_or(main.len()))?;
        let fits = !main.is_empty() && name != "grpc" && !name.starts_with("grpc.");
        let api = name.rsplit_once('.').map_or(name, |(_, last)| last);
        fits.then_some(Found::Package(api, main))
    }

    /// Returns the shortest path prefix that is mapped to such an API and version, but not `/`.
    pub(crate) fn shortest_prefix(&self, is_it: impl Fn(&str, &str) -> bool) -> Option<&str> {
        let prefixes = self.rules.iter().filter_map(|rule| match (&rule.matches, &rule.version) {
            (Matches::Path(path), Asked::Fixed(version)) if is_it(&rule.api, version) => {
                Some(&**path)
            }
            _ => None,
        });
        prefixes.filter(|prefix| !prefix.is_empty()).min_by_key(|prefix| prefix.len())
    }

    /// Tells whether closures may lead to any version.
    pub(crate) fn has_closures(&self) -> bool {
        !self.closures.is_empty()
    }
}

const HTTP: &str = "http";
const GRPC: &str = "grpc";

/// Tells whether the versions of a scheme have a main part that callers see.
pub(crate) fn has_main(scheme: &str) -> bool {
    matches!(scheme, "semver" | "main-minor" | "main-date-bugfix")
}

/// Returns the main part of a version: the digits that it begins with, after a `v`.
pub(crate) fn main_of(version: &str) -> Option<&str> {
    let text = version.strip_prefix('v').unwrap_or(version);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (main, rest) = text.split_at(end);
    let ends = rest.is_empty() || rest.starts_with(['.', '_', '-']);
    (!main.is_empty() && ends).then_some(main)
}

/// Returns the package in `/package.Service/Method`.
fn package(path: &str) -> Option<&str> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let (package, service) = service.rsplit_once('.')?;
    (!package.is_empty() && !service.is_empty() && !method.contains('/')).then_some(package)
}

impl Matches {
    fn trimmed(self) -> Self {
        match self {
            Self::Path(path) => {
                let end = path.trim_end_matches('/').len();
                Self::Path(match path {
                    Cow::Borrowed(path) => Cow::Borrowed(&path[..end]),
                    Cow::Owned(path) => Cow::Owned(path[..end].to_owned()),
                })
            }
            Self::Package(package) => Self::Package(package),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(a), Self::Path(b)) | (Self::Package(a), Self::Package(b)) => a == b,
            _ => false,
        }
    }

    /// Returns how well it matches: packages before paths, and the longer before the shorter.
    fn weight(&self, path: &str, package: Option<&str>) -> Option<(bool, usize)> {
        match self {
            Self::Path(prefix) => {
                let rest = path.strip_prefix(&**prefix)?;
                (rest.is_empty() || rest.starts_with('/')).then_some((false, prefix.len()))
            }
            Self::Package(own) => {
                let rest = package?.strip_suffix(&**own)?;
                (rest.is_empty() || rest.ends_with('.')).then_some((true, own.len()))
            }
        }
    }
}

impl<'a> RequestHead<'a> {
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

impl fmt::Debug for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closure")
    }
}

#[cfg(test)]
mod tests;
