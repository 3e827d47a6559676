use super::*;

const LOW: &str = "11803532876627986230";
const PARENT: &str = "67667974448284343";
const IDS: [(&str, &str); 2] = [("x-datadog-trace-id", LOW), ("x-datadog-parent-id", PARENT)];
const TID: (&str, &str) = ("x-datadog-tags", "_dd.p.tid=4bf92f3577b34da6");

/// What ddtrace 4.16 writes for a trace that a browser started and a user keeps.
const DDTRACE: [(&str, &str); 5] = [
    IDS[0],
    IDS[1],
    ("x-datadog-sampling-priority", "2"),
    ("x-datadog-origin", "rum"),
    ("x-datadog-tags", "_dd.p.dm=-4,_dd.p.usr.id=YQ==,_dd.p.tid=4bf92f3577b34da6"),
];
/// The `tracestate` that it writes beside.
const DDTRACE_STATE: &str = "dd=s:2;o:rum;t.dm:-4;t.usr.id:YQ~~";

#[test]
fn ids_are_decimal_and_joined_from_two_halves() {
    for (priority, sampling) in [
        ("-1", Sampling::NotSampled),
        ("0", Sampling::NotSampled),
        ("1", Sampling::Sampled),
        ("2", Sampling::Debug),
        ("", Sampling::Deferred),
        ("7", Sampling::Deferred),
        ("+1", Sampling::Deferred),
    ] {
        let priority = ("x-datadog-sampling-priority", priority);
        reads(Format::Datadog, &[IDS[0], IDS[1], TID, priority], sampling);
    }
    reads(Format::Datadog, &DDTRACE, Sampling::Debug);
    reads(Format::Datadog, &[IDS[0], IDS[1], TID], Sampling::Deferred);
    let short = read(Format::Datadog, &IDS).expect("64 bits");
    assert_eq!(short.trace_id.to_int(), 0xa3ce_929d_0e0e_4736);
}

#[test]
fn a_malformed_upper_half_is_none() {
    for bad in ["4BF92F3577B34DA6", "4bf92f35", "zzzzzzzzzzzzzzzz", "", "0000000000000000"] {
        let tags = format!("_dd.p.tid={bad}");
        let parent = read(Format::Datadog, &[IDS[0], IDS[1], ("x-datadog-tags", &tags)]);
        assert_eq!(parent.map(|p| p.trace_id.to_int()), Some(0xa3ce_929d_0e0e_4736), "{bad}");
    }
}

#[test]
fn malformed_ids_are_no_parent() {
    for bad in ["", "0", "-1", "+1", "0x1", "1.0", "a", "18446744073709551616"] {
        reads_nothing(Format::Datadog, &[("x-datadog-trace-id", bad), IDS[1]]);
        reads_nothing(Format::Datadog, &[IDS[0], ("x-datadog-parent-id", bad)]);
    }
    reads_nothing(Format::Datadog, &IDS[..1]);
    let priority = ("x-datadog-sampling-priority", "0");
    decides(Format::Datadog, &[IDS[0], priority], Sampling::NotSampled);
}

#[test]
fn what_it_writes_is_what_ddtrace_writes() {
    let mut call = outgoing(NO_BAGGAGE, Sampling::Debug);
    call.state = DDTRACE_STATE;
    let mut expected = DDTRACE;
    expected[4].1 = "_dd.p.tid=4bf92f3577b34da6,_dd.p.dm=-4,_dd.p.usr.id=YQ==";
    expected.sort_unstable();
    assert_eq!(listed(&written(Format::Datadog, &call)), expected);

    let mut short = outgoing(NO_BAGGAGE, Sampling::NotSampled);
    short.trace_id = TraceId::from_int(7);
    let headers = written(Format::Datadog, &short);
    assert_eq!(headers["x-datadog-trace-id"], "7");
    assert_eq!(headers["x-datadog-sampling-priority"], "0");
    assert_eq!(headers.len(), 3);
}

#[test]
fn origin_and_tags_travel_in_tracestate() {
    let parent = read(Format::Datadog, &DDTRACE).expect("a parent");
    assert_eq!(parent.state.as_str(), DDTRACE_STATE);
    let plain = read(Format::Datadog, &[IDS[0], IDS[1], TID]).expect("a parent");
    assert!(plain.state.is_empty());
    let tags = "other=1,_dd.p.a=b~c;d, _dd.p.e = f ,_dd.p.no,=,_dd.p.upstream:x y=z";
    let odd = read(Format::Datadog, &[IDS[0], IDS[1], ("x-datadog-tags", tags)]);
    let odd = odd.expect("a parent").state;
    assert_eq!(odd.as_str(), "dd=t.a:b_c_d;t.e:f;t.upstream_x_y:z");
}

#[test]
fn the_upper_half_is_the_id_s_whatever_tracestate_says() {
    // ddtrace 4.16 repeats it there.
    let mut call = outgoing(NO_BAGGAGE, Sampling::Sampled);
    call.state = "dd=t.tid:1111111111111111;t.:nameless;t.x:1";
    let tags = &written(Format::Datadog, &call)["x-datadog-tags"];
    assert_eq!(tags, "_dd.p.tid=4bf92f3577b34da6,_dd.p.x=1");
}

#[test]
fn an_entry_without_an_origin_makes_none() {
    for state in ["dd=s:2;t.x:1", "dd=o:;s:1", "o=rum", "dd=o"] {
        let mut call = outgoing(NO_BAGGAGE, Sampling::Sampled);
        call.state = state;
        assert!(!written(Format::Datadog, &call).contains_key("x-datadog-origin"), "{state}");
    }
}

#[test]
fn tags_that_do_not_fit_are_left_out_whole() {
    let tags = format!("_dd.p.a=1,_dd.p.big={},_dd.p.b=2", "x".repeat(250));
    let parent = read(Format::Datadog, &[IDS[0], IDS[1], ("x-datadog-tags", &tags)]);
    assert_eq!(parent.expect("a parent").state.as_str(), "dd=t.a:1;t.b:2");
}

#[test]
fn a_priority_stays_unless_the_decision_changed() {
    let priority = |state: &'static str, sampling| {
        let mut call = outgoing(NO_BAGGAGE, sampling);
        call.state = state;
        let headers = written(Format::Datadog, &call);
        let text =
            |name| headers.get(name).map(|v: &HeaderValue| v.to_str().expect("text").to_owned());
        (text("x-datadog-sampling-priority").expect("always"), text("x-datadog-tags").expect("tid"))
    };
    let told = |state, sampling| priority(state, sampling).0;
    assert_eq!(told("dd=s:-1", Sampling::NotSampled), "-1");
    assert_eq!(told("dd=s:-1", Sampling::Sampled), "1");
    assert_eq!(told("dd=s:2", Sampling::Sampled), "2");
    assert_eq!(told("dd=s:2", Sampling::NotSampled), "0");
    assert_eq!(told("dd=s:1", Sampling::Debug), "2");
    assert_eq!(told("dd=s:x", Sampling::Sampled), "1");
    // Who decided to keep it says nothing about a trace that is not kept.
    let dropped = priority("dd=s:2;t.dm:-4;t.x:1", Sampling::NotSampled).1;
    assert_eq!(dropped, "_dd.p.tid=4bf92f3577b34da6,_dd.p.x=1");
}

#[test]
fn a_trace_id_without_a_lower_half_can_not_be_written() {
    let mut call = outgoing(NO_BAGGAGE, Sampling::Sampled);
    call.trace_id = TraceId::from_int(1 << 64);
    assert!(written(Format::Datadog, &call).is_empty());
}
