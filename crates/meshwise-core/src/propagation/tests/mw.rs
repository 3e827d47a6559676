use super::*;
use std::borrow::Cow;

/// Reads the caller out of a `tracestate` beside the `traceparent` of the vectors.
fn read_caller(state: &str) -> Option<Caller<'static>> {
    let traceparent = format!("00-{TRACE}-{SPAN}-01");
    let headers = headers(&[("traceparent", traceparent.as_str()), ("tracestate", state)]);
    let caller = Propagators::default().extract(&headers).caller?;
    let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    Some(Caller {
        service: own(caller.service),
        api_version: caller.api_version.map(own),
        attempt: caller.attempt,
    })
}

fn write_caller(caller: Caller<'_>) -> String {
    let mut call = outgoing(NO_BAGGAGE, Sampling::Sampled);
    call.caller = Some(caller);
    let headers = written(Format::TraceContext, &call);
    headers["tracestate"].to_str().expect("ASCII").to_owned()
}

#[test]
fn the_caller_names_itself_and_what_it_wants() {
    let caller = Caller::new("orders").with_api_version("v1_20171001-2").with_attempt(3);
    let state = write_caller(caller.clone());
    assert_eq!(state, format!("mw=p:{SPAN};s:orders;v:v1_20171001-2;a:3"));
    assert_eq!(read_caller(&state), Some(caller));

    let first_try = write_caller(Caller::new("orders"));
    assert_eq!(first_try, format!("mw=p:{SPAN};s:orders"));
    assert_eq!(read_caller(&first_try), Some(Caller::new("orders")));
}

#[test]
fn who_stood_between_makes_the_caller_unknown() {
    assert_eq!(read_caller("mw=p:1111111111111111;s:orders"), None);
    assert_eq!(read_caller("other=1,mw=p:1111111111111111;s:orders"), None);
    // Wherever it stands in the list, only `p` counts.
    assert!(read_caller(&format!("other=1,mw=p:{SPAN};s:orders")).is_some());
}

#[test]
fn what_later_versions_add_is_skipped() {
    for state in [
        format!("mw=p:{SPAN};s:orders;z:9"),
        format!("mw=z;p:{SPAN};s:orders;;x:y:z"),
        format!("mw=s:orders;p:{SPAN}"),
        format!("mw=p:{SPAN};s:orders;a:many"),
        format!("mw=p:{SPAN};s:orders;a:+1"),
        format!("mw=p:{SPAN};s:orders;a:4294967296"),
        format!("mw=p:{SPAN};s:orders;v:%ff"),
        format!("mw=p:{SPAN};s:orders,mw=p:{SPAN};s:other"),
    ] {
        assert_eq!(read_caller(&state), Some(Caller::new("orders")), "{state}");
    }
}

#[test]
fn an_entry_without_a_name_is_no_caller() {
    for state in [
        "mw=s:orders".to_owned(),
        format!("mw=p:{SPAN}"),
        format!("mw=p:{SPAN};s:"),
        format!("mw=p:{};s:orders", SPAN.to_uppercase()),
        format!("mw=p:{SPAN};s:%ff"),
        format!("mw=p:{SPAN};s:a%0ab"),
        "mw=nonsense".to_owned(),
        format!("mw=p:{SPAN};s:orders,Bad=1"),
    ] {
        assert_eq!(read_caller(&state), None, "{state}");
    }
}

#[test]
fn a_name_may_be_any_text() {
    let state = write_caller(Caller::new("Order=Dienst, \u{fc}ber;1%"));
    let encoded = "%4Frder%3D%44ienst%2C%20%C3%BCber%3B1%25";
    assert_eq!(state, format!("mw=p:{SPAN};s:{encoded}"));
    assert_eq!(read_caller(&state), Some(Caller::new("Order=Dienst, \u{fc}ber;1%")));
    // Others need not encode what we do.
    let plain = format!("mw=p:{SPAN};s:Order/Dienst");
    assert_eq!(read_caller(&plain), Some(Caller::new("Order/Dienst")));
}

