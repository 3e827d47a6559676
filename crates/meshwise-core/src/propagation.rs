//! The wire formats of context, and how they combine.
//!
//! [`Propagators`] reads what came with a call ([`Incoming`]) from its headers, and writes what
//! goes with one ([`Outgoing`]). It never fails: what is not valid was not sent.
//!
//! | [`Format`] | word | reads and writes | what it cannot carry |
//! |---|---|---|---|
//! | `TraceContext` | `tracecontext` | `traceparent`, `tracestate` | a deferred decision, debug |
//! | `Baggage` | `baggage` | `baggage` | (the trace) |
//! | `B3` | `b3` | `b3`; reads what `b3multi` has too | `tracestate` and so the caller, the random flag |
//! | `B3Multi` | `b3multi` | `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled`, `x-b3-flags`; reads `b3` too, and first | as `b3` |
//! | `Jaeger` | `jaeger` | `uber-trace-id`, `uberctx-*` | as `b3`, a deferred decision; of baggage the properties and the case of keys |
//! | `XRay` | `xray` | `x-amzn-trace-id` | as `b3`, debug; fields other than `Root`, `Parent`, `Sampled` are not handed on |
//! | `Datadog` | `datadog` | `x-datadog-trace-id`, `x-datadog-parent-id`, `x-datadog-sampling-priority`, `x-datadog-tags`, `x-datadog-origin` | as `b3`; keeps its own origin and tags |
//!
//! What is lost is lost between two services that speak this format only: choose `tracecontext`
//! beside it wherever the other side allows.
//!
//! | decision | `tracecontext` | `b3` | `b3multi` | `jaeger` | `xray` | `datadog` |
//! |---|---|---|---|---|---|---|
//! | [`Sampling::Deferred`] (read only) | | no state | no `x-b3-sampled` | | no `Sampled`, or `?` | no priority |
//! | [`Sampling::NotSampled`] | `00` | `0` | `0` | `0` | `0` | `0`, `-1` |
//! | [`Sampling::Sampled`] | `01` | `1` | `1` | `1` | `1` | `1` |
//! | [`Sampling::Debug`] | (`01`) | `d` | `x-b3-flags: 1` | `3` | (`1`) | `2` |
//!
//! ## Which header is believed
//! - Of the formats chosen, the first that yields a valid parent, in the order given. If
//!   `traceparent` names the same span, its `tracestate` comes along.
//! - Two `traceparent` headers are none (W3C Trace Context, section 3.2). Of other headers that
//!   stand there twice the first counts. Those of `tracestate` and of `baggage` are joined.
//! - Longer values than [`HeaderLimits`] allow are ignored; of lists, what is too much. Ids are
//!   valid or there is no parent: neither zero nor cut nor made up.
//! - A decision without ids (`b3: 0`) makes no parent. It stands in [`Incoming::sampling`].
//!
//! ## Our own entry in `tracestate`
//! `mw=p:{span id};s:{service};v:{api version};a:{attempt}` names the [`Caller`]. It is only
//! believed if `p` is the parent id of `traceparent`; otherwise a service that does not speak it
//! stood between. Names outside `[a-z0-9._-]` are percent-encoded.
//!
//! A service that does not trace, and serves a call without a trace, names itself with `p:0` in a
//! `tracestate` that no `traceparent` stands beside. By the standard such a list says nothing of a
//! trace, and it is not read as one.
//!
//! ```
//! use http::HeaderMap;
//! use meshwise_core::propagation::{Caller, Outgoing, Propagators};
//!
//! // What came with a call ...
//! let mut request = HeaderMap::new();
//! request.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?);
//! request.insert("tracestate", "mw=p:00f067aa0ba902b7;s:gateway,congo=t61rcWkgMzE".parse()?);
//! let propagators = Propagators::default();
//! let incoming = propagators.extract(&request);
//! let parent = incoming.parent.expect("a valid traceparent");
//! assert_eq!(incoming.caller.expect("gateway wrote it").service, "gateway");
//!
//! // ... and what goes with the next.
//! let mut next = HeaderMap::new();
//! let call = Outgoing {
//!     trace_id: parent.trace_id,
//!     span_id: meshwise_core::SpanId::from_int(0xb7ad6b7169203331),
//!     flags: parent.flags,
//!     state: parent.state.as_str(),
//!     caller: Some(Caller::new("orders")),
//!     baggage: &incoming.baggage,
//! };
//! propagators.inject(&call, &mut next);
//! assert_eq!(next["tracestate"], "mw=p:b7ad6b7169203331;s:orders,congo=t61rcWkgMzE");
//! # Ok::<(), http::header::InvalidHeaderValue>(())
//! ```

mod b3;
mod baggage;
mod context;
mod datadog;
mod format;
mod jaeger;
mod limits;
mod mw;
mod names;
mod own_entry;
mod own_names;
mod propagators;
mod source;
pub(crate) mod text;
mod traceparent;
mod w3c;
mod xray;

pub use baggage::{Baggage, BaggageEntry};
pub use context::{Caller, Incoming, Outgoing, Parent, Sampling};
pub use format::{Format, UnknownFormat};
pub use limits::HeaderLimits;
#[doc(hidden)]
pub use own_entry::OwnEntry;
pub use propagators::Propagators;
#[doc(hidden)]
pub use w3c::W3cHeaders;

use context::Found;
use http::HeaderName;
use source::HeaderSource;

/// Takes a name and a value that go with a call.
type Write<'w> = dyn FnMut(&HeaderName, &str) + 'w;

#[cfg(test)]
mod tests;
