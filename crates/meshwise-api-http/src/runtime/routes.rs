//! Which API, and which of its versions, a request is for.

use http::{Extensions, HeaderMap, HeaderName, Method, Request, Uri};
use meshwise_api::{Declared, ProvidedApi, Scheme};
use meshwise_core::Protocol;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::{borrow::Cow, cmp::Reverse, fmt, sync::Arc};

/// Maps requests to APIs and their versions.
///
/// | rule | a request belongs to it if | asks for |
/// |---|---|---|
/// | [`by`](Self::by) | the closure says so | what the closure says |
/// | [`grpc`](Self::grpc) | its path is `/package.Service/Method` | a fixed version |
/// | [`path`](Self::path) | its path is the prefix, or goes on with `/` | a fixed version |
/// | [`path_by_header`](Self::path_by_header) | the same | the version in a header |
/// | [`without`](Self::without) | its path is the prefix, or goes on with `/` | nothing: it is no API's |
///
/// Closures are asked first, in order; then the longest package counts, then the longest prefix,
/// then the default rules of [`provided`](Self::provided).
///
/// A version is written as it was declared (`v1_20171001-2`), as its unit of compatibility
/// (`v1_20171001`, [`Version::unit`](meshwise_api::Version::unit)), or as its main part alone (`v1`
/// or `1`). If it may be several versions, the one that the caller asks for counts (the version in its
/// `mw` entry): the best that will do for it. Of a caller that asks for none it is the best of the
/// day, the highest that is current, else the highest that is deprecated, then retired; but only if
/// all are of one unit: which of two incompatible versions was meant cannot be told, and such
/// requests count as unrouted.
///
/// What no rule fits counts as unrouted too, once a handler has answered it
/// (`meshwise_api_unrouted_requests_total`): no version can be shown to be without callers meanwhile.
/// Name health checks and assets by [`without`](Self::without).
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
    /// Whether what no rule fits is taken for the only API of its transport.
    pub(crate) assume: bool,
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
    /// Of a path, the whole beginning.
    Path(Cow<'static, str>),
    /// Of a path, whole segments anywhere: services are nested, and gateways add prefixes.
    Segments(String, PathForm),
    Package(Cow<'static, str>),
}

/// Says how a default rule has API and version in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathForm {
    /// `/orders/v1`
    ApiFirst,
    /// `/v1/orders`
    VersionFirst,
    /// `/v1`
    VersionAlone,
}

impl PathForm {
    pub(crate) const ALL: [Self; 3] = [Self::ApiFirst, Self::VersionFirst, Self::VersionAlone];
}

/// Says where the version is named.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Fixed(Cow<'static, str>),
    Header(HeaderName),
    /// No API's at all.
    Nothing,
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
    /// It belongs to no API.
    Nothing,
}

