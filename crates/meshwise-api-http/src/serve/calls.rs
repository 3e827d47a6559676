//! Counts calls by version, state and caller.

use super::versions::Row;
use crate::runtime::{recorder::Recorder, table::Table};
use meshwise_api::{State, names};
use metrics::{Counter, Unit};
use std::sync::{Arc, OnceLock};

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
}

/// Counters of one version in one state: of callers by their number, of `_other`, of `unknown`.
type Cells = Box<[OnceLock<Counter>]>;

#[derive(Debug)]
struct Caller {
    name: Arc<str>,
    number: usize,
}

impl Calls {
    /// `since` is the moment that counting began, in seconds since 1970.
    pub(super) fn new(recorder: Recorder, limit: usize, rows: &[Row], since: i64) -> Self {
        recorder.describe_counter(
            names::API_CALLS,
            "Calls by API, version, its state on the day, and calling service.",
        );
        recorder.describe_gauge(
            names::API_COUNTING_SINCE,
            Unit::Seconds,
            "Unix time since which this process counts calls of the version.",
        );
        for row in rows.iter().filter(|row| row.reachable) {
            let labels =
                [(names::LABEL_API, row.api.into()), (names::LABEL_VERSION, row.version.into())];
            recorder.gauge(names::API_COUNTING_SINCE, labels).set(since as f64);
        }
        Self {
            overflow: recorder.overflow(names::API_CALLS, names::LABEL_CALLER),
            callers: Table::new(limit),
            cells: (0..rows.len() * STATES).map(|_| OnceLock::new()).collect(),
            recorder,
        }
    }

    /// Counts a call; allocates only if it is the first of its kind.
    pub(super) fn count(&self, at: usize, row: &Row, state: Option<State>, caller: Option<&str>) {
        let limit = self.callers.limit();
        let known = caller.filter(|name| !name.is_empty()).map(|name| self.caller(name));
        let number = match known {
            Some(Some(caller)) => caller.number,
            Some(None) => limit,
            None => limit + 1,
        };
        let Some(cells) = self.cells.get(at * STATES + state_number(state)) else { return };
        let cells = cells.get_or_init(|| (0..limit + 2).map(|_| OnceLock::new()).collect());
        let Some(counter) = cells.get(number) else { return };
        let counter = counter.get_or_init(|| {
            let caller = match known {
                Some(Some(caller)) => Arc::clone(&caller.name).into(),
                Some(None) => names::OTHER.into(),
                None => names::UNKNOWN.into(),
            };
            self.recorder.counter(
                names::API_CALLS,
                [
                    (names::LABEL_API, row.api.into()),
                    (names::LABEL_VERSION, row.version.into()),
                    (names::LABEL_STATE, state.map_or(names::UNKNOWN, State::as_str).into()),
                    (names::LABEL_CALLER, caller),
                ],
            )
        });
        counter.increment(1);
    }

    /// Finds a caller; none if there are too many.
    fn caller(&self, name: &str) -> Option<&Caller> {
        let place = || {
            let make = |number| Caller { name: name.into(), number };
            self.callers.place(name, |caller| &*caller.name == name, make)
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
