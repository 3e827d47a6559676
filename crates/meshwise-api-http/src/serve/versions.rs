//! All versions that a service provides, and which of them a request is for.

use super::{
    error::{ApiConfigError, unknown_api, unknown_version},
    notice::NoticeLinks,
    row::{Announced, Row, Successor},
};
use crate::{
    headers::Link,
    runtime::routes::{
        ApiRoutes, Asked, Found, GRPC, HTTP, Matches, PathForm, RequestHead, has_main, main_of,
    },
};
use http::HeaderName;
use meshwise_api::{Declared, ProvidedApi, Scheme, State, Version, names};
use meshwise_core::Protocol;
use std::cmp::Reverse;

/// Holds the versions of every API, one after the other, and how requests lead to them.
#[derive(Debug)]
pub(super) struct Versions {
    routes: ApiRoutes,
    /// For each rule of the routes, where it leads.
    targets: Vec<RowTarget>,
    apis: Vec<Api>,
    /// The declared versions of all APIs; then, for each API, what stands for any other.
    rows: Vec<Row>,
}

/// What is known of one API.
#[derive(Debug)]
struct Api {
    name: &'static str,
    transport: &'static str,
    scheme: Option<Scheme>,
    /// Its declared versions, the best first.
    all: Vec<usize>,
    /// For each of them, in the same order, those that will do in its place, itself among them.
    will_do: Vec<Vec<usize>>,
    /// Where calls of a version that was never declared are counted.
    other: usize,
    /// Whether the scheme has main parts.
    main: bool,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A rule says that it is for this version; the rule's number, if it has one.
    Row(usize, Option<usize>),
    /// No rule fits, and it can be for no other version.
    Assumed(usize),
    /// It cannot be told what it is for.
    Unrouted,
    /// It is for no API.
    Outside,
}

#[derive(Debug)]
enum RowTarget {
    /// The best of these of an API, which are sorted with the best first.
    Best(usize, Vec<usize>),
    /// What the header asks of this API.
    Header(HeaderName, usize),
    Nothing,
}

