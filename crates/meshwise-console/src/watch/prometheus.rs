//! Reads Prometheus' text and `OpenMetrics`, leniently: what cannot be read is skipped.

use crate::store::series::{BUCKETS, Description, Exemplar, Reading, Shape};
use std::collections::HashMap;

/// So many samples of one page are read.
const SAMPLES: usize = 50_000;
/// More labels of a sample are left out.
const LABELS: usize = 32;

type Labels = Vec<(String, String)>;

#[derive(Default)]
struct Family<'a> {
    kind: &'a str,
    help: &'a str,
    unit: &'a str,
}

#[derive(Default)]
struct Histogram {
    count: f64,
    sum: f64,
    buckets: Vec<(f64, f64)>,
    exemplars: Vec<Exemplar>,
}

/// Calls `each` with every series of a page.
pub(super) fn read(
    page: &str,
    mut each: impl FnMut(Description<'_>, Labels, Reading, Vec<Exemplar>),
) {
    let mut families: HashMap<&str, Family<'_>> = HashMap::new();
    let mut histograms: HashMap<(&str, Labels), Histogram> = HashMap::new();
    for line in page.lines().take(SAMPLES) {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (Some(what), Some(name)) = (words.next(), words.next()) else { continue };
            let text = words.next().unwrap_or_default();
            let family = families.entry(name).or_default();
            match what {
                "TYPE" => family.kind = text,
                "HELP" => family.help = text,
                "UNIT" => family.unit = text,
                _ => {}
            }
            continue;
        }
        let Some(sample) = Sample::parse(line) else { continue };
        if let Some((base, part)) = part_of(sample.name, &families) {
            let Sample { mut labels, value, exemplar, .. } = sample;
            let bound = labels.iter().position(|(name, _)| name == "le");
            let bound = bound.map(|at| labels.remove(at).1);
            let histogram = histograms.entry((base, labels)).or_default();
            histogram.exemplars.extend(exemplar);
            match (part, bound.as_deref().map(str::parse::<f64>)) {
                ("bucket", Some(Ok(bound))) => histogram.buckets.push((bound, value)),
                ("count", _) => histogram.count = value,
                ("sum", _) => histogram.sum = value,
                _ => {}
            }
            continue;
        }
        let bare = sample.name.strip_suffix("_total").unwrap_or(sample.name);
        let family = families.get(sample.name).or_else(|| families.get(bare));
        let shape = match family.map(|family| family.kind) {
            Some("counter") => Shape::Counter,
            _ => Shape::Gauge,
        };
        let (unit, help) = family.map_or(("", ""), |family| (family.unit, family.help));
        let description = Description { name: sample.name, shape, unit, help };
        let reading = Reading { value: sample.value, ..Reading::default() };
        each(description, sample.labels, reading, sample.exemplar.into_iter().collect());
    }
    for ((name, labels), mut histogram) in histograms {
        let family = families.get(name);
        let (unit, help) = family.map_or(("", ""), |family| (family.unit, family.help));
        let exemplars = std::mem::take(&mut histogram.exemplars);
        let description = Description { name, shape: Shape::Histogram, unit, help };
        each(description, labels, histogram.reading(), exemplars);
    }
}

/// Returns how the instance that serves a page names itself.
pub(super) fn instance(page: &str) -> Option<String> {
    let line = page.lines().take(SAMPLES).find(|line| line.starts_with("target_info{"))?;
    let found = |(name, _): &(String, String)| name == "service_instance_id";
    Sample::parse(line)?.labels.into_iter().find(found).map(|(_, id)| id)
}

impl Histogram {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    fn reading(mut self) -> Reading {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut bounds, mut counts, mut below) = (Vec::new(), Vec::new(), 0.0);
        for (bound, cumulative) in self.buckets {
            if bound.is_finite() {
                bounds.push(bound);
            }
            counts.push((cumulative - below).max(0.0) as u64);
            below = cumulative;
        }
        if counts.len() != bounds.len() + 1 || counts.len() > BUCKETS {
            (bounds, counts) = (Vec::new(), Vec::new());
        }
        Reading { value: self.count, sum: self.sum, bounds, counts, ..Reading::default() }
    }
}

/// Says of which histogram or summary a sample is a part, and which.
fn part_of<'a>(name: &'a str, families: &HashMap<&str, Family<'_>>) -> Option<(&'a str, &'a str)> {
    let (base, part) = name.rsplit_once('_')?;
    let parts = ["bucket", "count", "sum"];
    let kind = families.get(base).map(|family| family.kind)?;
    (parts.contains(&part) && ["histogram", "summary"].contains(&kind)).then_some((base, part))
}

