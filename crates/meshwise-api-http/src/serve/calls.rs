//! Counts calls by version, state and caller, and what is for no version.

use super::row::Row;
use crate::runtime::{recorder::Recorder, table::Table};
use meshwise_api::{State, names};
use meshwise_core::internal::catalogue;
use metrics::{Counter, SharedString};
use std::sync::{Arc, Once, OnceLock};

/// How many states a version can be in, that of one never declared among them.
const STATES: usize = 5;
/// The longest caller's name that is told apart, in bytes.
const MAX_CALLER: usize = 256;

/// Holds the counters: resolved with the first call of their kind, then kept.
#[derive(Debug)]
pub(super) struct Calls {
    recorder: Recorder,
    callers: Table<Caller>,
    overflow: Counter,
    /// For each version and state, the callers' counters.
    cells: Box<[OnceLock<Cells>]>,
    /// For each version, the counters of callers that have declared nothing.
    undeclared: Box<[OnceLock<Cells>]>,
    /// Of what no rule fits, the callers' counters.
    unrouted: OnceLock<Cells>,
    /// For each version, whether every request of it is seen.
    watching: Box<[Once]>,
}

/// Counters of one kind: of callers by their number, of `_other`, of `unknown`.
type Cells = Box<[OnceLock<Counter>]>;

#[derive(Debug)]
struct Caller {
    name: Arc<str>,
    /// Whether the name was proved, and is no claim.
    verified: bool,
    number: usize,
}

/// Stands for a caller, told apart or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who(usize);

impl Calls {
    pub(super) fn new(recorder: Recorder, limit: usize, rows: &[Row]) -> Self {
        for metric in [
            catalogue::API_CALLS,
            catalogue::API_UNROUTED,
            catalogue::API_UNDECLARED_CALLERS,
            catalogue::API_COUNTING_SINCE,
            catalogue::API_SUNSET,
        ] {
            recorder.describe(&metric);
        }
        Self {
            overflow: recorder.overflow(names::API_CALLS, names::LABEL_CALLER),
            callers: Table::new(limit),
            cells: (0..rows.len() * STATES).map(|_| OnceLock::new()).collect(),
            undeclared: rows.iter().map(|_| OnceLock::new()).collect(),
            unrouted: OnceLock::new(),
            watching: rows.iter().map(|_| Once::new()).collect(),
            recorder,
        }
    }

    /// Says that every request of these versions is seen from now on: a layer stands around a service,
    /// or a consumer takes the messages. Of each version only the first time counts.
    pub(super) fn watch(&self, rows: &[Row], seen: impl Fn(&Row) -> bool, since: impl Fn() -> i64) {
        for (row, watching) in rows.iter().zip(&self.watching) {
            if !row.is_declared() || !seen(row) {
                continue;
            }
            watching.call_once(|| {
                let labels = [
                    (names::LABEL_API, row.api.into()),
                    (names::LABEL_VERSION, row.version.into()),
                ];
                self.recorder.gauge(names::API_COUNTING_SINCE, labels).set(since() as f64);
                self.tell_sunset(row);
            });
        }
    }

    /// Says until when a version works, for alerts before that day.
    fn tell_sunset(&self, row: &Row) {
        if let Some(sunset) = row.sunset() {
            let labels =
                [(names::LABEL_API, row.api.into()), (names::LABEL_VERSION, row.version.into())];
            let at = sunset.to_unix_seconds() as f64;
            self.recorder.gauge(catalogue::API_SUNSET.name, labels).set(at);
        }
    }

    /// Finds what stands for a caller; allocates only at the first of its name.
    pub(super) fn who(&self, caller: Option<(&str, bool)>) -> Who {
        let limit = self.callers.limit();
        Who(match caller.filter(|(name, _)| !name.is_empty()) {
            Some((name, verified)) => {
                self.caller(name, verified).map_or(limit, |caller| caller.number)
            }
            None => limit + 1,
        })
    }

    /// Counts a call; allocates only if it is the first of its kind.
    pub(super) fn count(&self, at: usize, row: &Row, state: Option<State>, who: Who) {
        let Some(cells) = self.cells.get(at * STATES + state_number(state)) else { return };
        self.increment(cells, who, |caller, verified| {
            self.recorder.counter(
                names::API_CALLS,
                [
                    (names::LABEL_API, row.api.into()),
                    (names::LABEL_VERSION, row.version.into()),
                    (names::LABEL_STATE, state.map_or(names::UNKNOWN, State::as_str).into()),
                    (names::LABEL_CALLER, caller),
                    (names::LABEL_VERIFIED, verified.into()),
                ],
            )
        });
    }

    /// Counts a request that is for no version which could be told.
    pub(super) fn count_unrouted(&self, who: Who) {
        self.increment(&self.unrouted, who, |caller, verified| {
            self.recorder.counter(
                names::API_UNROUTED,
                [(names::LABEL_CALLER, caller), (names::LABEL_VERIFIED, verified.into())],
            )
        });
    }

    /// Counts a call of a service that has not declared that it makes it. Returns whether it is the
    /// first of that service.
    pub(super) fn count_undeclared(&self, at: usize, row: &Row, who: Who) -> bool {
        let Some(cells) = self.undeclared.get(at) else { return false };
        let mut first = false;
        self.increment(cells, who, |caller, verified| {
            first = true;
            self.recorder.counter(
                names::API_UNDECLARED_CALLERS,
                [
                    (names::LABEL_API, row.api.into()),
                    (names::LABEL_VERSION, row.version.into()),
                    (names::LABEL_CALLER, caller),
                    (names::LABEL_VERIFIED, verified.into()),
                ],
            )
        });
        first
    }

    /// Tells whether there was such a request.
    pub(super) fn has_unrouted(&self) -> bool {
        self.unrouted.get().is_some()
    }

    fn increment(
        &self,
        cells: &OnceLock<Cells>,
        Who(number): Who,
        make: impl FnOnce(SharedString, &'static str) -> Counter,
    ) {
        let limit = self.callers.limit();
        let cells = cells.get_or_init(|| (0..limit + 2).map(|_| OnceLock::new()).collect());
        let Some(counter) = cells.get(number) else { return };
        let counter = counter.get_or_init(|| {
            let known = self.callers.iter().find(|caller| caller.number == number);
            let name = match known {
                Some(caller) => Arc::clone(&caller.name).into(),
                None if number == limit => names::OTHER.into(),
                None => names::UNKNOWN.into(),
            };
            let verified = known.is_some_and(|caller| caller.verified);
            make(name, if verified { "true" } else { "false" })
        });
        counter.increment(1);
    }

    /// Finds a caller; none if there are too many.
    fn caller(&self, name: &str, verified: bool) -> Option<&Caller> {
        let place = || {
            let make = |number| Caller { name: name.into(), verified, number };
            let is_it = |caller: &Caller| &*caller.name == name && caller.verified == verified;
            self.callers.place(&(name, verified), is_it, make)
        };
        let caller = (name.len() <= MAX_CALLER).then(place).flatten();
        let caller = caller.and_then(|place| self.callers.at(place));
        if caller.is_none() {
            self.overflow.increment(1);
        }
        caller
    }
}

fn state_number(state: Option<State>) -> usize {
    match state {
        None => 0,
        Some(State::Planned) => 1,
        Some(State::Current) => 2,
        Some(State::Deprecated) => 3,
        Some(State::Retired) => 4,
    }
}
