//! What is done with a call: which version it is for, whether it counts, and whether it is served.

use super::{
    callers::{DeclaredCallers, UndeclaredCallers},
    calls::{Calls, Who},
    row::{Announced, Row},
    versions::{Place, Versions},
};
use crate::runtime::{clock::Clock, routes::RequestHead};
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode};
use meshwise_api::State;
use meshwise_core::{
    Protocol, VerifiedCaller,
    internal::within::Within,
    propagation::{Format, Incoming, Propagators},
};
use std::{
    cell::OnceCell,
    fmt,
    sync::{Arc, LazyLock},
};

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

/// Says what a caller told of itself, to the layer outside that listened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "what a caller tells is said in full")]
pub struct CallerInfo {
    /// The calling service; a claim.
    pub service: Option<Arc<str>>,
    /// The version that it asks for.
    pub api_version: Option<Arc<str>>,
}

/// Finds what the caller told.
pub(super) type CallerHook = dyn Fn(&Extensions) -> CallerInfo + Send + Sync;
/// Tells whether the router has found a handler.
pub(super) type MatchedHook = dyn Fn(&Extensions) -> bool + Send + Sync;

/// Holds what all clones and connections of one layer share.
pub(super) struct ServerShared {
    pub(super) service: &'static str,
    pub(super) versions: Versions,
    pub(super) calls: Calls,
    pub(super) clock: Clock,
    pub(super) after_sunset: AfterSunset,
    pub(super) caller: Option<Arc<CallerHook>>,
    pub(super) matched: Option<Arc<MatchedHook>>,
    pub(super) trust_trace: bool,
    pub(super) undeclared: UndeclaredCallers,
    pub(super) declared_callers: DeclaredCallers,
    pub(super) verified_only: bool,
}

