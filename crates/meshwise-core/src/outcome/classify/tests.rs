use super::*;
use crate::outcome::Health;
use std::time::{Duration, Instant};

fn limits() -> Limits {
    Limits::new(Instant::now())
}

/// Limits that began a while ago.
fn limits_after(after: u64) -> Limits {
    let ago = Instant::now().checked_sub(Duration::from_millis(after)).unwrap();
    Limits::new(ago)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn with_own(limits: Limits, own: u64) -> Limits {
    limits.with_attempt(ms(own))
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}

fn headers(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
}

fn http(side: Side, code: u16) -> CallEnd {
    let classifier = Classifier::new();
    let head = classifier.head(Protocol::Http, status(code), &HeaderMap::new());
    classifier.complete(side, head, None, &limits())
}

fn grpc(side: Side, code: u32) -> CallEnd {
    let classifier = Classifier::new();
    let head = classifier.head(Protocol::Grpc, StatusCode::OK, &HeaderMap::new());
    let trailers = headers("grpc-status", &code.to_string());
    classifier.complete(side, head, Some(&trailers), &limits())
}

#[test]
fn a_call_that_the_shutdown_breaks_off_says_so() {
    for side in [Side::Server, Side::Client] {
        let fault = Fault::new(FaultKind::Shutdown);
        let end = Classifier::new().failed(side, None, fault, &limits(), Instant::now());
        assert_eq!(end.error_type().map(ErrorType::as_str), Some("shutdown"));
        assert_eq!((end.ended_by, end.blame), (EndedBy::Shutdown, Blame::Us));
        assert_eq!(end.retryable, Retryable::Never);
        assert_ne!(end.health(), Health::Failed, "nothing against the peer");
    }
}

#[test]
fn http_statuses_are_judged_by_side() {
    for (code, client, server, blame, health, overload) in [
        (200, None, None, Blame::None, Health::Well, false),
        (304, None, None, Blame::None, Health::Well, false),
        (404, Some("404"), None, Blame::Us, Health::Well, false),
        (429, Some("429"), None, Blame::None, Health::Well, true),
        (500, Some("500"), Some("500"), Blame::Peer, Health::Failed, false),
        (503, Some("503"), Some("503"), Blame::Peer, Health::Failed, true),
        (504, Some("504"), Some("504"), Blame::Peer, Health::Failed, false),
        (600, Some("_OTHER"), Some("_OTHER"), Blame::Peer, Health::Failed, false),
        (999, Some("_OTHER"), Some("_OTHER"), Blame::Peer, Health::Failed, false),
    ] {
        let end = http(Side::Client, code);
        let error = |end: CallEnd| end.error_type().map(ErrorType::as_str);
        assert_eq!((error(end), end.blame, end.health()), (client, blame, health), "{code}");
        assert_eq!(end.overload, overload, "{code}");
        let end = http(Side::Server, code);
        assert_eq!((error(end), end.overload), (server, false), "{code}");
        assert_eq!(end.blame == Blame::Us, server.is_some(), "{code}");
    }
}

#[test]
fn grpc_codes_are_judged_by_side() {
    let failed = |side, judge: fn(CallEnd) -> bool| -> Vec<u32> {
        (0..=17).filter(|code| judge(grpc(side, *code))).collect()
    };
    let against = |end: CallEnd| end.health() == Health::Failed;
    assert_eq!(failed(Side::Client, against), [1, 2, 4, 13, 14, 15, 17], "17 is no code");
    assert_eq!(failed(Side::Client, |end| end.overload), [8]);
    let error = |end: CallEnd| end.outcome.is_failure();
    assert_eq!(failed(Side::Client, error), (1..=17).collect::<Vec<_>>());
    assert_eq!(failed(Side::Server, error), [2, 4, 12, 13, 14, 15, 17]);
}

#[test]
fn an_end_without_a_grpc_status_is_never_ok() {
    let classifier = Classifier::new();
    let head = classifier.head(Protocol::Grpc, StatusCode::OK, &HeaderMap::new());
    assert!(!head.is_verdict());
    let end = classifier.complete(Side::Client, head, None, &limits());
    assert_eq!(end.error_type().map(ErrorType::as_str), Some("UNKNOWN"));
    let proxy = classifier.head(Protocol::Grpc, StatusCode::BAD_GATEWAY, &HeaderMap::new());
    assert_eq!(proxy.code, Some(GrpcCode::Unavailable));
    let dropped = classifier.dropped(Side::Client, Some(head), false, &limits(), Instant::now());
    assert_eq!((dropped.outcome, dropped.health()), (Outcome::Cancelled, Health::Unknown));
}

#[test]
fn what_a_reader_waits_for_past_a_limit_was_cut_by_it() {
    let classifier = Classifier::new();
    let limits = limits_after(100).with_total(ms(100));
    for (side, blame) in [(Side::Client, Blame::Peer), (Side::Server, Blame::Us)] {
        let mut head = classifier.head(Protocol::Http, StatusCode::OK, &HeaderMap::new());
        let dropped = |head| classifier.dropped(side, Some(head), false, &limits, Instant::now());
        assert_eq!(dropped(head).outcome, Outcome::Success, "its reader has had enough");
        head.set_awaited(true);
        assert_eq!(dropped(head).error_type(), Some(ErrorType::TIMEOUT));
        assert_eq!(dropped(head).blame, blame);
        let whole = classifier.dropped(side, Some(head), true, &limits, Instant::now());
        assert_eq!(whole.outcome, Outcome::Success);
        let early = classifier.dropped(side, Some(head), false, &limits_after(0), Instant::now());
        assert_eq!(early.outcome, Outcome::Success, "no limit has passed");
    }
}

#[test]
fn a_limit_that_says_nothing_of_the_peer_leaves_what_its_head_said() {
    let classifier = Classifier::new();
    let hurried = with_own(limits_after(10), 100).with_deadline(Instant::now());
    let own = limits_after(100).with_total(ms(100));
    for (code, health, overload) in [
        (200, Health::Well, false),
        (404, Health::Well, false),
        (429, Health::Well, true),
        (500, Health::Failed, false),
        (503, Health::Failed, true),
    ] {
        let mut head = classifier.head(Protocol::Http, status(code), &HeaderMap::new());
        head.set_awaited(true);
        let dropped = classifier.dropped(Side::Client, Some(head), false, &hurried, Instant::now());
        let ends = [(&own, false), (&hurried, true), (&hurried, false)]
            .map(|(limits, pending)| {
                let mut head = head;
                head.set_awaited(pending);
                classifier.expired(Some(head), limits, Instant::now())
            })
            .into_iter()
            .chain([dropped]);
        for end in ends {
            assert_eq!(end.error_type(), Some(ErrorType::TIMEOUT));
            assert_eq!((end.health(), end.overload), (health, overload), "{code}");
        }
        let hung = classifier.expired(Some(head), &own, Instant::now());
        assert_eq!((hung.health(), hung.overload), (Health::Failed, true), "{code}");
    }
}

#[test]
fn an_answer_that_is_not_grpc_is_judged_by_its_head() {
    let classifier = Classifier::new();
    let judged = |code, headers: &HeaderMap| {
        let head = classifier.head(Protocol::Grpc, status(code), headers);
        classifier.answered(Side::Client, head, headers, &limits())
    };
    let page = headers("content-type", "text/html");
    for (code, word, blame, overload) in [
        (200, "UNKNOWN", Blame::Peer, false),
        (429, "UNAVAILABLE", Blame::None, true),
        (503, "UNAVAILABLE", Blame::Peer, false),
    ] {
        let end = judged(code, &page).unwrap();
        assert_eq!(end.error_type().map(ErrorType::as_str), Some(word));
        assert_eq!((end.blame, end.overload), (blame, overload), "{code}");
    }
    assert_eq!(judged(200, &headers("content-type", "Application/gRPC+proto")), None);
}

#[test]
fn a_body_that_is_dropped_leaves_the_head_s_verdict() {
    for side in [Side::Server, Side::Client] {
        for code in [200, 404, 429, 500, 503] {
            let classifier = Classifier::new();
            let head = classifier.head(Protocol::Http, status(code), &HeaderMap::new());
            for whole in [false, true] {
                let end = classifier.dropped(side, Some(head), whole, &limits(), Instant::now());
                let read = http(side, code);
                assert_eq!((end.outcome, end.blame), (read.outcome, read.blame), "{code}");
                if side == Side::Client {
                    assert_eq!(end.health(), read.health(), "{code}");
                }
                let by = if whole { EndedBy::Peer } else { EndedBy::Caller };
                assert_eq!(end.ended_by, by);
            }
        }
    }
}

#[test]
fn faults_blame_who_is_to_blame() {
    let classifier = Classifier::new();
    let ok = classifier.head(Protocol::Http, StatusCode::OK, &HeaderMap::new());
    let fault = Fault::new;
    for (fault, head, word, blame, health, retryable) in [
        (
            fault(FaultKind::Connect),
            None,
            "connect",
            Blame::Instance,
            Health::Failed,
            Retryable::Always,
        ),
        (
            fault(FaultKind::Reset),
            None,
            "reset",
            Blame::Instance,
            Health::Failed,
            Retryable::IfRepeatable,
        ),
        (
            fault(FaultKind::Reset).with_sent(false),
            None,
            "reset",
            Blame::Instance,
            Health::Failed,
            Retryable::Always,
        ),
        (
            fault(FaultKind::Reset),
            Some(ok),
            "reset",
            Blame::Instance,
            Health::Failed,
            Retryable::Never,
        ),
        (fault(FaultKind::Body), Some(ok), "body", Blame::Peer, Health::Failed, Retryable::Never),
        (fault(FaultKind::Request), None, "request", Blame::Us, Health::NotAsked, Retryable::Never),
        (
            fault(FaultKind::RequestBody),
            None,
            "request",
            Blame::Us,
            Health::NotAsked,
            Retryable::Never,
        ),
        (
            fault(FaultKind::Timeout),
            None,
            "timeout",
            Blame::Peer,
            Health::Failed,
            Retryable::IfRepeatable,
        ),
        (fault(FaultKind::Panic), None, "panic", Blame::Peer, Health::Failed, Retryable::Never),
        (fault(FaultKind::Other), None, "_OTHER", Blame::Peer, Health::Failed, Retryable::Never),
        (
            fault(FaultKind::Grpc(GrpcCode::NotFound)),
            None,
            "NOT_FOUND",
            Blame::Us,
            Health::Unknown,
            Retryable::Never,
        ),
        (
            fault(FaultKind::Grpc(GrpcCode::Unavailable)),
            None,
            "UNAVAILABLE",
            Blame::Peer,
            Health::Failed,
            Retryable::IfRepeatable,
        ),
        (
            fault(FaultKind::Refused(Rule::BreakerOpen)),
            None,
            "breaker_open",
            Blame::None,
            Health::NotAsked,
            Retryable::Never,
        ),
        (
            fault(FaultKind::Refused(Rule::TimedOut)),
            None,
            "timeout",
            Blame::Peer,
            Health::Failed,
            Retryable::IfRepeatable,
        ),
    ] {
        let end = classifier.failed(Side::Client, head, fault, &limits(), Instant::now());
        let seen =
            (end.error_type().map(ErrorType::as_str), end.blame, end.health(), end.retryable);
        assert_eq!(seen, (Some(word), blame, health, retryable), "{fault:?}");
        let end = classifier.failed(Side::Server, head, fault, &limits(), Instant::now());
        assert!(!matches!(end.blame, Blame::Peer | Blame::Instance), "{fault:?}");
    }
}

#[test]
fn whichever_timer_is_first_the_verdict_is_the_same() {
    let classifier = Classifier::new();
    let faults = [
        FaultKind::Timeout,
        FaultKind::Refused(Rule::TimedOut),
        FaultKind::Grpc(GrpcCode::DeadlineExceeded),
    ];
    for (limits, blame, by) in [
        (with_own(limits_after(100), 100), Blame::Peer, EndedBy::OwnLimit),
        (
            with_own(limits_after(20), 100).with_deadline(Instant::now()),
            Blame::Caller,
            EndedBy::ForeignDeadline,
        ),
        (
            with_own(limits_after(40), 100).with_deadline(Instant::now()),
            Blame::Peer,
            EndedBy::ForeignDeadline,
        ),
    ] {
        let seen = |end: CallEnd| (end.error_type(), end.blame, end.ended_by, end.overload);
        let expected = (Some(ErrorType::TIMEOUT), blame, by, blame == Blame::Peer);
        for fault in faults {
            let end =
                classifier.failed(Side::Client, None, Fault::new(fault), &limits, Instant::now());
            assert_eq!(seen(end), expected, "{fault:?}");
        }
        assert_eq!(
            seen(classifier.dropped(Side::Client, None, false, &limits, Instant::now())),
            expected
        );
        assert_eq!(seen(classifier.expired(None, &limits, Instant::now())), expected);
        // Its reader was busy: whichever timer says so, and when it leaves.
        let head = Some(classifier.head(Protocol::Grpc, status(200), &HeaderMap::new()));
        let broken =
            classifier.failed(Side::Client, head, Fault::new(faults[0]), &limits, Instant::now());
        for reader in [classifier.expired(head, &limits, Instant::now()), broken] {
            assert_eq!((reader.blame, reader.overload), (Blame::None, false));
        }
        let left = classifier.dropped(Side::Client, head, false, &limits, Instant::now());
        assert_eq!(left, CallEnd::given_up(Phase::Body));
    }
}

#[test]
fn a_peer_that_was_given_too_little_time_is_not_blamed_for_its_own_timeout() {
    let classifier = Classifier::new();
    let began = limits();
    let hurried = with_own(began, 3000).with_deadline(began.began() + ms(20));
    let fair = with_own(began, 3000).with_deadline(began.began() + ms(1500));
    for (limits, blame) in [(hurried, Blame::Caller), (fair, Blame::Peer)] {
        let head = classifier.head(Protocol::Http, StatusCode::GATEWAY_TIMEOUT, &HeaderMap::new());
        assert_eq!(classifier.complete(Side::Client, head, None, &limits).blame, blame);
        let head = classifier.head(Protocol::Grpc, StatusCode::OK, &headers("grpc-status", "4"));
        assert_eq!(classifier.complete(Side::Client, head, None, &limits).blame, blame);
        let other = classifier.head(Protocol::Http, StatusCode::BAD_GATEWAY, &HeaderMap::new());
        assert_eq!(classifier.complete(Side::Client, other, None, &limits).blame, Blame::Peer);
    }
}

#[test]
fn what_is_tried_again_is_what_may_pass() {
    let classifier = Classifier::new();
    let none = HeaderMap::new();
    let asked = headers("retry-after", "2");
    let after = Some(RetryAfter::AtLeast(Duration::from_secs(2)));
    for (code, headers, retryable, retry_after) in [
        (502, &none, Retryable::IfRepeatable, None),
        (503, &asked, Retryable::IfRepeatable, after),
        (504, &none, Retryable::IfRepeatable, None),
        (500, &none, Retryable::Never, None),
        (501, &none, Retryable::Never, None),
        (429, &none, Retryable::Never, None),
        (429, &asked, Retryable::IfRepeatable, after),
        (404, &asked, Retryable::Never, after),
        (200, &asked, Retryable::Never, None),
    ] {
        let head = classifier.head(Protocol::Http, status(code), headers);
        let end = classifier.answered(Side::Client, head, headers, &limits()).unwrap();
        assert_eq!((end.retryable, end.retry_after), (retryable, retry_after), "{code}");
    }
}

#[test]
fn statuses_and_codes_can_be_set() {
    let classifier = Classifier::new()
        .with_status(StatusCode::NOT_FOUND, Verdict::Success)
        .with_status(StatusCode::IM_A_TEAPOT, Verdict::Failure)
        .with_retried_status(StatusCode::IM_A_TEAPOT, true)
        .with_status(StatusCode::NOT_IMPLEMENTED, Verdict::ClientError)
        .with_code(GrpcCode::Aborted, Verdict::Failure)
        .with_code(GrpcCode::Cancelled, Verdict::Success)
        .with_overload_as_failure();
    let end = |code, headers: &HeaderMap| {
        let head = classifier.head(Protocol::Http, status(code), headers);
        classifier.answered(Side::Client, head, headers, &limits()).unwrap()
    };
    let none = HeaderMap::new();
    assert_eq!(end(404, &none).outcome, Outcome::Success);
    let teapot = end(418, &none);
    assert_eq!((teapot.health(), teapot.retryable), (Health::Failed, Retryable::IfRepeatable));
    assert_eq!(end(501, &none).blame, Blame::Us);
    assert_eq!(end(429, &none).health(), Health::Failed);
    let grpc = |code: &str| {
        let headers = headers("grpc-status", code);
        let head = classifier.head(Protocol::Grpc, StatusCode::OK, &headers);
        classifier.answered(Side::Client, head, &headers, &limits()).unwrap().health()
    };
    let seen = [grpc("10"), grpc("1"), grpc("8"), grpc("5")];
    assert_eq!(seen, [Health::Failed, Health::Well, Health::Failed, Health::Well]);
}

#[test]
fn a_call_that_its_caller_gives_up_blames_no_one_else() {
    let classifier = Classifier::new();
    for limits in [limits(), with_own(limits(), 3000), with_own(limits_after(50), 100)] {
        let end = classifier.dropped(Side::Client, None, false, &limits, Instant::now());
        assert_eq!((end.outcome, end.blame), (Outcome::Cancelled, Blame::Caller));
        assert_eq!((end.ended_by, end.health()), (EndedBy::Caller, Health::Unknown));
    }
}

#[test]
fn tables_that_are_set_leave_what_adapters_know() {
    use crate::outcome::FaultRule;
    let rule: FaultRule =
        |error| error.is::<fmt::Error>().then(|| Fault::new(FaultKind::RequestBody));
    let adapter = Classifier::new().with_error::<fmt::Error>().with_fault(rule);
    let own = Classifier::new().with_status(StatusCode::NOT_FOUND, Verdict::Failure);
    let both = own.with_faults_of(&adapter).with_faults_of(&adapter);
    assert_eq!(both.faults().of(&fmt::Error).kind, FaultKind::RequestBody);
    let head = both.head(Protocol::Http, StatusCode::NOT_FOUND, &HeaderMap::new());
    assert!(both.complete(Side::Server, head, None, &limits()).outcome.is_failure());
    assert!(Classifier::new().with_faults_of(&Classifier::new()).faults().is_empty());
}

#[test]
fn a_server_that_ran_out_of_its_own_time_has_failed_itself() {
    let classifier = Classifier::new();
    let end = classifier.dropped(
        Side::Server,
        None,
        false,
        &with_own(limits_after(100), 100),
        Instant::now(),
    );
    assert_eq!((end.error_type(), end.blame), (Some(ErrorType::TIMEOUT), Blame::Us));
    let foreign = limits_after(100).with_deadline(Instant::now());
    let end = classifier.dropped(Side::Server, None, false, &foreign, Instant::now());
    assert_eq!((end.blame, end.ended_by), (Blame::Caller, EndedBy::ForeignDeadline));
}
