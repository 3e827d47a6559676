//! The breaker's state machine: plain, told the time (nanoseconds), behind the lock of its owner.

use super::{
    config::BreakerConfig,
    window::{Counts, Row, Window},
};
use crate::{clock::to_nanos, config::ConfigError};
use meshwise_core::{internal::random::Seeded, outcome::Health};
use std::{collections::VecDeque, fmt, str::FromStr};

/// Names a breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls pass and are judged.
    Closed,
    /// Calls pass and are not counted, until told otherwise.
    ForcedClosed,
    /// Calls pass and are counted, but not judged, until told otherwise.
    Disabled,
    // From here on calls are asked for one by one.
    /// A few calls are let through, to see how the peer fares.
    HalfOpen,
    /// Calls are refused until its time is over; the first call after that half-opens it.
    Open,
    /// Calls are refused until told otherwise.
    ForcedOpen,
}

impl BreakerState {
    /// Lists all states, each at the place of its number; with its name, what is told of a change to it, and
    /// what the metric shows: 0 while calls pass, 1 half-open, 2 while they are refused.
    pub(super) const ALL: [(Self, &'static str, &'static str, f64); 6] = [
        (Self::Closed, "closed", "closed", 0.0),
        (Self::ForcedClosed, "forced_closed", "forced closed", 0.0),
        (Self::Disabled, "disabled", "disabled", 0.0),
        (Self::HalfOpen, "half_open", "half-opened", 1.0),
        (Self::Open, "open", "opened", 2.0),
        (Self::ForcedOpen, "forced_open", "forced open", 2.0),
    ];

