//! `prometheus_client`'s strict parser on pages that are hard to get right, and on pages that are
//! wrong: what it refuses, the parser that the tests rely on refuses too.

#[path = "../../../crates/meshwise-metrics/tests/support/strict.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of meshwise-metrics use all of it")]
mod strict;

use super::kits::Kits;
use anyhow::{Context as _, ensure};
use meshwise_core::{Service, SpanId, TraceId};
use meshwise_metrics::{Exemplar, Format, Metrics, MetricsConfig, with_exemplar};
use metrics::{
    Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use std::{
    io::Write as _,
    panic::{self, catch_unwind},
    process::{Command, Stdio},
};

const RANDOM_PAGES: usize = 300;
const WRONG_PAGES: usize = 20_000;

/// Says of each page why it is refused, or null.
const JUDGE: &str = r#"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
def judge(text):
    try:
        list(text_string_to_metric_families(text))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
pages = json.loads(sys.stdin.buffer.read().decode())
print(json.dumps([judge(page) for page in pages]))
"#;

pub(crate) fn run(kits: &Kits) -> anyhow::Result<()> {
    // What strict::parse panics with is told below, where it matters.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = check(kits);
    panic::set_hook(hook);
    result
}

fn check(kits: &Kits) -> anyhow::Result<()> {
    let mut rng = fastrand::Rng::with_seed(7);
    let cases = cases();
    let random = (0..RANDOM_PAGES).map(|n| (format!("random {n}"), random(&mut rng)));
    let pages: Vec<(String, String)> = cases.iter().cloned().chain(random).collect();
    let verdicts = judge(kits, pages.iter().map(|(_, page)| page))?;
    for ((name, page), verdict) in pages.iter().zip(&verdicts) {
        ensure!(verdict.is_none(), "{name}: {verdict:?}\n{page}");
        ensure!(takes(page), "{name}: our own parser refuses it\n{page}");
    }
    println!("OpenMetrics: {} pages with what is hard, none refused", pages.len());

    let wrong: Vec<String> = (0..WRONG_PAGES)
        .map(|_| {
            let (_, page) = &cases[rng.usize(..cases.len())];
            spoil(&mut rng, page)
        })
        .collect();
    let verdicts = judge(kits, wrong.iter())?;
    let refused = verdicts.iter().flatten().count();
    ensure!(refused > WRONG_PAGES / 4, "only {refused} of {WRONG_PAGES} are wrong");
    let lax: Vec<String> = wrong
        .iter()
        .zip(&verdicts)
        .filter_map(|(page, verdict)| Some((page, verdict.as_ref()?)))
        .filter(|(page, _)| takes(page))
        .map(|(page, why)| format!("{why}\n{page}"))
        .collect();
    ensure!(
        lax.is_empty(),
        "{} pages that prometheus_client refuses pass our own parser; one:\n{}",
        lax.len(),
        lax[0]
    );
    println!("OpenMetrics: {refused} of {WRONG_PAGES} spoilt pages refused, by our parser too");
    Ok(())
}

fn takes(page: &str) -> bool {
    catch_unwind(|| strict::parse(page, Format::OpenMetrics)).is_ok()
}

fn judge<'a>(
    kits: &Kits,
    pages: impl Iterator<Item = &'a String>,
) -> anyhow::Result<Vec<Option<String>>> {
    let pages = serde_json::to_vec(&pages.collect::<Vec<_>>())?;
    let mut python = Command::new(&kits.python)
        .args(["-c", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("Python cannot be started")?;
    python.stdin.take().context("no stdin")?.write_all(&pages)?;
    let output = python.wait_with_output()?;
    ensure!(output.status.success(), "Python: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Renders what `record` records, and nothing of the process.
fn page(change: impl FnOnce(MetricsConfig) -> MetricsConfig, record: impl FnOnce()) -> String {
    let config = MetricsConfig::new(Service::new("orders", "1.0.0")).with_process_metrics(false);
    // A bad setting would be one of these pages'.
    let metrics = change(config).build().expect("metrics");
    metrics::with_local_recorder(&metrics.recorder(), record);
    rendered(&metrics)
}

fn rendered(metrics: &Metrics) -> String {
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _ = metrics.write_to(Format::OpenMetrics, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Pages with what strict readers have refused, or may.
fn cases() -> Vec<(String, String)> {
    let same = |config: MetricsConfig| config;
    let exemplar = Exemplar::new(TraceId::from_int(7), SpanId::from_int(8));
    [
        ("values below zero", page(same, || histogram!("temp_delta").record(-5.0))),
        (
            "a sum that fell and rose",
            page(same, || {
                histogram!("delta", "a" => "1").record(-5.0);
                histogram!("delta", "a" => "1").record(50.0);
                histogram!("delta", "a" => "2").record(1.0);
            }),
        ),
        (
            "bounds below zero",
            page(
                |config| config.with_buckets("celsius", &[-273.15, -1.0, 0.0, 1e6, 1e21]),
                || histogram!("celsius").record(20.0),
            ),
        ),
        (
            "sums beyond all numbers",
            page(same, || {
                histogram!("huge").record(f64::MAX);
                histogram!("huge").record(f64::MAX);
                histogram!("both").record_many(f64::MAX, 2);
                histogram!("both").record_many(f64::MIN, 2);
            }),
        ),
        (
            "a counter beside the _created of another",
            page(same, || {
                counter!("orders_total").increment(1);
                counter!("orders_created_total").increment(1);
                counter!("orders_created_created").increment(1);
            }),
        ),
        (
            "a histogram beside its _created",
            page(same, || {
                describe_histogram!("wait_seconds", Unit::Seconds, "Time, \"all\" of\nit. \\n");
                with_exemplar(Some(exemplar), || histogram!("wait_seconds").record(0.1));
                histogram!("wait_seconds", "a" => "b").record(-0.1);
                gauge!("wait_seconds_created").set(1.0);
                histogram!("size_bytes").record(1.0);
                counter!("size_bytes_created_total").increment(1);
                histogram!("x_created").record(1.0);
                histogram!("x").record(1.0);
            }),
        ),
        (
            "names that are also others'",
            page(same, || {
                gauge!("connections").set(1.0);
                counter!("connections").increment(1);
                gauge!("jobs_created").set(1.0);
                counter!("jobs").increment(1);
                histogram!("h").record(1.0);
                counter!("h_sum").increment(1);
                counter!("h").increment(1);
                gauge!("h_bucket").set(1.0);
                counter!("_total").increment(1);
                counter!("").increment(1);
                gauge!("le").set(1.0);
            }),
        ),
        (
            "units and helps",
            page(same, || {
                describe_counter!("time_seconds_total", Unit::Seconds, "a\rb\u{2028}c\td");
                counter!("time_seconds_total").increment(1);
                describe_gauge!("size_bytes", Unit::Bytes, " ");
                gauge!("size_bytes").set(f64::NAN);
                describe_gauge!("ratio_percent", Unit::Percent, "# EOF");
                gauge!("ratio_percent").set(f64::NEG_INFINITY);
            }),
        ),
        (
            "exemplars and labels",
            page(same, || {
                with_exemplar(Some(exemplar), || {
                    for value in [1e-9, 0.3, 1e9, -1.0] {
                        let labels = [
                            ("quote", "\" # {a=\"b\"} 1"),
                            ("brace", "} 7\n{"),
                            ("slash", "\\\\\\"),
                            ("le", "1"),
                            ("__name__", "x"),
                            ("line", "\r\u{85}\u{2028}"),
                        ];
                        histogram!("wait", &labels).record(value);
                        counter!("calls", &labels).increment(1);
                    }
                });
            }),
        ),
        ("nothing but our own", page(same, || ())),
    ]
    .map(|(name, page)| (name.to_owned(), page))
    .into()
}

const NAMES: &[&str] = &[
    "a",
    "a_total",
    "a_sum",
    "a_count",
    "a.bucket",
    "a_created",
    "a_created_total",
    "b_seconds",
    "b_seconds_created",
    "b_bytes",
    "_total",
    "",
    "1",
    "c:d",
    "_created",
];
const LABELS: &[&str] = &["x", "x.y", "le", "quantile", "__name__", "", "ä"];
const VALUES: &[f64] =
    &[0.0, -0.0, 1.0, -1.0, 0.1, 1e300, f64::MAX, f64::MIN, f64::NAN, f64::INFINITY];

/// Renders what a program might record that has no plan.
fn random(rng: &mut fastrand::Rng) -> String {
    let buckets = [rng.f64() - 0.5, 1.0];
    page(
        |config| config.with_buckets("a", &buckets),
        || {
            for _ in 0..rng.usize(..40) {
                let name = rng.choice(NAMES).copied().unwrap_or_default();
                let labels: Vec<Label> = (0..rng.usize(..3))
                    .map(|_| {
                        let name = rng.choice(LABELS).copied().unwrap_or_default();
                        let value = (0..rng.usize(..6)).map(|_| any_char(rng));
                        Label::new(name, value.collect::<String>())
                    })
                    .collect();
                let value = rng.choice(VALUES).copied().unwrap_or_default();
                match rng.u8(..5) {
                    0 => counter!(name, labels).increment(rng.u64(..)),
                    1 => gauge!(name, labels).set(value),
                    2 => gauge!(name, labels).increment(value),
                    3 => histogram!(name, labels).record(value),
                    _ => describe_counter!(name, (0..9).map(|_| any_char(rng)).collect::<String>()),
                }
            }
        },
    )
}

fn any_char(rng: &mut fastrand::Rng) -> char {
    let usual = ['"', '\\', '\n', '\r', '{', '}', '#', ' ', ',', '=', 'n'];
    if rng.bool() { rng.choice(usual).unwrap_or(' ') } else { rng.char(..) }
}

/// Puts something wrong into a page, or what may be.
fn spoil(rng: &mut fastrand::Rng, page: &str) -> String {
    const WORDS: &[&str] = &[
        "NaN",
        "-1",
        "+Inf",
        "inf",
        "-Inf",
        "1_0",
        "0x1",
        "1e999",
        "-0",
        "1.5",
        "",
        "counter",
        "gauge",
        "histogram",
        "unknown",
        "summary",
        "info",
        "stateset",
        "gaugehistogram",
        "untyped",
        "# EOF",
        "# UNIT",
        "# HELP",
        "# TYPE",
        "seconds",
        "x_created",
        "x_total",
        "{}",
        "{a=\"b\"}",
        "{le=\"1\"}",
        " # {a=\"b\"} 1",
        " 1",
        " 17.5",
        "\n",
    ];
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    for _ in 0..rng.usize(1..3) {
        let at = rng.usize(..lines.len());
        let other = rng.usize(..lines.len());
        match rng.u8(..8) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(other, lines[at].clone()),
            2 => lines.swap(at, other),
            3 | 4 => {
                // A word, with what is before it.
                let mut words: Vec<&str> = lines[at].split(' ').collect();
                let place = rng.usize(..words.len());
                words[place] = rng.choice(WORDS).copied().unwrap_or_default();
                lines[at] = words.join(" ");
            }
            5 => {
                let suffix = ["_created", "_total", "_sum", "_count", "_bucket", ""];
                let suffix = rng.choice(suffix).unwrap_or_default();
                let line = &lines[at];
                let end = line.find(['{', ' ']).unwrap_or(line.len());
                lines[at] = format!("{}{suffix}{}", &line[..end], &line[end..]);
            }
            _ => {
                let mut chars: Vec<char> = lines[at].chars().collect();
                let place = rng.usize(..=chars.len());
                match (rng.u8(..3), place < chars.len()) {
                    (0, true) => drop(chars.remove(place)),
                    (1, true) => chars[place] = any_char(rng),
                    _ => chars.insert(place, any_char(rng)),
                }
                lines[at] = chars.into_iter().collect();
            }
        }
        if lines.is_empty() {
            break;
        }
    }
    lines.join("\n") + "\n"
}
