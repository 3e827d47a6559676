//! What is known of one version.

use super::notice::Notice;
use crate::runtime::{clock, routes::PathForm};
use http::HeaderValue;
use meshwise_api::{Date, ProvidedVersion, State};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// What is known of one version.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) api: &'static str,
    pub(super) version: &'static str,
    pub(super) declared: Option<&'static ProvidedVersion>,
    /// Whether calls are counted here as requests are answered: by HTTP and gRPC, not by messages.
    pub(super) by_request: bool,
    /// What all have in common that can stand in for it.
    pub(super) unit: String,
    /// What its callers are told.
    pub(super) notice: Notice,
    /// Where its successor is, unless the user has said that, or another service provides it.
    pub(super) successors: Vec<Successor>,
    /// The day for which the state was worked out, times 4, and the state.
    pub(super) state: AtomicI64,
}

/// Where a version's successor is, for those whose paths have a form.
#[derive(Debug)]
pub(super) struct Successor {
    pub(super) form: PathForm,
    pub(super) prefix: String,
    pub(super) link: HeaderValue,
}

/// Where a caller finds the successor of its version, if that is known better than for all.
#[derive(Debug)]
pub(super) enum Announced {
    /// The number of one that is written already.
    Known(usize),
    /// One below a path that stands before; in a box, as few calls have one.
    Here(Box<HeaderValue>),
}

impl Row {
    pub(super) fn new(
        api: &'static str,
        version: &'static str,
        declared: Option<&'static ProvidedVersion>,
    ) -> Self {
        Self {
            api,
            version,
            declared,
            notice: Notice::default(),
            successors: Vec::new(),
            by_request: false,
            unit: String::new(),
            state: AtomicI64::new(i64::MIN),
        }
    }

    /// Returns the link to its successor of this number.
    pub(super) fn successor(&self, at: usize) -> Option<&HeaderValue> {
        Some(&self.successors.get(at)?.link)
    }

    /// Tells whether the version was declared, and does not stand for any other.
    pub(super) fn is_declared(&self) -> bool {
        self.declared.is_some()
    }

    /// Tells whether its end was announced, be it near or far.
    pub(super) fn is_announced(&self) -> bool {
        self.declared.is_some_and(|version| version.deprecated.or(version.sunset).is_some())
    }

    /// Returns the day from which it may stop working, if that was said.
    pub(super) fn sunset(&self) -> Option<Date> {
        self.declared?.sunset
    }

    /// Returns where the version stands on a day (counted from 1970-01-01); none if it was never
    /// declared.
    pub(super) fn state(&self, today: i64) -> Option<State> {
        let version = self.declared?;
        let known = self.state.load(Relaxed);
        if known.div_euclid(4) == today {
            return Some(STATES[known.rem_euclid(4) as usize]);
        }
        let date = clock::day(today.saturating_mul(86_400));
        let state = version.state_on(date);
        // Many threads may find out at once; they find the same.
        let number = STATES.iter().position(|other| *other == state).unwrap_or_default();
        self.state.store(today.saturating_mul(4).saturating_add(number as i64), Relaxed);
        Some(state)
    }
}

const STATES: [State; 4] = [State::Planned, State::Current, State::Deprecated, State::Retired];
