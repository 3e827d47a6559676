//! What is said about a peer's versions, how often, and to whom.

use super::targets::{Target, Targets};
use crate::{
    headers::{DEPRECATION, Deprecation, Link, SUNSET, Sunset},
    runtime::{recorder::Recorder, table::Table},
};
use http::HeaderMap;
use meshwise_api::{Date, names};
use meshwise_core::internal::catalogue;
use metrics::Counter;
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};
use tracing::field::display;

/// How many pairs of API and version of one peer are told apart.
const MAX_TARGETS: usize = 100;
/// The longest name of an API or version that is told apart, in bytes.
const MAX_NAME: usize = 128;
/// The target of the events.
const TARGET: &str = "meshwise::api";

/// Holds what is known of each API and version that was called.
#[derive(Debug)]
pub(super) struct Notices {
    recorder: Recorder,
    peer: Arc<str>,
    entries: Table<Entry>,
    undeclared: Table<Arc<UndeclaredApi>>,
    /// Stand for all beyond the bounds, declared or not.
    other: [Entry; 2],
    other_undeclared: Arc<UndeclaredApi>,
}

/// What is known of one API and version.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) api: Arc<str>,
    pub(super) version: Option<Arc<str>>,
    /// Set if calls to it were not declared.
    undeclared: Option<Arc<UndeclaredApi>>,
    deprecated: OnceLock<Counter>,
    /// The day of the last warning, counted from 1970-01-01.
    warned: AtomicI64,
    /// How many answers said so since then.
    since: AtomicU64,
}

/// What is known of an API that no one declared.
#[derive(Debug)]
struct UndeclaredApi {
    api: Arc<str>,
    /// Resolved with the first call.
    calls: OnceLock<Counter>,
    logged: AtomicBool,
}

/// Names an entry.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoticePlace {
    Known(usize),
    Other { declared: bool },
}

impl NoticePlace {
    pub(super) const fn is_known(self) -> bool {
        matches!(self, Self::Known(_))
    }
}

impl Notices {
    pub(super) fn new(recorder: Recorder, peer: &Arc<str>) -> Self {
        recorder.describe(&catalogue::API_DEPRECATED_RESPONSES);
        recorder.describe(&catalogue::API_UNDECLARED_CALLS);
        let other: Arc<str> = names::OTHER.into();
        let undeclared = Arc::new(UndeclaredApi::new(Arc::clone(&other)));
        let entry =
            |undeclared| Entry::new(Arc::clone(&other), Some(Arc::clone(&other)), undeclared);
        Self {
            peer: Arc::clone(peer),
            entries: Table::new(MAX_TARGETS),
            undeclared: Table::new(MAX_TARGETS),
            other: [entry(None), entry(Some(Arc::clone(&undeclared)))],
            other_undeclared: undeclared,
            recorder,
        }
    }

    /// Finds what is known of a request's target; allocates only at the first of its kind.
    pub(super) fn place(&self, targets: &Targets, target: Target<'_>) -> NoticePlace {
        let Target { api, version } = target;
        let fits = api.len() <= MAX_NAME && version.is_none_or(|version| version.len() <= MAX_NAME);
        let known = || {
            self.entries.place(
                &target_key(target),
                |entry| &*entry.api == api && entry.version.as_deref() == version,
                |_| {
                    let undeclared = (!targets.is_declared(api)).then(|| self.undeclared(api));
                    Entry::new(api.into(), version.map(Into::into), undeclared)
                },
            )
        };
        match fits.then(known).flatten() {
            Some(place) => NoticePlace::Known(place),
            None => NoticePlace::Other { declared: targets.is_declared(api) },
        }
    }

    pub(super) fn entry(&self, place: NoticePlace) -> &Entry {
        let beyond = |declared: bool| &self.other[usize::from(!declared)];
        match place {
            NoticePlace::Known(place) => self.entries.at(place).unwrap_or(beyond(true)),
            NoticePlace::Other { declared } => beyond(declared),
        }
    }

    fn undeclared(&self, api: &str) -> Arc<UndeclaredApi> {
        let place = self.undeclared.place(
            api,
            |known| &*known.api == api,
            |_| Arc::new(UndeclaredApi::new(api.into())),
        );
        let known = place.and_then(|place| self.undeclared.at(place));
        Arc::clone(known.unwrap_or(&self.other_undeclared))
    }

    /// Counts a call if it was not declared, and logs the first. Returns whether it was not.
    pub(super) fn call(&self, entry: &Entry, service: &str) -> bool {
        let Some(UndeclaredApi { api, calls, logged }) = entry.undeclared.as_deref() else {
            return false;
        };
        let counter = || {
            let labels = [
                (names::LABEL_PEER, Arc::clone(&self.peer).into()),
                (names::LABEL_API, Arc::clone(api).into()),
            ];
            self.recorder.counter(names::API_UNDECLARED_CALLS, labels)
        };
        calls.get_or_init(counter).increment(1);
        // Outside of the cell: the subscriber that receives the event may make such a call itself.
        if !logged.swap(true, Relaxed) {
            tracing::warn!(
                target: TARGET,
                peer = &*self.peer,
                api = &**api,
                "undeclared call: {service} calls {api} of {}, which is not among the [[requires]] \
                 of its api.toml",
                self.peer,
            );
        }
        true
    }

