//! What the W3C validation suite checks of one service's headers (`test/test.py` of
//! w3c/trace-context), and some more. Over sockets it stands in the workspace's `tests/`.

use super::*;

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";

fn parent(value: &[u8]) -> Option<Parent> {
    let value = HeaderValue::from_bytes(value).expect("a value");
    let headers = HeaderMap::from_iter([(names::TRACEPARENT.clone(), value)]);
    Propagators::default().extract(&headers).parent
}

/// Reads `tracestate` lines beside a good `traceparent`, and writes what was read.
fn state(lines: &[&str]) -> String {
    let mut pairs = vec![("traceparent", format!("00-{TRACE}-{PARENT}-00"))];
    pairs.extend(lines.iter().map(|line| ("tracestate", (*line).to_owned())));
    let parent = read(Format::TraceContext, &pairs).expect("traceparent stays");
    let mut call = outgoing(NO_BAGGAGE, parent.sampling);
    call.state = parent.state.as_str();
    let headers = written(Format::TraceContext, &call);
    let sent = headers.get("tracestate").map_or("", |value| value.to_str().expect("ASCII"));
    assert_eq!(sent, parent.state.as_str(), "what was read is what is written");
    sent.to_owned()
}

#[test]
fn a_valid_one_names_the_parent() {
    for (flags, sampling) in
        [("00", Sampling::NotSampled), ("01", Sampling::Sampled), ("02", Sampling::NotSampled)]
    {
        let parent = parent(format!("00-{TRACE}-{PARENT}-{flags}").as_bytes()).expect("a parent");
        assert_eq!(parent.trace_id.to_string(), TRACE);
        assert_eq!(parent.span_id.to_string(), PARENT);
        assert_eq!(parent.sampling, sampling);
    }
}

#[test]
fn white_space_around_it_is_no_part_of_it() {
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        let value = format!("{before}00-{TRACE}-{PARENT}-01{after}");
        assert!(parent(value.as_bytes()).is_some(), "{value:?}");
    }
}

#[test]
fn later_versions_may_say_more_and_ours_may_not() {
    for (version, rest, valid) in [
        ("00", "", true),
        ("00", ".", false),
        ("00", "-", false),
        ("00", "-what-the-future-will-be-like", false),
        ("01", "", true),
        ("cc", "", true),
        ("cc", "-", true),
        ("cc", "-what-the-future-will-be-like", true),
        ("cc", ".what-the-future-will-be-like", false),
        ("cc", "0", false),
        ("fe", "-x", true),
        ("ff", "", false),
        ("ff", "-x", false),
        ("CC", "", false),
        (".0", "", false),
        ("0.", "", false),
        ("0", "", false),
        ("000", "", false),
        ("0000", "", false),
    ] {
        let value = format!("{version}-{TRACE}-{PARENT}-01{rest}");
        assert_eq!(parent(value.as_bytes()).is_some(), valid, "{value}");
    }
}

#[test]
fn ids_and_flags_are_lower_case_digits_of_one_length() {
    let zeros = "0".repeat(32);
    for (trace, span, flags) in [
        (zeros.as_str(), PARENT, "01"),
        (TRACE, &zeros[..16], "01"),
        (".2345678901234567890123456789012", PARENT, "01"),
        ("1234567890123456789012345678901.", PARENT, "01"),
        ("123456789012345678901234567890123", PARENT, "01"),
        ("1234567890123456789012345678901", PARENT, "01"),
        ("ABCDEF78901234567890123456789012", PARENT, "01"),
        (TRACE, ".234567890123456", "01"),
        (TRACE, "123456789012345.", "01"),
        (TRACE, "12345678901234567", "01"),
        (TRACE, "123456789012345", "01"),
        (TRACE, "123456789012345A", "01"),
        (TRACE, PARENT, ".0"),
        (TRACE, PARENT, "0."),
        (TRACE, PARENT, "001"),
        (TRACE, PARENT, "1"),
        (TRACE, PARENT, "0A"),
        (TRACE, PARENT, ""),
    ] {
        for version in ["00", "cc"] {
            let value = format!("{version}-{trace}-{span}-{flags}");
            assert_eq!(parent(value.as_bytes()), None, "{value}");
        }
    }
    let odd = [
        String::new(),
        "-".repeat(55),
        format!("00_{TRACE}_{PARENT}_01"),
        format!("00-{TRACE}-{PARENT}"),
        format!("00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01"),
        format!("00-{TRACE} {PARENT}-01"),
    ];
    for value in odd {
        assert_eq!(parent(value.as_bytes()), None, "{value}");
    }
    assert_eq!(parent(&[0xff; 55]), None);
}

