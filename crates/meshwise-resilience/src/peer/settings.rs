//! Guards as settings, and settings as guards.
//!
//! Two directions: what is in force is read ([`PeerConfig::settings`]), and what an operator says is put
//! over it ([`PeerConfig::with_settings`]). A leaf that is unset changes nothing.

mod guards;
mod routes;

pub(crate) use guards::{limit, limit_settings};

use super::PeerConfig;
use crate::{
    config_error::ConfigError,
    retry::{Backoff, RetryBudget, RetryConfig},
    timeout::TimeoutConfig,
};
use meshwise_core::settings::{PeerSettings, Size};
use std::time::Duration;

/// The default of a call's total, for whom the operator switches it on.
const TOTAL: Duration = Duration::from_secs(10);
/// The default of an attempt's limit.
const LIMIT: Duration = Duration::from_secs(3);

impl PeerConfig {
    /// Puts what is set over what is here: where it is enabled, a guard that was left out is there again,
    /// and one that is not is left out.
    ///
    /// Routes that are named here too are changed; others stand before the first that is no more
    /// particular than they are. Where the peer is, and faults, are for others to set.
    ///
    /// ```
    /// use meshwise_core::settings::Settings;
    /// use meshwise_resilience::PeerConfig;
    /// use std::time::Duration;
    /// let mut settings = Settings::default();
    /// settings.peer.timeout.limit.set(Duration::from_millis(400));
    /// settings.peer.breaker.enabled.set(true);
    ///
    /// let author = PeerConfig::new().with_timeout(Duration::from_secs(1)).without_breaker();
    /// let config = author.with_settings(&settings.peer("stock"))?;
    /// assert_eq!(config.settings().timeout.limit.get(), Some(&Duration::from_millis(400)));
    /// assert_eq!(config.settings().breaker.enabled.get(), Some(&true));
    /// # Ok::<(), meshwise_resilience::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// If the retry budget makes no sense; what else does not is found when the layer is made.
    pub fn with_settings(mut self, settings: &PeerSettings) -> Result<Self, ConfigError> {
        self.set_limits(settings);
        self.set_retry(settings)?;
        guards::breaker(&mut self.breaker, &settings.breaker);
        guards::bulkhead(&mut self.bulkhead, &settings.bulkhead);
        guards::rate(&mut self.rate, &settings.rate);
        if let Some(all) = settings.streaming.all.get() {
            self.deadline.head_only = *all;
            self.streaming.all = *all;
        }
        if let Some(methods) = settings.streaming.methods.get() {
            self.streaming.methods = methods.iter().map(|method| method.as_str().into()).collect();
        }
        for (route, settings) in settings.routes.iter() {
            self.set_route(route, settings);
        }
        Ok(self)
    }

    fn set_limits(&mut self, settings: &PeerSettings) {
        let (deadline, timeout) = (&settings.deadline, &settings.timeout);
        if let Some(total) =
            deadline.total.get().filter(|_| deadline.enabled.or(self.deadline.total.is_some()))
        {
            self.deadline = self.deadline.with_total(*total);
        } else if deadline.enabled.get() == Some(&true) && self.deadline.total.is_none() {
            self.deadline = self.deadline.with_default_total(TOTAL);
        }
        if deadline.enabled.get() == Some(&false) {
            self.deadline = self.deadline.without_total();
        }
        let enabled = timeout.enabled.or(self.timeout.limit.is_some());
        let limit = timeout.limit.get().copied().or(self.timeout.limit).unwrap_or(LIMIT);
        self.timeout = match enabled {
            true => TimeoutConfig::new(limit),
            false => TimeoutConfig::unlimited(),
        };
    }

    fn set_retry(&mut self, settings: &PeerSettings) -> Result<(), ConfigError> {
        let (said, retry) = (&settings.retry, &mut self.retry);
        retry.attempts = match (said.enabled.get(), said.attempts.get()) {
            (Some(false), _) => 1,
            (_, Some(attempts)) => *attempts,
            (Some(true), None) if retry.attempts == 1 => RetryConfig::new().attempts,
            (_, None) => retry.attempts,
        };
        let Backoff { base, max, jitter } = retry.backoff;
        retry.backoff = Backoff {
            base: said.backoff.base.or(base),
            max: said.backoff.max.or(max),
            jitter: said.backoff.jitter.or(jitter),
        };
        retry.longest_asked = said.longest_asked.or(retry.longest_asked);
        retry.body_limit = said.body_limit.get().map_or(retry.body_limit, |size| size.bytes());
        if said.budget.share.is_set() || said.budget.per_second.is_set() {
            let (share, per_second) = budget(retry);
            let (share, per_second) =
                (said.budget.share.or(share), said.budget.per_second.or(per_second));
            retry.budget = Some(RetryBudget::ratio(share, per_second)?);
        }
        if let Some(methods) = said.idempotent_methods.get() {
            let retries = std::mem::take(&mut self.retries);
            self.retries = retries.with_idempotent_methods(methods.iter().map(String::as_str));
        }
        Ok(())
    }

    /// Returns all settings of the guards, as they are.
    #[must_use]
    pub fn settings(&self) -> PeerSettings {
        let mut all = PeerSettings::default();
        all.deadline.enabled.set(self.deadline.total.is_some());
        if let Some(total) = self.deadline.total {
            all.deadline.total.set(total);
        }
        all.timeout.enabled.set(self.timeout.limit.is_some());
        if let Some(limit) = self.timeout.limit {
            all.timeout.limit.set(limit);
        }
        let (said, retry) = (&mut all.retry, &self.retry);
        said.enabled.set(retry.attempts > 1);
        said.attempts.set(retry.attempts);
        said.backoff.base.set(retry.backoff.base);
        said.backoff.max.set(retry.backoff.max);
        said.backoff.jitter.set(retry.backoff.jitter);
        // A budget of tokens has another form, which settings do not know.
        if retry.budget.as_ref().is_none_or(|budget| budget.said().is_some()) {
            let (share, per_second) = budget(retry);
            said.budget.share.set(share);
            said.budget.per_second.set(per_second);
        }
        said.longest_asked.set(retry.longest_asked);
        said.body_limit.set(Size(retry.body_limit as u64));
        let methods =
            |all: &[Box<str>]| -> Vec<String> { all.iter().map(ToString::to_string).collect() };
        said.idempotent_methods.set(methods(self.retries.idempotent_methods()));
        all.breaker = guards::breaker_settings(self.breaker.as_ref());
        all.bulkhead = guards::bulkhead_settings(self.bulkhead.as_ref());
        all.rate = guards::rate_settings(self.rate.as_ref());
        all.streaming.all.set(self.streaming.all);
        all.streaming.methods.set(methods(&self.streaming.methods));
        for (route, config) in &self.routes {
            *all.routes.entry(route) = config.settings();
        }
        all
    }
}

/// Returns the share and the number a second of the budget.
fn budget(retry: &RetryConfig) -> (f64, u32) {
    let said = retry.budget.as_ref().and_then(RetryBudget::said);
    said.or_else(|| RetryBudget::default().said()).unwrap_or_default()
}

#[cfg(all(test, not(loom)))]
mod tests;
