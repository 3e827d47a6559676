//! Whether this service is alive, and ready for calls.

mod check;

use check::{Check, Done};
use meshwise_core::Redaction;
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::watch;

/// How long one check may take before it counts as failed.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
/// The most bytes of what a check says is wrong.
const MAX_ERROR: usize = 4096;

/// Holds the checks behind `/readyz`. Clones share them.
///
/// A service is ready when it is not shutting down and every check passes. Liveness is no check's
/// business: a process that answers is alive, and one that cannot reach its database is not helped
/// by a restart.
///
/// | what happens | what comes of it |
/// |---|---|
/// | several probes at the same time | each check runs once, and all probes get its answer |
/// | a check takes longer than its limit | it has failed; its future is dropped |
/// | a check blocks its thread for longer | the same; until it returns it has failed, and is not started again |
/// | a check panics | it has failed |
///
/// Checks run on threads of their own, in the tokio runtime of the probe if there is one, so one
/// that blocks holds up neither the service nor its end. Their limits are real time, also where
/// tokio's clock is paused.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use meshwise_http::Health;
///
/// let health = Health::new();
/// health.add_check("stock", || async { Err("no route to host".to_owned()) });
/// let report = health.check().await;
/// assert!(!report.is_ready());
/// assert_eq!(report.to_string(), "not ready: stock: no route to host");
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    draining: watch::Sender<bool>,
    checks: RwLock<Vec<Arc<Check>>>,
    redaction: Redaction,
}

impl Health {
    /// Starts with no checks: ready until it drains.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts with no checks, and with what is to be hidden of what they say, besides what always is.
    #[must_use]
    #[doc(hidden)]
    pub fn redacted(redaction: Redaction) -> Self {
        Self(Arc::new(Inner { redaction, ..Inner::default() }))
    }

    /// Adds a check that may take up to 1 s; its error says what is wrong, for people: secrets in it are
    /// hidden (what the default [`Redaction`] hides, and what the service's does), and what is beyond 4 KiB
    /// is cut.
    ///
    /// A check that goes by the same name is replaced.
    pub fn add_check<F, Fut>(&self, name: impl Into<Arc<str>>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add_check_within(DEFAULT_TIMEOUT, name, check);
    }

    /// Adds a check that may take up to `timeout` (a day at most).
    pub fn add_check_within<F, Fut>(&self, timeout: Duration, name: impl Into<Arc<str>>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let check = Check::new(name.into(), timeout, move || Box::pin(check()));
        let mut checks = self.0.checks.write().unwrap_or_else(PoisonError::into_inner);
        checks.retain(|other| other.name() != check.name());
        checks.push(Arc::new(check));
    }

    /// Says that the service is shutting down: not ready from now on.
    pub fn drain(&self) {
        self.0.draining.send_replace(true);
    }

    /// Tells whether the service is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.0.draining.borrow()
    }

    /// Waits until the service is shutting down; what would hold up its end, such as an endless
    /// answer, can end then.
    pub fn drained(&self) -> impl Future<Output = ()> + Send + use<> {
        let health = self.clone();
        async move {
            // The sender lives in `health`.
            let _ = health.0.draining.subscribe().wait_for(|draining| *draining).await;
        }
    }

    /// Runs all checks at once, or waits for those that run already. A check that hangs or panics
    /// has failed.
    #[doc(hidden)]
    pub async fn check(&self) -> HealthReport {
        self.check_within_age(Duration::ZERO).await
    }

    /// Does as [`check`](Self::check), but takes the answer of a check that ended no longer than
    /// `age` ago: many callers that ask in turn then cause no more runs than one caller.
    #[doc(hidden)]
    pub async fn check_within_age(&self, age: Duration) -> HealthReport {
        let checks = self.0.checks.read().unwrap_or_else(PoisonError::into_inner).clone();
        let running: Vec<_> = checks.iter().map(|check| check.join(age)).collect();
        let mut results = Vec::with_capacity(checks.len());
        for (check, mut told) in checks.iter().zip(running) {
            // Nothing told is as good as a panic.
            let done = told.wait_for(Option::is_some).await.ok().and_then(|done| done.clone());
            let Done { error, elapsed, .. } = done.unwrap_or_else(Done::panicked);
            let error = error.map(|error| presentable(&error, &self.0.redaction));
            results.push(CheckResult { name: Arc::clone(check.name()), error, elapsed });
        }
        HealthReport { draining: self.is_draining(), checks: results }
    }
}

/// Hides the secrets of what a check says (a database's URL, for one): its error is shown to all who
/// may ask; and cuts it.
fn presentable(error: &str, redaction: &Redaction) -> String {
    let mut shown = Redaction::standard().text(&redaction.text(error)).into_owned();
    shown.truncate(shown.floor_char_boundary(MAX_ERROR));
    shown
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks = self.0.checks.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Health")
            .field("draining", &self.is_draining())
            .field("checks", &checks.iter().map(|check| check.name()).collect::<Vec<_>>())
            .finish()
    }
}

/// Tells how the checks went.
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive]
pub struct HealthReport {
    /// Whether the service is shutting down.
    pub draining: bool,
    /// What each check said, in the order they were added.
    pub checks: Vec<CheckResult>,
}

/// Tells how one check went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckResult {
    /// The check's name.
    pub name: Arc<str>,
    /// What is wrong, if anything.
    pub error: Option<String>,
    /// How long it ran, or has run so far.
    pub elapsed: Duration,
}

impl HealthReport {
    /// Tells whether calls may come.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.draining && self.checks.iter().all(|check| check.error.is_none())
    }
}

impl fmt::Display for HealthReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ready() {
            return f.write_str("ready");
        }
        f.write_str("not ready")?;
        let mut separator = ": ";
        if self.draining {
            write!(f, "{separator}shutting down")?;
            separator = "; ";
        }
        for check in &self.checks {
            if let Some(error) = &check.error {
                write!(f, "{separator}{}: {error}", check.name)?;
                separator = "; ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