#[test]
fn twice_is_never() {
    let (one, other) = (format!("00-{TRACE}-{PARENT}-01"), format!("00-{TRACE}-{PARENT}-00"));
    reads_nothing(Format::TraceContext, &[("traceparent", &one), ("traceparent", &other)]);
    reads_nothing(Format::TraceContext, &[("traceparent", &one), ("traceparent", &one)]);
}

#[test]
fn a_prohibitively_large_one_is_ignored() {
    let value = |n: usize| format!("cc-{TRACE}-{PARENT}-01-{}", "x".repeat(n));
    assert_eq!(value(968).len(), 1024);
    assert!(parent(value(968).as_bytes()).is_some());
    assert!(parent(value(969).as_bytes()).is_none());
}

#[test]
fn flags_that_are_not_known_are_dropped_and_random_is_kept() {
    for (sent, expected) in [("ff", "03"), ("fe", "02"), ("08", "00"), ("04", "00"), ("05", "01")] {
        let parent = parent(format!("00-{TRACE}-{PARENT}-{sent}").as_bytes()).expect("a parent");
        let call = Outgoing { flags: parent.flags, ..outgoing(NO_BAGGAGE, parent.sampling) };
        let headers = written(Format::TraceContext, &call);
        let flags = &headers["traceparent"].as_bytes()[53..];
        assert_eq!(flags, expected.as_bytes(), "{sent}");
    }
    let call = outgoing(NO_BAGGAGE, Sampling::Debug);
    assert_eq!(&written(Format::TraceContext, &call)["traceparent"].as_bytes()[53..], b"01");
}

#[test]
fn tracestate_alone_is_nothing() {
    reads_nothing(Format::TraceContext, &[("tracestate", "foo=1")]);
    let broken = format!("00-{TRACE}-{PARENT}-x1");
    reads_nothing(Format::TraceContext, &[("traceparent", &*broken), ("tracestate", "foo=1")]);
}

