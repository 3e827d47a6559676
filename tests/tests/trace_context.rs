//! The facts that the W3C trace-context validation suite checks, over real sockets: a relay gets a
//! request with certain headers, and what it sends on is looked at.

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use meshwise::trace::{MemorySpans, SpanExport};
use meshwise_tests::{Served, raw, serve};
use std::sync::{Arc, Mutex};

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";

/// A relay, and the target that it is told to call.
struct Bench {
    relay: Served,
    target: Served,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
}

async fn bench() -> Bench {
    let spans = MemorySpans::new();
    let mesh = meshwise::builder("relay", "0.0.0")
        .with_env(meshwise::core::Env::empty())
        .logs(|logs| logs.with_filter("off"))
        .traces(move |traces| traces.with_exporter(SpanExport::memory(&spans)))
        .build()
        .expect("a mesh");
    let seen = Arc::new(Mutex::new(Vec::new()));
    async fn target(State(seen): State<Arc<Mutex<Vec<HeaderMap>>>>, headers: HeaderMap, _: Bytes) {
        seen.lock().expect("not poisoned").push(headers);
    }
    let target = Router::new().route("/", post(target)).with_state(Arc::clone(&seen));
    Bench {
        relay: {
            let routes = relay::routes(&mesh).expect("a relay");
            serve(mesh.wrap(routes).expect("layers")).await
        },
        target: serve(target).await,
        seen,
    }
}

/// What came out of the relay, taken apart.
#[derive(Debug)]
struct Out {
    trace: String,
    parent: String,
    flags: String,
    state: Option<String>,
}

