//! Who is told what, and what happens to a receiver that fails, hangs, or hears of a thing twice.

#[path = "../../tests/support/notices.rs"]
mod fixture;
#[path = "../../tests/support/server.rs"]
mod server;

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use meshwise_api::{Dictionary, Timestamp};
use serde_json::Value;

use super::{
    Given,
    changes::Change,
    cursor::Cursor,
    deliver::{Delivery, Post, Posted, Refusal, deliver},
    notices::{Notice, Since, notices},
    webhook::Webhook,
};
use fixture::{DEPRECATED, TODAY, auth, caller, day, documents, story};
use server::{Reply, Server};

fn dictionary(all: &[(&str, String)]) -> Dictionary {
    Dictionary::from_documents(documents(all)).expect("a dictionary")
}

fn since(text: &str) -> Since {
    Since::Moment(day(text).into())
}

fn told(dictionary: &Dictionary, since: &Since, today: &str) -> Vec<Notice> {
    notices(dictionary, since, None, day(today)).expect("notices")
}

#[test]
fn owners_are_told_what_changes_for_them() {
    let dictionary = dictionary(&story());
    let found = told(&dictionary, &since("2026-11-01"), TODAY);
    // The gateway is on 2.0 and hears nothing; stock asks for 1.0 and gets 1.1.
    let who: Vec<_> = found.iter().map(|n| (n.service.as_str(), n.owner.as_deref())).collect();
    assert_eq!(who, [("orders", Some("team-checkout")), ("stock", None)]);
    let orders = &found[0];
    assert_eq!(
        orders.changes,
        [Change::Deprecated { on: day("2026-09-01") }, Change::SunsetSet { on: day("2027-03-01") }]
    );
    assert_eq!(orders.days_left, Some(100));
    assert_eq!(orders.successor.as_deref(), Some("2.0"));
    assert_eq!(orders.migration.as_deref(), Some("docs/v1-to-v2.md"));
    assert_eq!(orders.contacts, ["mailto:team-checkout@example.com"]);
    assert_eq!((found[1].requires.as_str(), found[1].version.as_str()), ("1.0", "1.1"));
    assert!(told(&dictionary, &since(TODAY), TODAY).is_empty(), "it was published before");
    // What was published at that very moment is news.
    let count = |moment: &str| {
        told(&dictionary, &Since::Moment(moment.parse().expect("a moment")), TODAY).len()
    };
    assert_eq!((count("2026-11-20T12:00:00Z"), count("2026-11-20T12:00:01Z")), (2, 0));
}

#[test]
fn what_one_adds_that_is_new_itself_is_told() {
    let fixed = "[[provides.versions]]\nversion = \"1.2\"\nreleased = 2026-11-20\nurgent = true\n";
    let mut all = story();
    all.truncate(4);
    let begun = dictionary(&all);
    all.push(("2026-11-20", auth("", fixed)));
    let fixed = dictionary(&all);
    // All of it since the last run, or the last run knew of nothing.
    for then in
        [since("2026-09-01"), Since::Cursor(Cursor::of(&Dictionary::new(), day("2026-09-01")))]
    {
        assert!(told(&begun, &then, TODAY).is_empty(), "what one begins with is no news");
        let found = told(&fixed, &then, TODAY);
        let who: Vec<_> = found.iter().map(|n| (n.service.as_str(), n.version.as_str())).collect();
        assert_eq!(who, [("orders", "1.2"), ("stock", "1.2")]);
        assert!(matches!(found[0].changes[..], [Change::Released { urgent: true, .. }]));
    }
}

#[test]
fn a_line_that_ends_as_a_whole_is_told() {
    // 1.2 will do for 1.1: each alone could go, both together may not.
    let line = |first: &str, second: &str| {
        let second =
            format!("[[provides.versions]]\nversion = \"1.2\"\nreleased = 2026-10-01\n{second}");
        auth(first, &second)
    };
    let who = |first: &str, second: &str| {
        let mut all = story();
        all[0].1 = line("", "");
        all[4].1 = line(first, second);
        let found = told(&dictionary(&all), &since("2026-11-01"), TODAY);
        found.iter().map(|n| format!("{} {}", n.service, n.version)).collect::<Vec<_>>().join(", ")
    };
    let (ends, later) = ("sunset = 2027-06-01\n", "sunset = 2027-09-01\n");
    assert_eq!(who(ends, ""), "");
    assert_eq!(who(ends, ends), "orders 1.1, orders 1.2, stock 1.1, stock 1.2");
    assert_eq!(who(ends, later), "orders 1.2, stock 1.2", "1.1 is outlived");
    let deprecated = "deprecated = 2026-12-10\n";
    assert_eq!(who(deprecated, ""), "");
    assert_eq!(who(deprecated, deprecated), "orders 1.1, orders 1.2, stock 1.1, stock 1.2");
    assert_eq!(who("", deprecated), "");
}