#[test]
fn lists_are_joined_in_their_order() {
    for (lines, expected) in [
        (&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"][..], "foo=1,bar=2,rojo=1,congo=2,baz=3"),
        (&["foo=1", "", "bar=2"], "foo=1,bar=2"),
        (&["", "foo=1"], "foo=1"),
        (&["foo=1", ""], "foo=1"),
        (&["foo=1,", ",,bar=2"], "foo=1,bar=2"),
        (&[""], ""),
        (&[" ,\t,"], ""),
        (&["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        (&["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], "foo=1,bar=2,baz=3"),
        (&[" foo=1"], "foo=1"),
        (&["\tfoo=1"], "foo=1"),
        (&["foo=1 "], "foo=1"),
        (&["foo=1\t"], "foo=1"),
        (&["\t foo=1 \t"], "foo=1"),
        (&["foo= 1"], "foo= 1"),
        (&["foo=1,foo=1"], "foo=1"),
        (&["foo=1,bar=2,foo=2"], "foo=1,bar=2"),
        (&["foo=1", "foo=2"], "foo=1"),
    ] {
        assert_eq!(state(lines), expected, "{lines:?}");
    }
}

#[test]
fn one_bad_entry_spoils_the_list_and_not_the_parent() {
    let long = "z".repeat(257);
    for bad in [
        "foo",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "@foo=1",
        "_foo=1",
        "foo=bar=baz",
        "foo=",
        "foo= ",
        "=1",
        "foo=a\tb",
        ";foo=1",
        &format!("{long}=1"),
        &format!("foo={long}"),
    ] {
        assert_eq!(state(&[bad]), "", "{bad}");
        assert_eq!(state(&["bar=1", bad]), "", "{bad}");
        assert_eq!(state(&[&format!("{bad},bar=1")]), "", "{bad}");
    }
}

#[test]
fn every_letter_that_is_allowed_passes() {
    let letters: String = ('a'..='z').chain('0'..='9').collect();
    let value: String = (0x20_u8..=0x7e).filter(|b| !b",=".contains(b)).map(char::from).collect();
    for key in [format!("{letters}_-*/"), format!("{letters}@a-z0-9_-*/")] {
        let entry = format!("{key}={value}");
        assert_eq!(state(&[&entry]), entry);
    }
    for key in ["foo@", "foo@@bar", "foo@bar@baz", "0foo"] {
        let list = format!("{key}=1,bar=2");
        assert_eq!(state(&[&list]), list);
    }
    let longest = [
        format!("{}=1", "z".repeat(256)),
        format!("{}@{}=1", "t".repeat(241), "v".repeat(14)),
        format!("{}@v=1", "t".repeat(242)),
        format!("t@{}=1", "v".repeat(15)),
        format!("foo={}", "v".repeat(256)),
    ];
    for entry in longest {
        assert_eq!(state(&["foo0=1", &entry]), format!("foo0=1,{entry}"));
    }
}

#[test]
fn thirty_two_entries_pass_and_ours_takes_the_place_of_the_last() {
    let list = |n: usize| (1..=n).map(|i| format!("bar{i:02}={i:02}")).collect::<Vec<_>>();
    let lines: Vec<String> = list(32).chunks(10).map(|lines| lines.join(",")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let full = state(&lines);
    assert_eq!(full, list(32).join(","));
    assert_eq!(state(&[&list(33).join(",")]), "");
    // An entry that is there twice counts twice: it is more than the list may have.
    assert_eq!(state(&[&list(32).join(","), "bar01=01"]), "");

    let mut call = outgoing(NO_BAGGAGE, Sampling::Sampled);
    call.state = &full;
    call.caller = Some(Caller::new("orders"));
    let headers = written(Format::TraceContext, &call);
    assert_eq!(headers["tracestate"], format!("mw=p:{SPAN};s:orders,{}", list(31).join(",")));
}

#[test]
fn long_lists_lose_large_entries_first_and_then_the_last() {
    let at_least = format!("a={},b={}", "x".repeat(250), "y".repeat(256));
    assert_eq!(state(&[&at_least]), at_least);

    let limits = HeaderLimits::default().with_tracestate_bytes(0);
    assert_eq!(limits.tracestate_bytes(), 512);
    let propagators = Propagators::default().with_limits(limits);
    let entry = |key: char, length: usize| format!("{key}={}", "v".repeat(length - 2));
    let list =
        [('a', 100), ('b', 129), ('c', 128), ('d', 200), ('e', 128)].map(|(k, n)| entry(k, n));
    let read = |list: &[String]| {
        let traceparent = format!("00-{TRACE}-{PARENT}-00");
        let headers = headers(&[("traceparent", traceparent), ("tracestate", list.join(","))]);
        let state = propagators.extract(&headers).parent.expect("a parent").state;
        state.iter().map(|(key, _)| key).collect::<String>()
    };
    assert_eq!(read(&list), "abce");
    assert_eq!(read(&[entry('a', 100), entry('b', 200), entry('c', 210)]), "abc", "512 exactly");
    assert_eq!(read(&[entry('a', 100), entry('b', 200), entry('c', 211)]), "ab");
    assert_eq!(read(&[&list[..], &[entry('f', 120)]].concat()), "acef");
    assert_eq!(read(&[&list[..], &[entry('f', 128), entry('g', 128)]].concat()), "acef");
}

#[test]
fn what_is_written_is_valid_whatever_is_given() {
    let mut call = outgoing(NO_BAGGAGE, Sampling::Sampled);
    call.caller = Some(Caller::new("orders"));
    let own = format!("mw=p:{SPAN};s:orders");
    for (state, expected) in [
        ("foo=1,mw=p:1;s:old,bar=2", "foo=1,bar=2"),
        (" foo=1 ,, bar=2 ", "foo=1,bar=2"),
        ("foo=1,B\u{e4}r=2,x=\r\ny", "foo=1"),
        ("\u{0}", ""),
    ] {
        call.state = state;
        let expected = [own.as_str(), expected].join(if expected.is_empty() { "" } else { "," });
        assert_eq!(written(Format::TraceContext, &call)["tracestate"], expected);
    }
}
