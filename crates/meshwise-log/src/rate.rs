//! A limit on how often one call site may complain.

use crate::format::names::ACCESS;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tracing_core::{Level, Metadata, callsite::Identifier};

/// Limits how often one call site may log at `WARN` or `ERROR`: `burst` lines at once, then
/// `per_second`. Lines of other levels, and the access log, are not limited.
///
/// By default 100 at once, then 10 a second. What is suppressed is counted, and told by the next
/// line of that call site that passes (`suppressed`). Records of the `log` crate have their target,
/// file and line for a call site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    burst: f64,
    per_second: f64,
}

impl RateLimit {
    /// Allows `burst` lines at once (at least 1), then `per_second` lines a second.
    #[must_use]
    pub fn new(burst: u32, per_second: f64) -> Self {
        let per_second = if per_second.is_finite() { per_second.max(0.0) } else { 0.0 };
        Self { burst: f64::from(burst.max(1)), per_second }
    }

    /// Returns what it was made of.
    pub(crate) fn parts(self) -> (u32, f64) {
        (self.burst as u32, self.per_second)
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new(100, 10.0)
    }
}

/// How many call sites, and how many origins of records of the `log` facade, have a bucket of their
/// own. The others share one: programs may make call sites while they run, records may have any
/// target, and memory is bounded.
const MAX_BUCKETS: usize = 2048;

/// Holds a bucket of tokens for each call site that complains.
pub(crate) struct Limiter {
    limit: RateLimit,
    call_sites: ArcSwap<HashMap<Identifier, Arc<Mutex<Bucket>>>>,
    /// Records of the `log` facade have one call site a level: they are told apart by where they
    /// come from.
    origins: Mutex<HashMap<Origin, Bucket>>,
    others: Arc<Mutex<Bucket>>,
}

/// Says where a record of the `log` facade comes from.
#[derive(PartialEq, Eq, Hash)]
struct Origin {
    target: Box<str>,
    file: Option<Box<str>>,
    line: Option<u32>,
}

#[derive(Clone)]
struct Bucket {
    tokens: f64,
    filled: SystemTime,
    suppressed: u64,
}

impl Bucket {
    fn full(limit: RateLimit, now: SystemTime) -> Self {
        Self { tokens: limit.burst, filled: now, suppressed: 0 }
    }

    fn fill(&mut self, limit: RateLimit, now: SystemTime) {
        // A clock that goes back fills nothing; that is all.
        let passed = now.duration_since(self.filled).unwrap_or(Duration::ZERO);
        self.tokens = (self.tokens + passed.as_secs_f64() * limit.per_second).min(limit.burst);
        self.filled = now;
    }

    /// Returns how many lines were suppressed before this one, or `None` if this one is too.
    fn pass(&mut self, limit: RateLimit, now: SystemTime) -> Option<u64> {
        self.fill(limit, now);
        if self.tokens < 1.0 {
            self.suppressed += 1;
            return None;
        }
        self.tokens -= 1.0;
        Some(std::mem::take(&mut self.suppressed))
    }

    /// Tells whether it is as if it had never been used.
    fn is_unused(&mut self, limit: RateLimit, now: SystemTime) -> bool {
        self.fill(limit, now);
        self.suppressed == 0 && self.tokens >= limit.burst
    }
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            call_sites: ArcSwap::default(),
            origins: Mutex::default(),
            others: Arc::new(Mutex::new(Bucket::full(limit, SystemTime::UNIX_EPOCH))),
        }
    }

    /// Returns how many lines were suppressed before this one, or `None` if this one is too.
    /// `record` tells that the metadata are those of a record of the `log` facade.
    pub(crate) fn pass(
        &self,
        metadata: &Metadata<'_>,
        record: bool,
        now: SystemTime,
    ) -> Option<u64> {
        if *metadata.level() > Level::WARN || metadata.target() == ACCESS {
            return Some(0);
        }
        if record {
            return self.pass_record(metadata, now);
        }
        self.bucket(&metadata.callsite(), now).lock().pass(self.limit, now)
    }

    fn pass_record(&self, metadata: &Metadata<'_>, now: SystemTime) -> Option<u64> {
        let origin = Origin {
            target: metadata.target().into(),
            file: metadata.file().map(Into::into),
            line: metadata.line(),
        };
        let mut origins = self.origins.lock();
        if origins.len() >= MAX_BUCKETS && !origins.contains_key(&origin) {
            origins.retain(|_, bucket| !bucket.is_unused(self.limit, now));
            if origins.len() >= MAX_BUCKETS {
                drop(origins);
                return self.others.lock().pass(self.limit, now);
            }
        }
        let bucket = origins.entry(origin).or_insert_with(|| Bucket::full(self.limit, now));
        bucket.pass(self.limit, now)
    }

    fn bucket(&self, id: &Identifier, now: SystemTime) -> Arc<Mutex<Bucket>> {
        let known = self.call_sites.load();
        if let Some(bucket) = known.get(id) {
            return Arc::clone(bucket);
        }
        if known.len() >= MAX_BUCKETS {
            return Arc::clone(&self.others);
        }
        let fresh = Arc::new(Mutex::new(Bucket::full(self.limit, now)));
        self.call_sites.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.entry(id.clone()).or_insert_with(|| Arc::clone(&fresh));
            known
        });
        self.call_sites.load().get(id).map_or(fresh, Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_core::{Kind, callsite::Callsite, field::FieldSet, subscriber::Interest};

    struct Site;

    impl Callsite for Site {
        fn set_interest(&self, _: Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            unreachable!("it has none")
        }
    }

    fn record(target: &str, line: u32) -> Metadata<'_> {
        let fields = FieldSet::new(&[], Identifier(&Site));
        let file = Some("a.rs");
        let kind = Kind::EVENT;
        Metadata::new("log record", target, Level::WARN, file, Some(line), None, fields, kind)
    }

    #[test]
    fn memory_is_bounded_and_each_origin_is_limited_for_itself() {
        let limiter = Limiter::new(RateLimit::new(2, 1.0));
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let pass = |target: &str, line, now| limiter.pass(&record(target, line), true, now);
        assert_eq!([1, 2, 3].map(|_| pass("noise", 1, at(0))), [Some(0), Some(0), None]);
        assert_eq!(pass("noise", 2, at(0)), Some(0), "another line");
        assert_eq!(pass("tls", 1, at(0)), Some(0), "another target");
        assert_eq!(pass("noise", 1, at(1)), Some(1));
        // As many as there is room for, and then some: those share one bucket.
        let all = 2 * MAX_BUCKETS;
        let passed = (0..all).filter(|n| pass(&format!("t{n}"), 1, at(1)).is_some()).count();
        assert!((MAX_BUCKETS - 8..MAX_BUCKETS + 8).contains(&passed), "{passed}");
        assert_eq!(limiter.origins.lock().len(), MAX_BUCKETS);
        // Those that came to rest make room.
        assert_eq!(pass("late", 1, at(100)), Some(0));
        assert_eq!(limiter.origins.lock().len(), 1);
    }
}
