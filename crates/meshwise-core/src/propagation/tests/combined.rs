use super::*;
use crate::env::Env;
use http::HeaderName;

const OTHER: &str = "1111111111111111";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

#[test]
fn the_first_format_that_yields_a_parent_wins() {
    let both = headers(&[
        ("traceparent", traceparent("01")),
        ("tracestate", format!("foo=1,mw=p:{SPAN};s:orders")),
        ("b3", format!("{OTHER}-{OTHER}-0")),
    ]);
    let extract = |formats: &[Format]| Propagators::new(formats.iter().copied()).extract(&both);

    let incoming = extract(&[Format::TraceContext, Format::B3]);
    assert_eq!(incoming.parent.map(|parent| parent.span_id.to_string()), Some(SPAN.into()));
    assert_eq!(incoming.sampling, Sampling::Sampled);
    assert!(incoming.caller.is_some());

    // Another span's tracestate says nothing about this one.
    let incoming = extract(&[Format::B3, Format::TraceContext]);
    let parent = incoming.parent.expect("a parent");
    assert_eq!((parent.span_id.to_string(), parent.state.is_empty()), (OTHER.into(), true));
    assert_eq!((incoming.sampling, incoming.caller), (Sampling::NotSampled, None));

    let incoming = extract(&[Format::Jaeger, Format::XRay, Format::TraceContext]);
    assert!(incoming.parent.is_some());
    assert!(extract(&[]).parent.is_none());
    assert!(extract(&[Format::Baggage, Format::Datadog]).parent.is_none());
}

#[test]
fn tracestate_comes_along_when_both_name_one_span() {
    let both = headers(&[
        ("traceparent", traceparent("03")),
        ("tracestate", format!("foo=1,mw=p:{SPAN};s:orders")),
        ("b3", format!("{TRACE}-{SPAN}-d")),
    ]);
    let incoming = Propagators::new([Format::B3, Format::TraceContext]).extract(&both);
    let parent = incoming.parent.expect("a parent");
    assert_eq!(parent.sampling, Sampling::Debug);
    assert!(parent.flags.is_debug() && parent.flags.is_random());
    assert_eq!(parent.state.as_str(), "foo=1");
    assert_eq!(incoming.caller.map(|caller| caller.service), Some("orders".into()));
}

#[test]
fn a_lone_decision_counts_only_where_there_is_no_parent() {
    let pairs = [("b3", "0".to_owned()), ("traceparent", traceparent("01"))];
    let propagators = Propagators::new([Format::B3, Format::TraceContext]);
    let both = headers(&pairs);
    let incoming = propagators.extract(&both);
    assert_eq!(incoming.sampling, Sampling::Sampled);
    assert!(incoming.parent.is_some());

    let lone = headers(&[("b3", "0"), ("x-amzn-trace-id", "Sampled=1")]);
    let sampling = |formats: [Format; 2]| Propagators::new(formats).extract(&lone).sampling;
    assert_eq!(sampling([Format::B3, Format::XRay]), Sampling::NotSampled);
    assert_eq!(sampling([Format::XRay, Format::B3]), Sampling::Sampled);
}

#[test]
fn debug_passes_from_format_to_format() {
    let all = Propagators::new(Format::ALL.iter().copied());
    let came = headers(&[("uber-trace-id", format!("{TRACE}:{SPAN}:0:3"))]);
    let parent = all.extract(&came).parent.expect("a parent");
    let mut sent = HeaderMap::new();
    let call = Outgoing { flags: parent.flags, ..outgoing(NO_BAGGAGE, parent.sampling) };
    all.inject(&call, &mut sent);
    assert_eq!(sent["b3"], format!("{TRACE}-{SPAN}-d"));
    assert_eq!(sent["x-b3-flags"], "1");
    assert_eq!(sent["x-datadog-sampling-priority"], "2");
    assert_eq!(sent["uber-trace-id"], format!("{TRACE}:{SPAN}:0:3"));
    assert_eq!(sent["traceparent"], traceparent("01"));
}

