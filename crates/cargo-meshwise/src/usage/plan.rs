//! The moments that are asked about, and what the answers say together. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use super::{Gap, Usage, Window};
use meshwise_api::{ApiId, Timestamp};

/// Prometheus answers a range query with at most 11,000 points a series.
const MAX_STEPS: i64 = 10_000;
/// So many holes are one finding, and have one cause.
const MANY_HOLES: usize = 10;
/// Lists no more gaps than this; the first ones say enough.
const MAX_GAPS: usize = 50;

/// The steps into which a window is cut: in each one, every instance must have been seen.
///
/// Steps lie at multiples of their length, as those of Prometheus's subqueries do, and the moment
/// of evaluation one second after the last. So there are exactly `count` in the window, whether the
/// version of Prometheus counts a range's left end in or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) step: i64,
    pub(super) count: i64,
    /// The last step.
    pub(super) last: i64,
}

impl Plan {
    /// Cuts the window that ends now; steps become longer than asked for if there would be too many.
    pub(super) fn new(window: Window, resolution: Window, now: i64) -> Self {
        let wanted = resolution.seconds().min(window.seconds());
        let step = wanted.max(divide_up(window.seconds(), MAX_STEPS));
        let last = (now - 1).div_euclid(step) * step;
        Self { step, count: divide_up(window.seconds(), step), last }
    }

    pub(super) fn first(&self) -> i64 {
        self.last - (self.count - 1) * self.step
    }

    /// When to evaluate instant queries.
    pub(super) fn time(&self) -> i64 {
        self.last + 1
    }

    /// How far the ranges of those queries reach back.
    pub(super) fn range(&self) -> i64 {
        self.count * self.step
    }

    /// Where the window begins.
    pub(super) fn begin(&self) -> i64 {
        self.time() - self.range()
    }
}

/// Divides positive numbers, rounding up.
fn divide_up(number: i64, by: i64) -> i64 {
    (number + by - 1) / by
}

/// Names an instance: its labels `job` and `instance`.
pub(super) type Instance = (String, String);

/// Names a caller, and says whether the name was proved.
pub(super) type Caller = (String, bool);

/// What Prometheus said, by question.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    /// By caller: how much counters rose that were there when the window began.
    pub(super) risen: BTreeMap<Caller, f64>,
    /// By caller and instance: the highest value of counters that were not there then.
    pub(super) newborn: Vec<(Caller, Instance, f64)>,
    /// By instance: requests that no route fits, and calls of a version that was never declared.
    pub(super) unrouted: BTreeMap<Instance, f64>,
    pub(super) strange: BTreeMap<Instance, f64>,
    /// In how many steps the gauge was seen.
    pub(super) counted: BTreeMap<Instance, f64>,
    /// The first and last step in which the gauge was seen.
    pub(super) first: BTreeMap<Instance, f64>,
    pub(super) last: BTreeMap<Instance, f64>,
    /// The gauge's lowest value: since when its first process counted.
    pub(super) since: BTreeMap<Instance, f64>,
    /// In how many steps a scrape was tried.
    pub(super) tried: BTreeMap<Instance, f64>,
    /// How many instances there must be in each step.
    pub(super) wanted: u32,
    /// The steps in which the gauges of so many were seen.
    pub(super) steps: BTreeSet<i64>,
    /// What the server itself warned of: answers cut short.
    pub(super) warnings: BTreeSet<String>,
}

/// Weighs the answers together.
pub(super) fn assess(about: &ApiId, plan: &Plan, answers: &Answers) -> Usage {
    let mut gaps = Vec::new();
    for warning in &answers.warnings {
        gaps.push(Gap::new(format!("the server warns that the answer is not whole: {warning}")));
    }
    if answers.counted.is_empty() {
        gaps.push(
            Gap::new(
                "no instance said that it counts calls of this version; serve it with meshwise's \
                 API layer, and have every instance scraped",
            )
            .between(plan.begin(), plan.time()),
        );
    } else {
        gaps.extend(holes(plan, answers.wanted, &answers.steps));
    }
    let mut uncertain = BTreeSet::new();
    for instance in answers.counted.keys().chain(answers.tried.keys()).collect::<BTreeSet<_>>() {
        let found = instance_gaps(plan, answers, instance);
        if !found.is_empty() {
            uncertain.insert(instance);
        }
        gaps.extend(found);
    }

    gaps.extend(untold(plan, answers));
    let mut calls: BTreeMap<Caller, f64> = answers.risen.clone();
    for (caller, instance, value) in &answers.newborn {
        if *value <= 0.0 {
            continue;
        }
        // A counter that begins in the window holds calls of the window, if its instance was
        // watched. If not, they may be older than the window.
        if answers.counted.contains_key(instance) && !uncertain.contains(instance) {
            *calls.entry(caller.clone()).or_default() += value;
        } else {
            gaps.push(
                Gap::new(format!("{value} calls by {}, and it is not known when", caller.0))
                    .of(&shown(instance)),
            );
        }
    }
    if gaps.len() > MAX_GAPS {
        let more = gaps.len() - MAX_GAPS;
        gaps.truncate(MAX_GAPS);
        gaps.push(Gap::new(format!("{more} more gaps")));
    }
    let moment = |seconds| {
        Timestamp::from_unix_seconds(seconds).unwrap_or(Timestamp::from(meshwise_api::Date::MIN))
    };
    let mut usage = Usage {
        schema: Usage::SCHEMA,
        api: about.name().to_owned(),
        version: about.version().unwrap_or_default().to_owned(),
        from: moment(plan.begin()),
        to: moment(plan.time()),
        calls: BTreeMap::new(),
        verified: BTreeMap::new(),
        instances: u64::try_from(answers.counted.len()).unwrap_or(u64::MAX),
        gaps,
    };
    for ((caller, verified), value) in calls.into_iter().filter(|(_, value)| *value > 0.0) {
        let calls = whole(value);
        if verified {
            usage.verified.insert(caller.clone(), calls);
        }
        let sum = usage.calls.entry(caller).or_default();
        *sum = sum.saturating_add(calls);
    }
    usage
}