struct Sample<'a> {
    name: &'a str,
    labels: Labels,
    value: f64,
    exemplar: Option<Exemplar>,
}

impl<'a> Sample<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, rest) = line.split_at_checked(line.find(['{', ' '])?)?;
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => parse_labels(rest)?,
            None => (Vec::new(), rest),
        };
        let (rest, exemplar) = match rest.split_once(" # {") {
            Some((rest, exemplar)) => (rest, parse_exemplar(exemplar)),
            None => (rest, None),
        };
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Self { name, labels, value, exemplar })
    }
}

fn parse_exemplar(text: &str) -> Option<Exemplar> {
    let (labels, rest) = parse_labels(text)?;
    let trace = labels.iter().find(|(name, _)| name == "trace_id")?;
    let mut numbers = rest.split_ascii_whitespace();
    let value = numbers.next()?.parse().ok()?;
    let time = numbers.next().and_then(|time| time.parse::<f64>().ok()).unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time")]
    let time = (time * 1e3) as u64;
    Some(Exemplar { trace: u128::from_str_radix(&trace.1, 16).ok()?, value, time })
}

/// Reads labels up to the closing brace; returns what follows it.
fn parse_labels(mut text: &str) -> Option<(Labels, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            labels.sort();
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let (value, rest) = quoted(rest)?;
        if labels.len() < LABELS {
            labels.push((
                crate::store::cut(name, 256).to_owned(),
                crate::store::cut(&value, 256).to_owned(),
            ));
        }
        text = rest;
    }
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices() {
        match (escaped, c) {
            (true, 'n') => value.push('\n'),
            (true, c) => value.push(c),
            (false, '"') => return Some((value, &text[at + 1..])),
            (false, '\\') => {}
            (false, c) => value.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"# HELP calls Calls.
# TYPE calls counter
calls_total{peer="a \"b\" \\ {x}",to="open"} 4
# TYPE d_seconds histogram
d_seconds_bucket{route="/a",le="0.1"} 2
d_seconds_bucket{route="/a",le="+Inf"} 5 # {trace_id="0af7651916cd43dd8448eb211c80319c"} 0.7 12.5
d_seconds_sum{route="/a"} 3.5
d_seconds_count{route="/a"} 5
plain 7 1700000000
broken{x="y
# EOF
"#;

    #[test]
    fn samples_are_grouped_into_series() {
        let mut found = Vec::new();
        read(PAGE, |metric, labels, reading, exemplars| {
            found.push((metric.name.to_owned(), metric.shape, labels, reading, exemplars));
        });
        assert_eq!(found.len(), 3);
        let (name, shape, labels, reading, _) = &found[0];
        assert_eq!((name.as_str(), *shape, reading.value), ("calls_total", Shape::Counter, 4.0));
        assert_eq!(labels[0], ("peer".to_owned(), "a \"b\" \\ {x}".to_owned()));
        assert_eq!((found[1].0.as_str(), found[1].3.value), ("plain", 7.0));
        let (name, shape, labels, reading, exemplars) = &found[2];
        assert_eq!((name.as_str(), *shape), ("d_seconds", Shape::Histogram));
        assert_eq!(labels, &[("route".to_owned(), "/a".to_owned())]);
        assert_eq!((&reading.bounds, &reading.counts), (&vec![0.1], &vec![2, 3]));
        assert_eq!((reading.value, reading.sum), (5.0, 3.5));
        assert_eq!((exemplars[0].value, exemplars[0].time), (0.7, 12_500));
    }

    #[test]
    fn an_instance_names_itself_or_does_not() {
        let page = "# TYPE target_info gauge\ntarget_info{service_name=\"a\",service_instance_id=\"i-1\"} 1\n";
        assert_eq!(instance(page).as_deref(), Some("i-1"));
        for page in ["", "target_info 1\n", "target_info{service_name=\"a\"} 1\n", "target_info{"] {
            assert_eq!(instance(page), None, "{page}");
        }
    }

    #[test]
    fn no_page_panics() {
        for page in
            ["{", "a{", "a{b", "a{b=\"", "a{b=\"\\", "a 1 # {", "é{é=\"é\"} é", "# ", "# TYPE"]
        {
            read(page, |_, _, _, _| {});
        }
    }
}
