//! A parser of both text formats that forgives nothing: it panics with the line that is wrong.
//!
//! Sources: Prometheus "Exposition formats" (0.0.4), `OpenMetrics` 1.0. `cargo xtask interop
//! openmetrics` shows that it refuses whatever `prometheus_client`'s parser refuses.

use meshwise_metrics::Format;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    str::Chars,
};

pub type Labels = BTreeMap<String, String>;

#[derive(Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Labels,
    pub value: f64,
    pub exemplar: Option<(Labels, f64, f64)>,
}

#[derive(Debug)]
pub struct Family {
    /// As the scraper stores it: a counter's with `_total`.
    pub name: String,
    pub kind: String,
    pub help: String,
    pub unit: Option<String>,
    pub samples: Vec<Sample>,
}

#[derive(Debug)]
pub struct Exposed {
    pub families: Vec<Family>,
}

impl Exposed {
    #[track_caller]
    pub fn family(&self, name: &str) -> &Family {
        self.find(name).unwrap_or_else(|| panic!("no {name} among {:?}", self.names()))
    }

    pub fn find(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }

    pub fn names(&self) -> Vec<&str> {
        self.families.iter().map(|family| family.name.as_str()).collect()
    }

    /// Returns the value of the one sample that has this name and, among others, these labels.
    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            labels.iter().all(|(k, v)| sample.labels.get(*k).is_some_and(|found| found == v))
        };
        let all = self.families.iter().flat_map(|family| &family.samples);
        let found: Vec<&Sample> = all.filter(|sample| sample.name == name).filter(has).collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:#?}");
        found[0].value
    }

    /// Counts the series of a family: for a histogram, its label sets.
    pub fn series(&self, name: &str) -> usize {
        let Some(family) = self.find(name) else { return 0 };
        let sets: BTreeSet<_> = family.samples.iter().map(|s| without_le(&s.labels)).collect();
        sets.len()
    }
}

fn without_le(labels: &Labels) -> Labels {
    labels.iter().filter(|(k, _)| *k != "le").map(|(k, v)| (k.clone(), v.clone())).collect()
}

pub fn parse(text: &str, format: Format) -> Exposed {
    let open = format == Format::OpenMetrics;
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    let mut families: Vec<Family> = Vec::new();
    let mut ended = false;
    let mut head: Option<(String, Option<String>)> = None;
    // Only a line feed ends a line.
    for line in text.split_terminator('\n') {
        assert!(!ended, "after the end: {line}");
        if line.is_empty() {
            assert!(!open, "an empty line");
        } else if let Some(comment) = line.strip_prefix('#') {
            if open && comment == " EOF" {
                ended = true;
                continue;
            }
            let mut parts = comment.strip_prefix(' ').expect(line).splitn(3, ' ');
            let (word, name) = (parts.next().expect(line), parts.next().expect(line));
            let rest = parts.next().expect(line);
            metric_name(name, line);
            match word {
                "HELP" => {
                    assert!(head.is_none(), "two HELP lines: {line}");
                    head = Some((name.to_owned(), Some(help(rest, open, line))));
                }
                "TYPE" => {
                    let (of, help) = head.take().unwrap_or_else(|| panic!("no HELP: {line}"));
                    assert_eq!(of, name, "{line}");
                    let help = help.expect("HELP before TYPE");
                    assert!(!help.is_empty(), "empty HELP: {line}");
                    families.push(family(name, rest, help, open, line));
                }
                "UNIT" if open => {
                    assert!(head.is_none(), "HELP without TYPE before: {line}");
                    let family = families.last_mut().expect(line);
                    let base = family.name.strip_suffix("_total").unwrap_or(&family.name);
                    assert_eq!(base, name, "{line}");
                    assert!(family.samples.is_empty() && family.unit.is_none(), "{line}");
                    assert!(name.ends_with(&format!("_{rest}")), "{line}");
                    family.unit = Some(rest.to_owned());
                }
                _ => panic!("a strange comment: {line}"),
            }
        } else {
            assert!(head.is_none(), "HELP without TYPE before: {line}");
            let sample = sample(line, open);
            let family = families.last_mut().unwrap_or_else(|| panic!("no family: {line}"));
            belongs(&sample, family, line);
            family.samples.push(sample);
        }
    }
    assert!(ended || !open, "no EOF");
    assert!(head.is_none(), "HELP without TYPE at the end");
    check(&families);
    for family in families.iter().filter(|family| family.kind == "histogram") {
        histogram(family, open);
    }
    if open {
        no_name_is_kept_twice(&families);
        families.iter().for_each(groups_are_together);
    }
    Exposed { families }
}

