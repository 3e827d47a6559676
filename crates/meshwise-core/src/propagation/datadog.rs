//! Datadog's headers: decimal ids, the trace id's upper half in a tag.
//!
//! What has no place in a span context (`x-datadog-origin` and the tags that begin with `_dd.p.`)
//! travels in the `dd` entry of `tracestate`, in the form that Datadog's own tracers use there:
//! `dd=s:{priority};o:{origin};t.{tag}:{value}`.

use super::{Found, HeaderLimits, HeaderSource, Outgoing, Parent, Sampling, Write, names, text};
use crate::trace::{SpanId, TraceFlags, TraceId, TraceState};
use std::fmt::{self, Write as _};

const ENTRY: &str = "dd";
const TAG_PREFIX: &str = "_dd.p.";
/// Holds the upper half of the trace id.
const TID: &str = "tid";
/// Says who decided to keep the trace; means nothing for one that is not kept.
const DECISION_MAKER: &str = "dm";
/// The longest value of a `tracestate` entry, in bytes.
const MAX_ENTRY: usize = 256;
/// The longest `x-datadog-tags` that Datadog's tracers read by default, in bytes.
const MAX_TAGS: usize = 512;

/// Reads ids, priority, origin and tags.
pub(super) fn extract(headers: HeaderSource<'_>, limits: &HeaderLimits) -> Found {
    let get = |name| headers.first(name, limits);
    let priority = get(&names::X_DATADOG_SAMPLING_PRIORITY).and_then(Priority::parse);
    let sampling = priority.map_or(Sampling::Deferred, Priority::sampling);
    let parse = || {
        let low = text::decimal(get(&names::X_DATADOG_TRACE_ID)?).filter(|low| *low != 0)?;
        let span = text::decimal(get(&names::X_DATADOG_PARENT_ID)?)?;
        let tags = get(&names::X_DATADOG_TAGS).unwrap_or_default();
        let high = tags_of(tags)
            .find(|(key, _)| *key == TID)
            .and_then(|(_, value)| SpanId::from_lower_hex(value.as_bytes()));
        let trace = u128::from(high.unwrap_or_default().to_int()) << 64 | u128::from(low);
        let mut parent = Parent::new(TraceId::from_int(trace), SpanId::from_int(span), sampling)?;
        parent.state = state(priority, get(&names::X_DATADOG_ORIGIN), tags);
        Some(parent)
    };
    Found::new(parse(), sampling)
}

/// Lists the tags that are to be handed on, without their prefix.
fn tags_of(tags: &str) -> impl Iterator<Item = (&str, &str)> {
    tags.split(',').filter_map(|tag| {
        let (key, value) = tag.split_once('=')?;
        Some((text::trim(key).strip_prefix(TAG_PREFIX)?, text::trim(value)))
    })
}

/// Packs origin and tags into a `tracestate` entry; those that do not fit are left out.
fn state(priority: Option<Priority>, origin: Option<&str>, tags: &str) -> TraceState {
    let origin = origin.filter(|origin| !origin.is_empty());
    let mut kept = tags_of(tags).filter(|(key, _)| *key != TID).peekable();
    if origin.is_none() && kept.peek().is_none() {
        return TraceState::EMPTY;
    }
    let mut entry = text::Buffer::<MAX_ENTRY>::new();
    let mut part = |prefix: &str, key: &str, value: &str| {
        let start = entry.len();
        let written = (|| {
            entry.write_str(if start > 0 { ";" } else { "" })?;
            entry.write_str(prefix)?;
            pack(&mut entry, key, &[',', ' ', '=', ':', ';'])?;
            entry.write_char(':')?;
            pack(&mut entry, value, &[',', ';', '~'])
        })();
        if written.is_err() {
            entry.truncate(start);
        }
    };
    if let Some(priority) = priority {
        part("", "s", priority.as_str());
    }
    if let Some(origin) = origin {
        part("", "o", origin);
    }
    for (key, value) in kept {
        part("t.", key, value);
    }
    TraceState::EMPTY.with(ENTRY, text::trim(entry.as_str())).unwrap_or_default()
}

