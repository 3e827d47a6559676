//! `[policy]`: how grave each finding is for this service, and two limits.

pub(crate) mod parse;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};

use crate::{
    diagnostic::Diagnostics,
    finding::{Finding, Level},
    reader::MAX_DAYS,
};

/// Key of [`Policy::min_deprecation_days`].
pub(crate) const MIN_DEPRECATION_DAYS: &str = "min-deprecation-days";
/// Key of [`Policy::max_lock_age_days`].
pub(crate) const MAX_LOCK_AGE_DAYS: &str = "max-lock-age-days";

/// Holds what a service set in `[policy]`; what it did not set has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    levels: BTreeMap<&'static str, Level>,
    min_deprecation_days: Option<u32>,
    max_lock_age_days: Option<u32>,
}

impl Policy {
    /// Days between a deprecation and its sunset, if the policy names no other number.
    pub const DEFAULT_MIN_DEPRECATION_DAYS: u32 = 90;

    /// Days that a lock file stays fresh, if the policy names no other number.
    pub const DEFAULT_MAX_LOCK_AGE_DAYS: u32 = 30;

    /// Returns the level of a finding: the one set here, else its default, which may be stricter in
    /// CI.
    #[must_use]
    pub fn level(&self, finding: &Finding, ci: bool) -> Level {
        let default = if ci { finding.ci_level() } else { finding.level() };
        self.levels.get(finding.id()).copied().unwrap_or(default)
    }

    /// Returns the level of a finding in a service under an organisation's policy: the service may make
    /// it graver, never milder.
    #[must_use]
    pub fn level_under(&self, organisation: &Self, finding: &Finding, ci: bool) -> Level {
        let own = self.level(finding, ci);
        organisation.levels.get(finding.id()).map_or(own, |level| own.max(*level))
    }

    /// Returns the least notice that callers get under an organisation's policy, in days: the longer of
    /// the service's and the organisation's, which is 90 if it names none.
    #[must_use]
    pub fn notice_under(&self, organisation: &Self) -> u32 {
        self.min_deprecation_days.unwrap_or(0).max(organisation.min_deprecation_days())
    }

    /// Returns the number of days after which a lock file is stale under an organisation's policy: the
    /// shorter of the two.
    #[must_use]
    pub fn max_lock_age_under(&self, organisation: &Self) -> u32 {
        let own = self.max_lock_age_days();
        organisation.max_lock_age_days.map_or(own, |days| own.min(days))
    }

    /// Reads an organisation's `policy.toml`: `schema = 1`, and the keys of `[policy]`; `file` is its
    /// name for messages.
    ///
    /// # Errors
    /// Everything that is not well-formed, at once; never an empty list.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        parse::organisation(file, text)
    }

    /// Sets the level of a finding; one that is not configurable keeps its own.
    #[must_use]
    pub fn with_level(mut self, finding: &'static Finding, level: Level) -> Self {
        if finding.is_configurable() {
            self.levels.insert(finding.id(), level);
        }
        self
    }

    /// Returns the least number of days between a deprecation and its sunset. Default: 90.
    #[must_use]
    pub fn min_deprecation_days(&self) -> u32 {
        self.min_deprecation_days.unwrap_or(Self::DEFAULT_MIN_DEPRECATION_DAYS)
    }

    /// Sets the least number of days between a deprecation and its sunset, at most 36,525.
    #[must_use]
    pub fn with_min_deprecation_days(mut self, days: u32) -> Self {
        self.min_deprecation_days = Some(days.min(MAX_DAYS));
        self
    }

    /// Returns the number of days after which a lock file is stale. Default: 30.
    #[must_use]
    pub fn max_lock_age_days(&self) -> u32 {
        self.max_lock_age_days.unwrap_or(Self::DEFAULT_MAX_LOCK_AGE_DAYS)
    }

    /// Sets the number of days after which a lock file is stale, at most 36,525.
    #[must_use]
    pub fn with_max_lock_age_days(mut self, days: u32) -> Self {
        self.max_lock_age_days = Some(days.min(MAX_DAYS));
        self
    }

    /// Tells whether nothing is set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Lists what is set, as it is written: a key, and its value in TOML.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static str, String)> {
        let days = [
            (MAX_LOCK_AGE_DAYS, self.max_lock_age_days),
            (MIN_DEPRECATION_DAYS, self.min_deprecation_days),
        ];
        let levels = self.levels.iter().map(|(id, level)| (*id, format!("\"{level}\"")));
        levels.chain(days.into_iter().filter_map(|(key, days)| Some((key, days?.to_string()))))
    }

    /// Lists the keys that `[policy]` may have.
    pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
        Finding::ALL
            .iter()
            .filter(|finding| finding.is_configurable())
            .map(|finding| finding.id())
            .chain([MAX_LOCK_AGE_DAYS, MIN_DEPRECATION_DAYS])
    }
}