    /// Reads what an answer says of the version's end: counts it, and warns of it once a day.
    pub(super) fn response(&self, entry: &Entry, headers: &HeaderMap, now: impl Fn() -> i64) {
        if !headers.contains_key(&DEPRECATION) && !headers.contains_key(&SUNSET) {
            return;
        }
        let now = now();
        let deprecation = Deprecation::read(headers, now);
        let sunset = Sunset::read(headers, now);
        if deprecation.is_none() && sunset.is_none() {
            return;
        }
        let version = entry.version.as_deref().unwrap_or(names::UNKNOWN);
        entry
            .deprecated
            .get_or_init(|| {
                self.recorder.counter(
                    names::API_DEPRECATED_RESPONSES,
                    [
                        (names::LABEL_PEER, Arc::clone(&self.peer).into()),
                        (names::LABEL_API, Arc::clone(&entry.api).into()),
                        (names::LABEL_VERSION, version.to_owned().into()),
                    ],
                )
            })
            .increment(1);
        entry.since.fetch_add(1, Relaxed);
        let today = now.div_euclid(86_400);
        let last = entry.warned.load(Relaxed);
        let mine = entry.warned.compare_exchange(last, today, Relaxed, Relaxed);
        if last == today || mine.is_err() {
            return;
        }
        let day = |day: Option<Date>| day.map(display);
        tracing::warn!(
            target: TARGET,
            peer = &*self.peer,
            api = &*entry.api,
            version,
            deprecated = day(deprecation.and_then(Deprecation::day)),
            sunset = day(sunset.and_then(Sunset::day)),
            successor = Link::find(headers, names::REL_SUCCESSOR_VERSION),
            information = Link::find(headers, names::REL_DEPRECATION)
                .or_else(|| Link::find(headers, names::REL_SUNSET)),
            calls = entry.since.swap(0, Relaxed),
            "{}",
            Message { peer: &self.peer, entry, version, deprecation, sunset, now },
        );
    }
}

/// What entries are told apart by.
fn target_key(target: Target<'_>) -> (&str, Option<&str>) {
    (target.api, target.version)
}

impl Entry {
    fn new(
        api: Arc<str>,
        version: Option<Arc<str>>,
        undeclared: Option<Arc<UndeclaredApi>>,
    ) -> Self {
        Self {
            api,
            version,
            undeclared,
            deprecated: OnceLock::new(),
            warned: AtomicI64::new(i64::MIN),
            since: AtomicU64::new(0),
        }
    }
}

impl UndeclaredApi {
    fn new(api: Arc<str>) -> Self {
        Self { api, calls: OnceLock::new(), logged: AtomicBool::new(false) }
    }
}

/// Says in a sentence what the headers say.
struct Message<'a> {
    peer: &'a str,
    entry: &'a Entry,
    version: &'a str,
    deprecation: Option<Deprecation>,
    sunset: Option<Sunset>,
    now: i64,
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, entry, version, deprecation, sunset, now } = self;
        write!(f, "version {version} of {}", entry.api)?;
        // Most peers have one API, of their own name.
        if *entry.api != **peer {
            write!(f, " at {peer}")?;
        }
        if let Some(deprecation) = deprecation {
            let future = deprecation.seconds().is_some_and(|at| at > *now);
            f.write_str(if future { " will be deprecated" } else { " is deprecated" })?;
            if let Some(day) = deprecation.day() {
                write!(f, " {} {day}", if future { "on" } else { "since" })?;
            }
        }
        if let Some(sunset) = sunset {
            f.write_str(if deprecation.is_some() { " and" } else { "" })?;
            let passed = sunset.0 <= *now;
            f.write_str(if passed { " may be gone" } else { " may stop working" })?;
            if let Some(day) = sunset.day() {
                write!(f, " {} {day}", if passed { "since" } else { "on" })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_what_the_headers_say() {
        const DAY: i64 = 86_400;
        let entry = Entry::new("auth".into(), None, None);
        let say = |deprecation, sunset: Option<i64>| {
            let (sunset, now) = (sunset.map(Sunset), 100 * DAY);
            Message { peer: "id", entry: &entry, version: "1.1", deprecation, sunset, now }
                .to_string()
        };
        let at = |day| Some(Deprecation::At(day * DAY));
        for (deprecation, sunset, expected) in [
            (at(1), None, "is deprecated since 1970-01-02"),
            (at(100), None, "is deprecated since 1970-04-11"),
            (at(101), None, "will be deprecated on 1970-04-12"),
            (Some(Deprecation::Now), None, "is deprecated"),
            (Some(Deprecation::At(i64::MIN)), None, "is deprecated"),
            (
                at(1),
                Some(365 * DAY),
                "is deprecated since 1970-01-02 and may stop working on 1971-01-01",
            ),
            (
                at(1),
                Some(100 * DAY),
                "is deprecated since 1970-01-02 and may be gone since 1970-04-11",
            ),
            (None, Some(365 * DAY), "may stop working on 1971-01-01"),
        ] {
            assert_eq!(say(deprecation, sunset), format!("version 1.1 of auth at id {expected}"));
        }
        let message = Message {
            peer: "auth",
            entry: &entry,
            version: "1.1",
            deprecation: at(1),
            sunset: None,
            now: 2 * DAY,
        };
        assert_eq!(message.to_string(), "version 1.1 of auth is deprecated since 1970-01-02");
    }
}