#[test]
fn time_alone_retires() {
    let dictionary = dictionary(&story());
    let found = told(&dictionary, &since("2027-02-28"), "2027-03-01");
    assert_eq!(found[0].changes, [Change::Retired { on: day("2027-03-01") }]);
    assert_eq!(found[0].days_left, Some(0));
    assert!(told(&dictionary, &since("2027-03-01"), "2027-03-02").is_empty());
}

#[test]
fn a_sunset_that_moves_and_a_version_that_goes_are_told() {
    let mut all = story();
    all.push(("2026-11-21", auth(&DEPRECATED.replace("2027-03-01", "2027-01-01"), "")));
    let moved = told(&dictionary(&all), &since("2026-11-21"), "2026-11-22");
    assert_eq!(
        moved[0].changes,
        [Change::SunsetMoved { from: day("2027-03-01"), to: day("2027-01-01") }]
    );

    let gone = auth("", "").replace("version = \"1.1\"", "version = \"3.0\"");
    all.push(("2027-06-01", gone));
    let found = told(&dictionary(&all), &since("2027-05-31"), "2027-06-02");
    let who: Vec<_> = found.iter().map(|notice| notice.service.as_str()).collect();
    assert_eq!(who, ["orders", "stock"]);
    assert_eq!(found[0].changes, [Change::Gone]);
    assert_eq!((found[0].state, found[0].days_left), (None, None));
}

#[test]
fn a_number_compares_one_services_documents() {
    let dictionary = dictionary(&story());
    let ask = |seq| {
        let since = Since::Document { service: "auth".into(), seq };
        notices(&dictionary, &since, Some("auth"), day(TODAY))
    };
    assert_eq!(ask(1).expect("notices").len(), 2);
    assert!(ask(2).expect("notices").is_empty());
    // Before the first document nothing was said.
    assert_eq!(ask(0).expect("notices").len(), 2);
    assert!(ask(3).expect_err("no such document").to_string().contains("there is no 3"));
}