fn family(name: &str, kind: &str, help: String, open: bool, line: &str) -> Family {
    let name = match kind {
        "counter" if open => {
            assert!(!name.ends_with("_total"), "{line}");
            format!("{name}_total")
        }
        "counter" => {
            assert!(name.ends_with("_total"), "{line}");
            name.to_owned()
        }
        "gauge" | "histogram" => name.to_owned(),
        "unknown" if open => name.to_owned(),
        _ => panic!("a strange type: {line}"),
    };
    Family { name, kind: kind.to_owned(), help, unit: None, samples: Vec::new() }
}

fn belongs(sample: &Sample, family: &Family, line: &str) {
    let suffixes: &[&str] =
        if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
    let suffix = sample.name.strip_prefix(family.name.as_str());
    assert!(suffix.is_some_and(|suffix| suffixes.contains(&suffix)), "of {}: {line}", family.name);
    let bucket = sample.name.ends_with("_bucket") && family.kind == "histogram";
    // Buckets may come without the type of their histogram.
    if family.kind != "unknown" {
        assert_eq!(sample.labels.contains_key("le"), bucket, "{line}");
    }
    assert!(sample.exemplar.is_none() || bucket, "{line}");
    if suffix == Some("_bucket") || suffix == Some("_count") {
        assert!(sample.value.fract() == 0.0, "{line}");
    }
    if family.kind == "counter" || suffix == Some("_bucket") || suffix == Some("_count") {
        assert!(sample.value >= 0.0, "{line}");
    }
}

fn check(families: &[Family]) {
    let mut names = HashSet::new();
    let mut series = HashSet::new();
    for family in families {
        assert!(names.insert(&family.name), "{} comes twice", family.name);
        assert!(!family.samples.is_empty(), "{} is empty", family.name);
        for sample in &family.samples {
            let told_apart: Labels = sample
                .labels
                .iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            assert!(series.insert((&sample.name, told_apart)), "twice: {sample:?}");
        }
    }
}

/// A type keeps names for itself, whether they are used or not (`OpenMetrics` 1.0, "Suffixes").
fn no_name_is_kept_twice(families: &[Family]) {
    let mut kept = HashSet::new();
    for family in families {
        let base = match &*family.kind {
            "counter" => family.name.strip_suffix("_total").expect("it has one"),
            _ => &family.name,
        };
        let suffixes: &[&str] = match &*family.kind {
            "counter" => &["", "_total", "_created"],
            "histogram" => &["", "_bucket", "_sum", "_count", "_created"],
            _ => &[""],
        };
        for suffix in suffixes {
            assert!(kept.insert(format!("{base}{suffix}")), "{base}{suffix} is kept twice");
        }
    }
}

/// The samples of one label set stand together.
fn groups_are_together(family: &Family) {
    let histogram = family.kind == "histogram";
    let group = |s: &Sample| if histogram { without_le(&s.labels) } else { s.labels.clone() };
    let mut groups: Vec<Labels> = family.samples.iter().map(group).collect();
    groups.dedup();
    let distinct: BTreeSet<&Labels> = groups.iter().collect();
    assert_eq!(distinct.len(), groups.len(), "{}: label sets are mixed", family.name);
}