/// Writes a text as it may stand in the entry: `=` becomes `~`, and what is not allowed `_`.
fn pack(out: &mut impl fmt::Write, text: &str, not_allowed: &[char]) -> fmt::Result {
    for c in text.chars() {
        out.write_char(match c {
            c if not_allowed.contains(&c) || !(' '..='~').contains(&c) => '_',
            '=' => '~',
            c => c,
        })?;
    }
    Ok(())
}

fn unpack(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| out.write_char(if c == '~' { '=' } else { c }))
}

/// Writes ids, priority, and what the `dd` entry of `tracestate` holds. A trace id whose lower half
/// is zero has no form here: then nothing is written.
pub(super) fn inject(call: &Outgoing<'_>, headers: &mut Write<'_>) {
    let trace = call.trace_id.to_int();
    let (high, low) = (SpanId::from_int((trace >> 64) as u64), trace as u64);
    if low == 0 {
        return;
    }
    let mut number = text::Buffer::<20>::new();
    if write!(number, "{low}").is_ok() {
        headers(&names::X_DATADOG_TRACE_ID, number.as_str());
    }
    number.truncate(0);
    if write!(number, "{}", call.span_id.to_int()).is_ok() {
        headers(&names::X_DATADOG_PARENT_ID, number.as_str());
    }

    let entries = call.state.split(',').map(text::trim).filter_map(TraceState::entry);
    let entry = entries.into_iter().find(|(key, _)| *key == ENTRY).map_or("", |(_, value)| value);
    let parts = || entry.split(';').filter_map(|part| part.split_once(':'));
    let told = parts().find(|(key, _)| *key == "s").and_then(|(_, s)| Priority::parse(s));
    let priority = Priority::of(call.flags, told);
    headers(&names::X_DATADOG_SAMPLING_PRIORITY, priority.as_str());

    let mut tags = text::Buffer::<MAX_TAGS>::new();
    if high.is_valid() && write!(tags, "{TAG_PREFIX}{TID}={high}").is_err() {
        return;
    }
    for (key, value) in parts() {
        if key == "o" && !value.is_empty() {
            let mut origin = text::Buffer::<MAX_ENTRY>::new();
            if unpack(&mut origin, value).is_ok() {
                headers(&names::X_DATADOG_ORIGIN, origin.as_str());
            }
        }
        let Some(tag) = key.strip_prefix("t.").filter(|tag| !tag.is_empty() && *tag != TID) else {
            continue;
        };
        if tag == DECISION_MAKER && !priority.keeps() {
            continue;
        }
        let start = tags.len();
        let written = write!(tags, "{}{TAG_PREFIX}{tag}=", if start > 0 { "," } else { "" })
            .and_then(|()| unpack(&mut tags, value));
        if written.is_err() {
            tags.truncate(start);
        }
    }
    if tags.len() > 0 {
        headers(&names::X_DATADOG_TAGS, tags.as_str());
    }
}

/// Names Datadog's sampling priorities.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Priority {
    UserReject,
    AutoReject,
    AutoKeep,
    UserKeep,
}

impl Priority {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "-1" => Self::UserReject,
            "0" => Self::AutoReject,
            "1" => Self::AutoKeep,
            "2" => Self::UserKeep,
            _ => return None,
        })
    }

    /// Turns flags into a priority: the one that came with the trace, where it says the same.
    fn of(flags: TraceFlags, told: Option<Self>) -> Self {
        let decided = match Sampling::of(flags) {
            Sampling::Debug => return Self::UserKeep,
            Sampling::Sampled => Self::AutoKeep,
            Sampling::NotSampled | Sampling::Deferred => Self::AutoReject,
        };
        told.filter(|told| told.keeps() == decided.keeps()).unwrap_or(decided)
    }

    const fn sampling(self) -> Sampling {
        match self {
            Self::UserReject | Self::AutoReject => Sampling::NotSampled,
            Self::AutoKeep => Sampling::Sampled,
            Self::UserKeep => Sampling::Debug,
        }
    }

    const fn keeps(self) -> bool {
        matches!(self, Self::AutoKeep | Self::UserKeep)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::UserReject => "-1",
            Self::AutoReject => "0",
            Self::AutoKeep => "1",
            Self::UserKeep => "2",
        }
    }
}
