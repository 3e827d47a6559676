//! How formats combine.

use super::{
    Baggage, Caller, Format, Found, HeaderLimits, HeaderSource, Incoming, Outgoing, Parent,
    Sampling, b3, baggage::Budget, datadog, jaeger, mw, names, own_names::OwnNames, text,
    traceparent, xray,
};
use crate::{
    env::{Env, EnvError},
    headers::HeaderFilter,
    settings::{PropagationSettings, Setting, Size},
    trace::SpanId,
};
use http::{HeaderMap, HeaderName};

const OTEL_PROPAGATORS: &str = "OTEL_PROPAGATORS";

/// Reads and writes context in the formats chosen.
///
/// ```
/// use http::HeaderMap;
/// use meshwise_core::propagation::{Baggage, Caller, Format, Outgoing, Propagators};
/// use meshwise_core::{SpanId, TraceFlags, TraceId};
///
/// let propagators = Propagators::new([Format::TraceContext, Format::Baggage, Format::B3]);
/// let mut headers = HeaderMap::new();
/// let call = Outgoing {
///     trace_id: TraceId::from_int(0x4bf92f3577b34da6a3ce929d0e0e4736),
///     span_id: SpanId::from_int(0x00f067aa0ba902b7),
///     flags: TraceFlags::SAMPLED,
///     state: "congo=t61rcWkgMzE",
///     caller: Some(Caller::new("orders")),
///     baggage: &Baggage::from_header("tier=gold"),
/// };
/// propagators.inject(&call, &mut headers);
/// assert_eq!(headers["tracestate"], "mw=p:00f067aa0ba902b7;s:orders,congo=t61rcWkgMzE");
/// assert_eq!(headers["b3"], "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1");
///
/// let incoming = propagators.extract(&headers);
/// assert_eq!(incoming.caller.map(|caller| caller.service), Some("orders".into()));
/// assert_eq!(incoming.parent.map(|parent| parent.span_id), Some(call.span_id));
/// assert_eq!(incoming.baggage.get("tier"), Some("gold"));
///
/// propagators.strip(&mut headers);
/// assert!(headers.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagators {
    formats: Vec<Format>,
    limits: HeaderLimits,
    /// The headers of all formats: most requests from outside have none of them.
    read: HeaderFilter,
    names: OwnNames,
}

impl Propagators {
    /// Uses these formats: all are written; the first that yields a trace is read. One that is
    /// named twice is used once.
    #[must_use]
    pub fn new(formats: impl IntoIterator<Item = Format>) -> Self {
        let mut unique = Vec::new();
        for format in formats {
            if !unique.contains(&format) {
                unique.push(format);
            }
        }
        Self {
            read: names_of(&unique),
            names: OwnNames::of(&unique),
            formats: unique,
            limits: HeaderLimits::default(),
        }
    }

    /// Reads `OTEL_PROPAGATORS`; `None` if unset.
    ///
    /// It holds words of [`Format`], separated by commas, in any case; or `none` alone, which
    /// reads and writes nothing.
    ///
    /// A format that is not known is ignored, and so is `none` beside others; [`Env::findings`] tells.
    ///
    /// # Errors
    /// With `MESHWISE_STRICT`, for each of these.
    #[doc(hidden)]
    pub fn from_env(env: &Env) -> Result<Option<Self>, EnvError> {
        let known = Format::ALL.iter().map(|format| format.as_str()).collect::<Vec<_>>().join(", ");
        let allowed = format!("a comma-separated list of {known}, or none alone");
        let formats = env.list(OTEL_PROPAGATORS, &allowed, |word| word.parse().ok())?;
        Ok(formats.map(Self::new))
    }

    /// Takes formats and limits that are set; those that are not stay as they are.
    #[must_use]
    #[doc(hidden)]
    pub fn with_settings(mut self, settings: &PropagationSettings) -> Self {
        if let Some(words) = settings.formats.get() {
            self.formats = words.iter().filter_map(|word| word.parse().ok()).collect();
            self.read = names_of(&self.formats);
            self.names = OwnNames::of(&self.formats);
        }
        let limits = &mut self.limits;
        let bytes =
            |setting: &Setting<Size>, other| setting.get().map_or(other, |size| size.bytes());
        let members =
            settings.baggage_members.get().and_then(|number| usize::try_from(*number).ok());
        *limits = limits
            .with_value_bytes(bytes(&settings.value_size, limits.value_bytes()))
            .with_tracestate_bytes(bytes(&settings.tracestate_size, limits.tracestate_bytes()))
            .with_baggage_members(members.unwrap_or(limits.baggage_members()))
            .with_baggage_bytes(bytes(&settings.baggage_size, limits.baggage_bytes()));
        self
    }

