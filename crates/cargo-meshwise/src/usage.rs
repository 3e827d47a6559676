//! Who still calls a version, and whether that is known for all of the time asked about.
//!
//! Every instance counts calls in `meshwise_api_calls_total{api,version,state,caller,caller_verified}` and says
//! since when in `meshwise_api_counting_since_seconds{api,version}`. A counter begins with the first
//! call, so one that is absent means no call or no one looked; the gauge tells the two apart, for
//! it is there from the start.
//!
//! | seen in the window | means |
//! |---|---|
//! | a counter rose, or appeared | calls, by whom |
//! | every instance's gauge without a hole, and no counter rose | no calls |
//! | a hole longer than the resolution, for the service or one instance | a [`Gap`] |
//! | an instance that was scraped and has no gauge | a gap: it may have been called |
//! | an instance that appears late, and says it began before the window | a gap |
//! | requests that no route fits, or that name a version which the API does not have | a gap |
//! | no gauge at all, no `up`, an answer cut short | a gap |
//!
//! A counter sums up, so calls between two scrapes are not lost; those that an instance takes after
//! its last scrape before it ends are. That is at most one scrape interval, and is not seen here.

mod file;
mod plan;
mod prometheus;
mod promql;
#[cfg(feature = "http")]
pub(crate) mod web;
mod window;

use std::collections::BTreeMap;

use meshwise_api::{ApiId, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use prometheus::{Backend, Params, Prometheus};
#[cfg(feature = "http")]
pub(crate) use web::WebError;
pub(crate) use window::Window;

/// Holds who called a version over a window of time, and what is not known about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub(crate) struct Usage {
    /// The version of this format: 1.
    pub schema: u32,
    /// The API.
    pub api: String,
    /// Its version.
    pub version: String,
    /// Where the window begins.
    pub from: Timestamp,
    /// Where it ends.
    pub to: Timestamp,
    /// How many calls were counted, by caller; those with none are left out. Prometheus
    /// extrapolates, so the numbers are near the truth, and zero is exact.
    pub calls: BTreeMap<String, u64>,
    /// How many of them came under a name that was proved; the others are claims.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub verified: BTreeMap<String, u64>,
    /// How many instances counted, at any time in the window.
    pub instances: u64,
    /// Where no one counted. It must be there, also when empty: what does not say that it is
    /// complete is not.
    pub gaps: Vec<Gap>,
}

/// Names a time for which, or an instance for which, calls may have gone uncounted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub(crate) struct Gap {
    /// Where it begins, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Where it ends, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// The instance, if it is about one: `job/instance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What is missing, and what to do.
    pub why: String,
}

impl Gap {
    fn new(why: impl Into<String>) -> Self {
        Self { from: None, to: None, instance: None, why: why.into() }
    }

    fn of(mut self, instance: &str) -> Self {
        self.instance = Some(instance.to_owned());
        self
    }

    fn between(mut self, from: i64, to: i64) -> Self {
        self.from = Timestamp::from_unix_seconds(from);
        self.to = Timestamp::from_unix_seconds(to);
        self
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(instance) = &self.instance {
            write!(f, "{instance}: ")?;
        }
        f.write_str(&self.why)?;
        match (self.from, self.to) {
            (Some(from), Some(to)) => write!(f, " ({from} to {to})"),
            (Some(from), None) => write!(f, " (from {from})"),
            (None, Some(to)) => write!(f, " (until {to})"),
            (None, None) => Ok(()),
        }
    }
}

impl Usage {
    /// The version of the format.
    pub(crate) const SCHEMA: u32 = 1;

    /// Tells whether the counters cover the whole window.
    #[must_use]
    pub(crate) fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Reads an exported usage, and adds a gap where it does not reach over the window that ends
    /// now. Without a window, its own is taken.
    ///
    /// # Errors
    /// If it is no usage of this version of this API.
    pub(crate) fn from_json(
        bytes: &[u8],
        about: &ApiId,
        window: Option<Window>,
        now: i64,
    ) -> Result<Self, UsageError> {
        file::read(bytes, about, window, now)
    }
}

/// Says why nothing is known about calls.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum UsageError {
    /// The server was not reached, or gave no answer to use.
    #[error("cannot ask {server}")]
    Unreachable {
        /// Where, without a password.
        server: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server refused the question.
    #[error("{server} refused the query `{query}`: {message}")]
    Refused {
        /// Where.
        server: String,
        /// What was asked.
        query: String,
        /// Its words, cut short.
        message: String,
    },
    /// The answer is not one that Prometheus gives.
    #[error("{server} answered `{query}` with nonsense: {message}")]
    Nonsense {
        /// Where.
        server: String,
        /// What was asked.
        query: String,
        /// What is wrong with it.
        message: String,
    },
    /// The exported usage is none, or is about something else.
    #[error("the exported usage {0}")]
    File(String),
    /// No one was asked.
    #[error("no one was asked; give --prometheus URL or --usage FILE")]
    NotAsked,
}
