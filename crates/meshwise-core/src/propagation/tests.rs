use super::*;
use crate::{Env, SpanId, TraceFlags, TraceId};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().expect("a value"));
    }
    headers
}

/// Reads the caller's span in one format: ids and decision.
fn read(format: Format, pairs: &[(&'static str, &str)]) -> Option<(String, String, Sampling)> {
    let parent = Propagators::new([format]).extract(&headers(pairs)).parent?;
    Some((parent.trace_id.to_string(), parent.span_id.to_string(), parent.sampling))
}

#[track_caller]
fn reads(format: Format, pairs: &[(&'static str, &str)], sampling: Sampling) {
    let expected = Some((TRACE.to_owned(), SPAN.to_owned(), sampling));
    assert_eq!(read(format, pairs), expected, "{pairs:?}");
}

#[test]
fn b3_single_is_read() {
    let b3 = |rest: &str| format!("{TRACE}-{SPAN}{rest}");
    reads(Format::B3, &[("b3", &b3(""))], Sampling::Deferred);
    reads(Format::B3, &[("b3", &b3("-1"))], Sampling::Sampled);
    reads(Format::B3, &[("b3", &b3("-0"))], Sampling::NotSampled);
    reads(Format::B3, &[("b3", &b3("-d"))], Sampling::Debug);
    reads(Format::B3, &[("b3", &b3("-1-05e3ac9a4f6e3b90"))], Sampling::Sampled);
    reads(Format::B3Multi, &[("b3", &b3("-1"))], Sampling::Sampled);
    let short =
        read(Format::B3, &[("b3", &format!("a3ce929d0e0e4736-{SPAN}-1"))]).expect("64 bits");
    assert_eq!(short.0, "0000000000000000a3ce929d0e0e4736");
    for bad in ["0", "1", "d", "", "-", "x-y", &b3("-2"), &b3("-1-zz"), &b3("-1-05e3ac9a4f6e3b90-")]
    {
        assert_eq!(read(Format::B3, &[("b3", bad)]), None, "{bad}");
    }
}

#[test]
fn b3_multi_is_read() {
    let ids = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
    reads(Format::B3Multi, &ids, Sampling::Deferred);
    for (value, sampling) in [
        ("1", Sampling::Sampled),
        ("true", Sampling::Sampled),
        ("0", Sampling::NotSampled),
        ("false", Sampling::NotSampled),
    ] {
        reads(Format::B3Multi, &[ids[0], ids[1], ("x-b3-sampled", value)], sampling);
    }
    let debug = [ids[0], ids[1], ("x-b3-flags", "1"), ("x-b3-sampled", "0")];
    reads(Format::B3Multi, &debug, Sampling::Debug);
    reads(Format::B3, &ids, Sampling::Deferred);
    assert_eq!(read(Format::B3Multi, &ids[..1]), None);
}

#[test]
fn jaeger_is_read_as_all_its_clients_write_it() {
    for (text, sampling) in [
        (format!("{TRACE}:{SPAN}:0:1"), Sampling::Sampled),
        (format!("{TRACE}:{SPAN}:{SPAN}:01"), Sampling::Sampled),
        (format!("{TRACE}:{SPAN}::0"), Sampling::NotSampled),
        (format!("{TRACE}:f067aa0ba902b7:0:3"), Sampling::Debug),
        (format!("{TRACE}%3A{SPAN}%3A0%3A1"), Sampling::Sampled),
    ] {
        reads(Format::Jaeger, &[("uber-trace-id", &text)], sampling);
    }
    let spoilt = [
        format!("{TRACE}:{SPAN}:0"),
        format!("{TRACE}:{SPAN}:0:1:1"),
        format!("0:{SPAN}:0:1"),
        format!("{TRACE}:0:0:1"),
        format!("{TRACE}:{SPAN}:0:xx"),
        "%ff%fe".to_owned(),
    ];
    for bad in &spoilt {
        assert_eq!(read(Format::Jaeger, &[("uber-trace-id", bad)]), None, "{bad}");
    }
}

#[test]
fn jaeger_carries_baggage_in_its_own_headers() {
    let propagators = Propagators::new([Format::Jaeger]);
    let incoming = headers(&[("uberctx-user", "ada%20l"), ("uberctx-", "x")]);
    let baggage = propagators.extract(&incoming).baggage;
    assert_eq!(baggage.get("user"), Some("ada l"));
    assert_eq!(baggage.iter().count(), 1);
    let mut out = headers(&[("uberctx-old", "left from before")]);
    propagators.inject(&outgoing(&baggage), &mut out);
    assert_eq!(out["uberctx-user"], "ada%20l");
    assert!(!out.contains_key("uberctx-old"));
    propagators.strip(&mut out);
    assert!(out.is_empty());
}

#[test]
fn xray_is_read_in_any_order() {
    let root = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736";
    let parent = format!("Parent={SPAN}");
    for (text, sampling) in [
        (format!("{root};{parent};Sampled=1"), Sampling::Sampled),
        (format!("Sampled=0;{parent};{root}"), Sampling::NotSampled),
        (format!("Self=1-67-x; {root}; {parent}; Lineage=a:1|b:2"), Sampling::Deferred),
        (format!("{root};{parent};Sampled=?"), Sampling::Deferred),
    ] {
        reads(Format::XRay, &[("x-amzn-trace-id", &text)], sampling);
    }
    for bad in [root, &parent, "Root=1-xx;Parent=yy", "Root=2-4bf92f35-77b34da6a3ce929d0e0e4736"] {
        assert_eq!(read(Format::XRay, &[("x-amzn-trace-id", bad)]), None, "{bad}");
    }
}

#[test]
fn datadog_ids_are_decimal_and_joined_from_two_halves() {
    let (low, span) = ("11803532876627986230", "67667974448284343");
    let ids = [("x-datadog-trace-id", low), ("x-datadog-parent-id", span)];
    let tags = ("x-datadog-tags", "_dd.p.dm=-1,_dd.p.tid=4bf92f3577b34da6");
    for (priority, sampling) in [
        ("-1", Sampling::NotSampled),
        ("0", Sampling::NotSampled),
        ("1", Sampling::Sampled),
        ("2", Sampling::Debug),
        ("7", Sampling::Deferred),
    ] {
        let all = [ids[0], ids[1], tags, ("x-datadog-sampling-priority", priority)];
        reads(Format::Datadog, &all, sampling);
    }
    let short = read(Format::Datadog, &ids).expect("64 bits");
    assert_eq!(short.0, "0000000000000000a3ce929d0e0e4736");
    for bad in ["", "-1", "+1", "0x1", "18446744073709551616"] {
        let all = [("x-datadog-trace-id", bad), ids[1]];
        assert_eq!(read(Format::Datadog, &all), None, "{bad}");
    }
}

#[test]
fn the_first_format_that_yields_a_span_wins() {
    let both = headers(&[
        ("traceparent", &format!("00-{TRACE}-{SPAN}-01")),
        ("b3", "1111111111111111-2222222222222222-1"),
    ]);
    let first = |formats: &[Format]| {
        let incoming = Propagators::new(formats.iter().copied()).extract(&both);
        incoming.parent.expect("a span").span_id.to_string()
    };
    assert_eq!(first(&[Format::TraceContext, Format::B3]), SPAN);
    assert_eq!(first(&[Format::B3, Format::TraceContext]), "2222222222222222");
    assert_eq!(first(&[Format::Jaeger, Format::TraceContext]), SPAN);
    assert!(Propagators::new([]).extract(&both).parent.is_none());
}

#[test]
fn the_environment_names_formats() {
    let parse =
        |value: &str| Propagators::from_env(&Env::from_pairs([("OTEL_PROPAGATORS", value)]));
    assert_eq!(Propagators::from_env(&Env::empty()), Ok(None));
    assert_eq!(parse("none"), Ok(Some(Propagators::new([]))));
    assert_eq!(
        parse(" b3 , TraceContext,b3,"),
        Ok(Some(Propagators::new([Format::B3, Format::TraceContext])))
    );
    for format in Format::ALL {
        assert_eq!(parse(format.as_str()), Ok(Some(Propagators::new([format]))));
    }
    let error = parse("b3,ottrace").expect_err("not known").to_string();
    assert!(error.contains("OTEL_PROPAGATORS") && error.contains("`ottrace`"), "{error}");
    assert!(error.contains("tracecontext, baggage"), "{error}");
    assert!(parse("b3,none").is_err());
}

#[test]
fn baggage_is_read_as_w3c_writes_it() {
    let text = "key1=value1 ; p ; q = 1 , key2 =value%202, key3=a=b,bad key=1,=x,,k\"=1,v=\"q\",e=";
    let baggage = Baggage::from_header(text);
    let read: Vec<_> =
        baggage.iter().map(|e| (e.key.as_str(), e.value.as_str(), e.metadata.as_str())).collect();
    assert_eq!(
        read,
        [("key1", "value1", "p;q=1"), ("key2", "value 2", ""), ("key3", "a=b", ""), ("e", "", "")]
    );
    assert_eq!(Baggage::from_header("a=%ff%41").get("a"), Some("\u{fffd}A"));
    assert_eq!(Baggage::from_header("a=1,a=2").get("a"), Some("2"));
}

#[test]
fn baggage_has_limits_and_drops_members_whole() {
    let many: Vec<String> = (0..100).map(|i| format!("k{i}=v")).collect();
    assert_eq!(
        Baggage::from_header(&many.join(",")).iter().count(),
        HeaderLimits::default().baggage_members()
    );
    let big = format!("a=1,b={},c=3", "x".repeat(HeaderLimits::default().baggage_bytes()));
    let baggage = Baggage::from_header(&big);
    assert_eq!(
        (baggage.get("a"), baggage.get("b"), baggage.get("c")),
        (Some("1"), None, Some("3"))
    );
    let mut swollen = Baggage::default();
    swollen.insert("a", "\u{1F600}".repeat(1500)); // 12 bytes each once encoded
    swollen.insert("b", "2");
    assert_eq!(swollen.to_header(), "b=2");
    let mut odd = Baggage::default();
    odd.insert("no token", "1");
    odd.insert_with_metadata("k", "v", "bad\"property");
    assert_eq!(odd.to_header(), "k=v");
}

#[test]
fn a_caller_s_name_may_be_any_text() {
    let baggage = Baggage::default();
    let mut call = outgoing(&baggage);
    call.caller = Some(
        Caller::new("Bestell=Dienst, \u{fc}ber;1")
            .with_api_version("v1_20171001-2")
            .with_attempt(3),
    );
    let mut out = HeaderMap::new();
    Propagators::default().inject(&call, &mut out);
    let state = out["tracestate"].to_str().expect("ASCII").to_owned();
    assert_eq!(
        state,
        format!("mw=p:{SPAN};s:%42estell%3D%44ienst%2C%20%C3%BCber%3B1;v:v1_20171001-2;a:3")
    );
    let incoming = Propagators::default().extract(&out);
    assert_eq!(incoming.caller, call.caller);
    assert!(incoming.parent.expect("a span").state.is_empty());
}

#[test]
fn a_caller_s_name_is_cut_at_a_whole_character() {
    let baggage = Baggage::default();
    let mut call = outgoing(&baggage);
    call.caller = Some(Caller::new("\u{fc}".repeat(100)));
    let mut out = HeaderMap::new();
    Propagators::default().inject(&call, &mut out);
    let value = out["tracestate"].to_str().expect("ASCII").strip_prefix("mw=").expect("ours");
    assert!(value.len() <= 256);
    let caller = Propagators::default().extract(&out).caller.expect("a caller");
    assert_eq!(caller.service, "\u{fc}".repeat(21));
}

#[test]
fn what_later_versions_add_to_our_entry_is_ignored() {
    let read = |mw: &str| {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let incoming = headers(&[("traceparent", &parent), ("tracestate", mw)]);
        let propagators = Propagators::default();
        propagators.extract(&incoming).caller.map(|caller| caller.service.into_owned())
    };
    assert_eq!(read(&format!("mw=p:{SPAN};s:orders;z:9")).as_deref(), Some("orders"));
    for bad in [
        "mw=s:orders".to_owned(),
        format!("mw=p:{SPAN}"),
        format!("mw=p:{SPAN};s:"),
        "mw=p:1111111111111111;s:orders".to_owned(),
        "mw=nonsense".to_owned(),
    ] {
        assert_eq!(read(&bad), None, "{bad}");
    }
}

#[test]
fn strip_leaves_what_is_not_ours() {
    let all = Propagators::new(Format::ALL);
    let mut out = headers(&[("accept", "text/plain")]);
    let mut baggage = Baggage::default();
    baggage.insert("a", "1");
    all.inject(&outgoing(&baggage), &mut out);
    assert!(out.len() > 10, "{out:?}");
    all.strip(&mut out);
    assert_eq!(out, headers(&[("accept", "text/plain")]));
}

#[test]
fn a_plain_traceparent_allocates_nothing() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let incoming =
        headers(&[("traceparent", &parent), ("tracestate", &format!("mw=p:{SPAN};s:gateway"))]);
    let propagators = Propagators::default();
    let taken = allocation_counter::measure(|| {
        let read = propagators.extract(&incoming);
        assert!(read.caller.is_some_and(|caller| caller.service == "gateway"));
    });
    assert_eq!(taken.count_total, 0);
}

fn outgoing(baggage: &Baggage) -> Outgoing<'_> {
    Outgoing {
        trace_id: TRACE.parse().expect("an id"),
        span_id: SPAN.parse().expect("an id"),
        flags: TraceFlags::SAMPLED,
        state: "",
        caller: None,
        baggage,
    }
}

fn entry() -> impl Strategy<Value = String> {
    ("[a-z0-9][a-z0-9_*/@-]{0,20}", "[!-+\\--<>-~]{1,20}").prop_map(|(k, v)| format!("{k}={v}"))
}

proptest! {
    #[test]
    fn each_format_round_trips(
        trace in 1_u128.., span in 1_u64.., flags in 0_u8..4, format in 0..Format::ALL.len(),
        foreign in prop::collection::vec(entry(), 0..31),
        service in "\\PC{1,20}", attempt in any::<u32>(),
        values in prop::collection::btree_map("[a-z]{1,8}", "\\PC{0,20}", 0..8),
    ) {
        let format = Format::ALL[format];
        let mut foreign: Vec<_> = foreign.into_iter().filter(|e| !e.starts_with("mw=")).collect();
        let mut keys = std::collections::HashSet::new();
        foreign.retain(|entry| keys.insert(entry.split('=').next().map(str::to_owned)));
        let state = foreign.join(",");
        let mut baggage = Baggage::default();
        for (key, value) in &values {
            baggage.insert(key, value.trim());
        }
        let call = Outgoing {
            trace_id: TraceId::from_int(trace),
            span_id: SpanId::from_int(span),
            flags: TraceFlags::from_bits(flags),
            state: &state,
            caller: Some(Caller::new(service.as_str()).with_attempt(attempt)),
            baggage: &baggage,
        };
        let propagators = Propagators::new([format]);
        let mut out = HeaderMap::new();
        propagators.inject(&call, &mut out);
        propagators.inject(&call, &mut out);
        for name in out.keys() {
            prop_assert_eq!(out.get_all(name).iter().count(), 1, "{} twice", name);
        }
        let incoming = propagators.extract(&out);
        if matches!(format, Format::Baggage | Format::Jaeger) {
            prop_assert_eq!(&incoming.baggage, &baggage);
        }
        if format == Format::Baggage {
            prop_assert!(incoming.parent.is_none());
            return Ok(());
        }
        let parent = incoming.parent.expect("a span");
        prop_assert_eq!((parent.trace_id, parent.span_id), (call.trace_id, call.span_id));
        prop_assert_eq!(parent.flags.is_sampled(), call.flags.is_sampled());
        if format == Format::TraceContext {
            prop_assert_eq!(parent.flags, call.flags);
            prop_assert_eq!(parent.state.as_str(), &state);
            let caller = incoming.caller.expect("the caller");
            prop_assert!(service.starts_with(&*caller.service) || caller.service == service);
            prop_assert_eq!(caller.attempt, attempt);
        }
    }

    #[test]
    fn garbage_never_panics_and_never_names_an_invalid_span(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 20),
        texts in prop::collection::vec("[0-9a-fA-F:;=%,d|\\-]{0,70}", 20),
    ) {
        let all = Propagators::new(Format::ALL);
        let names: Vec<_> = all.header_names().map(http::HeaderName::as_str).collect();
        for values in [values, texts.into_iter().map(String::into_bytes).collect()] {
            let mut incoming = HeaderMap::new();
            for (name, value) in names.iter().copied().chain(["uberctx-a"]).zip(values) {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    incoming.append(name, value);
                }
            }
            let read = all.extract(&incoming);
            if let Some(parent) = &read.parent {
                prop_assert!(parent.trace_id.is_valid() && parent.span_id.is_valid());
                prop_assert_eq!(parent.flags.is_sampled(), parent.sampling.flags().is_sampled());
            }
            // What was read can be written. (Header names fold the case of Jaeger's keys.)
            let mut out = HeaderMap::new();
            all.inject(&outgoing(&read.baggage), &mut out);
            let again = Propagators::new([Format::Baggage]).extract(&out);
            prop_assert_eq!(&again.baggage, &read.baggage);
        }
    }
}