    /// Returns formats and limits as settings.
    #[must_use]
    #[doc(hidden)]
    pub fn settings(&self) -> PropagationSettings {
        let mut all = PropagationSettings::default();
        let words = self.formats.iter().map(|format| format.as_str().to_owned());
        all.formats.set(words.collect::<Vec<_>>());
        all.value_size.set(Size(self.limits.value_bytes() as u64));
        all.tracestate_size.set(Size(self.limits.tracestate_bytes() as u64));
        all.baggage_members.set(i64::try_from(self.limits.baggage_members()).unwrap_or(i64::MAX));
        all.baggage_size.set(Size(self.limits.baggage_bytes() as u64));
        all
    }

    /// Bounds what is read and written.
    #[must_use]
    pub const fn with_limits(mut self, limits: HeaderLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Lists the formats in use, in order.
    #[must_use]
    #[doc(hidden)]
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// Returns the limits in use.
    #[must_use]
    #[doc(hidden)]
    pub const fn limits(&self) -> &HeaderLimits {
        &self.limits
    }

    /// Lists the headers that are read or written, each once: what a gateway or CORS has to let
    /// through. Jaeger's `uberctx-*` have no fixed names and are not among them.
    #[doc(hidden)]
    pub fn header_names(&self) -> impl Iterator<Item = &'static HeaderName> {
        self.formats.iter().enumerate().flat_map(|(i, format)| {
            let earlier = &self.formats[..i];
            format.header_names().iter().copied().filter(move |name| {
                !earlier.iter().any(|format| format.header_names().contains(name))
            })
        })
    }