/// Finds the instances of the service that had requests which may have been for the version.
fn untold(plan: &Plan, answers: &Answers) -> Vec<Gap> {
    let of_service = |instance: &&Instance| {
        answers.counted.contains_key(*instance) || answers.tried.contains_key(*instance)
    };
    let gaps = |found: &BTreeMap<Instance, f64>, what: &str| {
        let risen = found.iter().filter(|(_, value)| **value > 0.0);
        let risen = risen.filter(|(instance, _)| of_service(instance));
        let gap = |(instance, value): (&Instance, &f64)| {
            Gap::new(format!("{} {what}", whole(*value)))
                .of(&shown(instance))
                .between(plan.begin(), plan.time())
        };
        risen.map(gap).collect::<Vec<_>>()
    };
    let mut found = gaps(
        &answers.unrouted,
        "requests that no route fits, so that their version cannot be told; add rules to ApiRoutes",
    );
    found.extend(gaps(&answers.strange, "calls named a version that api.toml does not have"));
    found
}

/// Rounds up: a rise of 0.4 is an extrapolated call, and never none.
fn whole(value: f64) -> u64 {
    // `as` goes to the nearest end for what does not fit.
    value.ceil().max(1.0) as u64
}

fn shown(instance: &Instance) -> String {
    format!("{}/{}", instance.0, instance.1)
}

/// Finds the runs of steps in which no one was seen, or fewer than there must be.
fn holes(plan: &Plan, wanted: u32, seen: &BTreeSet<i64>) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = Vec::new();
    let too_few = match wanted {
        0 | 1 => "no instance was scraped".to_owned(),
        n => format!("fewer than {n} instances were scraped"),
    };
    let step = Window::from_seconds(u32::try_from(plan.step).unwrap_or(1));
    let step = step.map(|step| step.to_string()).unwrap_or_default();
    let mut open: Option<i64> = None;
    for index in 0..=plan.count {
        let step = plan.first() + index * plan.step;
        let missing = index < plan.count && !seen.contains(&step);
        match (missing, open) {
            (true, None) => open = Some(step),
            (false, Some(from)) => {
                gaps.push(Gap::new(&*too_few).between(from - plan.step, step - plan.step));
                open = None;
            }
            _ => {}
        }
    }
    if gaps.len() > MANY_HOLES {
        let why = format!(
            "{too_few} in {} times of {step} each or longer; if scrapes are further \
             apart than that, raise --resolution",
            gaps.len()
        );
        return vec![Gap::new(why).between(plan.begin(), plan.time())];
    }
    if let Some(gap) = gaps.first_mut()
        && !seen.contains(&plan.first())
    {
        gap.why = format!(
            "{too_few} when the window began; if that is beyond Prometheus's retention, ask for a \
             shorter window"
        );
    }
    gaps
}

fn instance_gaps(plan: &Plan, answers: &Answers, instance: &Instance) -> Vec<Gap> {
    let name = shown(instance);
    let mut gaps = Vec::new();
    let get = |map: &BTreeMap<Instance, f64>| map.get(instance).copied();
    let counted = get(&answers.counted).unwrap_or(0.0) as i64;
    let tried = get(&answers.tried).map(|tried| tried as i64);
    if counted == 0 {
        let why = "was scraped and did not count calls of this version: an older build, or not \
                   the service (narrow the question with --job or --match)";
        return vec![Gap::new(why).of(&name)];
    }
    let (Some(first), Some(last), Some(since)) =
        (get(&answers.first), get(&answers.last), get(&answers.since))
    else {
        return vec![Gap::new("the server's answers contradict each other").of(&name)];
    };
    let (first, last, since) = (first as i64, last as i64, since as i64);
    let in_order = plan.first() <= first && first <= last && last <= plan.last;
    if !in_order || since > plan.time() + plan.step {
        return vec![Gap::new("the server's answers contradict each other").of(&name)];
    }
    if counted < (last - first) / plan.step + 1 {
        gaps.push(Gap::new("was not scraped all the time").of(&name).between(first, last));
    }
    let (began, ended) = (first > plan.first(), last < plan.last);
    match tried {
        None => gaps
            .push(Gap::new("there is no `up` for it, so failed scrapes cannot be seen").of(&name)),
        // Before it was ready and while it was taken away it may not have answered.
        Some(tried) if tried - counted > i64::from(began) + i64::from(ended) => {
            gaps.push(Gap::new("scrapes failed").of(&name).between(first, last));
        }
        Some(_) => {}
    }
    if began && since < plan.begin() - plan.step {
        gaps.push(
            Gap::new("ran before it was first scraped").of(&name).between(plan.begin(), first),
        );
    }
    gaps
}

#[cfg(test)]
mod tests;