    /// Returns the state's name: `closed`, `half_open`, `open`, `forced_open`, `forced_closed` or
    /// `disabled`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    pub(super) const fn told(self) -> &'static str {
        Self::ALL[self as usize].2
    }

    pub(super) const fn level(self) -> f64 {
        Self::ALL[self as usize].3
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says who rules a breaker: its rates, or an operator by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerMode {
    /// Its rates rule; it begins closed, with nothing counted.
    #[default]
    Automatic,
    /// Refuses all calls.
    ForcedOpen,
    /// Lets all calls through and counts none.
    ForcedClosed,
    /// Lets all calls through and counts them, so that its rates can be read.
    Disabled,
}

/// Reads `automatic`, `forced_open`, `forced_closed` and `disabled`.
impl FromStr for BreakerMode {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let modes = [
            ("automatic", Self::Automatic),
            ("forced_open", Self::ForcedOpen),
            ("forced_closed", Self::ForcedClosed),
            ("disabled", Self::Disabled),
        ];
        let mode = modes.into_iter().find(|(name, _)| *name == text).map(|(_, mode)| mode);
        mode.ok_or_else(|| {
            // What is shown is short, whatever was sent.
            let shown: String = text.chars().take(40).collect();
            let allowed = "automatic, forced_open, forced_closed or disabled";
            ConfigError::new("breaker.mode", format_args!("{shown:?}"), allowed)
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(super) from: BreakerState,
    pub(super) to: BreakerState,
    /// The reason for it, as events have it.
    pub(super) why: &'static str,
    pub(super) counts: Counts,
    pub(super) open_for: u64,
}

/// The longest that a caller is told to wait for a half-open breaker's verdict: no one knows.
const TRIAL_HINT: u64 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) config: BreakerConfig,
    pub(super) state: BreakerState,
    /// Goes up with every change of state. A call belongs to the one that admitted it, and counts
    /// in no other.
    pub(super) generation: u64,
    pub(super) window: Window,
    pub(super) opened_at: u64,
    pub(super) open_until: u64,
    pub(super) trials: Trials,
    /// Openings since it was last closed, but the first.
    reopenings: u32,
    pub(super) in_a_row: Row,
    rng: Seeded,
    /// Changes no one has been told of yet.
    pub(super) untold: VecDeque<Change>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trials {
    pub(super) in_flight: u32,
    /// Those of them whose head was good, and whose body flows.
    pub(super) flowing: u32,
    pub(super) succeeded: u32,
    pub(super) failed: u32,
    /// When the waiting for good news began.
    since: u64,
    /// When a trial call last ended without a verdict meanwhile; 0 if none did.
    unclear: u64,
}

impl Machine {
    pub(super) fn new(config: BreakerConfig, now: u64, seed: u64) -> Self {
        Self {
            window: Window::new(&config.0.window, now, 0),
            config,
            state: BreakerState::Closed,
            generation: 0,
            opened_at: 0,
            open_until: 0,
            trials: Trials::default(),
            reopenings: 0,
            in_a_row: Row::default(),
            rng: Seeded::new(seed),
            untold: VecDeque::new(),
        }
    }

    /// Admits a call, or says for how long it is refused, if that is known.
    pub(super) fn admit(&mut self, now: u64) -> Result<(), Option<u64>> {
        match self.state {
            BreakerState::Closed | BreakerState::ForcedClosed | BreakerState::Disabled => Ok(()),
            BreakerState::ForcedOpen => Err(None),
            BreakerState::Open => {
                if now < self.opened_at {
                    // The clock went back: wait the same time, on the new one.
                    let length = self.open_until - self.opened_at;
                    (self.opened_at, self.open_until) = (now, now.saturating_add(length));
                }
                if now < self.open_until {
                    return Err(Some(self.open_until - now));
                }
                self.change(BreakerState::HalfOpen, "open_time_over", now, 0);
                self.admit_trial(now)
            }
            BreakerState::HalfOpen => self.admit_trial(now),
        }
    }

    fn admit_trial(&mut self, now: u64) -> Result<(), Option<u64>> {
        let max_wait = to_nanos(self.config.0.half_open_max_wait.or_none());
        let trials = &mut self.trials;
        trials.since = trials.since.min(now);
        trials.unclear = trials.unclear.min(now);
        let unanswered = trials.in_flight > trials.flowing;
        if now - trials.since >= max_wait {
            if unanswered || (trials.unclear > 0 && now - trials.unclear < max_wait) {
                return self.reopen("half_open_max_wait", now);
            }
            if trials.flowing > 0 {
                self.decide_by_heads(now);
                return self.admit(now);
            }
            // No one has called for as long: there was nothing to wait for.
            trials.since = now;
        }
        if trials.in_flight >= self.config.0.trial_limit.or_none() {
            let left = max_wait - (now - trials.since);
            return Err(Some(left.min(TRIAL_HINT)));
        }
        if !unanswered && trials.unclear == 0 {
            trials.since = now;
        }
        trials.in_flight += 1;
        Ok(())
    }

    /// Takes note that a trial's head was good: its body may take its time.
    pub(super) fn flows(&mut self, generation: u64, now: u64) {
        if generation == self.generation {
            let trials = &mut self.trials;
            trials.flowing += 1;
            (trials.since, trials.unclear) = (now, 0);
        }
    }

    /// A trial had to wait for this side until then.
    pub(super) fn prolong(&mut self, generation: u64, until: u64) {
        if generation == self.generation {
            self.trials.since = self.trials.since.max(until);
        }
    }

    /// The wait is over, and all trials in flight have answered: what is known of them counts. How their
    /// bodies end belongs to another time.
    fn decide_by_heads(&mut self, now: u64) {
        let Trials { flowing, succeeded, failed, .. } = self.trials;
        let succeeded = succeeded + flowing;
        self.trials.succeeded = succeeded;
        if succeeded + failed >= self.config.0.trial_calls.or_none() {
            return self.change(BreakerState::Closed, "trials_succeeded", now, 0);
        }
        self.generation += 1;
        self.trials = Trials { succeeded, failed, since: now, ..Trials::default() };
    }

    pub(super) fn end_trial(&mut self, end: Health, slow: bool, flows: bool, now: u64) {
        let trials = &mut self.trials;
        trials.in_flight = trials.in_flight.saturating_sub(1);
        trials.flowing -= u32::from(flows);
        match end {
            Health::Failed => trials.failed += 1,
            _ if slow => trials.failed += 1,
            Health::Well => {
                trials.succeeded += 1;
                (trials.since, trials.unclear) = (now, 0);
            }
            Health::Unknown => {
                trials.unclear = now;
                return;
            }
            // The peer has nothing to do with it.
            Health::NotAsked => return,
        }
        let said = &self.config.0;
        let calls = said.trial_calls.or_none();
        let allowed = said.trial_failure_rate.or_none() * f64::from(calls);
        if f64::from(trials.failed) > allowed {
            _ = self.reopen("trials_failed", now);
        } else if trials.failed + trials.succeeded >= calls {
            self.change(BreakerState::Closed, "trials_succeeded", now, 0);
        }
    }

    fn reopen(&mut self, why: &'static str, now: u64) -> Result<(), Option<u64>> {
        self.reopenings = self.reopenings.saturating_add(1);
        self.stay_open(why, now, 0);
        Err(Some(self.open_until - now))
    }

    pub(super) fn stay_open(&mut self, why: &'static str, now: u64, successes: u64) {
        let (first, most) = self.config.open_times();
        let (first, most) = (to_nanos(first), to_nanos(most));
        let doubled = 1_u64.checked_shl(self.reopenings).map_or(most, |n| first.saturating_mul(n));
        let length = doubled.min(most);
        // Of a year at most: the float is exact enough, and the sum does not overflow.
        let jitter = length as f64 * self.config.0.open_jitter.or_none() * self.rng.f64();
        self.opened_at = now;
        self.open_until = now.saturating_add(length).saturating_add(jitter as u64);
        self.change(BreakerState::Open, why, now, successes);
    }

    /// Hands the breaker to its rates, or takes it from them. Tells whether anything changed.
    pub(super) fn set_mode(&mut self, mode: BreakerMode, now: u64, successes: u64) -> bool {
        use BreakerState::{Closed, Disabled, ForcedClosed, ForcedOpen, HalfOpen, Open};
        let to = match (mode, self.state) {
            (BreakerMode::ForcedOpen, _) => ForcedOpen,
            (BreakerMode::ForcedClosed, _) => ForcedClosed,
            (BreakerMode::Disabled, _) => Disabled,
            (BreakerMode::Automatic, ruled @ (Closed | HalfOpen | Open)) => ruled,
            (BreakerMode::Automatic, _) => Closed,
        };
        if to == self.state {
            return false;
        }
        self.change(to, "by_hand", now, successes);
        true
    }

    pub(super) fn reset(&mut self, now: u64, successes: u64) {
        self.change(BreakerState::Closed, "by_hand", now, successes);
    }

    pub(super) fn set_config(&mut self, config: BreakerConfig, now: u64, successes: u64) {
        if config.0.window.difference(&self.config.0.window).is_some() {
            self.window = Window::new(&config.0.window, now, successes);
        }
        self.config = config;
    }

    fn change(&mut self, to: BreakerState, why: &'static str, now: u64, successes: u64) {
        let from = self.state;
        let counts = match from {
            BreakerState::HalfOpen => Counts {
                calls: u64::from(self.trials.succeeded + self.trials.failed),
                failed: u64::from(self.trials.failed),
                slow: 0,
            },
            _ => self.window.counts(successes),
        };
        let open_for = if to == BreakerState::Open { self.open_until - self.opened_at } else { 0 };
        self.state = to;
        self.generation += 1;
        self.trials = Trials { since: now, ..Trials::default() };
        // The successes of the new generation are counted from zero.
        self.window = Window::new(&self.config.0.window, now, 0);
        self.in_a_row = Row::default();
        if to == BreakerState::Closed {
            self.reopenings = 0;
        }
        if from != to {
            self.untold.push_back(Change { from, to, why, counts, open_for });
        }
    }
}
