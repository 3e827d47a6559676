//! How many retries a peer can bear, shared by all who call it.

use crate::{
    breaker::{Tally, Window},
    clock,
    config::{self, ConfigError},
    debug::debug,
    sync::{
        Mutex,
        atomic::{
            AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
        lock, try_lock,
    },
};
use meshwise_core::settings::BudgetSettings;
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
    /// Unset for a budget of tokens, which has another form.
    said: BudgetSettings,
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
        let mut said = BudgetSettings::default();
        said.share.set(share);
        said.per_second.set(per_second);
        config::check("retry.budget", said.wrong())?;
        Ok(Self::of(said))
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
        Ok(Self::new(Rule::Tokens(Tokens::new(max, ratio)), BudgetSettings::default()))
    }

    /// Does what settings say that were checked.
    pub(crate) fn of(said: BudgetSettings) -> Self {
        let window = BudgetWindow::new(said.share.or_none(), said.per_second.or_none());
        Self::new(Rule::Window(window), said)
    }

    fn new(rule: Rule, said: BudgetSettings) -> Self {
        Self(Arc::new(Shared { rule, said, fed: AtomicBool::new(false) }))
    }

    /// Returns what settings say of it; nothing, if they cannot.
    pub(crate) fn said(&self) -> &BudgetSettings {
        &self.0.said
    }

    pub(crate) fn is_of_tokens(&self) -> bool {
        matches!(self.0.rule, Rule::Tokens(_))
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
        if let Rule::Tokens(tokens) = &self.0.rule {
            tokens.failed();
        }
    }

    /// Takes one retry out of the budget, if there is one.
    #[must_use]
    #[doc(hidden)]
    pub fn withdraw(&self) -> Option<Withdrawal> {
        let at = match &self.0.rule {
            Rule::Window(window) => window.withdraw(clock::coarse())?,
            Rule::Tokens(tokens) if tokens.available() > 0 => 0,
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
        Self::of(config::DEFAULTS.peer.retry.budget.clone())
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
            lock(&window.spent).uncount(self.at);
        }
    }
}

/// A retry costs so many units; a deposit puts in `share` of it.
const UNIT: u64 = 1000;
const SECONDS: u64 = 10;
const SECOND: u64 = 1_000_000_000;

/// Counts deposits as a breaker counts successes, without a lock, and withdrawals under one, since two of
/// them must not spend the same unit.
///
/// A withdrawal sees at most the deposits made by then, so whatever the interleaving, those in a
/// window never add up to more than its deposits and the reserve.
struct BudgetWindow {
    deposit: u64,
    reserve: u64,
    deposits: Tally,
    /// When the window's last second ends.
    second_end: AtomicU64,
    spent: Mutex<Window>,
}

impl BudgetWindow {
    fn new(share: f64, per_second: u32) -> Self {
        let spent = Window::of_time(SECONDS * SECOND, SECONDS, 0, 0);
        Self {
            // The share is between 0 and 10.
            deposit: (share * UNIT as f64).round() as u64,
            reserve: u64::from(per_second) * SECONDS * UNIT,
            deposits: Tally::new(0),
            second_end: AtomicU64::new(spent.end),
            spent: Mutex::new(spent),
        }
    }

    #[inline]
    fn deposit(&self, now: u64) {
        if now >= self.second_end.load(Relaxed) {
            self.roll(now);
        }
        self.deposits.add(0);
    }

    /// Begins a new second. It does not wait: the thread that has the lock begins one too.
    #[cold]
    fn roll(&self, now: u64) {
        if let Some(mut spent) = try_lock(&self.spent) {
            self.advance(&mut spent, now);
        }
    }

    fn advance(&self, spent: &mut Window, now: u64) {
        // A clock that falls back does not bring old deposits to life.
        spent.roll(now.max(spent.end - spent.width), self.deposits.sum());
        self.second_end.store(spent.end, Relaxed);
    }

    /// Returns the second that was charged.
    fn withdraw(&self, now: u64) -> Option<u64> {
        let mut spent = lock(&self.spent);
        if self.balance(&mut spent, now) < UNIT {
            return None;
        }
        spent.count(true, false, self.deposits.sum());
        Some(spent.step)
    }

    fn available(&self, now: u64) -> u64 {
        self.balance(&mut lock(&self.spent), now) / UNIT
    }

    fn balance(&self, spent: &mut Window, now: u64) -> u64 {
        self.advance(spent, now);
        let counts = spent.counts(self.deposits.sum());
        let deposits = (counts.calls - counts.failed) * self.deposit;
        (self.reserve + deposits).saturating_sub(counts.failed * UNIT)
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

    fn available(&self) -> u64 {
        self.tokens.load(SeqCst).saturating_sub(self.max / 2).div_ceil(TOKEN)
    }

    fn update(&self, change: impl Fn(u64) -> u64) {
        let change = |tokens| Some(change(tokens));
        _ = self.tokens.fetch_update(SeqCst, Relaxed, change);
    }
}

#[cfg(test)]
mod tests;