impl Serialize for Policy {
    /// Writes only what was set.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (id, level) in &self.levels {
            map.serialize_entry(id, level)?;
        }
        if let Some(days) = self.max_lock_age_days {
            map.serialize_entry(MAX_LOCK_AGE_DAYS, &days)?;
        }
        if let Some(days) = self.min_deprecation_days {
            map.serialize_entry(MIN_DEPRECATION_DAYS, &days)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Policy {
    /// Reads what is known and skips the rest: a document may come from a newer release, and
    /// another service's policy decides nothing here.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Value {
            Level(Level),
            Days(u32),
            Other(serde::de::IgnoredAny),
        }
        let mut policy = Self::default();
        for (key, value) in BTreeMap::<String, Value>::deserialize(deserializer)? {
            policy = match (key.as_str(), value) {
                (MIN_DEPRECATION_DAYS, Value::Days(days)) => policy.with_min_deprecation_days(days),
                (MAX_LOCK_AGE_DAYS, Value::Days(days)) => policy.with_max_lock_age_days(days),
                (id, Value::Level(level)) => match Finding::by_id(id) {
                    Some(finding) => policy.with_level(finding, level),
                    None => policy,
                },
                _ => policy,
            };
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_come_from_the_table_and_may_be_stricter_in_ci() {
        let policy = Policy::default();
        assert_eq!(policy.level(Finding::DEPRECATED_VERSION, true), Level::Warn);
        assert_eq!(policy.level(Finding::MISSING_LOCK, false), Level::Warn);
        assert_eq!(policy.level(Finding::MISSING_LOCK, true), Level::Deny);
        let policy = policy.with_level(Finding::MISSING_LOCK, Level::Allow);
        assert_eq!(policy.level(Finding::MISSING_LOCK, true), Level::Allow);
    }

    #[test]
    fn what_protects_others_cannot_be_allowed() {
        let policy = Policy::default().with_level(Finding::SUNSET_MOVED_EARLIER, Level::Allow);
        assert_eq!(policy.level(Finding::SUNSET_MOVED_EARLIER, false), Level::Deny);
        assert!(policy.is_default());
    }

    #[test]
    fn json_holds_what_was_set_and_newer_keys_are_skipped() {
        let policy = Policy::default()
            .with_level(Finding::STALE_LOCK, Level::Deny)
            .with_min_deprecation_days(180);
        let json = serde_json::to_string(&policy).expect("json");
        assert_eq!(json, r#"{"stale-lock":"deny","min-deprecation-days":180}"#);
        assert_eq!(serde_json::from_str::<Policy>(&json).expect("policy"), policy);
        let newer = r#"{"stale-lock":"deny","from-the-future":{"a":[1]},"deprecated-version":"forbid","min-deprecation-days":180}"#;
        assert_eq!(serde_json::from_str::<Policy>(newer).expect("policy"), policy);
    }
}
