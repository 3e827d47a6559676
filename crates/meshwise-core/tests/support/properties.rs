//! What must hold for any bytes off the wire. Both the fuzz targets (`fuzz/` at the root of the
//! workspace) and the tests of stable Rust call these; a broken promise is a panic.

use http::{HeaderMap, HeaderName, HeaderValue};
use meshwise_core::{
    Redaction, TraceState,
    internal::{format_grpc_timeout, parse_grpc_timeout, parse_millis},
    propagation::{
        Baggage, Format, HeaderLimits, Incoming, Outgoing, Parent, Propagators, Sampling,
    },
};
use std::time::Duration;

/// Checks the property of this name; the names are those of the fuzz targets and of the folders of
/// seeds.
///
/// # Panics
/// If it does not hold, or there is none of this name.
pub(crate) fn check(name: &str, data: &[u8]) {
    match name {
        "extract" => extract(data),
        "baggage" => baggage(data),
        "tracestate" => tracestate(data),
        "deadline" => deadline(data),
        "redaction" => redaction(data),
        other => panic!("no property is called {other}"),
    }
}

/// Reads headers, one a line as `name: value`, in every format; writes what was read; reads again.
fn extract(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(1_000) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let (name, value) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }

    for &format in Format::ALL {
        let propagators = Propagators::new([format]);
        let incoming = propagators.extract(&headers);
        check_incoming(&incoming);
        if let Some(parent) = &incoming.parent {
            check_again(format, &propagators, parent, &incoming);
        }
    }
    let all = Propagators::new(Format::ALL.iter().copied());
    let incoming = all.extract(&headers);
    check_incoming(&incoming);

    // What is written goes in place of what stood there; twice is like once.
    if let Some(parent) = &incoming.parent {
        let call = outgoing(parent, &incoming);
        let (mut once, mut onto) = (HeaderMap::new(), headers.clone());
        all.inject(&call, &mut once);
        all.inject(&call, &mut onto);
        all.inject(&call, &mut onto);
        for (name, value) in &once {
            let found: Vec<_> = onto.get_all(name).iter().collect();
            assert_eq!(found, [value], "{name}");
            assert!(value.to_str().is_ok(), "{name} is all of visible ASCII");
        }
        all.strip(&mut onto);
        let mut without = headers.clone();
        all.strip(&mut without);
        assert_eq!(onto, without);
    }

    all.strip(&mut headers);
    assert!(all.header_names().all(|name| !headers.contains_key(name)));
    assert!(headers.keys().all(|name| !name.as_str().starts_with("uberctx-")));
    let left = all.extract(&headers);
    assert!(left.parent.is_none() && left.caller.is_none() && left.baggage.is_empty());
}

fn check_incoming(incoming: &Incoming<'_>) {
    if let Some(parent) = &incoming.parent {
        assert!(parent.trace_id.is_valid() && parent.span_id.is_valid(), "{parent:?}");
        assert_eq!(parent.flags.with_random(false), parent.sampling.flags(), "{parent:?}");
        assert_eq!(parent.sampling, incoming.sampling, "{parent:?}");
        check_state(&parent.state);
        assert_eq!(parent.state.get("mw"), None, "our own entry is taken out");
    }
    if let Some(caller) = &incoming.caller {
        assert!(incoming.parent.is_some(), "a caller has a span");
        assert!(!caller.service.is_empty() && !caller.service.contains(char::is_control));
    }
    check_baggage(&incoming.baggage);
}

/// One format hands on what it read.
fn check_again(
    format: Format,
    propagators: &Propagators,
    parent: &Parent,
    incoming: &Incoming<'_>,
) {
    let mut written = HeaderMap::new();
    propagators.inject(&outgoing(parent, incoming), &mut written);
    let again = propagators.extract(&written);
    let other = again.parent.unwrap_or_else(|| panic!("{format} lost {parent:?}: {written:?}"));
    assert_eq!((other.trace_id, other.span_id), (parent.trace_id, parent.span_id), "{format}");
    // A decision that was left open is made by the service that calls on.
    let decided = match parent.sampling {
        Sampling::Deferred => Sampling::NotSampled,
        other => other,
    };
    assert_eq!(other.sampling, decided, "{format}");
    if format == Format::TraceContext {
        assert_eq!((&other.state, other.flags), (&parent.state, parent.flags));
        assert_eq!(again.caller.is_some(), incoming.caller.is_some());
    }
}

fn outgoing<'a>(parent: &'a Parent, incoming: &'a Incoming<'_>) -> Outgoing<'a> {
    Outgoing {
        trace_id: parent.trace_id,
        span_id: parent.span_id,
        flags: parent.flags,
        state: parent.state.as_str(),
        caller: incoming.caller.clone(),
        baggage: &incoming.baggage,
    }
}

/// Reads a list of baggage, one header value a line; writes it; reads the same again.
fn baggage(data: &[u8]) {
    let values = values(data);
    let limits = HeaderLimits::default();
    let baggage = Baggage::from_headers(&values, &limits);
    check_baggage(&baggage);
    // Encoding may make more of it than fits. Then whole members are left out.
    let text = baggage.to_header();
    let again = Baggage::from_header(&text);
    assert_eq!(again.to_header(), text, "what is written once is written the same ever after");
    let mut members = baggage.iter();
    for member in again.iter() {
        assert!(members.any(|other| other == member), "{member:?} was not there, or not in order");
    }
    if text.len() < limits.baggage_bytes() / 2 {
        assert_eq!(again, baggage);
    }

    let tight = HeaderLimits::default().with_baggage_members(3).with_baggage_bytes(40);
    assert!(Baggage::from_headers(&values, &tight).len() <= 3);

    // Any text may be a value, whatever stands there.
    let mut own = Baggage::default();
    own.insert_with_metadata("k", String::from_utf8_lossy(data), String::from_utf8_lossy(data));
    let text = own.to_header();
    assert!(HeaderValue::from_str(&text).is_ok_and(|value| value.to_str().is_ok()));
    if !text.is_empty() {
        let read = Baggage::from_header(&text);
        assert_eq!(read.get("k"), own.get("k"));
        assert_eq!(read.len(), 1);
    }
}