impl Bench {
    /// Sends a request with these header lines, as they are, and returns what the relay sent on.
    async fn send(&self, headers: &[(&str, &str)]) -> Out {
        let body = format!(r#"[{{"url":"{}","arguments":[]}}]"#, self.target.url("/"));
        let mut request = format!(
            "POST /test HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        let answer = raw(self.relay.address, (request + "\r\n" + &body).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let got = self.seen.lock().expect("not poisoned").pop().expect("the target was called");

        let all = |name: &str| -> Vec<String> {
            got.get_all(name).iter().map(|v| v.to_str().expect("text").to_owned()).collect()
        };
        let traceparents = all("traceparent");
        assert_eq!(traceparents.len(), 1, "exactly one traceparent goes out");
        let parts: Vec<&str> = traceparents[0].split('-').collect();
        let [version, trace, parent, flags] = parts[..] else { panic!("{traceparents:?}") };
        assert_eq!(version, "00", "we speak version 00");
        assert_eq!((trace.len(), parent.len(), flags.len()), (32, 16, 2));
        let hex =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        assert!(hex(trace) && hex(parent) && hex(flags), "{traceparents:?}");
        assert!(trace.bytes().any(|b| b != b'0') && parent.bytes().any(|b| b != b'0'));
        let states = all("tracestate");
        assert!(states.len() <= 1, "{states:?}");
        let state = states.first().map(|state| {
            // The relay's own entry comes first; the rest is what came in.
            let (own, rest) = state.split_once(',').unwrap_or((state.as_str(), ""));
            assert!(own.starts_with("mw=p:") && own.contains(parent), "{state}");
            rest.to_owned()
        });
        Out {
            trace: trace.to_owned(),
            parent: parent.to_owned(),
            flags: flags.to_owned(),
            state: state.filter(|state| !state.is_empty()),
        }
    }

    /// Asserts that these headers are taken for the caller's context.
    async fn continues(&self, headers: &[(&str, &str)]) -> Out {
        let out = self.send(headers).await;
        assert_eq!(out.trace, TRACE, "{headers:?}");
        assert_ne!(out.parent, PARENT, "a new span id is made: {headers:?}");
        out
    }

    /// Asserts that these headers are taken for none.
    async fn restarts(&self, headers: &[(&str, &str)]) -> Out {
        let out = self.send(headers).await;
        assert_ne!(out.trace, TRACE, "{headers:?}");
        out
    }

    /// Returns what becomes of these `tracestate` lines beside a good `traceparent`.
    async fn state(&self, lines: &[&str]) -> Option<String> {
        let parent = format!("00-{TRACE}-{PARENT}-00");
        let mut headers = vec![("traceparent", parent.as_str())];
        headers.extend(lines.iter().map(|line| ("tracestate", *line)));
        self.continues(&headers).await.state
    }
}

fn good() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

#[tokio::test]
async fn traceparent_is_made_when_absent_and_continued_when_there() {
    let bench = bench().await;
    bench.restarts(&[]).await;
    let out = bench.continues(&[("traceparent", &good())]).await;
    assert_eq!(out.flags, "01");
    let out = bench.continues(&[("traceparent", &format!("00-{TRACE}-{PARENT}-00"))]).await;
    assert_eq!(out.flags, "00");
}

#[tokio::test]
async fn header_names_may_have_any_case_but_not_other_letters() {
    let bench = bench().await;
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        bench.continues(&[(name, &good())]).await;
    }
    for name in ["trace-parent", "trace.parent"] {
        bench.restarts(&[(name, &good())]).await;
    }
    for name in ["TraceState", "TrAcEsTaTe", "TRACESTATE"] {
        let out = bench.continues(&[("traceparent", &good()), (name, "foo=1")]).await;
        assert_eq!(out.state.as_deref(), Some("foo=1"), "{name}");
    }
    for name in ["trace-state", "trace.state"] {
        let out = bench.continues(&[("traceparent", &good()), (name, "foo=1")]).await;
        assert_eq!(out.state, None, "{name}");
    }
}

#[tokio::test]
async fn traceparent_twice_is_none() {
    let bench = bench().await;
    let other = "00-12345678901234567890123456789011-1234567890123456-01";
    let out = bench.restarts(&[("traceparent", other), ("traceparent", &good())]).await;
    assert_ne!(out.trace, "12345678901234567890123456789011");
    bench.restarts(&[("traceparent", &good()), ("traceparent", &good())]).await;
}

#[tokio::test]
async fn version_00_has_exactly_four_parts() {
    let bench = bench().await;
    bench.restarts(&[("traceparent", &format!("{}-", good()))]).await;
    bench.restarts(&[("traceparent", &format!("{}-what-the-future", good()))]).await;
    bench.restarts(&[("traceparent", &format!("{}.", good()))]).await;
}

#[tokio::test]
async fn future_versions_are_read_as_far_as_they_are_known() {
    let bench = bench().await;
    for version in ["cc", "01", "fe"] {
        let base = format!("{version}-{TRACE}-{PARENT}-01");
        bench.continues(&[("traceparent", &base)]).await;
        bench.continues(&[("traceparent", &format!("{base}-what-the-future-will-be-like"))]).await;
        bench.restarts(&[("traceparent", &format!("{base}.what-the-future"))]).await;
    }
    bench.restarts(&[("traceparent", &format!("ff-{TRACE}-{PARENT}-01"))]).await;
}

#[tokio::test]
async fn each_part_of_traceparent_has_its_length_and_letters() {
    let bench = bench().await;
    for bad in [
        format!(".0-{TRACE}-{PARENT}-01"),
        format!("0.-{TRACE}-{PARENT}-01"),
        format!("000-{TRACE}-{PARENT}-01"),
        format!("0-{TRACE}-{PARENT}-01"),
        format!("00-00000000000000000000000000000000-{PARENT}-01"),
        format!("00-.2345678901234567890123456789012-{PARENT}-01"),
        format!("00-1234567890123456789012345678901.-{PARENT}-01"),
        format!("00-123456789012345678901234567890123-{PARENT}-01"),
        format!("00-1234567890123456789012345678901-{PARENT}-01"),
        format!("00-{TRACE}-0000000000000000-01"),
        format!("00-{TRACE}-.234567890123456-01"),
        format!("00-{TRACE}-123456789012345.-01"),
        format!("00-{TRACE}-12345678901234567-01"),
        format!("00-{TRACE}-123456789012345-01"),
        format!("00-{TRACE}-{PARENT}-.0"),
        format!("00-{TRACE}-{PARENT}-0."),
        format!("00-{TRACE}-{PARENT}-001"),
        format!("00-{TRACE}-{PARENT}-1"),
        format!("00-{TRACE}-{PARENT}"),
        format!("00_{TRACE}_{PARENT}_01"),
        String::new(),
        "-".repeat(55),
        good().to_uppercase().replace("1234", "ABCD"),
        good() + "," + &good(),
    ] {
        bench.restarts(&[("traceparent", &bad)]).await;
    }
    let upper = format!("00-{}-{PARENT}-01", "ABCDEF78901234567890123456789012");
    let out = bench.send(&[("traceparent", &upper)]).await;
    assert_ne!(out.trace, "abcdef78901234567890123456789012", "hex digits are lower case");
}

#[tokio::test]
async fn space_around_traceparent_is_no_part_of_it() {
    let bench = bench().await;
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        bench.continues(&[("traceparent", &format!("{before}{}{after}", good()))]).await;
    }
}

