//! A limit on how often one call site may complain.

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration, time::SystemTime};
use tracing_core::{Level, Metadata, callsite::Identifier};

/// Limits how often one call site may log at `WARN` or `ERROR`: `burst` lines at once, then
/// `per_second`. Lines of other levels, and the access log, are not limited.
///
/// By default 100 at once, then 10 a second. What is suppressed is counted, and told by the next
/// line of that call site that passes (`suppressed`).
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
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new(100, 10.0)
    }
}

/// Holds one bucket of tokens for each call site. Call sites are static, so there are finitely many.
pub(crate) struct Limiter {
    limit: RateLimit,
    sites: ArcSwap<HashMap<Identifier, Arc<Mutex<Bucket>>>>,
}

struct Bucket {
    tokens: f64,
    filled: SystemTime,
    suppressed: u64,
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, sites: ArcSwap::default() }
    }

    /// Returns how many lines were suppressed before this one, or `None` if this one is too.
    pub(crate) fn pass(&self, metadata: &Metadata<'_>, now: SystemTime) -> Option<u64> {
        if *metadata.level() > Level::WARN || metadata.target() == "meshwise::access" {
            return Some(0);
        }
        let site = self.site(&metadata.callsite(), now);
        let mut bucket = site.lock();
        // A clock that goes back fills nothing; that is all.
        let passed = now.duration_since(bucket.filled).unwrap_or(Duration::ZERO);
        bucket.tokens =
            (bucket.tokens + passed.as_secs_f64() * self.limit.per_second).min(self.limit.burst);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            bucket.suppressed += 1;
            return None;
        }
        bucket.tokens -= 1.0;
        Some(std::mem::take(&mut bucket.suppressed))
    }

    fn site(&self, id: &Identifier, now: SystemTime) -> Arc<Mutex<Bucket>> {
        if let Some(site) = self.sites.load().get(id) {
            return Arc::clone(site);
        }
        let fresh =
            Arc::new(Mutex::new(Bucket { tokens: self.limit.burst, filled: now, suppressed: 0 }));
        self.sites.rcu(|sites| {
            let mut sites = HashMap::clone(sites);
            sites.entry(id.clone()).or_insert_with(|| Arc::clone(&fresh));
            sites
        });
        self.sites.load().get(id).map_or(fresh, Arc::clone)
    }
}
