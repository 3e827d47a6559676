use super::*;
use http::HeaderName;

fn id(value: impl Into<String>) -> [(&'static str, String); 1] {
    [("uber-trace-id", value.into())]
}

#[test]
fn it_is_read_as_all_its_clients_write_it() {
    for (rest, sampling) in [
        (":0:0", Sampling::NotSampled),
        (":0:1", Sampling::Sampled),
        // opentelemetry-js 2 and opentelemetry-python 1.45.
        (":0:01", Sampling::Sampled),
        (":0000000000000000:03", Sampling::Debug),
        (":05e3ac9a4f6e3b90:00", Sampling::NotSampled),
        ("::1", Sampling::Sampled),
        (":0:3", Sampling::Debug),
        // Debug without sampled means nothing; other bits neither.
        (":0:2", Sampling::NotSampled),
        (":0:9", Sampling::Sampled),
        (":0:F1", Sampling::Sampled),
    ] {
        reads(Format::Jaeger, &id(format!("{TRACE}:{SPAN}{rest}")), sampling);
    }
    reads(Format::Jaeger, &id(format!("{TRACE}%3A{SPAN}%3a0%3A1")), Sampling::Sampled);
    reads(Format::Jaeger, &id(format!("{}:{SPAN}:0:1", TRACE.to_uppercase())), Sampling::Sampled);
}

#[test]
fn zeros_on_the_left_may_be_missing() {
    reads(Format::Jaeger, &id(format!("{TRACE}:f067aa0ba902b7:0:1")), Sampling::Sampled);
    let short = read(Format::Jaeger, &id("1:2:0:1")).expect("a parent");
    assert_eq!((short.trace_id.to_int(), short.span_id.to_int()), (1, 2));
}

#[test]
fn a_malformed_header_is_no_header() {
    for bad in [
        String::new(),
        ":::".into(),
        format!("{TRACE}:{SPAN}:0"),
        format!("{TRACE}:{SPAN}:0:"),
        format!("{TRACE}:{SPAN}:0:1:1"),
        format!("{TRACE}:{SPAN}:0:001"),
        format!("{TRACE}:{SPAN}:0:x"),
        format!("{TRACE}:{SPAN}:0:+1"),
        format!("0:{SPAN}:0:1"),
        format!("{TRACE}:0:0:1"),
        format!(":{SPAN}:0:1"),
        format!("{TRACE}::0:1"),
        format!("1{TRACE}:{SPAN}:0:1"),
        format!("{TRACE}:1{SPAN}:0:1"),
        format!("{TRACE}-{SPAN}-0-1"),
        "%ff%fe".into(),
        "%3A%3A%3A".into(),
    ] {
        reads_nothing(Format::Jaeger, &id(bad));
    }
}

#[test]
fn it_is_written_with_no_parent() {
    for (sampling, flags) in
        [(Sampling::NotSampled, "0"), (Sampling::Sampled, "1"), (Sampling::Debug, "3")]
    {
        let headers = written(Format::Jaeger, &outgoing(NO_BAGGAGE, sampling));
        let expected = format!("{TRACE}:{SPAN}:0:{flags}");
        assert_eq!(listed(&headers), [("uber-trace-id", expected.as_str())]);
    }
}

#[test]
fn baggage_has_a_header_for_each_member() {
    let propagators = Propagators::new([Format::Jaeger]);
    let incoming = headers(&[
        // What opentelemetry-js and -python write for `Amélie, d=1;x 100%+ "q"`.
        ("uberctx-user-id", "Am%C3%A9lie%2C%20d%3D1%3Bx%20100%25%2B%20%22q%22"),
        ("uberctx-", "no key"),
        ("uberctx-raw", "plain text, as opentelemetry-java writes it"),
        ("uberctx-twice", "1"),
        ("uberctx-twice", "2"),
    ]);
    let baggage = propagators.extract(&incoming).baggage;
    assert_eq!(baggage.get("user-id"), Some("Amélie, d=1;x 100%+ \"q\""));
    assert_eq!(baggage.get("raw"), Some("plain text, as opentelemetry-java writes it"));
    assert_eq!(baggage.get("twice"), Some("1"));
    assert_eq!(baggage.len(), 3);

    let mut baggage = Baggage::default();
    baggage.insert_with_metadata("User", "Amélie", "lost=1");
    baggage.insert("no token", "1");
    let headers = written(Format::Jaeger, &outgoing(&baggage, Sampling::Sampled));
    assert_eq!(listed(&headers)[1..], [("uberctx-user", "Am%C3%A9lie")]);
}

#[test]
fn baggage_has_the_limits_of_w3c_s() {
    let propagators = Propagators::new([Format::Jaeger]);
    let mut baggage = Baggage::default();
    baggage.insert("large", "x".repeat(9_000));
    for i in 0..70 {
        baggage.insert(format!("k{i}"), "v");
    }
    let mut headers = HeaderMap::new();
    propagators.inject(&outgoing(&baggage, Sampling::Sampled), &mut headers);
    assert_eq!(headers.len(), 1 + 64);
    assert!(!headers.contains_key("uberctx-large"));

    headers.insert("uberctx-large", HeaderValue::from_str(&"x".repeat(9_000)).expect("text"));
    headers.insert("uberctx-one-more", HeaderValue::from_static("v"));
    let read = propagators.extract(&headers).baggage;
    assert_eq!((read.len(), read.get("large")), (64, None));
}

#[test]
fn a_member_s_length_is_that_of_w3c_s() {
    let limits = HeaderLimits::default().with_baggage_bytes(9);
    let propagators = Propagators::new([Format::Jaeger]).with_limits(limits);
    for (key, value, fits) in [("ab", "123456", true), ("ab", "1234567", false), ("a", "", true)] {
        let name = HeaderName::try_from(format!("uberctx-{key}")).expect("a name");
        let value = HeaderValue::from_static(value);
        let came = HeaderMap::from_iter([(name.clone(), value.clone())]);
        assert_eq!(propagators.extract(&came).baggage.is_empty(), !fits);

        let mut baggage = Baggage::default();
        baggage.insert(key, value.to_str().expect("text"));
        let mut sent = HeaderMap::new();
        propagators.inject(&outgoing(&baggage, Sampling::Sampled), &mut sent);
        assert_eq!(sent.contains_key(name), fits);
    }
}

#[test]
fn baggage_of_a_former_attempt_is_gone() {
    let propagators = Propagators::new([Format::Jaeger]);
    let mut headers = headers(&[("uberctx-old", "1"), ("uberctx-old", "2"), ("uberctxt", "no")]);
    let mut baggage = Baggage::default();
    baggage.insert("new", "1");
    propagators.inject(&outgoing(&baggage, Sampling::Sampled), &mut headers);
    assert_eq!(listed(&headers)[1..], [("uberctx-new", "1"), ("uberctxt", "no")]);
    propagators.strip(&mut headers);
    assert_eq!(listed(&headers), [("uberctxt", "no")]);
}
