//! Which provided version a requirement gets, and with that: who uses what.

use std::cmp::Ordering;

use serde::Serialize;

use super::Dictionary;
use crate::{
    date::Date,
    declaration::{Provides, Release, Requires},
    document::Document,
    state::State,
    text::nearest,
};

/// Says what a requirement gets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Found<'d> {
    /// The best version that satisfies it: the highest current one; failing that the highest
    /// deprecated, the lowest planned, the highest retired.
    Offer(Offer<'d>),
    /// The API is provided, but no version of it satisfies the requirement.
    NoVersion {
        /// Every version that is provided, as [`Offer`]s, the best first.
        offers: Vec<Offer<'d>>,
    },
    /// No one provides the API.
    NoApi {
        /// The provided API whose name is nearest, if one is near.
        nearest: Option<&'d str>,
    },
}

/// Holds one version that a service provides, and where it stands on the day of the question.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'d> {
    document: &'d Document,
    provides: &'d Provides,
    release: &'d Release,
    state: State,
    fix: Option<&'d Release>,
}

impl<'d> Offer<'d> {
    /// Returns the provider's newest document.
    #[must_use]
    pub fn document(&self) -> &'d Document {
        self.document
    }

    /// Returns the name of the service that provides it.
    #[must_use]
    pub fn provider(&self) -> &'d str {
        self.document.service()
    }

    /// Returns the API.
    #[must_use]
    pub fn provides(&self) -> &'d Provides {
        self.provides
    }

    /// Returns the version, with its dates.
    #[must_use]
    pub fn release(&self) -> &'d Release {
        self.release
    }

    /// Returns where the version stood on the day of the question.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Returns the urgent fix that the requirement is behind: a version that will do for it, and that it
    /// does not name, nor one after it.
    #[must_use]
    pub fn fix(&self) -> Option<&'d Release> {
        self.fix
    }

    /// Returns the day on which the version's deprecation was first published, if that is later than
    /// its date.
    #[must_use]
    pub fn told(&self) -> Option<Date> {
        let told =
            self.document.deprecation_told(&self.provides.api, self.release.version.as_str());
        told.filter(|told| self.release.deprecated.is_some_and(|deprecated| *told > deprecated))
    }

    /// Finds the fix that must be adopted first.
    fn with_fix(mut self, required: &str, today: Date) -> Self {
        let Ok(required) = self.provides.scheme.version(required) else { return self };
        let fixes = self.provides.versions.iter().filter(|release| {
            release.urgent
                && release.state(today).is_live()
                && release.version.satisfies(&required)
                && !required.satisfies(&release.version)
        });
        self.fix = fixes.min_by_key(|release| release.adopt_by());
        self
    }

    /// Tells whether it will do for a requirement, which is read under the provider's scheme.
    #[must_use]
    pub fn satisfies(&self, required: &str) -> bool {
        let required = self.provides.scheme.version(required);
        required.is_ok_and(|required| self.release.version.satisfies(&required))
    }

    /// Orders the better offer first; a total order, so that all machines choose alike.
    fn better(&self, other: &Self) -> Ordering {
        let rank = |state| match state {
            State::Current => 0,
            State::Deprecated => 1,
            State::Planned => 2,
            State::Retired => 3,
        };
        rank(self.state).cmp(&rank(other.state)).then_with(|| {
            // Versions of different schemes have no order; then the provider's name decides.
            let versions = self.release.version.partial_cmp(&other.release.version);
            let versions = versions.unwrap_or(Ordering::Equal);
            let higher_first =
                if self.state == State::Planned { versions } else { versions.reverse() };
            higher_first
                .then_with(|| self.provider().cmp(other.provider()))
                .then_with(|| self.release.version.as_str().cmp(other.release.version.as_str()))
        })
    }
}

/// Says that a service requires an API, and what it gets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Usage<'d> {
    /// The newest document of the service that requires it.
    pub caller: &'d Document,
    /// What is required.
    pub requires: &'d Requires,
    /// What it gets.
    pub found: Found<'d>,
}

/// Holds one arrow of the map: from who calls to who is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Edge<'d> {
    /// The service that calls.
    pub caller: &'d str,
    /// The API that it calls.
    pub api: &'d str,
    /// The version that it requires.
    pub required: &'d str,
    /// The service that is called; none if no one provides what is required.
    pub provider: Option<&'d str>,
    /// The version that it gets.
    pub resolved: Option<&'d str>,
    /// Where that version stands.
    pub state: Option<State>,
}

