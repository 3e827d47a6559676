//! All versions that a service provides, and which of them a request is for.

use super::{
    ApiConfigError,
    notice::{Links, Notice},
};
use crate::runtime::{
    clock,
    routes::{ApiRoutes, Asked, Found, Matches, RequestHead, has_main, main_of},
};
use http::HeaderName;
use meshwise_api::{Declared, ProvidedApi, ProvidedVersion, Scheme, State, names};
use std::{
    cmp::Reverse,
    sync::atomic::{AtomicI64, Ordering::Relaxed},
};

/// Holds the versions of every API, one after the other, and how requests lead to them.
#[derive(Debug)]
pub(super) struct Versions {
    routes: ApiRoutes,
    /// For each rule of the routes, where it leads.
    targets: Vec<Target>,
    apis: Vec<Api>,
    /// The declared versions of all APIs; then, for each API, what stands for any other.
    rows: Vec<Row>,
}

/// What is known of one API.
#[derive(Debug)]
struct Api {
    name: &'static str,
    /// Its declared versions, the best first.
    all: Vec<usize>,
    /// Where calls of a version that was never declared are counted.
    other: usize,
    /// Whether the scheme has main parts.
    main: bool,
}

/// What is known of one version.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) api: &'static str,
    pub(super) version: &'static str,
    declared: Option<&'static ProvidedVersion>,
    /// What its callers are told.
    pub(super) notice: Notice,
    /// Whether a request can lead here.
    pub(super) reachable: bool,
    /// The day for which the state was worked out, times 4, and the state.
    state: AtomicI64,
}

#[derive(Debug)]
enum Target {
    /// The best of these on the day, which are sorted with the best first.
    Best(Vec<usize>),
    /// What the header asks of this API.
    Header(HeaderName, usize),
}

impl Versions {
    pub(super) fn new(
        declared: &Declared,
        routes: ApiRoutes,
        links: &Links,
    ) -> Result<Self, ApiConfigError> {
        let mut this = Self { routes, targets: Vec::new(), apis: Vec::new(), rows: Vec::new() };
        for provided in declared.provides {
            this.add(provided);
        }
        for at in 0..this.apis.len() {
            let (api, other) = (this.apis[at].name, this.rows.len());
            this.rows.push(Row::new(api, names::OTHER, None));
            this.apis[at].other = other;
        }
        this.targets = this.compile(declared)?;
        links.check(declared)?;
        for at in 0..this.rows.len() {
            let row = &this.rows[at];
            if let Some(declared) = row.declared {
                let successor =
                    declared.successor.and_then(|next| this.prefix(row.api, next, row.version));
                let notice = links.notice(row.api, declared, successor);
                this.rows[at].notice = notice;
            }
        }
        Ok(this)
    }

    fn add(&mut self, provided: &'static ProvidedApi) {
        let mut all: Vec<usize> = Vec::new();
        for version in provided.versions {
            all.push(self.rows.len());
            self.rows.push(Row::new(provided.api, version.version, Some(version)));
        }
        sort_best_first(provided, &mut all, self.rows.len() - provided.versions.len());
        let main = has_main(provided.scheme);
        self.apis.push(Api { name: provided.api, all, other: 0, main });
    }

    /// Works out where each rule leads, and marks what can be reached.
    fn compile(&mut self, declared: &Declared) -> Result<Vec<Target>, ApiConfigError> {
        let mut targets = Vec::with_capacity(self.routes.rules.len());
        for rule in &self.routes.rules {
            if let Matches::Path(prefix) = &rule.matches
                && !prefix.is_empty()
                && !prefix.starts_with('/')
            {
                return Err(ApiConfigError::Prefix(prefix.to_string()));
            }
            let api = self.api(&rule.api).ok_or_else(|| unknown_api(declared, &rule.api))?;
            let target = match &rule.version {
                Asked::Header(name) => {
                    let other = self.apis[api].other;
                    self.apis[api].all.iter().for_each(|row| self.rows[*row].reachable = true);
                    self.rows[other].reachable = true;
                    Target::Header(name.clone(), api)
                }
                Asked::Fixed(version) => {
                    let rows = self.named(api, version);
                    if rows.is_empty() {
                        return Err(unknown_version(declared, &rule.api, version));
                    }
                    rows.iter().for_each(|row| self.rows[*row].reachable = true);
                    Target::Best(rows)
                }
            };
            targets.push(target);
        }
        if self.routes.has_closures() {
            self.rows.iter_mut().for_each(|row| row.reachable = true);
        }
        Ok(targets)
    }

    fn api(&self, name: &str) -> Option<usize> {
        self.apis.iter().position(|api| api.name == name)
    }

    /// Lists what a version's text means: that version, or all with this main part.
    fn named(&self, api: usize, version: &str) -> Vec<usize> {
        let Some(api) = self.apis.get(api) else { return Vec::new() };
        match self.exactly(api, version) {
            Some(row) => vec![row],
            None => self.of_main(api, version).collect(),
        }
    }