#[tokio::test]
async fn unknown_flags_are_not_set_again() {
    let bench = bench().await;
    for (sent, expected) in [("ff", "03"), ("fe", "02"), ("08", "00")] {
        let out = bench.continues(&[("traceparent", &format!("00-{TRACE}-{PARENT}-{sent}"))]).await;
        assert_eq!(out.flags, expected, "{sent}");
    }
}

#[tokio::test]
async fn the_random_flag_is_handed_on() {
    let bench = bench().await;
    for flags in ["02", "03"] {
        let out =
            bench.continues(&[("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))]).await;
        assert_eq!(out.flags, flags);
    }
}

#[tokio::test]
async fn tracestate_without_traceparent_is_ignored() {
    let bench = bench().await;
    assert_eq!(bench.restarts(&[("tracestate", "foo=1")]).await.state, None);
    let bad = format!("00-{TRACE}-{PARENT}-x1");
    assert_eq!(bench.restarts(&[("traceparent", &bad), ("tracestate", "foo=1")]).await.state, None);
}

#[tokio::test]
async fn tracestate_keeps_its_entries_in_their_order() {
    let bench = bench().await;
    for (lines, expected) in [
        (&["foo=1"][..], Some("foo=1")),
        (&["foo=1,bar=2"], Some("foo=1,bar=2")),
        (&["foo=1", "bar=2"], Some("foo=1,bar=2")),
        (&["rojo=1,congo=2", "baz=3"], Some("rojo=1,congo=2,baz=3")),
        (&["foo=1", "", "bar=2"], Some("foo=1,bar=2")),
        (&["", "foo=1"], Some("foo=1")),
        (&["foo=1", ""], Some("foo=1")),
        (&[""], None),
        (&["foo"], None),
        (&["foo=1 \t , \t bar=2, \t baz=3"], Some("foo=1,bar=2,baz=3")),
        (&["foo=1,", ",bar=2"], Some("foo=1,bar=2")),
        (&[" foo=1"], Some("foo=1")),
        (&["\tfoo=1"], Some("foo=1")),
        (&["foo=1 "], Some("foo=1")),
        (&["foo=1\t"], Some("foo=1")),
        (&["\t foo=1 \t"], Some("foo=1")),
    ] {
        assert_eq!(bench.state(lines).await.as_deref(), expected, "{lines:?}");
    }
}

#[tokio::test]
async fn tracestate_with_a_bad_entry_is_dropped_and_the_trace_goes_on() {
    let bench = bench().await;
    for bad in [
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "@foo=1",
        "foo=bar=baz",
        "foo=,bar=3",
        "=1",
        "foo\u{e9}=1",
        ";foo=1",
    ] {
        let state = bench.state(&[bad]).await;
        assert!(
            state.as_deref().is_none_or(|state| !state.contains(bad)),
            "{bad} became {state:?}"
        );
    }
}

#[tokio::test]
async fn tracestate_takes_every_letter_that_it_may() {
    let bench = bench().await;
    let key = format!("{}_-*/=1", ('a'..='z').chain('0'..='9').collect::<String>());
    let tenant = format!("{}@a-z0-9_-*/=1", ('a'..='z').chain('0'..='9').collect::<String>());
    for key in ["foo@", "foo@@bar", "foo@bar@baz", "0foo"] {
        let state = format!("{key}=1,bar=2");
        assert_eq!(bench.state(&[&state]).await, Some(state));
    }
    let value: String = (0x20_u8..=0x7e).filter(|b| !b",=".contains(b)).map(char::from).collect();
    let value = format!("foo={value}!");
    for entry in [&key, &tenant, &value] {
        assert_eq!(bench.state(&[entry]).await.as_deref(), Some(entry.as_str()));
    }
}

#[tokio::test]
async fn keys_and_values_have_their_longest() {
    let bench = bench().await;
    let (k256, k257) = ("z".repeat(256) + "=1", "z".repeat(257) + "=1");
    assert_eq!(bench.state(&[&k256]).await, Some(k256));
    assert_eq!(bench.state(&[&k257]).await, None);
    let tenant = format!("{}@{}=1", "t".repeat(241), "v".repeat(14));
    assert_eq!(bench.state(&[&tenant]).await, Some(tenant));
    let (v256, v257) = (format!("foo={}", "v".repeat(256)), format!("foo={}", "v".repeat(257)));
    assert_eq!(bench.state(&[&v256]).await, Some(v256));
    assert_eq!(bench.state(&[&v257]).await, None);
}

#[tokio::test]
async fn thirty_two_entries_pass_and_no_more() {
    let bench = bench().await;
    let list = |n: usize| (0..n).map(|i| format!("bar{i:02}={i:02}")).collect::<Vec<_>>();
    // Ours takes one of the 32 places; the last of a full list makes room.
    assert_eq!(bench.state(&[&list(31).join(",")]).await, Some(list(31).join(",")));
    assert_eq!(bench.state(&[&list(32).join(",")]).await, Some(list(31).join(",")));
    assert_eq!(bench.state(&[&list(33).join(",")]).await, None);
}

#[tokio::test]
async fn at_least_512_characters_pass() {
    let bench = bench().await;
    let long = format!("a={},b={}", "x".repeat(250), "y".repeat(256));
    assert!(long.len() > 510);
    assert_eq!(bench.state(&[&long]).await, Some(long));
}

#[tokio::test]
async fn each_call_of_one_request_has_its_own_parent() {
    let bench = bench().await;
    let first = bench.continues(&[("traceparent", &good())]).await;
    let second = bench.continues(&[("traceparent", &good())]).await;
    assert_ne!(first.parent, second.parent);
}

#[tokio::test]
async fn several_steps_share_the_trace() {
    let bench = bench().await;
    let url = bench.target.url("/");
    let steps = format!(r#"[{{"url":"{url}","arguments":[]}},{{"url":"{url}","arguments":[]}}]"#);
    let request = format!(
        "POST /test HTTP/1.1\r\nHost: relay\r\nConnection: close\r\ntraceparent: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{steps}",
        good(),
        steps.len()
    );
    raw(bench.relay.address, request.as_bytes()).await;
    let seen = bench.seen.lock().expect("not poisoned");
    let parents: Vec<&str> =
        seen.iter().map(|h| h["traceparent"].to_str().expect("text")).collect();
    assert_eq!(parents.len(), 2);
    assert!(parents.iter().all(|parent| parent.contains(TRACE)));
    assert_ne!(parents[0], parents[1]);
}