#[test]
fn a_long_name_is_cut_at_a_whole_character() {
    for (letter, kept) in [("a", 128), ("A", 42), ("\u{fc}", 21), ("\u{1F600}", 10)] {
        let caller = Caller::new(letter.repeat(200))
            .with_api_version(letter.repeat(200))
            .with_attempt(u32::MAX);
        let state = write_caller(caller);
        assert!(state.len() <= "mw=".len() + 256, "{state}");
        let read = read_caller(&state).expect("a caller");
        assert_eq!(read.service, letter.repeat(kept));
        assert_eq!(read.api_version, Some(letter.repeat(kept / 2).into()));
        assert_eq!(read.attempt, u32::MAX);
    }
}

#[test]
fn no_entry_is_written_without_a_name() {
    let mut call = outgoing(NO_BAGGAGE, Sampling::Sampled);
    call.caller = Some(Caller::new(""));
    assert!(!written(Format::TraceContext, &call).contains_key("tracestate"));
}

#[test]
fn plain_names_are_borrowed() {
    let traceparent = format!("00-{TRACE}-{SPAN}-01");
    let state = format!("mw=p:{SPAN};s:orders;v:v1_20171001-2");
    let headers = headers(&[("traceparent", traceparent), ("tracestate", state)]);
    let caller = Propagators::default().extract(&headers).caller.expect("a caller");
    assert!(matches!(caller.service, Cow::Borrowed(_)));
    assert!(matches!(caller.api_version, Some(Cow::Borrowed(_))));
}

#[test]
fn a_service_that_does_not_trace_names_itself_where_there_is_no_trace() {
    let propagators = Propagators::default();
    let baggage = Baggage::from_header("tenant=acme");
    let call = Outgoing {
        trace_id: TraceId::default(),
        span_id: SpanId::default(),
        flags: TraceFlags::NONE,
        state: "vendor=x",
        caller: Some(Caller::new("orders").with_attempt(2)),
        baggage: &baggage,
    };
    let mut sent = headers(&[("traceparent", "stale"), ("tracestate", "mw=p:1;s:stale")]);
    propagators.inject(&call, &mut sent);
    assert_eq!(listed(&sent), [("baggage", "tenant=acme"), ("tracestate", "mw=p:0;s:orders;a:2")]);
    let incoming = propagators.extract(&sent);
    let caller = incoming.caller.expect("a caller");
    assert_eq!((&*caller.service, caller.attempt), ("orders", 2));
    assert!(incoming.parent.is_none());

    let traceparent = format!("00-{TRACE}-{SPAN}-01");
    let none = "mw=p:0;s:orders";
    for pairs in [
        // Another service has put its own span there, or what it takes for one.
        &[("traceparent", traceparent.as_str()), ("tracestate", none)][..],
        &[("traceparent", "broken"), ("tracestate", none)],
        // Its trace was lost on the way.
        &[("tracestate", &format!("mw=p:{SPAN};s:orders"))],
        &[("tracestate", &format!("mw=p:{SPAN};p:0;s:orders"))],
        &[("tracestate", "mw=s:orders")],
        &[("b3", &format!("{TRACE}-{SPAN}-1")), ("tracestate", none)],
    ] {
        let headers = headers(pairs);
        let formats = [Format::TraceContext, Format::B3];
        assert_eq!(Propagators::new(formats).extract(&headers).caller, None, "{pairs:?}");
    }
    assert_eq!(
        Propagators::new([Format::B3]).extract(&headers(&[("tracestate", none)])).caller,
        None
    );
    let mut external = headers::<&str>(&[]);
    propagators.inject(&Outgoing { caller: None, ..call }, &mut external);
    assert!(!external.contains_key("tracestate"));
}

#[test]
fn what_a_stranger_sends_is_removed_whatever_formats_are_chosen() {
    let mut all = HeaderMap::new();
    for name in Format::ALL.iter().flat_map(|format| format.header_names()) {
        all.append(*name, HeaderValue::from_static("1"));
        all.append(*name, HeaderValue::from_static("2"));
    }
    all.insert("uberctx-user", HeaderValue::from_static("root"));
    all.insert("x-other", HeaderValue::from_static("1"));
    Propagators::strip_all(&mut all);
    assert_eq!(listed(&all), [("x-other", "1")]);
}
