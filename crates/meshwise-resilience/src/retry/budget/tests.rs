//! What a budget lets through, in any history.

use super::{BudgetWindow, RetryBudget};
use crate::sync::lock;
use proptest::prelude::*;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    /// A clock jumps: ahead, and (which the machine must bear, though no clock does it) back.
    Jump(i64),
    Succeed(u8),
    Retry(u8),
    /// A retry that is taken out and put back.
    GiveUp,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_000_i64).prop_map(Step::Jump),
        1 => (-20_000..100_000_i64).prop_map(Step::Jump),
        1 => Just(Step::Jump(i64::MAX)),
        4 => any::<u8>().prop_map(Step::Succeed),
        6 => any::<u8>().prop_map(Step::Retry),
        1 => Just(Step::GiveUp),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Whenever there is a retry: those of the last ten seconds are at most the share of the successes
    /// of these seconds, and the minimum.
    #[test]
    fn never_lets_more_through_than_share_and_minimum(
        share in 0.0..2.0_f64,
        per_second in 0..20_u32,
        start in prop_oneof![Just(0_u64), 0..u64::MAX / 4],
        steps in steps(),
    ) {
        let window = BudgetWindow::new(share, per_second);
        let mut now = start;
        let mut latest = 0;
        // (second, successes, retries), as they happened.
        let mut history: Vec<(u64, u64, u64)> = Vec::new();
        for step in steps {
            match step {
                // Millis; the widest jump is some 140 years.
                Step::Jump(millis) => {
                    now = now.saturating_add_signed(millis.saturating_mul(1_000_000));
                    now = now.min(u64::MAX / 2);
                }
                Step::Succeed(times) => {
                    for _ in 0..times {
                        latest = latest.max(now / SECOND);
                        window.deposit(now);
                    }
                    history.push((latest, u64::from(times), 0));
                }
                Step::Retry(times) => {
                    for _ in 0..times {
                        latest = latest.max(now / SECOND);
                        let available = window.available(now);
                        let withdrawn = window.withdraw(now);
                        prop_assert_eq!(withdrawn.is_some(), available > 0);
                        let Some(second) = withdrawn else { break };
                        prop_assert_eq!(second, latest + 1, "the first has number 1");
                        history.push((latest, 0, 1));
                        let lately = |entry: &&(u64, u64, u64)| latest.wrapping_sub(entry.0) < 10;
                        let sum = |of: fn(&(u64, u64, u64)) -> u64| -> u64 {
                            history.iter().filter(lately).map(of).sum()
                        };
                        let rounded = (share * 1000.0).round() / 1000.0;
                        let allowed =
                            sum(|entry| entry.1) as f64 * rounded + f64::from(per_second) * 10.0;
                        let made = sum(|entry| entry.2) as f64;
                        prop_assert!(made <= allowed + 1e-6, "{} retries of {}", made, allowed);
                    }
                }
                Step::GiveUp => {
                    let before = window.available(now);
                    if let Some(second) = window.withdraw(now) {
                        lock(&window.spent).uncount(second);
                    }
                    latest = latest.max(now / SECOND);
                    prop_assert_eq!(window.available(now), before);
                }
            }
        }
    }

    /// The machine has nothing to give but what the naive sum has too.
    #[test]
    fn gives_all_that_there_is(share in 0.0..2.0_f64, per_second in 0..20_u32, successes in 0..500_u64) {
        let window = BudgetWindow::new(share, per_second);
        for _ in 0..successes {
            window.deposit(5 * SECOND);
        }
        let mut retries = 0;
        while window.withdraw(14 * SECOND).is_some() {
            retries += 1;
        }
        let exact = u64::from(per_second) * 10 * 1000 + successes * (share * 1000.0).round() as u64;
        prop_assert_eq!(retries, exact / 1000);
    }
}