impl ApiRoutes {
    /// Starts with no rule.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the rules that follow from what a service provides.
    ///
    /// A gRPC API `auth` with versions `1.0` and `1.1` gets the package `auth.v1`. An HTTP API
    /// `orders` gets the segments `/orders/v1` and `/v1/orders`, and `/v1` alone if it is the only one
    /// over HTTP, wherever they stand in a path; the unit of compatibility (`v0.1`, `v1_20171001`)
    /// and a version's whole text will do in place of `v1`. APIs made of messages get none.
    ///
    /// Requests that none of these fits are calls of the only API over HTTP, if there is just one, and
    /// the same for gRPC.
    pub fn provided(declared: &Declared) -> Self {
        let mut routes = Self { assume: true, ..Self::new() };
        let only = declared.provides.iter().filter(|api| api.transport == HTTP).count() == 1;
        for api in declared.provides {
            // Whole versions first: where they read like main parts, they are meant.
            for version in api.versions {
                routes = routes.derived(api, version.version, version.version, only);
            }
            let scheme: Option<Scheme> = api.scheme.parse().ok();
            for version in api.versions {
                let unit = scheme.and_then(|s| Some(s.version(version.version).ok()?.unit()));
                if let Some(unit) = unit {
                    routes = routes.derived(api, &unit, unit.clone(), only);
                }
            }
            for version in api.versions {
                let main = has_main(api.scheme).then(|| main_of(version.version)).flatten();
                if let Some(main) = main {
                    routes = routes.derived(api, &format!("v{main}"), main, only);
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
    /// asks for, or else the best one, if all versions are of one unit of compatibility; a client takes
    /// the one that it requires.
    pub fn path_by_header(
        self,
        prefix: impl Into<Cow<'static, str>>,
        api: impl Into<Cow<'static, str>>,
        header: HeaderName,
    ) -> Self {
        self.rule(Matches::Path(prefix.into()), api.into(), Asked::Header(header))
    }

    /// Says that a path and all below it belong to no API: health checks, pages for people, assets.
    /// Requests there are counted neither by version nor as unrouted.
    pub fn without(self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.rule(Matches::Path(prefix.into()), Cow::Borrowed(""), Asked::Nothing)
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
    fn new_rule(
        self,
        matches: Matches,
        api: &'static str,
        version: impl Into<Cow<'static, str>>,
    ) -> Self {
        if self.rules.iter().any(|rule| rule.matches.is_same(&matches)) {
            return self;
        }
        self.rule(matches, api.into(), Asked::Fixed(version.into()))
    }

    fn derived(
        mut self,
        api: &'static ProvidedApi,
        segment: &str,
        version: impl Into<Cow<'static, str>>,
        only: bool,
    ) -> Self {
        let (name, version) = (api.api, version.into());
        let matches = match api.transport {
            GRPC => vec![Matches::Package(format!("{name}.{segment}").into())],
            HTTP => {
                let segment = &*escaped(segment);
                let mut paths = vec![
                    Matches::Segments(format!("/{name}/{segment}"), PathForm::ApiFirst),
                    Matches::Segments(format!("/{segment}/{name}"), PathForm::VersionFirst),
                ];
                let alone = || Matches::Segments(format!("/{segment}"), PathForm::VersionAlone);
                paths.extend(only.then(alone));
                paths
            }
            _ => Vec::new(),
        };
        for matches in matches {
            self = self.new_rule(matches, name, version.clone());
        }
        self
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
            .max_by_key(|(weight, number)| (*weight, Reverse(*number)));
        if let Some((_, number)) = best {
            return Some(match self.rules.get(number).map(|rule| &rule.version) {
                Some(Asked::Nothing) => Found::Nothing,
                _ => Found::Rule(number),
            });
        }
        if package.is_some_and(|package| package == "grpc" || package.starts_with("grpc."))
            && Protocol::of(head.headers) == Protocol::Grpc
        {
            // Health, reflection and others of gRPC's own, which belong to no API.
            return Some(Found::Nothing);
        }
        // A path of another protocol may look the same: `/report.v2.pdf/download`.
        let asked = self.any_package && Protocol::of(head.headers) == Protocol::Grpc;
        let (name, main) = package.filter(|_| asked)?.rsplit_once(".v")?;
        let main = main.get(..main.find(|c: char| !c.is_ascii_digit()).unwrap_or(main.len()))?;
        let fits = !main.is_empty();
        let api = name.rsplit_once('.').map_or(name, |(_, last)| last);
        fits.then_some(Found::Package(api, main))
    }

    /// Tells how a default rule has the version in a path that it fits, and what stands before that.
    pub(crate) fn form<'a>(&self, rule: usize, path: &'a str) -> Option<(&'a str, PathForm)> {
        let Matches::Segments(segments, form) = &self.rules.get(rule)?.matches else {
            return None;
        };
        Some((path.get(..segments_at(path, segments)?)?, *form))
    }

    /// Returns the shortest path prefix that is mapped to such an API and version, but not `/`: one that
    /// the user has given, or one of the default rules' of a form.
    pub(crate) fn shortest_prefix(
        &self,
        form: Option<PathForm>,
        is_it: impl Fn(&str, &str) -> bool,
    ) -> Option<&str> {
        let prefixes = self.rules.iter().filter_map(|rule| {
            let prefix = match &rule.matches {
                Matches::Path(path) if form.is_none() => &**path,
                Matches::Segments(path, of) if form == Some(*of) => &**path,
                _ => return None,
            };
            let Asked::Fixed(version) = &rule.version else { return None };
            is_it(&rule.api, version).then_some(prefix)
        });
        prefixes.filter(|prefix| !prefix.is_empty()).min_by_key(|prefix| prefix.len())
    }
}

pub(crate) const HTTP: &str = "http";
pub(crate) const GRPC: &str = "grpc";

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

/// Finds whole segments in a path.
fn segments_at(path: &str, segments: &str) -> Option<usize> {
    let ends = |at: &usize| {
        let rest = &path[at + segments.len()..];
        rest.is_empty() || rest.starts_with('/')
    };
    path.match_indices(segments).map(|(at, _)| at).find(ends)
}

/// What a segment of a path may not hold as it is (RFC 3986, section 3.3); a slash is two segments.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// Writes a version as it stands in paths.
fn escaped(version: &str) -> Cow<'_, str> {
    utf8_percent_encode(version, ESCAPED).into()
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
            other => other,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(a), Self::Path(b)) | (Self::Package(a), Self::Package(b)) => a == b,
            (Self::Segments(a, _), Self::Segments(b, _)) => a == b,
            _ => false,
        }
    }

    /// Returns how well it matches: packages before paths, and the longer before the shorter; of
    /// segments the earlier before the later, as what stands behind a version is a parameter.
    fn weight(&self, path: &str, package: Option<&str>) -> Option<Weight> {
        match self {
            Self::Path(prefix) => {
                let rest = path.strip_prefix(&**prefix)?;
                let ends = rest.is_empty() || rest.starts_with('/');
                ends.then_some(Weight { kind: 1, at: Reverse(0), len: prefix.len() })
            }
            Self::Segments(segments, _) => {
                let at = segments_at(path, segments)?;
                Some(Weight { kind: 0, at: Reverse(at), len: segments.len() })
            }
            Self::Package(own) => {
                let rest = package?.strip_suffix(&**own)?;
                let ends = rest.is_empty() || rest.ends_with('.');
                ends.then_some(Weight { kind: 2, at: Reverse(0), len: own.len() })
            }
        }
    }
}

/// How well a rule matches; the greater the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    kind: u8,
    at: Reverse<usize>,
    len: usize,
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