#[test]
fn a_number_leaves_out_what_time_did_before() {
    let mut all = story();
    // Published again long after the sunset, with another word.
    all.push(("2027-06-01", auth(&format!("{DEPRECATED}notes = \"really\"\n"), "")));
    let since = Since::Document { service: "auth".into(), seq: 2 };
    let dictionary = dictionary(&all);
    let found = notices(&dictionary, &since, Some("auth"), day("2027-06-01")).expect("notices");
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn keys_are_the_same_tomorrow_and_differ_by_what_is_told() {
    let all = story();
    let keys = |dictionary: &Dictionary, from: &str, today: &str| -> Vec<String> {
        told(dictionary, &since(from), today).into_iter().map(|notice| notice.key).collect()
    };
    let first = keys(&dictionary(&all), "2026-11-01", TODAY);
    assert_eq!(first.len(), 2);
    assert_ne!(first[0], first[1]);
    assert_eq!(first, keys(&dictionary(&all), "2026-11-01", "2026-12-24"));
    assert_eq!(first, keys(&dictionary(&all), "2026-10-15", TODAY));
    // What else is published does not matter.
    let mut more = all.clone();
    more.push(("2026-11-22", auth(DEPRECATED, "notes = \"fast\"")));
    more.push(("2026-11-22", caller("orders", "team-checkout", "1.1") + "\n# again\n"));
    assert_eq!(first, keys(&dictionary(&more), "2026-11-01", "2026-11-25"));
    // The same dates, taken back and said again, are news.
    let mut again = all.clone();
    again.push(("2026-11-21", auth("", "")));
    again.push(("2026-11-22", auth(DEPRECATED, "")));
    let new = keys(&dictionary(&again), "2026-11-22", "2026-11-25");
    assert_eq!(new.len(), 2);
    assert!(new.iter().all(|key| !first.contains(key)));
}

/// Plays a receiver from a list of answers, and writes down waits.
struct Script(std::cell::RefCell<Vec<Result<Posted, Refusal>>>);

impl Post for Script {
    fn post(&self, _: &str, _: &Value) -> Result<Posted, Refusal> {
        let mut left = self.0.borrow_mut();
        if left.is_empty() { answered(200, None) } else { left.remove(0) }
    }
}

fn answered(status: u16, retry_after: Option<u64>) -> Result<Posted, Refusal> {
    Ok(Posted { status, retry_after: retry_after.map(Duration::from_secs) })
}

fn refused() -> Result<Posted, Refusal> {
    Err(Refusal("connection refused".to_owned()))
}

fn some_notices(n: usize) -> Vec<Notice> {
    let mut all = vec![("2026-10-01", auth("", ""))];
    for i in 0..n {
        all.push(("2026-10-02", caller(&format!("s{i}"), "team", "1.1")));
    }
    all.push(("2026-11-20", auth(DEPRECATED, "")));
    told(&dictionary(&all), &since("2026-11-01"), TODAY)
}

fn play(n: usize, answers: Vec<Result<Posted, Refusal>>) -> (Vec<Delivery>, Vec<u64>) {
    let mut waits = Vec::new();
    let script = Script(answers.into());
    let mut sleep = |wait: Duration| waits.push(wait.as_secs());
    let deliveries = deliver(&some_notices(n), day(TODAY), &script, &mut sleep);
    (deliveries, waits)
}

#[test]
fn what_may_pass_is_tried_again_and_what_is_final_is_not() {
    for (answers, attempts, waits, error) in [
        (vec![], 1, vec![], None),
        (vec![answered(503, None), refused()], 3, vec![1, 2], None),
        (vec![answered(429, Some(7)), answered(500, Some(0))], 3, vec![7, 0], None),
        (vec![answered(429, Some(60))], 2, vec![60], None),
        (vec![answered(429, Some(61))], 1, vec![], Some("asks to come back in 61 s")),
        (vec![answered(400, None)], 1, vec![], Some("answered 400")),
        (vec![answered(302, None)], 1, vec![], Some("answered 302")),
        (vec![answered(502, None), answered(404, None)], 2, vec![1], Some("answered 404")),
        ((0..9).map(|_| refused()).collect(), 5, vec![1, 2, 4, 8], Some("refused, 5 times")),
        ((0..9).map(|_| answered(500, None)).collect(), 5, vec![1, 2, 4, 8], Some("500, 5 times")),
    ] {
        let shown = format!("{answers:?}");
        let (deliveries, waited) = play(1, answers);
        let delivery = &deliveries[0];
        assert_eq!((delivery.attempts, &waited), (attempts, &waits), "{shown}");
        match error {
            None => assert!(delivery.is_delivered(), "{shown}"),
            Some(words) => {
                let error = delivery.error.as_deref().expect("an error");
                assert!(error.contains(words), "{shown}: {error}");
            }
        }
    }
}

#[test]
fn a_receiver_that_is_gone_is_not_asked_for_ever() {
    let (deliveries, waits) = play(50, (0..1_000).map(|_| refused()).collect());
    assert_eq!(waits.len(), 3 * 4);
    assert_eq!(deliveries.iter().map(|d| d.attempts).sum::<u32>(), 3 * 5);
    assert!(deliveries.iter().all(|d| !d.is_delivered()));
    assert!(deliveries[3].error.as_deref().expect("an error").contains("not tried"));
    // One that refuses is there.
    let (deliveries, _) = play(10, (0..10).map(|_| answered(400, None)).collect());
    assert!(deliveries.iter().all(|d| d.attempts == 1));
}

#[test]
fn a_server_that_fails_hangs_and_then_takes_it_sees_one_key() {
    let count = AtomicU32::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, SeqCst) {
        0 => Reply::Answer(503, vec![("retry-after", "3".into())], b"busy".to_vec()),
        1 => Reply::Hang,
        2 => Reply::Close,
        _ => Reply::status(204),
    });
    let webhook =
        Webhook::with_timeout(&server.url(), Duration::from_millis(300)).expect("a receiver");
    let mut waits = Vec::new();
    let notices = some_notices(1);
    let mut sleep = |wait: Duration| waits.push(wait.as_secs());
    let deliveries = deliver(&notices, day(TODAY), &webhook, &mut sleep);
    assert!(deliveries[0].is_delivered(), "{deliveries:?}");
    assert_eq!((deliveries[0].attempts, waits), (4, vec![3, 2, 4]));
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    for request in &seen {
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("content-type"), Some("application/json"));
        let key = format!("\"{}\"", notices[0].key);
        assert_eq!(request.header("idempotency-key"), Some(key.as_str()));
        assert_eq!(request.body, seen[0].body);
    }
    let body: Value = serde_json::from_slice(&seen[0].body).expect("JSON");
    assert_eq!(body["notice"]["service"], "s0");
    assert_eq!(body["notice"]["changes"][1]["change"], "sunset-set");
    assert_eq!(body["notice"]["days_left"], 100);
}

#[test]
fn since_is_a_number_a_day_or_a_moment() {
    assert_eq!("7".parse(), Ok(Given::Seq(7)));
    let moment: Timestamp = "2026-11-01T00:00:00Z".parse().expect("a moment");
    assert_eq!("2026-11-01".parse(), Ok(Given::Moment(moment)));
    assert_eq!("2026-11-01T00:00:00Z".parse(), Ok(Given::Moment(moment)));
    for text in ["", "-1", "yesterday", "2026-02-30", "2026-11-01 08:00", "1.5"] {
        assert!(text.parse::<Given>().is_err(), "{text}");
    }
}
