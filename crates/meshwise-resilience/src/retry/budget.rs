//! How many retries a peer can bear, shared by all who call it.

use crate::{
    clock,
    config::ConfigError,
    debug::debug,
    sync::{
        Lines, Mutex,
        atomic::{
            AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
        lock,
    },
};
use std::sync::{Arc, atomic::AtomicBool};

/// Bounds the retries (and hedges) to a peer; clones share it.
///
/// Retries multiply from hop to hop, and most when all fails: three hops of three tries make 27
/// calls out of one. A budget bounds them by what goes well, so that a peer that is down gets
/// next to no retries, while single failures are all retried.
///
/// ```
/// use meshwise_resilience::RetryBudget;
/// let budget = RetryBudget::default();
/// assert_eq!(budget.available(), 100); // 10 a second, over 10 s
/// for _ in 0..50 {
///     budget.succeeded();
/// }
/// assert_eq!(budget.available(), 110); // and 20 % of 50
/// # Ok::<(), meshwise_resilience::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct RetryBudget(Arc<Shared>);

struct Shared {
    rule: Rule,
    said: Option<(f64, u32)>,
    /// Whether retries pay in for all calls that hedges pay out for.
    fed: AtomicBool,
}

#[allow(clippy::large_enum_variant, reason = "there is one for each peer, behind an `Arc`")]
enum Rule {
    Window(BudgetWindow),
    Tokens(Tokens),
}

impl RetryBudget {
    /// Allows a share of the calls that went well in the last 10 s, and so many a second besides
    /// (unused ones can be spent at any time within the 10 s): `tower`'s `TpsBudget`.
    ///
    /// The default is `ratio(0.2, 10)`.
    ///
    /// # Errors
    /// Says what is allowed: shares from 0 to 10, and at most 100,000 a second.
    pub fn ratio(share: f64, per_second: u32) -> Result<Self, ConfigError> {
        if !(0.0..=10.0).contains(&share) {
            return Err(ConfigError::new("retry.budget.share", share, "at least 0 and at most 10"));
        }
        ConfigError::check_range("retry.budget.per_second", per_second, 0, 100_000)?;
        Ok(Self::window(share, per_second))
    }

    /// Allows retries while more than half of the tokens are left: each failed attempt (see
    /// [`RetryBudget::failed`]) takes one, each success puts back `ratio` (gRPC proposal A6, "Throttling Retry Attempts", which
    /// suggests 10 and 0.1).
    ///
    /// # Errors
    /// Says what is allowed: 1 to 1000 tokens, and ratios above 0 and up to 1.
    pub fn tokens(max: u32, ratio: f64) -> Result<Self, ConfigError> {
        ConfigError::check_range("retry.budget.tokens", max, 1, 1000)?;
        // Written so that what is not a number fails too.
        if !(ratio > 0.0 && ratio <= 1.0) {
            let allowed = "more than 0 and at most 1";
            return Err(ConfigError::new("retry.budget.ratio", ratio, allowed));
        }
        Ok(Self::new(Rule::Tokens(Tokens::new(max, ratio)), None))
    }

    fn window(share: f64, per_second: u32) -> Self {
        Self::new(Rule::Window(BudgetWindow::new(share, per_second)), Some((share, per_second)))
    }

    fn new(rule: Rule, said: Option<(f64, u32)>) -> Self {
        Self(Arc::new(Shared { rule, said, fed: AtomicBool::new(false) }))
    }

    pub(crate) fn said(&self) -> Option<(f64, u32)> {
        self.0.said
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Takes note of an attempt that went well.
    #[inline]
    #[doc(hidden)]
    pub fn succeeded(&self) {
        self.answered(clock::coarse(), true);
    }

    /// Takes note of an attempt that went well, or failed by its caller's own fault, at a moment of the
    /// clock's nanoseconds. The latter is no success to gRPC's rule.
    #[inline]
    pub(crate) fn answered(&self, now: u64, success: bool) {
        match &self.0.rule {
            Rule::Window(window) => window.deposit(now),
            Rule::Tokens(tokens) if success => tokens.succeeded(),
            Rule::Tokens(_) => {}
        }
    }

    /// Takes note that retries pay in for the calls that this budget is for.
    pub(crate) fn feed(&self) {
        self.0.fed.store(true, Relaxed);
    }

    /// Takes note of a hedged attempt that went well, unless there are retries that do: the same
    /// call must not pay in twice.
    pub(crate) fn hedge_succeeded(&self) {
        if !self.0.fed.load(Relaxed) {
            self.succeeded();
        }
    }

    /// Takes note of an attempt that failed, as gRPC proposal A6 counts it ("Throttling Retry
    /// Attempts and Hedged RPCs"):
    ///
    /// - with a status that is retried, whether or not this attempt is: also the last one, that of
    ///   a call with one attempt only, and one that must not be made twice;
    /// - with a pushback that says not to retry, whatever its status.
    ///
    /// Other failures are no word on how the peer bears its load, and are neither counted here
    /// nor as [`RetryBudget::succeeded`]. A budget of [`RetryBudget::ratio`] counts successes only,
    /// and answers that say that the caller was at fault.
    #[doc(hidden)]
    pub fn failed(&self) {
        match &self.0.rule {
            Rule::Window(_) => {}
            Rule::Tokens(tokens) => tokens.failed(),
        }
    }

    /// Takes one retry out of the budget, if there is one.
    #[must_use]
    #[doc(hidden)]
    pub fn withdraw(&self) -> Option<Withdrawal> {
        let at = match &self.0.rule {
            Rule::Window(window) => window.withdraw(clock::coarse())?,
            Rule::Tokens(tokens) if tokens.allow() => 0,
            Rule::Tokens(_) => return None,
        };
        Some(Withdrawal { budget: Some(self.clone()), at })
    }

    /// Returns how many retries could begin right now.
    #[must_use]
    pub fn available(&self) -> u64 {
        match &self.0.rule {
            Rule::Window(window) => window.available(clock::coarse()),
            Rule::Tokens(tokens) => tokens.available(),
        }
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::window(0.2, 10)
    }
}

debug!("RetryBudget", [] RetryBudget, budget: "available" = budget.available());

/// Holds a retry that was taken out of a budget; dropped before it is spent, it goes back.
#[derive(Debug)]
#[must_use = "a withdrawal that is dropped goes back to its budget"]
pub struct Withdrawal {
    budget: Option<RetryBudget>,
    at: u64,
}

impl Withdrawal {
    /// Spends it: the retry is being made.
    pub fn spend(mut self) {
        self.budget = None;
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget
            && let Rule::Window(window) = &budget.0.rule
        {
            window.refund(self.at);
        }
    }
}

/// A retry costs so many units; a deposit puts in `share` of it.
const UNIT: u64 = 1000;
const SECONDS: u64 = 10;
/// One a second, and some that are over: a power of two is found without a division.
const SLOTS: usize = 16;
const SLOT_NANOS: u64 = 1_000_000_000;
/// Slots are full a thousand times before they overflow their 32 bits.
const FULL: u64 = 1 << 31;

/// How many seconds a deposit can be late: most of a day.
const LATE: u32 = 1 << 16;

/// Counts deposits in atomics, each thread on a line of its own, since every successful call makes
/// one, and withdrawals under a lock,
/// since two of them must not spend the same unit.
///
/// A withdrawal sees at most the deposits made by then, so whatever the interleaving, those in a
/// window never add up to more than its deposits and the reserve.
struct BudgetWindow {
    deposit: u64,
    reserve: u64,
    /// The slot's second (its lower 32 bits) in the upper half, units in the lower.
    deposits: Lines<[AtomicU64; SLOTS]>,
    spent: Mutex<Spent>,
}

struct Spent {
    /// The latest second seen: a clock that falls back does not bring old deposits to life.
    latest: u64,
    slots: [(u64, u64); SLOTS],
}

impl BudgetWindow {
    fn new(share: f64, per_second: u32) -> Self {
        // The share is between 0 and 10.
        let deposit = (share * UNIT as f64).round() as u64;
        Self {
            deposit,
            reserve: u64::from(per_second) * SECONDS * UNIT,
            deposits: Lines::new(|| std::array::from_fn(|_| AtomicU64::new(0))),
            spent: Mutex::new(Spent { latest: 0, slots: [(0, 0); SLOTS] }),
        }
    }

    #[inline]
    fn deposit(&self, now: u64) {
        let second = now / SLOT_NANOS;
        let stamp = second & 0xffff_ffff;
        let slot = &self.deposits.mine()[(second % SLOTS as u64) as usize];
        let mut seen = slot.load(Relaxed);
        while seen >> 32 != stamp {
            match self.begin(slot, seen, stamp) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
        if seen & 0xffff_ffff < FULL {
            // Should the slot pass to another second just now, that one gains a deposit which is only
            // just over.
            slot.fetch_add(self.deposit, SeqCst);
        }
    }

    /// Begins a slot's second with a deposit, unless another thread did something to it.
    #[inline(never)]
    fn begin(&self, slot: &AtomicU64, seen: u64, stamp: u64) -> Result<u64, u64> {
        // A thread that was held up for ten seconds (or a clock that fell back) comes too late.
        // What lies further ahead is no time that was: a jump by decades must not end deposits.
        if ((seen >> 32) as u32).wrapping_sub(stamp as u32) < LATE {
            return Ok(seen);
        }
        slot.compare_exchange(seen, stamp << 32 | self.deposit, SeqCst, Relaxed)
    }

    /// Returns the second that was charged.
    fn withdraw(&self, now: u64) -> Option<u64> {
        let mut spent = lock(&self.spent);
        let second = spent.advance(now);
        if self.balance(&spent, second) < UNIT {
            return None;
        }
        let slot = &mut spent.slots[(second % SLOTS as u64) as usize];
        if slot.0 != second {
            *slot = (second, 0);
        }
        slot.1 += UNIT;
        Some(second)
    }

    fn refund(&self, second: u64) {
        let mut spent = lock(&self.spent);
        let slot = &mut spent.slots[(second % SLOTS as u64) as usize];
        if slot.0 == second {
            slot.1 = slot.1.saturating_sub(UNIT);
        }
    }

    fn available(&self, now: u64) -> u64 {
        let mut spent = lock(&self.spent);
        let second = spent.advance(now);
        self.balance(&spent, second) / UNIT
    }

    fn balance(&self, spent: &Spent, second: u64) -> u64 {
        let within = |slot_second: u64| second.wrapping_sub(slot_second) < SECONDS;
        let deposits: u64 = self
            .deposits
            .iter()
            .flatten()
            .map(|slot| slot.load(SeqCst))
            .filter(|slot| u64::from((second as u32).wrapping_sub((slot >> 32) as u32)) < SECONDS)
            .map(|slot| slot & 0xffff_ffff)
            .sum();
        let withdrawals: u64 =
            spent.slots.iter().filter(|slot| within(slot.0)).map(|slot| slot.1).sum();
        (self.reserve + deposits).saturating_sub(withdrawals)
    }
}

impl Spent {
    fn advance(&mut self, now: u64) -> u64 {
        self.latest = self.latest.max(now / SLOT_NANOS);
        self.latest
    }
}

/// Thousandths of a token, as gRPC counts them.
const TOKEN: u64 = 1000;

struct Tokens {
    max: u64,
    ratio: u64,
    tokens: AtomicU64,
}

impl Tokens {
    fn new(max: u32, ratio: f64) -> Self {
        let max = u64::from(max) * TOKEN;
        // The ratio is above 0 and at most 1.
        let ratio = ((ratio * TOKEN as f64).round() as u64).max(1);
        Self { max, ratio, tokens: AtomicU64::new(max) }
    }

    #[inline]
    fn succeeded(&self) {
        // Full is how it is as long as all goes well: then nothing is written.
        if self.tokens.load(Relaxed) < self.max {
            self.update(|tokens| (tokens + self.ratio).min(self.max));
        }
    }

    fn failed(&self) {
        self.update(|tokens| tokens.saturating_sub(TOKEN));
    }

    fn allow(&self) -> bool {
        self.tokens.load(SeqCst) > self.max / 2
    }

    fn available(&self) -> u64 {
        self.tokens.load(SeqCst).saturating_sub(self.max / 2).div_ceil(TOKEN)
    }

    fn update(&self, change: impl Fn(u64) -> u64) {
        let mut seen = self.tokens.load(Relaxed);
        while let Err(other) =
            self.tokens.compare_exchange_weak(seen, change(seen), SeqCst, Relaxed)
        {
            seen = other;
        }
    }
}

#[cfg(test)]
mod tests;
