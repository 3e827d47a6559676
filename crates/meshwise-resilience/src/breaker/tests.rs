//! The breaker against a naive model, over random histories; and clocks that jump.

mod cases;

use super::{
    Breaker, Pass,
    config::BreakerConfig,
    state::{BreakerMode, BreakerState, Change},
    window::Counts,
};
use crate::clock::to_nanos;
use meshwise_core::outcome::Health;
use proptest::prelude::*;
use std::{
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

const MS: u64 = 1_000_000;
const START: u64 = 86_400_000 * MS;

type Told = Arc<Mutex<Vec<(BreakerState, BreakerState)>>>;

fn breaker(config: &BreakerConfig) -> (Breaker, Told) {
    config.check().unwrap();
    let told = Told::default();
    let note = Arc::clone(&told);
    let listener = move |change: &Change| note.lock().unwrap().push((change.from, change.to));
    (Breaker::telling(&"stock".into(), config.clone(), START, 1, Box::new(listener)), told)
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Admit,
    /// The body of one of the calls in flight flows.
    Flow(usize),
    /// Ends one of them.
    End(usize, Health),
    Mode(BreakerMode),
    Reset,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![4 => 0..300_u64, 2 => 300..3000_u64, 1 => 3000..40_000_u64];
    let end = prop_oneof![
        5 => Just(Health::Well), 5 => Just(Health::Failed), 1 => Just(Health::Unknown),
        1 => Just(Health::NotAsked)
    ];
    let mode = prop_oneof![
        2 => Just(BreakerMode::Automatic), 1 => Just(BreakerMode::ForcedOpen),
        1 => Just(BreakerMode::ForcedClosed), 1 => Just(BreakerMode::Disabled)
    ];
    let step = prop_oneof![
        30 => wait.prop_map(Step::Wait),
        40 => Just(Step::Admit),
        10 => any::<usize>().prop_map(Step::Flow),
        40 => (any::<usize>(), end).prop_map(|(which, end)| Step::End(which, end)),
        1 => mode.prop_map(Step::Mode),
        1 => Just(Step::Reset),
    ];
    prop::collection::vec(step, 0..200)
}

fn configs() -> impl Strategy<Value = BreakerConfig> {
    let window = prop_oneof![
        (1..5_u32, 1..5_u64).prop_map(|(buckets, secs)| (Duration::from_secs(secs), buckets, 0)),
        (4..12_u32).prop_map(|calls| (Duration::from_secs(10), 10, calls)),
    ];
    let rate = prop_oneof![Just(0.3), Just(0.5), Just(0.7), Just(1.0)];
    let slow = prop::option::of((100..2000_u64, rate.clone()));
    let spans = prop_oneof![Just(0), 0..3000_u64];
    let trials = (1..4_u32, 0..2_u32, prop_oneof![Just(0.0), Just(0.4), Just(0.7)]);
    (window, 1..5_u32, rate, slow, 0..5_u32, spans, trials).prop_map(
        |((time, buckets, calls), least, rate, slow, in_a_row, span, (limit, more, tolerated))| {
            let config = BreakerConfig::new()
                .with_time_window(time, buckets)
                .with_min_calls(least)
                .with_failure_rate(rate)
                .with_consecutive_failures(in_a_row, Duration::from_millis(span))
                .with_open_time(Duration::from_secs(1), Duration::from_secs(5))
                .with_open_jitter(0.0)
                .with_trials(limit, limit + more)
                .with_trial_failure_rate(tolerated)
                .with_half_open_max_wait(Duration::from_secs(4));
            let config = if calls > 0 { config.with_call_window(calls) } else { config };
            match slow {
                Some((after, rate)) => config.with_slow_calls(Duration::from_millis(after), rate),
                None => config,
            }
        },
    )
}

/// A call that ended.
#[derive(Clone, Copy)]
struct Ended {
    at: u64,
    failed: bool,
    slow: bool,
}

/// Does what the settings say, by remembering everything and counting it all each time.
struct Model {
    config: BreakerConfig,
    now: u64,
    state: BreakerState,
    /// One for each change of state.
    age: usize,
    since: u64,
    ended: Vec<Ended>,
    /// When each of the failures in a row ended.
    in_a_row: Vec<u64>,
    reopenings: u32,
    open_until: u64,
    in_flight: u32,
    flowing: u32,
    tried: Vec<bool>,
    progress: u64,
    /// When the last call ended without a verdict, since the last good news.
    unclear: Option<u64>,
    told: Vec<(BreakerState, BreakerState)>,
}

impl Model {
    fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            now: START,
            state: BreakerState::Closed,
            age: 0,
            since: START,
            ended: vec![],
            in_a_row: vec![],
            reopenings: 0,
            open_until: 0,
            in_flight: 0,
            flowing: 0,
            tried: vec![],
            progress: 0,
            unclear: None,
            told: vec![],
        }
    }

    fn go(&mut self, to: BreakerState) {
        if to != self.state {
            self.told.push((self.state, to));
        }
        self.state = to;
        self.age += 1;
        self.since = self.now;
        self.ended.clear();
        self.tried.clear();
        self.in_a_row.clear();
        (self.in_flight, self.flowing) = (0, 0);
        self.good_news();
        if to == BreakerState::Closed {
            self.reopenings = 0;
        }
    }

    fn good_news(&mut self) {
        (self.progress, self.unclear) = (self.now, None);
    }

    fn counts(&self) -> Counts {
        let seen: Vec<_> = match self.config.0.window.calls.or_none() {
            0 => {
                let window = &self.config.0.window;
                let buckets = window.buckets.or_none();
                let width = to_nanos(window.time.or_none()) / u64::from(buckets);
                let bucket = |at: u64| (at - self.since) / width;
                let young =
                    |ended: &&Ended| bucket(ended.at) + u64::from(buckets) > bucket(self.now);
                self.ended.iter().filter(young).collect()
            }
            calls => self.ended.iter().rev().take(calls as usize).collect(),
        };
        Counts {
            calls: seen.len() as u64,
            failed: seen.iter().filter(|ended| ended.failed).count() as u64,
            slow: seen.iter().filter(|ended| ended.slow).count() as u64,
        }
    }

    fn open(&mut self) {
        let longest = to_nanos(self.config.0.open_time_max.or_none());
        let length = (0..self.reopenings)
            .fold(to_nanos(self.config.0.open_time.or_none()), |length, _| {
                (length * 2).min(longest)
            });
        self.open_until = self.now + length;
        self.go(BreakerState::Open);
    }

    /// Returns the age in which the call is admitted, or for how long it is refused.
    fn admit(&mut self) -> Result<usize, Option<u64>> {
        match self.state {
            BreakerState::ForcedOpen => return Err(None),
            BreakerState::Open if self.now < self.open_until => {
                return Err(Some(self.open_until - self.now));
            }
            BreakerState::Open => self.go(BreakerState::HalfOpen),
            _ => {}
        }
        if self.state == BreakerState::HalfOpen {
            let wait = to_nanos(self.config.0.half_open_max_wait.or_none());
            if self.now - self.progress >= wait {
                let unclear = self.unclear.is_some_and(|at| self.now - at < wait);
                if self.in_flight > self.flowing || unclear {
                    self.reopenings += 1;
                    self.open();
                    return Err(Some(self.open_until - self.now));
                }
                if self.flowing > 0 {
                    // All that is known of those is good.
                    let mut tried = mem::take(&mut self.tried);
                    tried.extend((0..self.flowing).map(|_| true));
                    if tried.len() as u32 >= self.config.0.trial_calls.or_none() {
                        self.go(BreakerState::Closed);
                        return Ok(self.age);
                    }
                    self.go(BreakerState::HalfOpen);
                    self.tried = tried;
                }
                self.progress = self.now;
            }
            if self.in_flight == self.config.0.trial_limit.or_none() {
                return Err(Some((self.progress + wait - self.now).min(1000 * MS)));
            }
            if self.in_flight == self.flowing && self.unclear.is_none() {
                self.progress = self.now;
            }
            self.in_flight += 1;
        }
        Ok(self.age)
    }

    fn flow(&mut self, age: usize) {
        if age == self.age && self.state == BreakerState::HalfOpen {
            self.flowing += 1;
            self.good_news();
        }
    }

    fn end(&mut self, (age, began, flows): (usize, u64, bool), end: Health) {
        if age != self.age {
            return;
        }
        let slow = end != Health::NotAsked && self.now - began > self.config.slow_after();
        let failed = end == Health::Failed;
        let counted = failed || slow || end == Health::Well;
        match self.state {
            BreakerState::Closed | BreakerState::Disabled if counted => {
                self.ended.push(Ended { at: self.now, failed, slow });
                if failed {
                    self.in_a_row.push(self.now);
                } else if end == Health::Well {
                    self.in_a_row.clear();
                }
                let Counts { calls, failed: all_failed, slow: all_slow } = self.counts();
                let rate = |part: u64| part as f64 / calls as f64;
                let enough = calls >= u64::from(self.config.0.min_calls.or_none());
                let ends = self.in_a_row.first().zip(self.in_a_row.last());
                let span = ends.map_or(0, |(first, last)| last - first);
                let many = self.in_a_row.len() as u32;
                let least = self.config.0.consecutive_failures.or_none();
                let opens = least > 0
                    && many >= least
                    && span >= to_nanos(self.config.0.consecutive_span.or_none())
                    || enough && rate(all_failed) >= self.config.0.failure_rate.or_none()
                    || enough
                        && self.config.slow_after() != u64::MAX
                        && rate(all_slow) >= self.config.0.slow_call_rate.or_none();
                if (failed || slow) && opens && self.state == BreakerState::Closed {
                    self.reopenings = 0;
                    self.open();
                }
            }
            BreakerState::HalfOpen => {
                self.in_flight -= 1;
                self.flowing -= u32::from(flows);
                if !counted {
                    if end == Health::Unknown {
                        self.unclear = Some(self.now);
                    }
                    return;
                }
                self.tried.push(!failed && !slow);
                if !failed && !slow {
                    self.good_news();
                }
                let bad = self.tried.iter().filter(|good| !**good).count() as f64;
                if bad
                    > self.config.0.trial_failure_rate.or_none()
                        * f64::from(self.config.0.trial_calls.or_none())
                {
                    self.reopenings += 1;
                    self.open();
                } else if self.tried.len() as u32 == self.config.0.trial_calls.or_none() {
                    self.go(BreakerState::Closed);
                }
            }
            _ => {}
        }
    }

    fn mode(&mut self, mode: BreakerMode) {
        let by_itself = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen]
            .contains(&self.state);
        let to = match mode {
            BreakerMode::Automatic if by_itself => return,
            BreakerMode::Automatic => BreakerState::Closed,
            BreakerMode::ForcedOpen => BreakerState::ForcedOpen,
            BreakerMode::ForcedClosed => BreakerState::ForcedClosed,
            BreakerMode::Disabled => BreakerState::Disabled,
        };
        if to != self.state {
            self.go(to);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_breaker_does_what_the_model_does(config in configs(), steps in steps()) {
        let (breaker, told) = breaker(&config);
        let mut model = Model::new(config);
        let mut calls: Vec<(Pass, (usize, u64, bool))> = vec![];
        for step in steps {
            match step {
                Step::Wait(ms) => model.now += ms * MS,
                Step::Admit => {
                    let (real, expected) = (breaker.admit(|| model.now), model.admit());
                    prop_assert_eq!(real.map(|_| ()), expected.map(|_| ()));
                    if let (Ok(pass), Ok(age)) = (real, expected) {
                        calls.push((pass, (age, model.now, false)));
                    }
                }
                Step::Flow(which) if !calls.is_empty() => {
                    let at = which % calls.len();
                    let (pass, (age, _, flows)) = &mut calls[at];
                    breaker.flows(pass, || model.now);
                    if !mem::replace(flows, true) {
                        model.flow(*age);
                    }
                }
                Step::End(which, end) if !calls.is_empty() => {
                    let (pass, call) = calls.swap_remove(which % calls.len());
                    breaker.end(pass, end, || model.now);
                    model.end(call, end);
                }
                Step::Flow(_) | Step::End(..) => {}
                Step::Mode(mode) => {
                    breaker.with(|machine, good| machine.set_mode(mode, model.now, good));
                    model.mode(mode);
                }
                Step::Reset => {
                    breaker.with(|machine, good| machine.reset(model.now, good));
                    model.go(BreakerState::Closed);
                }
            }
            let view = breaker.snapshot(model.now);
            prop_assert_eq!(view.state, model.state);
            let Counts { calls, failed, slow } = model.counts();
            prop_assert_eq!((view.calls, view.failed, view.slow), (calls, failed, slow));
            prop_assert_eq!(view.trials_in_flight, model.in_flight);
            prop_assert_eq!(&*told.lock().unwrap(), &model.told);
        }
    }

    #[test]
    fn clocks_that_jump_wedge_nothing(
        config in configs(),
        jumps in prop::collection::vec(
            (prop_oneof![-3_600_000..3_600_000_i64, -2000..2000_i64], 0..4_u8), 0..100
        ),
    ) {
        let (breaker, _told) = breaker(&config);
        let mut now = START;
        let mut calls = vec![];
        for (jump, what) in jumps {
            now = now.saturating_add_signed(jump * MS as i64);
            match what {
                0 => calls.extend(breaker.admit(|| now)),
                1 => if let Some(pass) = calls.pop() {
                    breaker.end(pass, Health::Failed, || now);
                },
                2 => if let Some(pass) = calls.pop() {
                    breaker.end(pass, Health::Well, || now);
                },
                _ => drop(calls.pop().map(|pass| breaker.end(pass, Health::Unknown, || now))),
            }
        }
        for pass in calls {
            breaker.end(pass, Health::Unknown, || now);
        }
        // However the clock behaved: once it runs properly and the peer is well, calls pass
        // again, after one wait for a verdict and the longest open time.
        for _ in 0..20 {
            now += 1000 * MS;
            if let Ok(pass) = breaker.admit(|| now) {
                breaker.end(pass, Health::Well, || now);
            }
        }
        prop_assert_eq!(breaker.snapshot(now).state, BreakerState::Closed);
    }

    #[test]
    fn a_clock_that_jumps_opens_nothing_that_succeeds(
        jumps in prop::collection::vec(-3_600_000..3_600_000_i64, 0..200),
    ) {
        let (breaker, told) = breaker(&BreakerConfig::new().with_min_calls(1));
        let mut now = START;
        for jump in jumps {
            let pass = breaker.admit(|| now).unwrap();
            now = now.saturating_add_signed(jump * MS as i64);
            breaker.end(pass, Health::Well, || now);
        }
        prop_assert!(told.lock().unwrap().is_empty());
    }
}