#[test]
fn baggage_of_two_formats_is_joined_and_w3c_s_wins() {
    let both = headers(&[
        ("uberctx-userid", "old"),
        ("uberctx-tier", "gold"),
        ("baggage", "userId=new;ttl=1,region=eu"),
    ]);
    for formats in [[Format::Baggage, Format::Jaeger], [Format::Jaeger, Format::Baggage]] {
        let baggage = Propagators::new(formats).extract(&both).baggage;
        assert_eq!(baggage.to_header(), "userId=new;ttl=1,region=eu,tier=gold");
    }
}

#[test]
fn what_a_former_attempt_left_is_replaced() {
    let all = Propagators::new(Format::ALL.iter().copied());
    let stale = [
        ("traceparent", "stale"),
        ("traceparent", "stale"),
        ("tracestate", "stale=1"),
        ("tracestate", "stale=2"),
        ("baggage", "stale=1"),
        ("x-b3-parentspanid", OTHER),
        ("x-b3-flags", "1"),
        ("x-datadog-origin", "stale"),
        ("x-datadog-tags", "_dd.p.stale=1"),
        ("uberctx-stale", "1"),
        ("accept", "text/plain"),
    ];
    let mut reused = headers(&stale);
    let mut fresh = headers(&stale[10..]);
    let call = outgoing(NO_BAGGAGE, Sampling::Sampled);
    for _ in 0..2 {
        all.inject(&call, &mut reused);
    }
    all.inject(&call, &mut fresh);
    assert_eq!(listed(&reused), listed(&fresh));

    // The single header goes before several, so a stale one must go as well.
    let mut reused = headers(&stale[5..7]);
    Propagators::new([Format::B3]).inject(&call, &mut reused);
    assert_eq!(listed(&reused), [("b3", &*format!("{TRACE}-{SPAN}-1"))]);
}

#[test]
fn without_valid_ids_only_baggage_is_written() {
    let all = Propagators::new(Format::ALL.iter().copied());
    let baggage = Baggage::from_header("a=1");
    for (trace_id, span_id) in [(TraceId::INVALID, ids().1), (ids().0, SpanId::INVALID)] {
        let mut headers = headers(&[("traceparent", "stale"), ("tracestate", "stale=1")]);
        let call = Outgoing { trace_id, span_id, ..outgoing(&baggage, Sampling::Sampled) };
        all.inject(&call, &mut headers);
        assert_eq!(listed(&headers), [("baggage", "a=1"), ("uberctx-a", "1")]);
    }
}

#[test]
fn strip_leaves_what_is_not_ours() {
    let all = Propagators::new(Format::ALL.iter().copied());
    let mut headers = headers(&[("accept", "text/plain"), ("uberctx", "1"), ("x-b3", "1")]);
    let before = headers.clone();
    for name in all.header_names() {
        headers.append(name, HeaderValue::from_static("1"));
        headers.append(name, HeaderValue::from_static("2"));
    }
    headers.append("uberctx-a", HeaderValue::from_static("1"));
    assert_eq!(headers.len(), before.len() + 2 * 16 + 1);
    all.strip(&mut headers);
    assert_eq!(headers, before);

    let mut headers = self::headers(&[("b3", "1"), ("uberctx-a", "1")]);
    Propagators::default().strip(&mut headers);
    assert_eq!(headers.len(), 2, "only formats that are chosen are stripped");
}

#[test]
fn header_names_are_listed_once() {
    let names = |formats: &[Format]| -> Vec<&str> {
        Propagators::new(formats.iter().copied()).header_names().map(HeaderName::as_str).collect()
    };
    assert_eq!(
        names(&[Format::TraceContext, Format::Baggage]),
        ["traceparent", "tracestate", "baggage"]
    );
    assert_eq!(names(&[Format::B3, Format::B3Multi]).len(), 6);
    let twice = Propagators::new([Format::B3, Format::XRay, Format::B3]);
    assert_eq!(twice.formats(), [Format::B3, Format::XRay]);
    let mut all = names(Format::ALL);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), names(Format::ALL).len());
}