    fn exactly(&self, api: &Api, version: &str) -> Option<usize> {
        api.all.iter().copied().find(|row| self.rows[*row].version == version)
    }

    fn of_main<'a>(&'a self, api: &'a Api, version: &'a str) -> impl Iterator<Item = usize> + 'a {
        // `v1` and `1`, but not `1.7`: that one was never declared.
        let text = version.strip_prefix('v').unwrap_or(version);
        let main = main_of(version).filter(|main| *main == text && api.main);
        let rows = api.all.iter().copied();
        rows.filter(move |row| main.is_some() && main_of(self.rows[*row].version) == main)
    }

    /// Finds the shortest path prefix under which a version is served, and another is not.
    fn prefix(&self, api: &str, version: &str, but_not: &str) -> Option<&str> {
        let number = self.api(api)?;
        self.routes.shortest_prefix(|rule_api, rule_version| {
            let rows = || self.named(number, rule_version);
            rule_api == api && self.has(&rows(), version) && !self.has(&rows(), but_not)
        })
    }

    fn has(&self, rows: &[usize], version: &str) -> bool {
        rows.iter().any(|row| self.rows[*row].version == version)
    }

    /// Finds what a request is for; `asked` tells the version in the caller's `mw` entry, and is
    /// only called where it counts.
    pub(super) fn find<'a>(
        &self,
        head: RequestHead<'_>,
        today: i64,
        asked: impl FnOnce() -> Option<&'a str>,
    ) -> Option<usize> {
        match self.routes.find(head)? {
            Found::Rule(number) => match self.targets.get(number)? {
                Target::Best(rows) => self.best(rows.iter().copied(), today),
                Target::Header(name, api) => {
                    let api = self.apis.get(*api)?;
                    if let Some(value) = head.headers.get(name) {
                        let version = value.to_str().unwrap_or_default().trim();
                        return self.by_text(api, version, today);
                    }
                    // A version that nobody declared was perhaps meant for another API.
                    asked()
                        .and_then(|version| self.by_text(api, version, today))
                        .filter(|row| *row != api.other)
                        .or_else(|| self.best(api.all.iter().copied(), today))
                }
            },
            Found::Named(api, version) => {
                self.by_text(self.apis.get(self.api(api)?)?, version, today)
            }
            Found::Package(api, main) => self.by_text(self.apis.get(self.api(api)?)?, main, today),
        }
    }

    fn by_text(&self, api: &Api, version: &str, today: i64) -> Option<usize> {
        self.exactly(api, version)
            .or_else(|| self.best(self.of_main(api, version), today))
            .or(Some(api.other))
    }

    /// Takes the first that is current, else the first that is deprecated, else the first that is
    /// retired: what is planned is not there yet.
    fn best(&self, mut rows: impl Iterator<Item = usize>, today: i64) -> Option<usize> {
        let first = rows.next()?;
        let rank = |row: &usize| match self.rows[*row].state(today) {
            Some(State::Current) => 0,
            Some(State::Deprecated) => 1,
            Some(State::Retired) => 2,
            Some(State::Planned) | None => 3,
        };
        let mut best = (rank(&first), first);
        for row in rows {
            let rank = rank(&row);
            if rank < best.0 {
                best = (rank, row);
            }
        }
        Some(best.1)
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }
}

impl Row {
    fn new(
        api: &'static str,
        version: &'static str,
        declared: Option<&'static ProvidedVersion>,
    ) -> Self {
        Self {
            api,
            version,
            declared,
            notice: Notice::default(),
            reachable: false,
            state: AtomicI64::new(i64::MIN),
        }
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

/// Sorts rows of one API: by its scheme's order; by release where the scheme has none.
fn sort_best_first(api: &ProvidedApi, rows: &mut [usize], first: usize) {
    let version = |row: usize| &api.versions[row - first];
    let scheme: Option<Scheme> = api.scheme.parse().ok().filter(|s| *s != Scheme::Exact);
    let parsed: Option<Vec<_>> = scheme.and_then(|scheme| {
        api.versions.iter().map(|version| scheme.version(version.version).ok()).collect()
    });
    match parsed {
        Some(parsed) => rows.sort_by(|a, b| {
            // Versions of one scheme with an order: never without an answer.
            let order = parsed[*b - first].partial_cmp(&parsed[*a - first]);
            order.unwrap_or(std::cmp::Ordering::Equal)
        }),
        None => rows.sort_by_key(|row| Reverse(version(*row).released)),
    }
}

pub(super) fn unknown_api(declared: &Declared, api: &str) -> ApiConfigError {
    let known = declared.provides.iter().map(|api| api.api).collect();
    ApiConfigError::UnknownApi { api: api.to_owned(), known }
}

pub(super) fn unknown_version(declared: &Declared, api: &str, version: &str) -> ApiConfigError {
    let known = declared.provided(api).map_or(&[][..], |api| api.versions);
    ApiConfigError::UnknownVersion {
        api: api.to_owned(),
        version: version.to_owned(),
        known: known.iter().map(|version| version.version).collect(),
    }
}
