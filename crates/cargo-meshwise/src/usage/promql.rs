//! The questions, in `PromQL`.

use std::fmt::Write as _;

use meshwise_api::{ApiId, names};

use super::plan::Plan;

/// The labels that choose whose series are looked at.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    /// Of the service's instances: `job` and what `--match` gave.
    place: Vec<(String, String)>,
    /// Of the version.
    about: Vec<(String, String)>,
}

impl Selector {
    pub(super) fn new(about: &ApiId, job: Option<&str>, matches: &[(String, String)]) -> Self {
        let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut place: Vec<_> = job.map(|job| owned("job", job)).into_iter().collect();
        place.extend(matches.iter().cloned());
        let version = about.version().unwrap_or_default();
        let about =
            vec![owned(names::LABEL_API, about.name()), owned(names::LABEL_VERSION, version)];
        Self { place, about }
    }

    fn counter(&self) -> String {
        selector(names::API_CALLS, self.about.iter().chain(&self.place))
    }

    fn gauge(&self) -> String {
        selector(names::API_COUNTING_SINCE, self.about.iter().chain(&self.place))
    }

    /// How much counters rose that were there when the window began.
    pub(super) fn risen(&self, plan: &Plan) -> String {
        let (counter, range) = (self.counter(), plan.range());
        format!(
            "sum by (caller, caller_verified) (increase({counter}[{range}s]) and {counter} offset {range}s)"
        )
    }

    /// How many requests each instance had that no route fits, and how many calls that named a
    /// version of the API which it does not have: they may have been for this one.
    pub(super) fn untold(&self, plan: &Plan) -> [String; 2] {
        let api = self.about.iter().filter(|(name, _)| name == names::LABEL_API);
        let other = (names::LABEL_VERSION.to_owned(), names::OTHER.to_owned());
        let unrouted = selector(names::API_UNROUTED, self.place.iter());
        let strange = selector(names::API_CALLS, api.chain([&other]).chain(&self.place));
        [unrouted, strange].map(|counter| {
            let range = plan.range();
            format!(
                "sum by (job, instance) ((increase({counter}[{range}s]) and {counter} offset \
                 {range}s) or (max_over_time({counter}[{range}s]) unless {counter} offset {range}s))"
            )
        })
    }

    /// The highest value of those that were not.
    ///
    /// `increase` misses what a counter held when it was first seen, and a caller's first call
    /// makes its counter; the highest value is right even if a restart set it back.
    pub(super) fn newborn(&self, plan: &Plan) -> String {
        let (counter, range) = (self.counter(), plan.range());
        format!(
            "sum by (caller, caller_verified, job, instance) (max_over_time({counter}[{range}s]) unless {counter} \
             offset {range}s)"
        )
    }

    fn seen(&self, plan: &Plan) -> String {
        format!("count by (job, instance) (count_over_time({}[{}s]))", self.gauge(), plan.step)
    }

    /// In how many steps each instance's gauge was seen.
    pub(super) fn counted(&self, plan: &Plan) -> String {
        over(plan, "count_over_time", &self.seen(plan))
    }

    /// The first step in which it was.
    pub(super) fn first(&self, plan: &Plan) -> String {
        over(plan, "min_over_time", &format!("{} * 0 + time()", self.seen(plan)))
    }

    /// The last step in which it was.
    pub(super) fn last(&self, plan: &Plan) -> String {
        over(plan, "max_over_time", &format!("{} * 0 + time()", self.seen(plan)))
    }

    /// Since when the first process of each instance counted.
    pub(super) fn since(&self, plan: &Plan) -> String {
        format!("min by (job, instance) (min_over_time({}[{}s]))", self.gauge(), plan.range())
    }

    /// In how many steps each instance of a job was to be scraped.
    pub(super) fn tried(&self, plan: &Plan, job: &str) -> String {
        let job = ("job".to_owned(), job.to_owned());
        let place = self.place.iter().filter(|(name, _)| name != "job");
        let up = selector("up", place.chain([&job]));
        let seen = format!("count by (job, instance) (count_over_time({up}[{}s]))", plan.step);
        over(plan, "count_over_time", &seen)
    }

    /// Whether any instance's gauge was seen, for a range query.
    pub(super) fn any(&self, plan: &Plan) -> String {
        format!("count(count_over_time({}[{}s]))", self.gauge(), plan.step)
    }
}

/// Applies a function over all steps of the window.
fn over(plan: &Plan, function: &str, inner: &str) -> String {
    format!("{function}(({inner})[{}s:{}s])", plan.range(), plan.step)
}

fn selector<'a>(metric: &str, labels: impl Iterator<Item = &'a (String, String)>) -> String {
    let mut text = format!("{metric}{{");
    for (index, (name, value)) in labels.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '"' | '\\' => text.extend(['\\', c]),
                '\n' => text.push_str("\\n"),
                // PromQL reads strings as Go does.
                c if c.is_control() => {
                    let _ = write!(text, "\\U{:08x}", u32::from(c));
                }
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_questions_are_these() {
        let about = "auth@1.1".parse().expect("an id");
        let matches = [("app".to_owned(), "a\"b\\c\nd\u{1}".to_owned())];
        let selector = Selector::new(&about, Some("shop"), &matches);
        let plan = Plan { step: 300, count: 8640, last: 1_795_000_200 };
        let all = [
            selector.risen(&plan),
            selector.newborn(&plan),
            selector.counted(&plan),
            selector.first(&plan),
            selector.last(&plan),
            selector.since(&plan),
            selector.tried(&plan, "shop"),
            selector.any(&plan),
        ];
        let all = all.into_iter().chain(selector.untold(&plan)).collect::<Vec<_>>();
        insta::assert_snapshot!(all.join("\n"));
    }
}