#[test]
fn a_map_without_room_is_left_as_it_is() {
    // `http` allows 32,768 entries, less some room in its table, and panics past them on `insert`.
    let mut headers = HeaderMap::new();
    let mut i = 0;
    let value = HeaderValue::from_static("1");
    while headers
        .try_insert(HeaderName::try_from(format!("x-{i}")).expect("a name"), value.clone())
        .is_ok()
    {
        i += 1;
    }
    let before = headers.len();
    let baggage = Baggage::from_header("a=1");
    Propagators::new(Format::ALL.iter().copied())
        .inject(&outgoing(&baggage, Sampling::Sampled), &mut headers);
    assert_eq!(headers.len(), before);
}

#[test]
fn the_environment_names_formats() {
    let parse =
        |value: &str| Propagators::from_env(&Env::from_pairs([("OTEL_PROPAGATORS", value)]));
    assert_eq!(Propagators::from_env(&Env::empty()), Ok(None));
    for nothing in ["", "  ", ",", " , "] {
        assert_eq!(parse(nothing), Ok(None), "{nothing:?}");
    }
    for none in ["none", "NONE", "none,"] {
        assert_eq!(parse(none), Ok(Some(Propagators::new([]))), "{none}");
    }
    assert_eq!(
        parse(" b3 , TraceContext,b3,"),
        Ok(Some(Propagators::new([Format::B3, Format::TraceContext])))
    );
    for &format in Format::ALL {
        assert_eq!(parse(format.as_str()), Ok(Some(Propagators::new([format]))));
    }
}

#[test]
fn a_format_that_is_not_known_is_left_out_and_told() {
    let told = |value: &str, formats: Option<&[Format]>| {
        let env = Env::from_pairs([("OTEL_PROPAGATORS", value)]);
        let wanted = formats.map(|formats| Propagators::new(formats.iter().copied()));
        assert_eq!(Propagators::from_env(&env), Ok(wanted), "{value}");
        let strict = Env::from_pairs([("OTEL_PROPAGATORS", value), ("MESHWISE_STRICT", "true")]);
        let error = Propagators::from_env(&strict).expect_err("strict");
        assert_eq!(env.findings(), std::slice::from_ref(&error));
        error.to_string()
    };
    assert_eq!(
        told("b3,ottrace", Some(&[Format::B3])),
        "OTEL_PROPAGATORS is `b3,ottrace`; allowed: a comma-separated list of tracecontext, \
         baggage, b3, b3multi, jaeger, xray, datadog, or none alone (`ottrace` is not known)"
    );
    assert!(told("b3,none", Some(&[Format::B3])).ends_with("or none alone (`none` is not alone)"));
    assert!(told(&"x".repeat(10_000), None).len() < 1_000, "a message stays short");
}

#[test]
fn a_traceparent_with_only_our_own_entry_allocates_nothing() {
    let headers = headers(&[
        ("traceparent", traceparent("01")),
        ("tracestate", format!("mw=p:{SPAN};s:gateway;v:1.2;a:1")),
    ]);
    let propagators = Propagators::default();
    let cost = allocation_counter::measure(|| {
        let incoming = propagators.extract(&headers);
        assert!(incoming.parent.is_some_and(|parent| parent.state.is_empty()));
        assert!(incoming.caller.is_some_and(|caller| caller.service == "gateway"));
    });
    assert_eq!(cost.count_total, 0);
}

#[test]
fn reading_any_format_allocates_nothing_without_lists() {
    let call = outgoing(NO_BAGGAGE, Sampling::Sampled);
    for &format in Format::ALL {
        let propagators = Propagators::new([format]);
        let headers = written(format, &call);
        let cost = allocation_counter::measure(|| drop(propagators.extract(&headers)));
        assert_eq!(cost.count_total, 0, "{format}");
    }
}

#[test]
fn writing_allocates_a_value_a_header() {
    let propagators = Propagators::default();
    let mut call = outgoing(NO_BAGGAGE, Sampling::Sampled);
    call.caller = Some(Caller::new("orders"));
    call.state = "foo=1";
    let mut headers = HeaderMap::with_capacity(16);
    let cost = allocation_counter::measure(|| propagators.inject(&call, &mut headers));
    assert_eq!((headers.len(), cost.count_total), (2, 2));
}