    /// Reads what the caller sent.
    ///
    /// The first format that yields a parent wins. If `traceparent` names the same span, then its
    /// `tracestate`, caller and `random` flag are taken along. Baggage of all formats is joined;
    /// W3C's members win over Jaeger's. Allocates nothing for a valid `traceparent` with no
    /// entries in `tracestate` but our own.
    #[doc(hidden)]
    #[must_use]
    pub fn extract<'h>(&self, headers: &'h HeaderMap) -> Incoming<'h> {
        self.extract_with(headers, HeaderFilter::of(headers))
    }

    /// Reads what the caller sent as [`extract`](Self::extract) does, for a caller that has looked
    /// at the headers already.
    #[doc(hidden)]
    #[must_use]
    pub fn extract_with<'h>(&self, headers: &'h HeaderMap, filter: HeaderFilter) -> Incoming<'h> {
        if !filter.may_have_any(self.read) {
            return Incoming::default();
        }
        self.read(HeaderSource::Headers(headers), |name| filter.may_have(name))
    }

    /// Reads what came with something that is no HTTP request: a message, a job, an environment.
    ///
    /// Names are compared without case. Bytes that are no text are what a header's would be:
    /// [`extract`](Self::extract)'s rules hold, that of a name that comes twice among them.
    ///
    /// ```
    /// use meshwise_core::propagation::Propagators;
    /// let traceparent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// let pairs = [("Traceparent", &traceparent[..]), ("baggage", b"tier=gold")];
    /// let incoming = Propagators::default().extract_pairs(&pairs);
    /// assert_eq!(incoming.parent.map(|parent| parent.span_id.to_int()), Some(0xf067aa0ba902b7));
    /// assert_eq!(incoming.baggage.get("tier"), Some("gold"));
    /// ```
    #[doc(hidden)]
    #[must_use]
    pub fn extract_pairs<'h>(&self, pairs: &'h [(&'h str, &'h [u8])]) -> Incoming<'h> {
        self.read(HeaderSource::Pairs(pairs), |_| !pairs.is_empty())
    }

    /// Tells whether W3C's formats are the ones that are read.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub const fn reads_only_w3c(&self) -> bool {
        self.names.w3c
    }

    fn read<'h>(
        &self,
        headers: HeaderSource<'h>,
        may_have: impl Fn(&HeaderName) -> bool,
    ) -> Incoming<'h> {
        let mut incoming = Incoming::default();
        for &format in &self.formats {
            if !format.header_names().iter().any(|name| may_have(name)) {
                continue;
            }
            match format {
                Format::TraceContext => {
                    if let Some(found) = traceparent::extract(headers, &self.limits) {
                        take_traceparent(&mut incoming, found);
                    }
                }
                Format::B3 | Format::B3Multi => {
                    take(&mut incoming, || b3::extract(headers, &self.limits));
                }
                Format::Jaeger => take(&mut incoming, || jaeger::extract(headers, &self.limits)),
                Format::XRay => take(&mut incoming, || xray::extract(headers, &self.limits)),
                Format::Datadog => take(&mut incoming, || datadog::extract(headers, &self.limits)),
                Format::Baggage => {}
            }
        }
        if let Some(parent) = &incoming.parent {
            incoming.sampling = parent.sampling;
        } else if may_have(&names::TRACESTATE) && self.traces() {
            let own = traceparent::extract_alone(headers, &self.limits);
            incoming.caller = own.and_then(|own| mw::parse(own, None));
        }
        incoming.baggage = self.baggage(headers, may_have(&names::BAGGAGE));
        incoming
    }

    pub(super) fn traces(&self) -> bool {
        self.formats.contains(&Format::TraceContext)
    }

    fn baggage(&self, headers: HeaderSource<'_>, may_have: bool) -> Baggage {
        let mut budget = Budget::new(&self.limits);
        let mut baggage = Baggage::default();
        if may_have && self.formats.contains(&Format::Baggage) {
            baggage.read(headers.all(&names::BAGGAGE), &mut budget);
        }
        if self.formats.contains(&Format::Jaeger) {
            jaeger::extract_baggage(headers, &mut budget, &mut baggage);
        }
        baggage
    }

    /// Writes what the callee shall know, in every format, in place of all that stood there: a
    /// request may be sent again, or be made out of one that came in.
    #[doc(hidden)]
    pub fn inject(&self, call: &Outgoing<'_>, headers: &mut HeaderMap) {
        self.inject_seen(call, headers, HeaderFilter::of(headers));
    }

    /// Writes what [`inject`](Self::inject) does, for a caller that has looked at the headers already.
    #[doc(hidden)]
    pub fn inject_seen(&self, call: &Outgoing<'_>, headers: &mut HeaderMap, seen: HeaderFilter) {
        self.strip_seen(headers, seen);
        self.inject_with(call, &mut |name, value| text::set(headers, name, value));
    }

    /// Hands each name and value that the callee shall know to `headers`: for what goes with something
    /// that is no HTTP request. Names are in lower case, values of visible ASCII.
    ///
    /// What stood there has to go first: all that [`is_own`](Self::is_own).
    #[doc(hidden)]
    pub fn inject_with(&self, call: &Outgoing<'_>, headers: &mut dyn FnMut(&HeaderName, &str)) {
        if call.trace_id.is_valid() && call.span_id.is_valid() {
            for format in &self.formats {
                match format {
                    Format::TraceContext => traceparent::inject(call, headers),
                    Format::B3 => b3::inject_single(call, headers),
                    Format::B3Multi => b3::inject_multi(call, headers),
                    Format::Jaeger => jaeger::inject(call, headers),
                    Format::XRay => xray::inject(call, headers),
                    Format::Datadog => datadog::inject(call, headers),
                    Format::Baggage => {}
                }
            }
        }
        if !(call.trace_id.is_valid() && call.span_id.is_valid())
            && let Some(caller) = &call.caller
            && self.traces()
        {
            let alone = Outgoing {
                span_id: SpanId::default(),
                state: "",
                caller: Some(caller.clone()),
                ..call.clone()
            };
            traceparent::inject_state(&alone, headers);
        }
        if call.baggage.is_empty() {
            return;
        }
        if self.formats.contains(&Format::Baggage) {
            let value = call.baggage.write(&self.limits);
            if !value.is_empty() {
                headers(&names::BAGGAGE, &value);
            }
        }
        if self.formats.contains(&Format::Jaeger) {
            jaeger::inject_baggage(call.baggage, &self.limits, headers);
        }
    }

    /// Tells whether a name, in whatever case, is one of the formats chosen: of
    /// [`header_names`](Self::header_names), or of `uberctx-*` if Jaeger's is.
    #[doc(hidden)]
    #[must_use]
    pub fn is_own(&self, name: &str) -> bool {
        self.names.find(name).is_some()
    }

    /// Returns the name as [`extract_pairs`](Self::extract_pairs) finds it at once, if it
    /// [`is_own`](Self::is_own).
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn own_name<'n>(&self, name: &'n str) -> Option<&'n str> {
        self.names.find(name)
    }

    /// Removes every header of the formats chosen, all of `uberctx-*` among them if Jaeger's is.
    #[doc(hidden)]
    pub fn strip(&self, headers: &mut HeaderMap) {
        self.strip_seen(headers, HeaderFilter::of(headers));
    }

    #[inline]
    pub(super) fn strip_seen(&self, headers: &mut HeaderMap, seen: HeaderFilter) {
        if seen.may_have_any(self.read) {
            strip(&self.formats, headers);
        }
    }

    /// Removes every header of every format, chosen or not, and those of formats that are not read here
    /// at all: what a stranger sends may mean something to the next peer.
    #[doc(hidden)]
    pub fn strip_all(headers: &mut HeaderMap) {
        strip(Format::ALL, headers);
        let is_other = |name: &&HeaderName| names::is_other_context(name.as_str());
        if headers.keys().any(|name| is_other(&name)) {
            let found: Vec<HeaderName> = headers.keys().filter(is_other).cloned().collect();
            for name in found {
                headers.remove(name);
            }
        }
    }
}

