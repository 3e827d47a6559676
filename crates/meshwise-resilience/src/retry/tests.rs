//! The waits between attempts.

use super::*;

fn usual() -> Backoff {
    Backoff::new(Duration::from_millis(25), Duration::from_secs(1))
}

#[test]
fn waits_double_up_to_the_longest() {
    let backoff = usual();
    let millis: Vec<_> = (1..9).map(|n| backoff.longest(n).as_millis()).collect();
    assert_eq!(millis, [25, 50, 100, 200, 400, 800, 1000, 1000]);
    assert_eq!(backoff.longest(u32::MAX), Duration::from_secs(1));
    assert_eq!(backoff.without_jitter().wait(3), Duration::from_millis(100));
}

#[test]
fn the_wait_is_any_part_of_the_longest() {
    let backoff = usual();
    let waits: Vec<_> = (0..1000).map(|_| backoff.wait(2)).collect();
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(50)));
    assert!(waits.iter().any(|wait| *wait < Duration::from_millis(10)));
    assert!(waits.iter().any(|wait| *wait > Duration::from_millis(40)));
}

#[test]
fn what_was_asked_for_is_waited_and_some_more_at_random() {
    let backoff = usual();
    let drawn = |asked: Duration| -> Vec<_> {
        (0..1000).map(|n| backoff.after_asked(1 + n % 3, asked).as_nanos()).collect()
    };
    // A fifth of ten seconds; the first wait's 25 ms, where a fifth is less.
    for (asked, most) in [(10_000_u64, 12_000_u64), (1000, 1200), (20, 45)] {
        let (asked, most) = (u128::from(asked) * 1_000_000, u128::from(most) * 1_000_000);
        let waits = drawn(Duration::from_nanos(asked as u64));
        assert!(waits.iter().all(|wait| (asked..=most).contains(wait)), "{asked}");
        let (part, tenth) = (most - asked, (most - asked) / 10);
        assert!(waits.iter().any(|wait| *wait < asked + tenth), "{asked}");
        assert!(waits.iter().any(|wait| *wait > asked + part - tenth), "{asked}");
    }
    assert_eq!(backoff.without_jitter().after_asked(1, Duration::from_secs(1)).as_secs(), 1);
    assert!(backoff.after_asked(u32::MAX, Duration::MAX) == Duration::MAX);
}

#[test]
fn to_be_asked_to_come_back_at_once_is_to_be_asked_for_nothing() {
    let exact = usual().without_jitter();
    assert_eq!(exact.after_asked(3, Duration::ZERO), Duration::from_millis(100));
    let waits: Vec<_> = (0..1000).map(|_| usual().after_asked(2, Duration::ZERO)).collect();
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(50)));
    assert!(waits.iter().any(|wait| *wait > Duration::from_millis(40)));
}

#[test]
fn a_longest_wait_below_the_first_is_refused() {
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_millis(1));
    assert_eq!(
        backoff.check().unwrap_err().to_string(),
        "retry.backoff.max is 1ms: set it to at least retry.backoff.base (1s)"
    );
}