/// Says what is to be done with a call.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is served; the response carries the notice of a row, and is what decides whether the call
    /// counts.
    Serve {
        /// The service, if this layer counts the call, and whether it does so by version.
        within: Option<(&'static str, bool)>,
        notice: Option<Announcement>,
        pending: Option<Pending>,
        undeclared: Option<&'static str>,
    },
    /// It is refused with the notice of a row.
    Refuse(Announcement),
    /// It is refused, as its caller has not declared that it calls this API.
    RefuseUndeclared(&'static str),
}

/// What a caller is told of its version's end: the notice of a row, and where this caller finds the
/// successor, if that is known better than for all.
#[derive(Debug)]
pub(super) struct Announcement {
    pub(super) row: usize,
    successor: Option<Announced>,
}

impl Announcement {
    pub(super) fn add_to(&self, shared: &ServerShared, headers: &mut HeaderMap) {
        if let Some(row) = shared.row(self.row) {
            let successor = match &self.successor {
                Some(Announced::Known(at)) => row.successor(*at),
                Some(Announced::Here(link)) => Some(&**link),
                None => None,
            };
            row.notice.add_to(headers, successor);
        }
    }
}

/// A request that counts unless the router itself answers it. Whatever ends it without an answer,
/// an error or a caller that leaves, does not: then it counts.
#[derive(Debug)]
pub(super) struct Pending {
    shared: Arc<ServerShared>,
    /// The version; none if it cannot be told.
    version: Option<(usize, Option<State>)>,
    who: Who,
    matched: bool,
    protocol: Protocol,
    /// Another layer of the service's counts it.
    counted: bool,
    dismissed: bool,
}

/// W3C only: the `mw` entry stands nowhere else, and baggage would cost an allocation.
static TRACE: LazyLock<Propagators> = LazyLock::new(|| Propagators::new([Format::TraceContext]));

impl ServerShared {
    /// Counts a call, and says what is to be done with it.
    pub(super) fn admit<B>(self: &Arc<Self>, request: &Request<B>) -> Verdict {
        // A service that only calls others has no versions to count.
        if !self.versions.has_any() {
            return Verdict::serve();
        }
        let around = Within::around(self.service);
        let head = RequestHead::of(request);
        let told = Told {
            headers: head.headers,
            extensions: head.extensions,
            hook: self.caller.as_deref(),
            trust: self.trust_trace,
            hooked: OnceCell::new(),
            read: OnceCell::new(),
        };
        let today = self.clock.seconds().div_euclid(86_400);
        let place = self.versions.find(head, today, || told.version());
        let (at, sure, rule) = match place {
            Place::Outside => return Verdict::serve(),
            Place::Row(at, rule) => (Some(at), true, rule),
            Place::Assumed(at) => (Some(at), false, None),
            Place::Unrouted => (None, false, None),
        };
        // A layer around this one that does not know the version leaves it to one that does.
        let counted = around.is_some_and(|by_version| by_version || at.is_none());
        if around == Some(false) && at.is_some() {
            Within::count_by_version();
        }
        let within = Some((self.service, at.is_some() || around == Some(true)));
        let verified = head.extensions.get::<VerifiedCaller>();
        let verified = verified.map(|VerifiedCaller(name)| (&**name, true));
        let named = verified.or_else(|| Some((told.caller()?, false)));
        let who = self.calls.who(named);
        let row = at.and_then(|at| Some((at, self.row(at)?)));
        let state = row.and_then(|(_, row)| row.state(today));
        let announced = row.filter(|(_, row)| row.is_announced());
        let notice = announced.map(|(at, row)| Announcement {
            row: at,
            successor: self.versions.successor(row, rule, head.uri.path()),
        });
        let mut undeclared = None;
        if let Some((at, row)) = row
            && !self.has_declared(named, &told)
        {
            let first = !counted && self.calls.count_undeclared(at, row, who);
            if first && self.undeclared >= UndeclaredCallers::Warn {
                let caller = named.map_or("a caller without a name", |(name, _)| name);
                tracing::warn!(
                    target: "meshwise::api",
                    caller,
                    api = row.api,
                    "undeclared caller: {caller} calls {} and has not published that it does: no \
                     notice of the end of its version will reach it",
                    row.api,
                );
            }
            match self.undeclared {
                UndeclaredCallers::Count => {}
                UndeclaredCallers::Tell | UndeclaredCallers::Warn => undeclared = Some(row.api),
                UndeclaredCallers::Refuse => {
                    if !counted {
                        self.calls.count(at, row, state, who);
                    }
                    return Verdict::RefuseUndeclared(row.api);
                }
            }
        }
        if let Some((at, row)) = row.filter(|_| sure) {
            if !counted {
                self.calls.count(at, row, state, who);
            }
            return match (state, self.after_sunset, notice) {
                (Some(State::Retired), AfterSunset::Gone, Some(notice)) => Verdict::Refuse(notice),
                (_, _, notice) => Verdict::Serve { within, notice, pending: None, undeclared },
            };
        }
        let pending = Pending {
            shared: Arc::clone(self),
            version: row.map(|(at, _)| (at, state)),
            who,
            matched: self.matched.as_ref().is_some_and(|hook| hook(head.extensions)),
            protocol: Protocol::of(head.headers),
            counted,
            dismissed: false,
        };
        if !counted && pending.version.is_none() && pending.matched && !self.calls.has_unrouted() {
            let path = head.uri.path();
            let path = path.get(..200).unwrap_or(path);
            tracing::warn!(
                target: "meshwise::api",
                path,
                "requests come in that no rule of ApiRoutes fits, such as {path:?}: which version they \
                 call cannot be told, and none can be shown to be without callers; add rules, or name by \
                 `ApiRoutes::without` what belongs to no API",
            );
        }
        Verdict::Serve { within, notice, pending: Some(pending), undeclared }
    }

    /// Tells whether a caller has declared that it calls: it is on the list, or, where there is none,
    /// it names the version that its own declaration requires.
    fn has_declared(&self, named: Option<(&str, bool)>, told: &Told<'_>) -> bool {
        let named = named.filter(|(_, verified)| *verified || !self.verified_only);
        self.declared_callers
            .has(named.map(|(name, _)| name))
            .unwrap_or_else(|| named.is_some() && told.version().is_some())
    }

    pub(super) fn row(&self, at: usize) -> Option<&Row> {
        self.versions.rows().get(at)
    }
}

impl Verdict {
    /// Serves a request that is none of ours.
    const fn serve() -> Self {
        Self::Serve { within: None, notice: None, pending: None, undeclared: None }
    }
}

impl Pending {
    /// A layer further in counts it by its version.
    pub(super) fn leave_to_inner(&mut self) {
        self.counted |= self.version.is_none();
    }

    /// Looks at the answer: whether it is a handler's, and the request counts therefore.
    pub(super) fn answered<B>(mut self, response: &Response<B>) -> bool {
        let status = || response.headers().get("grpc-status").map(HeaderValue::as_bytes);
        self.dismissed = match response.status() {
            StatusCode::NOT_FOUND => !self.matched,
            StatusCode::METHOD_NOT_ALLOWED => true,
            StatusCode::OK if self.protocol == Protocol::Grpc => {
                !self.matched && status() == Some(b"12")
            }
            _ => false,
        };
        !self.dismissed
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let ServerShared { calls, .. } = &*self.shared;
        match self.version {
            _ if self.dismissed || self.counted => {}
            Some((at, state)) => {
                if let Some(row) = self.shared.row(at) {
                    calls.count(at, row, state, self.who);
                }
            }
            None => calls.count_unrouted(self.who),
        }
    }
}

/// Reads what the caller says of itself, once and only if something asks.
struct Told<'a> {
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    hook: Option<&'a CallerHook>,
    trust: bool,
    hooked: OnceCell<CallerInfo>,
    read: OnceCell<Incoming<'a>>,
}

impl<'a> Told<'a> {
    fn hooked(&self) -> Option<&CallerInfo> {
        let hook = self.hook?;
        Some(self.hooked.get_or_init(|| hook(self.extensions)))
    }

    fn incoming(&self) -> Option<&Incoming<'a>> {
        self.trust.then(|| self.read.get_or_init(|| TRACE.extract(self.headers)))
    }

    fn caller(&self) -> Option<&str> {
        if let Some(hooked) = self.hooked().and_then(|info| info.service.as_deref()) {
            return Some(hooked);
        }
        Some(&*self.incoming()?.caller.as_ref()?.service)
    }

    fn version(&self) -> Option<&str> {
        if let Some(hooked) = self.hooked().and_then(|info| info.api_version.as_deref()) {
            return Some(hooked);
        }
        self.incoming()?.caller.as_ref()?.api_version.as_deref()
    }
}

impl fmt::Debug for ServerShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerShared")
            .field("versions", &self.versions)
            .field("clock", &self.clock)
            .field("after_sunset", &self.after_sunset)
            .field("trust_trace", &self.trust_trace)
            .finish_non_exhaustive()
    }
}