fn histogram(family: &Family, open: bool) {
    let mut sets: BTreeMap<Labels, Vec<&Sample>> = BTreeMap::new();
    for sample in &family.samples {
        sets.entry(without_le(&sample.labels)).or_default().push(sample);
    }
    for (labels, samples) in sets {
        let what = format!("{}{labels:?}", family.name);
        let buckets: Vec<(f64, f64)> = samples
            .iter()
            .filter_map(|sample| Some((number(sample.labels.get("le")?, &what), sample.value)))
            .collect();
        let ascending = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
        assert!(buckets.windows(2).all(ascending), "{what}: {buckets:?}");
        let (le, all) = *buckets.last().expect("buckets");
        assert!(le == f64::INFINITY, "{what} has no +Inf");
        let at_most_one = |suffix: &str| {
            let name = format!("{}{suffix}", family.name);
            let found: Vec<_> = samples.iter().filter(|s| s.name == name).collect();
            assert!(found.len() <= 1, "{what}{suffix}");
            found.first().map(|sample| sample.value)
        };
        match (at_most_one("_sum"), at_most_one("_count")) {
            (Some(sum), Some(count)) => {
                assert!(count == all, "{what}: count is not +Inf's");
                // What may fall is no counter.
                let falls = sum.is_nan() || sum < 0.0 || buckets.iter().any(|(le, _)| *le < 0.0);
                assert!(!(open && falls), "{what}: a sum that may fall");
            }
            (None, None) => assert!(open, "{what} has no sum and no count"),
            (sum, count) => panic!("{what}: sum {sum:?}, count {count:?}"),
        }
        for sample in samples {
            if let Some((_, value, _)) = sample.exemplar {
                assert!(value <= number(&sample.labels["le"], &what), "{sample:?}");
            }
        }
    }
}

fn sample(line: &str, open: bool) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let name = &line[..end];
    metric_name(name, line);
    let mut rest = line[end..].chars();
    let labels = labels(&mut rest, line);
    let rest = rest.as_str().strip_prefix(' ').unwrap_or_else(|| panic!("no space: {line}"));
    let (value, exemplar) = match rest.split_once(" # ") {
        Some((value, exemplar)) if open => (value, Some(exemplar)),
        _ => (rest, None),
    };
    let exemplar = exemplar.map(|text| {
        let mut rest = text.chars();
        let labels = self::labels(&mut rest, line);
        let length: usize = labels.iter().map(|(k, v)| k.chars().count() + v.chars().count()).sum();
        assert!(length <= 128, "{line}");
        let (value, time) =
            rest.as_str().strip_prefix(' ').expect(line).split_once(' ').expect(line);
        let time = number(time, line);
        assert!(time.is_finite(), "{line}");
        (labels, number(value, line), time)
    });
    Sample { name: name.to_owned(), labels, value: number(value, line), exemplar }
}

/// Reads `{a="b",c="d"}`, if that comes.
fn labels(rest: &mut Chars<'_>, line: &str) -> Labels {
    let mut labels = Labels::new();
    let Some(inside) = rest.as_str().strip_prefix('{') else { return labels };
    *rest = inside.chars();
    loop {
        let (name, after) = rest.as_str().split_once("=\"").expect(line);
        let mut first = true;
        let valid = name.chars().all(|c| {
            let ok = c.is_ascii_alphabetic() || c == '_' || (!first && c.is_ascii_digit());
            first = false;
            ok
        });
        assert!(valid && !name.is_empty() && !name.starts_with("__"), "label {name:?}: {line}");
        *rest = after.chars();
        let mut value = String::new();
        loop {
            match rest.next().unwrap_or_else(|| panic!("an open label: {line}")) {
                '"' => break,
                '\\' => value.push(match rest.next() {
                    Some('n') => '\n',
                    Some(c @ ('\\' | '"')) => c,
                    other => panic!("escape {other:?}: {line}"),
                }),
                c => value.push(c),
            }
        }
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} twice: {line}");
        match rest.next() {
            Some(',') => {}
            Some('}') => return labels,
            other => panic!("{other:?} after a label: {line}"),
        }
    }
}

fn metric_name(name: &str, line: &str) {
    let mut chars = name.chars();
    let start = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    assert!(chars.next().is_some_and(start), "name: {line}");
    assert!(chars.all(|c| start(c) || c.is_ascii_digit()), "name: {line}");
}

fn number(text: &str, line: &str) -> f64 {
    match text {
        "NaN" => f64::NAN,
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        _ => {
            let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.e".contains(&b));
            assert!(plain, "number {text:?}: {line}");
            text.parse().unwrap_or_else(|_| panic!("number {text:?}: {line}"))
        }
    }
}

fn help(text: &str, open: bool, line: &str) -> String {
    let mut help = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => help.push(match chars.next() {
                Some('n') => '\n',
                Some('\\') => '\\',
                Some('"') if open => '"',
                other => panic!("escape {other:?}: {line}"),
            }),
            '"' if open => panic!("a bare quote: {line}"),
            c => help.push(c),
        }
    }
    help
}
