//! Which limit a moment lies at, and what is lifted and moved.

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn began() -> Limits {
    Limits::new(Instant::now())
}

#[test]
fn a_limit_blames_by_the_time_that_the_peer_had() {
    let limits = began();
    let at = |after| limits.began() + ms(after);
    let seen = |limits: Limits, times: [u64; 3]| times.map(|t| limits.passed(at(t)));
    for own in [limits.with_attempt(ms(100)), limits.with_total(ms(100))] {
        assert_eq!(seen(own, [97, 98, 100]), [Passed::No, Passed::Own, Passed::Own]);
        let short = own.with_deadline(at(30));
        let expected = [Passed::No, Passed::TooShort, Passed::Own];
        assert_eq!(seen(short, [27, 28, 99]), expected);
        assert!(short.too_short() && !own.too_short());
        let fair = own.with_deadline(at(40));
        assert_eq!((fair.passed(at(40)), fair.too_short()), (Passed::Foreign, false));
        let queued = own.sent_at(clock::nanos(at(70)));
        assert_eq!(queued.passed(at(100)), Passed::TooShort, "it waited on this side");
    }
    let foreign = limits.with_deadline(at(500));
    assert_eq!(foreign.passed(at(500)), Passed::TooShort, "no own limit to hold it against");
    assert_eq!(limits.passed(at(100_000)), Passed::No);
}

#[test]
fn what_the_call_s_own_code_has_asked_for_is_known_whatever_else_is_set() {
    let limits = began();
    let at = |after| Deadline::at(limits.began() + ms(after));
    let asked = limits.with_asked(at(50));
    for (limits, is_asked) in [
        (limits, false),
        (asked, true),
        (asked.with_told(at(50)), true),
        (limits.with_told(at(50)).with_asked(at(50)), true),
        (asked.with_told(at(40)), false),
        (asked.with_deadline(at(40).moment()), false),
        (asked.with_deadline(at(60).moment()), true),
        (asked.with_deadline(at(40).moment()).for_stream(), true),
        (limits.with_told(at(60)).with_asked(at(70)).for_stream(), false),
        (limits.with_total(ms(80)).told_total().for_stream(), true),
        (asked.within(limits.began_at()), false),
    ] {
        assert_eq!(limits.is_asked(), is_asked, "{limits:?}");
    }
    assert_eq!(asked.told(), Some(at(50)));
    assert!(asked.enforce(at(50)) && !asked.enforce(at(49)));
}

#[test]
fn the_limit_of_an_attempt_around_is_another_s_and_holds_to_the_head() {
    let limits = began();
    let at = |after| limits.began() + ms(after);
    let around = limits.with_attempt(ms(100)).with_total(ms(500));
    let within = around.within(limits.began_at()).with_attempt(ms(200));
    assert_eq!((within.end(), within.past_head().end()), (Some(at(100)), Some(at(500))));
    assert_eq!((within.passed(at(50)), within.passed(at(100))), (Passed::No, Passed::Foreign));
    assert_eq!((within.too_short(), within.delayed(7).end()), (false, Some(at(100))));
    let hurried = around.within(limits.began_at()).with_attempt(ms(300));
    assert_eq!((hurried.passed(at(100)), hurried.too_short()), (Passed::TooShort, true));
    let earlier = within.with_attempt(ms(60));
    assert_eq!((earlier.end(), earlier.passed(at(60))), (Some(at(60)), Passed::Own));
}

#[test]
fn an_attempt_s_limit_holds_to_the_head_and_a_stream_keeps_what_was_set_on_purpose() {
    let limits = began();
    let at = |after| limits.began() + ms(after);
    let limits = limits.with_attempt(ms(100)).with_total(ms(400));
    let limits = limits.with_deadline(at(300));
    assert_eq!((limits.end(), limits.own()), (Some(at(100)), Some(ms(100))));
    assert_eq!(limits.past_head().end(), Some(at(300)));
    assert_eq!(limits.past_head().passed(at(150)), Passed::No);
    assert_eq!(limits.for_stream().end(), None);
    let told = limits.with_told(Deadline::at(at(200))).with_told(Deadline::at(at(250)));
    assert_eq!(told.for_stream().end(), Some(at(200)));
    assert_eq!(told.told(), Some(Deadline::at(at(200))));
    let enforced = [199, 200, 300].map(|t| told.enforce(Deadline::at(at(t))));
    assert_eq!(enforced, [false, true, true]);
    assert!(!limits.enforce(Deadline::at(at(900))), "a total does not hold for a stream");
}

#[test]
fn time_of_this_side_is_taken_off_but_not_off_what_was_set_on_purpose() {
    let limits = began().with_attempt(ms(100)).with_total(ms(400));
    let at = |after| limits.began() + ms(after);
    let delayed = limits.with_deadline(at(900)).delayed(500_000_000);
    assert_eq!((delayed.end(), delayed.past_head().end()), (Some(at(600)), Some(at(900))));
    assert_eq!(delayed.passed(at(520)), Passed::No);
    assert_eq!(delayed.past_head().passed(at(900)), Passed::Own);
    let told = limits.told_total().delayed(500_000_000);
    assert_eq!(told.past_head().end(), Some(at(400)));
    assert_eq!(told.passed(at(500)), Passed::TooShort, "it had no time");
}

#[test]
fn the_code_within_sees_the_limits_until_they_are_left() {
    assert!(Limits::current().is_none());
    let outer = began().with_told(Deadline::after(Instant::now(), ms(50)));
    let entered = outer.enter();
    assert_eq!(Limits::current().and_then(|limits| limits.told()), outer.told());
    {
        let _inner = outer.with_deadline(outer.began()).enter();
        assert_eq!(Limits::current().and_then(|l| l.end()), Some(outer.began()));
    }
    assert_eq!(Limits::current().and_then(|l| l.end()), outer.end());
    drop(entered);
    assert!(Limits::current().is_none());
}
