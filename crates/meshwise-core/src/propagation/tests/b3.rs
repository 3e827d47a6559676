use super::*;

fn single(rest: &str) -> [(&'static str, String); 1] {
    [("b3", format!("{TRACE}-{SPAN}{rest}"))]
}

#[test]
fn one_header_holds_ids_and_state() {
    for (rest, sampling) in [
        ("", Sampling::Deferred),
        ("-0", Sampling::NotSampled),
        ("-false", Sampling::NotSampled),
        ("-1", Sampling::Sampled),
        ("-true", Sampling::Sampled),
        ("-d", Sampling::Debug),
        ("-1-05e3ac9a4f6e3b90", Sampling::Sampled),
        (" ", Sampling::Deferred),
    ] {
        // OpenTelemetry reads both encodings under both names.
        reads(Format::B3, &single(rest), sampling);
        reads(Format::B3Multi, &single(rest), sampling);
    }
}

#[test]
fn short_trace_ids_are_the_right_half() {
    let short = read(Format::B3, &[("b3", format!("a3ce929d0e0e4736-{SPAN}-1"))]);
    assert_eq!(short.map(|parent| parent.trace_id.to_int()), Some(0xa3ce_929d_0e0e_4736));
    let ids = [("x-b3-traceid", "a3ce929d0e0e4736"), ("x-b3-spanid", SPAN)];
    let short = read(Format::B3Multi, &ids);
    assert_eq!(short.map(|parent| parent.trace_id.to_int()), Some(0xa3ce_929d_0e0e_4736));
}

#[test]
fn a_malformed_header_is_no_header() {
    for rest in [
        "-",
        "-2",
        "-D",
        "-1-",
        "-1-zz",
        "-1-05e3ac9a4f6e3b9",
        "-1-05E3AC9A4F6E3B90",
        "-1-05e3ac9a4f6e3b90-",
        "-1-05e3ac9a4f6e3b90-1",
        "0",
        ",1",
    ] {
        reads_nothing(Format::B3, &single(rest));
    }
    for bad in [
        String::new(),
        "-".into(),
        "2".into(),
        "dd".into(),
        TRACE.into(),
        format!("{}-{SPAN}-1", TRACE.to_uppercase()),
        format!("{}-{SPAN}-1", &TRACE[1..]),
        format!("0{TRACE}-{SPAN}-1"),
        format!("{TRACE}-{}-1", &SPAN[1..]),
        format!("{TRACE}-0000000000000000-1"),
        format!("{}-{SPAN}-1", "0".repeat(32)),
        format!("{}-{SPAN}-1", "0".repeat(16)),
    ] {
        reads_nothing(Format::B3, &[("b3", bad)]);
    }
}

#[test]
fn a_decision_may_come_alone() {
    for (text, sampling) in
        [("0", Sampling::NotSampled), ("1", Sampling::Sampled), ("d", Sampling::Debug)]
    {
        decides(Format::B3, &[("b3", text)], sampling);
    }
    decides(Format::B3Multi, &[("x-b3-sampled", "0")], Sampling::NotSampled);
    decides(Format::B3Multi, &[("x-b3-flags", "1")], Sampling::Debug);
    // Half of the ids are no ids.
    decides(Format::B3Multi, &[("x-b3-traceid", TRACE), ("x-b3-sampled", "1")], Sampling::Sampled);
    reads_nothing(Format::B3Multi, &[("x-b3-sampled", "x"), ("x-b3-flags", "0")]);
}

#[test]
fn several_headers_hold_one_thing_each() {
    let ids = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
    reads(Format::B3Multi, &ids, Sampling::Deferred);
    reads(Format::B3, &ids, Sampling::Deferred);
    for (value, sampling) in [
        ("0", Sampling::NotSampled),
        ("false", Sampling::NotSampled),
        ("1", Sampling::Sampled),
        ("true", Sampling::Sampled),
        ("d", Sampling::Debug),
        ("", Sampling::Deferred),
        ("x", Sampling::Deferred),
    ] {
        reads(Format::B3Multi, &[ids[0], ids[1], ("x-b3-sampled", value)], sampling);
    }
    let debug = [ids[0], ids[1], ("x-b3-flags", "1"), ("x-b3-sampled", "0")];
    reads(Format::B3Multi, &debug, Sampling::Debug);
    let nonsense = [ids[0], ids[1], ("x-b3-parentspanid", "-"), ("x-b3-flags", "2")];
    reads(Format::B3Multi, &nonsense, Sampling::Deferred);
    reads_nothing(Format::B3Multi, &ids[..1]);
    reads_nothing(Format::B3Multi, &ids[1..]);
}

#[test]
fn one_header_goes_before_several_and_the_first_value_counts() {
    let several = [("x-b3-traceid", "1111111111111111"), ("x-b3-spanid", "2222222222222222")];
    for format in [Format::B3, Format::B3Multi] {
        let both = [several[0], several[1], ("b3", &*format!("{TRACE}-{SPAN}-1"))];
        reads(format, &both, Sampling::Sampled);
        decides(format, &[several[0], several[1], ("b3", "0")], Sampling::NotSampled);
        let broken = read(format, &[several[0], several[1], ("b3", "broken")]);
        assert_eq!(broken.map(|parent| parent.span_id.to_int()), Some(0x2222_2222_2222_2222));
    }
    let ids =
        [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-traceid", "1".repeat(32).leak())];
    reads(Format::B3Multi, &ids, Sampling::Deferred);
}

#[test]
fn each_is_written_as_its_name_says() {
    for (sampling, single, name, value) in [
        (Sampling::NotSampled, "-0", "x-b3-sampled", "0"),
        (Sampling::Sampled, "-1", "x-b3-sampled", "1"),
        (Sampling::Debug, "-d", "x-b3-flags", "1"),
    ] {
        let call = outgoing(NO_BAGGAGE, sampling);
        assert_eq!(
            listed(&written(Format::B3, &call)),
            [("b3", &*format!("{TRACE}-{SPAN}{single}"))]
        );
        let mut several = [(name, value), ("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
        several.sort_unstable();
        assert_eq!(listed(&written(Format::B3Multi, &call)), several);
    }
}