impl Versions {
    pub(super) fn new(
        declared: &Declared,
        routes: ApiRoutes,
        links: &NoticeLinks,
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
            if let Some(version) = row.declared {
                let next = version.successor.and_then(|text| declared.successor(row.api, text));
                let next = next.map(|(api, next)| (api.api, next.version));
                let prefix = next.and_then(|next| this.prefix(next, row, None));
                let notice = links.notice(row.api, version, next, prefix);
                let said = links.has_own(row.api, row.version, names::REL_SUCCESSOR_VERSION);
                let next = next.filter(|_| !said);
                let successors = next.map_or_else(Vec::new, |next| this.successors(next, row));
                let row = &mut this.rows[at];
                (row.notice, row.successors) = (notice, successors);
            }
        }
        Ok(this)
    }

    fn add(&mut self, provided: &'static ProvidedApi) {
        let first = self.rows.len();
        let scheme: Option<Scheme> = provided.scheme.parse().ok();
        let parsed: Vec<Option<Version>> = provided
            .versions
            .iter()
            .map(|version| scheme.and_then(|scheme| scheme.version(version.version).ok()))
            .collect();
        for (version, parsed) in provided.versions.iter().zip(&parsed) {
            let unit = parsed.as_ref().map_or_else(|| version.version.to_owned(), Version::unit);
            let by_request = [HTTP, GRPC].contains(&provided.transport);
            let row = Row::new(provided.api, version.version, Some(version));
            self.rows.push(Row { unit, by_request, ..row });
        }
        let mut all: Vec<usize> = (first..self.rows.len()).collect();
        sort_best_first(provided, &parsed, &mut all, first);
        let will_do = |asked: usize| {
            let will_do = |row: &usize| match (&parsed[row - first], &parsed[asked - first]) {
                (Some(provided), Some(asked)) => provided.satisfies(asked),
                _ => *row == asked,
            };
            all.iter().copied().filter(will_do).collect()
        };
        self.apis.push(Api {
            name: provided.api,
            transport: provided.transport,
            scheme,
            will_do: all.iter().copied().map(will_do).collect(),
            all,
            other: 0,
            main: has_main(provided.scheme),
        });
    }

    /// Works out where each rule leads.
    fn compile(&mut self, declared: &Declared) -> Result<Vec<RowTarget>, ApiConfigError> {
        let mut targets = Vec::with_capacity(self.routes.rules.len());
        for rule in &self.routes.rules {
            if let Matches::Path(prefix) = &rule.matches
                && !prefix.is_empty()
                && !prefix.starts_with('/')
            {
                return Err(ApiConfigError::Prefix(prefix.to_string()));
            }
            if let Asked::Nothing = rule.version {
                targets.push(RowTarget::Nothing);
                continue;
            }
            let api = self.api(&rule.api).ok_or_else(|| unknown_api(declared, &rule.api))?;
            let target = match &rule.version {
                Asked::Header(name) => RowTarget::Header(name.clone(), api),
                Asked::Fixed(version) => {
                    let rows = self.named(api, version);
                    if rows.is_empty() {
                        return Err(unknown_version(declared, &rule.api, version));
                    }
                    RowTarget::Best(api, rows)
                }
                Asked::Nothing => RowTarget::Nothing,
            };
            targets.push(target);
        }
        Ok(targets)
    }

    fn api(&self, name: &str) -> Option<usize> {
        self.apis.iter().position(|api| api.name == name)
    }

    /// Lists what a version's text means: that version, or all of this unit, or with this main part.
    fn named(&self, api: usize, version: &str) -> Vec<usize> {
        let Some(api) = self.apis.get(api) else { return Vec::new() };
        match self.exactly(api, version) {
            Some(row) => vec![row],
            None => self.of_text(api, version).collect(),
        }
    }

    fn exactly(&self, api: &Api, version: &str) -> Option<usize> {
        api.all.iter().copied().find(|row| self.rows[*row].version == version)
    }

    fn of_text<'a>(&'a self, api: &'a Api, version: &'a str) -> impl Iterator<Item = usize> + 'a {
        // `v1` and `1`, but not `1.7`: that one was never declared.
        let text = version.strip_prefix('v').unwrap_or(version);
        let main = main_of(version).filter(|main| *main == text && api.main);
        let is_unit = move |row: &Row| row.unit.strip_prefix('v').unwrap_or(&row.unit) == text;
        let of_main = move |row: &Row| main.is_some() && main_of(row.version) == main;
        let rows = api.all.iter().copied();
        rows.filter(move |row| is_unit(&self.rows[*row]) || of_main(&self.rows[*row]))
    }

    /// Finds the shortest path prefix of a form under which a version is served, and another is not.
    fn prefix(
        &self,
        (api, version): (&str, &str),
        but_not: &Row,
        form: Option<PathForm>,
    ) -> Option<&str> {
        let number = self.api(api)?;
        self.routes.shortest_prefix(form, |rule_api, rule_version| {
            let rows = || self.named(number, rule_version);
            let other = || api != but_not.api || !self.has(&rows(), but_not.version);
            rule_api == api && self.has(&rows(), version) && other()
        })
    }

    /// Writes where the successor of a version is, in each form that default rules have.
    fn successors(&self, next: (&str, &str), row: &Row) -> Vec<Successor> {
        let of = |form: PathForm| {
            let prefix = self.prefix(next, row, Some(form))?.to_owned();
            let link = Link::header(&prefix, names::REL_SUCCESSOR_VERSION)?;
            Some(Successor { form, prefix, link })
        };
        PathForm::ALL.into_iter().filter_map(of).collect()
    }

    /// Finds where the successor of a version is, in the form in which a request's path names its own
    /// version: `/shop/orders/v2` for `/shop/orders/v1/7`. None if the path names none, or a rule of the
    /// user's has fixed its form. `rule` is the one that the request fits.
    pub(super) fn successor(
        &self,
        row: &Row,
        rule: Option<usize>,
        path: &str,
    ) -> Option<Announced> {
        /// A longer one is not said again.
        const MAX_BEFORE: usize = 256;
        let (before, form) = self.routes.form(rule?, path)?;
        let at = row.successors.iter().position(|successor| successor.form == form)?;
        match before {
            "" => Some(Announced::Known(at)),
            // What begins with two slashes would be the name of a host.
            _ if before.len() > MAX_BEFORE || before.starts_with("//") => None,
            _ => {
                let target = format!("{before}{}", row.successors.get(at)?.prefix);
                let link = Link::header(&target, names::REL_SUCCESSOR_VERSION)?;
                Some(Announced::Here(Box::new(link)))
            }
        }
    }

    fn has(&self, rows: &[usize], version: &str) -> bool {
        rows.iter().any(|row| self.rows[*row].version == version)
    }

    /// Finds what a request is for; `asked` tells the version that the caller asks for, and is only
    /// called where it counts.
    pub(super) fn find<'a>(
        &self,
        head: RequestHead<'_>,
        today: i64,
        asked: impl FnOnce() -> Option<&'a str>,
    ) -> Place {
        let mut rule = None;
        let row = match self.routes.find(head) {
            Some(Found::Nothing) => return Place::Outside,
            None => return self.assume(head, today, asked),
            Some(Found::Rule(number)) => match self.targets.get(number) {
                Some(RowTarget::Nothing) => return Place::Outside,
                Some(RowTarget::Best(api, rows)) => {
                    rule = Some(number);
                    self.pick(*api, rows, today, asked)
                }
                Some(RowTarget::Header(name, number)) => {
                    self.apis.get(*number).and_then(|api| match head.headers.get(name) {
                        Some(value) => {
                            let version = value.to_str().unwrap_or_default().trim();
                            self.by_text(*number, version, today, asked)
                        }
                        None => self.pick(*number, &api.all, today, asked),
                    })
                }
                None => None,
            },
            Some(Found::Named(api, version) | Found::Package(api, version)) => {
                self.api(api).and_then(|api| self.by_text(api, version, today, asked))
            }
        };
        row.map_or(Place::Unrouted, |row| Place::Row(row, rule))
    }

    /// Takes what no rule fits for a call of the only API that it can be for.
    fn assume<'a>(
        &self,
        head: RequestHead<'_>,
        today: i64,
        asked: impl FnOnce() -> Option<&'a str>,
    ) -> Place {
        let transport = match Protocol::of(head.headers) {
            Protocol::Grpc => GRPC,
            _ => HTTP,
        };
        let mut apis = self.apis.iter().enumerate().filter(|(_, api)| api.transport == transport);
        let only = match (self.routes.assume, apis.next(), apis.next()) {
            (true, Some((number, api)), None) => self.pick(number, &api.all, today, asked),
            _ => None,
        };
        only.map_or(Place::Unrouted, Place::Assumed)
    }

    fn by_text<'a>(
        &self,
        number: usize,
        version: &str,
        today: i64,
        asked: impl FnOnce() -> Option<&'a str>,
    ) -> Option<usize> {
        let api = self.apis.get(number)?;
        if let Some(row) = self.exactly(api, version) {
            return Some(row);
        }
        let rows: Vec<usize> = self.of_text(api, version).collect();
        if rows.is_empty() { Some(api.other) } else { self.pick(number, &rows, today, asked) }
    }

    /// Takes that of some versions of an API which a caller gets: the best that will do for what it
    /// asks for. Of a caller that does not say it is the best of all, if they can stand in for each
    /// other; else it cannot be told.
    fn pick<'a>(
        &self,
        number: usize,
        rows: &[usize],
        today: i64,
        asked: impl FnOnce() -> Option<&'a str>,
    ) -> Option<usize> {
        if let [row] = rows {
            return Some(*row);
        }
        let api = self.apis.get(number)?;
        if let Some(asked) = asked().filter(|asked| asked.len() <= Version::MAX_LEN) {
            let known = api.all.iter().position(|row| self.rows[*row].version == asked);
            let got = match known.and_then(|at| api.will_do.get(at)) {
                Some(rows_) => {
                    self.best(rows_.iter().copied().filter(|row| rows.contains(row)), today)
                }
                // A version that was never declared, such as one that is gone; a later one may do.
                None => self.best(self.will_do(api, asked).filter(|row| rows.contains(row)), today),
            };
            if got.is_some() {
                return got;
            }
        }
        // What is planned is not there yet.
        let there = |row: &usize| self.rows[*row].state(today) != Some(State::Planned);
        // A pre-release is for those who ask for just it, where there is more than that.
        let promised = |row: &usize| !(api.main && self.rows[*row].unit == self.rows[*row].version);
        let any = rows.iter().any(|row| there(row) && promised(row));
        let meant = || rows.iter().copied().filter(|row| !any || promised(row));
        let mut units = meant().filter(there).map(|row| &self.rows[row].unit);
        let one = units.next().is_none_or(|first| units.all(|unit| unit == first));
        one.then(|| self.best(meant(), today)).flatten()
    }

    fn will_do<'s>(&'s self, api: &'s Api, asked: &str) -> impl Iterator<Item = usize> + 's {
        let asked = api.scheme.and_then(|scheme| scheme.version(asked).ok());
        let provided = |row: &usize| api.scheme?.version(self.rows[*row].version).ok();
        api.all.iter().copied().filter(move |row| {
            let asked = asked.as_ref();
            asked.is_some_and(|asked| provided(row).is_some_and(|row| row.satisfies(asked)))
        })
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

    /// Finds the version of a message.
    pub(super) fn message(&self, api: &str, version: Option<&str>, today: i64) -> Option<usize> {
        let number = self.api(api)?;
        match version {
            Some(version) => self.by_text(number, version, today, || None),
            None => self.pick(number, &self.apis.get(number)?.all, today, || None),
        }
    }

    /// Tells whether a request can be for any API.
    pub(super) fn has_any(&self) -> bool {
        self.apis.iter().any(|api| [HTTP, GRPC].contains(&api.transport))
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// Sorts rows of one API: by its scheme's order; by release where the scheme has none.
fn sort_best_first(
    api: &ProvidedApi,
    parsed: &[Option<Version>],
    rows: &mut [usize],
    first: usize,
) {
    let ordered = parsed.iter().all(Option::is_some) && api.scheme != Scheme::Exact.as_str();
    if ordered {
        // Versions of one scheme with an order: never without an answer.
        rows.sort_by(|a, b| {
            let order = parsed[*b - first].partial_cmp(&parsed[*a - first]);
            order.unwrap_or(std::cmp::Ordering::Equal)
        });
    } else {
        rows.sort_by_key(|row| Reverse(api.versions[row - first].released));
    }
}