fn check_baggage(baggage: &Baggage) {
    let limits = HeaderLimits::default();
    assert!(baggage.len() <= limits.baggage_members());
    let text = baggage.to_header();
    assert!(text.len() <= limits.baggage_bytes());
    assert!(text.split(',').count() <= limits.baggage_members());
    assert!(HeaderValue::from_str(&text).is_ok_and(|value| value.to_str().is_ok()), "{text}");
    let mut keys: Vec<_> = baggage.iter().map(|entry| entry.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), baggage.len(), "each name is there once");
}

/// Reads a `tracestate`, one header value a line; changes it; reads the same again.
fn tracestate(data: &[u8]) {
    let values = values(data);
    let state = TraceState::from_headers(&values);
    check_state(&state);
    let again = HeaderValue::from_str(state.as_str()).expect("a header value");
    assert_eq!(TraceState::from_headers([&again]), state);

    let text = String::from_utf8_lossy(data);
    let (key, value) = text.split_once('=').unwrap_or((&text, ""));
    if let Ok(changed) = state.with(key, value) {
        check_state(&changed);
        assert_eq!(changed.iter().next(), Some((key, value)));
        assert_eq!(changed.without(key), state.without(key).with_at_most(31));
    }
    for (key, _) in state.iter() {
        let without = state.without(key);
        check_state(&without);
        assert_eq!((without.get(key), without.len()), (None, state.len() - 1));
    }
}

trait AtMost {
    fn with_at_most(&self, entries: usize) -> Self;
}

impl AtMost for TraceState {
    /// Drops the last entries, by way of their text.
    fn with_at_most(&self, entries: usize) -> Self {
        let text: Vec<&str> = self.as_str().split(',').take(entries).collect();
        let value = HeaderValue::from_str(&text.join(",")).expect("a header value");
        // A list that was within the limits is so without its last entries.
        Self::from_headers([&value])
    }
}

fn check_state(state: &TraceState) {
    assert!(state.len() <= TraceState::MAX_ENTRIES);
    assert_eq!(state.is_empty(), state.as_str().is_empty());
    assert!(state.as_str().bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{state}");
    for (i, (key, value)) in state.iter().enumerate() {
        assert!((1..=256).contains(&key.len()) && (1..=256).contains(&value.len()), "{state}");
        assert_eq!(state.iter().position(|(other, _)| other == key), Some(i), "{key} twice");
    }
}

/// Reads timeouts; writes them; reads no more than they were.
fn deadline(data: &[u8]) {
    if let Some(timeout) = parse_millis(data) {
        assert!(timeout <= Duration::from_millis(999_999_999));
    }
    if let Some(timeout) = parse_grpc_timeout(data) {
        let again = written(timeout);
        assert_eq!(again, timeout, "what came in eight digits goes out in eight");
    }
    let mut bytes = [0; 12];
    for (to, from) in bytes.iter_mut().zip(data) {
        *to = *from;
    }
    let [seconds @ .., a, b, c, d] = bytes;
    let nanos = u32::from_be_bytes([a, b, c, d]) % 1_000_000_000;
    let any = Duration::new(u64::from_be_bytes(seconds), nanos);
    let again = written(any);
    let longest = Duration::from_secs(99_999_999 * 3_600);
    assert!(again <= any, "no caller waits longer than was told");
    // Eight digits of the finest unit that it fits: one part in a hundred thousand at the worst.
    assert!(any > longest || any - again <= any / 100_000, "{any:?} became {again:?}");
}

fn written(timeout: Duration) -> Duration {
    let text = format_grpc_timeout(timeout);
    assert!((2..=9).contains(&text.len()), "{text}");
    parse_grpc_timeout(text.as_bytes()).unwrap_or_else(|| panic!("{text} is not read"))
}

fn values(data: &[u8]) -> Vec<HeaderValue> {
    data.split(|byte| *byte == b'\n')
        .take(1_000)
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        .collect()
}

/// Hides what is secret in a text, at a cost that grows with its length and no faster.
fn redaction(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let redaction = Redaction::standard();
    let (clean, cost) = redaction.counted(&text);
    assert_eq!(redaction.text(&text), clean);
    // 18 a byte is what plain text costs; the limit, and what the last look had begun.
    assert!(cost <= 53 * text.len() as u64 + 32_000, "{cost} for {} bytes", text.len());
    let _ = (redaction.query(&text), redaction.url(&text), redaction.hides(&text));

    // Whatever stands before it, a card's number is not left.
    let with_card = format!("{text}\n4111111111111111\n");
    assert!(
        !redaction.text(&with_card).contains("4111111111111111")
            || text.contains("4111111111111111")
    );

    // The same again and again: twice the length is about twice the cost.
    let unit: String = text.chars().take(64).collect();
    if !unit.is_empty() {
        let repeated = |length: usize| unit.repeat(length.div_ceil(unit.len()));
        let cost = |length| redaction.cost(&repeated(length));
        let (half, whole) = (cost(8 << 10), cost(16 << 10));
        assert!(2 * whole <= 5 * half + 5_000, "{unit:?}: {half}, then {whole}");
        let limited = redaction.counted(&repeated(16 << 10)).1;
        assert!(limited <= 53 * (16 << 10) + 33_000, "{unit:?}: {limited}");
    }
}