/// Gathers the names of the headers that formats have.
fn names_of(formats: &[Format]) -> HeaderFilter {
    if formats.contains(&Format::Jaeger) {
        // Those of its baggage have no fixed names.
        return HeaderFilter::all();
    }
    HeaderFilter::of_names(formats.iter().flat_map(|format| format.header_names()).copied())
}

fn strip(formats: &[Format], headers: &mut HeaderMap) {
    let filter = HeaderFilter::of(headers);
    for format in formats {
        for name in format.header_names().iter().filter(|name| filter.may_have(name)) {
            headers.remove(*name);
        }
    }
    if formats.contains(&Format::Jaeger) {
        let is_baggage = |name: &&HeaderName| name.as_str().starts_with(names::UBERCTX);
        let found: Vec<HeaderName> = headers.keys().filter(is_baggage).cloned().collect();
        for name in found {
            headers.remove(name);
        }
    }
}

impl Default for Propagators {
    /// `tracecontext,baggage`, OpenTelemetry's default.
    fn default() -> Self {
        Self::new([Format::TraceContext, Format::Baggage])
    }
}

/// Reads one more format, unless an earlier one has told all.
fn take(incoming: &mut Incoming<'_>, extract: impl FnOnce() -> Found) {
    if incoming.parent.is_some() {
        return;
    }
    match extract() {
        Found::Parent(parent) => incoming.parent = Some(parent),
        Found::Decision(sampling) if incoming.sampling == Sampling::Deferred => {
            incoming.sampling = sampling;
        }
        Found::Decision(_) | Found::Nothing => {}
    }
}

fn take_traceparent<'h>(incoming: &mut Incoming<'h>, (found, own): (Parent, Option<&'h str>)) {
    let caller = || -> Option<Caller<'h>> { mw::parse(own?, Some(found.span_id)) };
    match &mut incoming.parent {
        None => {
            incoming.caller = caller();
            incoming.parent = Some(found);
        }
        // Who sends several formats tells the same story in each; this one tells most of it.
        Some(parent) if parent.is_same_span(&found) => {
            incoming.caller = caller();
            parent.flags = parent.flags.with_random(found.flags.is_random());
            if !found.state.is_empty() {
                parent.state = found.state;
            }
        }
        Some(_) => {}
    }
}