#[test]
fn deposits_and_withdrawals_are_forgotten_after_ten_seconds() {
    let window = BudgetWindow::new(1.0, 0);
    for _ in 0..5 {
        window.deposit(100 * SECOND);
    }
    assert_eq!(window.available(109 * SECOND), 5);
    assert!(window.withdraw(101 * SECOND).is_some());
    assert_eq!(window.available(109 * SECOND), 4);
    assert_eq!(window.available(110 * SECOND), 0, "the deposits are gone");
    let minimum = BudgetWindow::new(0.0, 1);
    for _ in 0..10 {
        assert!(minimum.withdraw(100 * SECOND).is_some());
    }
    assert!(minimum.withdraw(109 * SECOND).is_none());
    assert!(minimum.withdraw(110 * SECOND).is_some());
}

#[test]
fn a_clock_that_jumps_neither_blesses_nor_wedges_a_budget() {
    let window = BudgetWindow::new(1.0, 0);
    window.deposit(1000 * SECOND);
    // Far ahead: all is forgotten. Back again: it stays forgotten, and time stands.
    assert_eq!(window.available(1_000_000 * SECOND), 0);
    assert_eq!(window.available(1000 * SECOND), 0);
    // From where the clock stood last it goes on.
    window.deposit(1_000_001 * SECOND);
    assert!(window.withdraw(1_000_001 * SECOND).is_some());
}

#[test]
fn threads_together_get_no_more_than_there_is() {
    let window = BudgetWindow::new(0.5, 1);
    let retries: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut got = 0;
                    for _ in 0..500 {
                        window.deposit(SECOND);
                        got += usize::from(window.withdraw(SECOND).is_some());
                        got += usize::from(window.withdraw(SECOND).is_some());
                    }
                    got
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(retries, 4 * 500 / 2 + 10, "nothing lost, nothing made up");
}

#[test]
fn tokens_follow_grpc_s_rule() {
    let budget = RetryBudget::tokens(10, 0.1).unwrap();
    assert_eq!(budget.available(), 5);
    for _ in 0..4 {
        budget.failed();
        budget.withdraw().unwrap().spend();
    }
    budget.failed();
    assert!(budget.withdraw().is_none(), "half are left");
    for _ in 0..20 {
        budget.failed();
    }
    // At 0, no less: 50 successes bring it to half, one more above.
    for _ in 0..50 {
        budget.succeeded();
    }
    assert!(budget.withdraw().is_none());
    budget.succeeded();
    assert!(budget.withdraw().is_some());
    for _ in 0..1000 {
        budget.succeeded();
    }
    assert_eq!(budget.available(), 5, "never above the maximum");
}

#[tokio::test(start_paused = true)]
async fn hedges_pay_in_as_they_pay_out_unless_retries_do() {
    let budget = RetryBudget::ratio(0.1, 0).unwrap();
    (0..1000).for_each(|_| budget.hedge_succeeded());
    assert_eq!(budget.available(), 100);
    let shared = RetryBudget::ratio(0.1, 0).unwrap();
    shared.clone().feed();
    for _ in 0..1000 {
        shared.hedge_succeeded();
        shared.succeeded();
    }
    assert_eq!(shared.available(), 100, "once for a call");
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_that_is_dropped_goes_back() {
    let budget = RetryBudget::ratio(0.0, 1).unwrap();
    assert_eq!(budget.available(), 10);
    let withdrawal = budget.withdraw().unwrap();
    assert_eq!(budget.available(), 9);
    drop(withdrawal);
    assert_eq!(budget.available(), 10);
    budget.withdraw().unwrap().spend();
    assert_eq!(budget.available(), 9);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(budget.available(), 10);
}

#[test]
fn settings_that_make_no_sense_say_what_is_allowed() {
    let text =
        |result: Result<RetryBudget, crate::config::ConfigError>| result.unwrap_err().to_string();
    assert_eq!(
        text(RetryBudget::ratio(20.0, 10)),
        "retry.budget.share is 20: set it to at least 0 and at most 10"
    );
    assert_eq!(
        text(RetryBudget::ratio(0.2, 1_000_000)),
        "retry.budget.per_second is 1000000: set it to 0 to 100000"
    );
    assert!(RetryBudget::ratio(f64::NAN, 10).is_err());
    assert!(RetryBudget::tokens(0, 0.1).is_err());
    assert!(RetryBudget::tokens(10, 1.5).is_err());
}