impl Dictionary {
    /// Finds the version that a requirement gets on a day.
    ///
    /// The requirement is read under the scheme of each provider in turn. Nothing that was not
    /// compared is ever found compatible.
    #[must_use]
    pub fn resolve<'d>(&'d self, api: &str, required: &str, today: Date) -> Found<'d> {
        let mut offers: Vec<Offer<'d>> = self.offers(api, today).collect();
        // Different schemes have no order between them, which a sort must not see: each provider's
        // offers are sorted apart, and the best of each compared.
        offers.sort_by(|a, b| {
            let group = |offer: &Offer<'d>| (offer.provider(), offer.provides.scheme.as_str());
            group(a).cmp(&group(b)).then_with(|| a.better(b))
        });
        let satisfying = offers.iter().filter(|offer| offer.satisfies(required));
        if let Some(best) = satisfying.min_by(|a, b| a.better(b)) {
            return Found::Offer(best.with_fix(required, today));
        }
        if self.providers.contains_key(api) {
            Found::NoVersion { offers }
        } else {
            Found::NoApi { nearest: nearest(api, self.apis()) }
        }
    }

    /// Lists every version of an API that is provided.
    fn offers<'d, 'a>(
        &'d self,
        api: &'a str,
        today: Date,
    ) -> impl Iterator<Item = Offer<'d>> + use<'d, 'a> {
        self.of(&self.providers, api)
            .flat_map(move |document| {
                let provides = document.declaration().provides.iter();
                provides
                    .filter(move |provides| provides.api == api)
                    .map(move |provides| (document, provides))
            })
            .flat_map(move |(document, provides)| {
                provides.versions.iter().map(move |release| Offer {
                    document,
                    provides,
                    release,
                    state: release.state(today),
                    fix: None,
                })
            })
    }

    /// Tells whether a requirement would fail if the versions that are meant by `vanishes` were not
    /// there: one of them satisfies it, and no other version does that can be called on the day.
    ///
    /// What "uses" means is said here alone; [`who_uses`](Self::who_uses) and all that tell of
    /// dependants ask it.
    #[must_use]
    pub fn fails_without(
        &self,
        api: &str,
        required: &str,
        today: Date,
        vanishes: impl Fn(&Offer<'_>) -> bool,
    ) -> bool {
        let mut depends = false;
        for offer in self.offers(api, today).filter(|offer| offer.satisfies(required)) {
            if vanishes(&offer) {
                depends = true;
            } else if offer.state.is_live() {
                return false;
            }
        }
        depends
    }

    /// Tells whether one of the versions that are meant by `is_it` satisfies a requirement.
    #[must_use]
    pub fn will_do(
        &self,
        api: &str,
        required: &str,
        today: Date,
        is_it: impl Fn(&Offer<'_>) -> bool,
    ) -> bool {
        self.offers(api, today).any(|offer| is_it(&offer) && offer.satisfies(required))
    }

    /// Lists who requires an API; with a version, who would fail on a day if just that one vanished.
    #[must_use]
    pub fn who_uses<'d>(
        &'d self,
        api: &'d str,
        version: Option<&str>,
        today: Date,
    ) -> Vec<Usage<'d>> {
        self.callers(api)
            .filter(|(_, requires)| {
                version.is_none_or(|version| {
                    self.fails_without(api, &requires.version, today, |offer| {
                        offer.release().version.as_str() == version
                    })
                })
            })
            .map(|(caller, requires)| Usage {
                caller,
                requires,
                found: self.resolve(api, &requires.version, today),
            })
            .collect()
    }

    /// Returns every arrow of the map, by caller and then in the order of its declaration.
    pub fn edges(&self, today: Date) -> impl Iterator<Item = Edge<'_>> {
        self.services().flat_map(move |caller| {
            caller.declaration().requires.iter().map(move |requires| {
                let offer = match self.resolve(&requires.api, &requires.version, today) {
                    Found::Offer(offer) => Some(offer),
                    Found::NoVersion { .. } | Found::NoApi { .. } => None,
                };
                Edge {
                    caller: caller.service(),
                    api: &requires.api,
                    required: &requires.version,
                    provider: offer.map(|offer| offer.provider()),
                    resolved: offer.map(|offer| offer.release().version.as_str()),
                    state: offer.map(|offer| offer.state()),
                }
            })
        })
    }
}
