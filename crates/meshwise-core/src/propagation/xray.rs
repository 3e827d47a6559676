//! AWS X-Ray's `x-amzn-trace-id`.
//!
//! Source: AWS X-Ray developer guide, "Tracing header".

use super::{Outgoing, Parent, Sampling, hex, only, set};
use crate::{SpanId, TraceId};
use http::HeaderMap;

pub(super) const TRACE: &str = "x-amzn-trace-id";

/// Reads `Root=1-{8 digits}-{24 digits};Parent={16 digits};Sampled={0|1|?}`, in any order; other
/// fields (`Self`, `Lineage`) are ignored. Without a parent, as load balancers send it, there is no
/// span to be a child of.
pub(super) fn extract(headers: &HeaderMap) -> Option<Parent> {
    let (mut trace, mut span, mut sampling) = (None, None, Sampling::Deferred);
    for field in only(headers, TRACE)?.split(';') {
        let Some((name, value)) = field.trim_matches([' ', '\t']).split_once('=') else { continue };
        match name {
            "Root" => trace = Some(root(value)?),
            "Parent" => span = Some(SpanId::from_int(hex::low(hex::exactly(value, 16)?))),
            "Sampled" => {
                sampling = match value {
                    "1" => Sampling::Sampled,
                    "0" => Sampling::NotSampled,
                    _ => Sampling::Deferred,
                }
            }
            _ => {}
        }
    }
    Parent::new(trace?, span?, sampling)
}

fn root(text: &str) -> Option<TraceId> {
    let (time, unique) = text.strip_prefix("1-")?.split_once('-')?;
    Some(TraceId::from_int(hex::exactly(time, 8)? << 96 | hex::exactly(unique, 24)?))
}

pub(super) fn inject(call: &Outgoing<'_>, headers: &mut HeaderMap) {
    let (trace, span) = (call.trace_id.to_hex(), call.span_id.to_hex());
    let (time, unique) = trace.split_at(8);
    let sampled: &[u8] = if call.flags.is_sampled() { b"1" } else { b"0" };
    let text =
        [b"Root=1-", time, b"-", unique, b";Parent=", &span[..], b";Sampled=", sampled].concat();
    set(headers, TRACE, text);
}
