//! Whether this service is alive, and ready for calls.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// How long one check may take before it counts as failed.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);

type CheckFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Holds the checks behind `/readyz`. Clones share them.
///
/// A service is ready when it is not shutting down and every check passes. Liveness is no check's
/// business: a process that answers is alive, and one that can't reach its database is not helped
/// by a restart.
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
    draining: AtomicBool,
    checks: RwLock<Vec<Check>>,
}

#[derive(Clone)]
struct Check {
    name: Arc<str>,
    timeout: Duration,
    run: Arc<dyn Fn() -> CheckFuture + Send + Sync>,
}

impl Health {
    /// Starts with no checks: ready until it drains.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check that may take up to 1 s; its error says what is wrong, for people.
    ///
    /// A check that goes by the same name is replaced.
    pub fn add_check<F, Fut>(&self, name: impl Into<Arc<str>>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add_check_within(DEFAULT_TIMEOUT, name, check);
    }

    /// Adds a check that may take up to `timeout`.
    pub fn add_check_within<F, Fut>(&self, timeout: Duration, name: impl Into<Arc<str>>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let check = Check { name: name.into(), timeout, run: Arc::new(move || Box::pin(check())) };
        let mut checks = self.0.checks.write().unwrap_or_else(PoisonError::into_inner);
        checks.retain(|other| other.name != check.name);
        checks.push(check);
    }

    /// Says that the service is shutting down: not ready from now on.
    pub fn drain(&self) {
        self.0.draining.store(true, Relaxed);
    }

    /// Tells whether the service is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Relaxed)
    }

    /// Runs all checks at once. A check that hangs or panics has failed.
    pub async fn check(&self) -> HealthReport {
        let checks: Vec<Check> =
            self.0.checks.read().unwrap_or_else(PoisonError::into_inner).clone();
        let running: Vec<_> = checks
            .into_iter()
            .map(|check| {
                let run = Arc::clone(&check.run);
                // A task of its own keeps a check's panic away from whoever asked.
                let task = tokio::spawn(async move {
                    tokio::time::timeout(check.timeout, async move { run().await }).await
                });
                (check.name, check.timeout, Instant::now(), task)
            })
            .collect();
        let mut results = Vec::with_capacity(running.len());
        for (name, timeout, started, task) in running {
            let error = match task.await {
                Ok(Ok(Ok(()))) => None,
                Ok(Ok(Err(error))) => Some(error),
                Ok(Err(_)) => Some(format!("no answer within {} ms", timeout.as_millis())),
                Err(_) => Some("the check panicked".to_owned()),
            };
            results.push(CheckResult { name, error, took: started.elapsed() });
        }
        HealthReport { draining: self.is_draining(), checks: results }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks = self.0.checks.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Health")
            .field("draining", &self.is_draining())
            .field("checks", &checks.iter().map(|check| &check.name).collect::<Vec<_>>())
            .finish()
    }
}

/// Tells how the checks went.
#[derive(Clone, Debug)]
#[must_use]
pub struct HealthReport {
    /// Whether the service is shutting down.
    pub draining: bool,
    /// What each check said, in the order they were added.
    pub checks: Vec<CheckResult>,
}

/// Tells how one check went.
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// The check's name.
    pub name: Arc<str>,
    /// What is wrong, if anything.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
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
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_or_panics_has_failed() {
        let health = Health::new();
        health.add_check("fine", || async { Ok(()) });
        health.add_check("hangs", std::future::pending);
        health.add_check("panics", || async { panic!("on purpose") });
        let report = health.check().await;
        assert_eq!(
            report.to_string(),
            "not ready: hangs: no answer within 1000 ms; panics: the check panicked"
        );
    }

    #[tokio::test]
    async fn draining_is_not_ready_and_a_name_is_checked_once() {
        let health = Health::new();
        health.add_check("db", || async { Err("down".to_owned()) });
        health.add_check("db", || async { Ok(()) });
        assert!(health.check().await.is_ready());
        health.drain();
        assert_eq!(health.check().await.to_string(), "not ready: shutting down");
    }
}
