//! What can be set once a process, set twice.

use crate::doctor::{
    facts::Facts,
    place::Place,
    rule::{Hit, Rule, Severity},
    source::{Part, Source},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "second-subscriber",
        severity: Severity::Error,
        summary: "a second global subscriber or logger beside meshwise's",
        why: "a process has one global `tracing` subscriber and one `log` logger, and the first \
              one wins. If meshwise comes second, `install()` fails, or records of the `log` \
              facade pass it by; if it comes first, `init()` panics, or `try_init()` returns an \
              error that is easily dropped",
        reference: "https://github.com/getsentry/sentry-rust/issues/664",
        check: second_subscriber,
    },
    Rule {
        id: "logger-beside-mesh",
        severity: Severity::Warning,
        summary: "a package whose only work is to install a logger, beside meshwise",
        why: "a process has one `log` logger and one `tracing` subscriber; meshwise installs both. \
              What this package is set up to write is not written, or not by meshwise",
        reference: "https://docs.rs/log/latest/log/fn.set_logger.html",
        check: logger_package,
    },
    Rule {
        id: "second-recorder",
        severity: Severity::Error,
        summary: "a second global metrics recorder beside meshwise's",
        why: "the `metrics` facade has one global recorder, and the first one wins; what comes \
              second gets an error, and its metrics page stays empty",
        reference: "https://docs.rs/metrics/latest/metrics/fn.set_global_recorder.html",
        check: second_recorder,
    },
    Rule {
        id: "second-tracer-provider",
        severity: Severity::Warning,
        summary: "the global tracer provider is set beside meshwise's",
        why: "the last one to set it wins, without a word: spans of libraries that ask for the \
              global tracer go to the other provider, with its own sampler and exporter",
        reference: "https://docs.rs/opentelemetry/latest/opentelemetry/global/fn.set_tracer_provider.html",
        check: second_provider,
    },
];

/// Packages that do nothing but install a logger or subscriber.
const LOGGERS: [&str; 13] = [
    "env_logger",
    "fast_log",
    "fern",
    "flexi_logger",
    "ftlog",
    "init-tracing-opentelemetry",
    "log4rs",
    "pretty_env_logger",
    "simple_logger",
    "simplelog",
    "spdlog-rs",
    "stderrlog",
    "tracing-init",
];

/// Calls that install a subscriber or logger, whatever stands before them.
const INSTALLS: [&str; 19] = [
    "LogTracer::init(",
    "console_subscriber::init(",
    "dispatcher::set_global_default(",
    "env_logger::init(",
    "env_logger::try_init(",
    "fast_log::init(",
    "fmt::init(",
    "fmt::try_init(",
    "init_tracing_opentelemetry::tracing_subscriber_ext::init_subscribers(",
    "log4rs::init_config(",
    "log4rs::init_file(",
    "log::set_boxed_logger(",
    "log::set_logger(",
    "pretty_env_logger::init(",
    "pretty_env_logger::try_init(",
    "set_global_default(",
    "simple_logger::init(",
    "tracing_subscriber::fmt::init(",
    "tracing_subscriber_ext::init_subscribers(",
];

/// Words in a statement that make its `.init()` one of a subscriber or logger.
const BEGINNINGS: [&str; 13] = [
    "Builder::from_default_env",
    "Builder::from_env",
    "FmtSubscriber",
    "Registry::default",
    "SimpleLogger",
    "TermLogger",
    "WriteLogger",
    "env_logger",
    "fmt::Subscriber",
    "fmt()",
    "registry()",
    "stderrlog",
    "tracing_subscriber",
];

/// Finds where meshwise is installed.
fn installs(facts: &Facts) -> Vec<(&Source, usize)> {
    if facts.mesh().is_none() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for source in &facts.sources {
        let named = source.find("meshwise").next().is_some();
        for at in source.find(".install()") {
            let statement = source.statement(at);
            let others = ["PrometheusBuilder", "HookBuilder", "color_eyre", "miette"];
            let is_other = others.iter().any(|word| statement.contains(word));
            if !is_other && (named || statement.contains("mesh")) {
                found.push((source, at));
            }
        }
    }
    found
}

fn subscribers(source: &Source) -> Vec<usize> {
    let mut found: Vec<usize> = INSTALLS.iter().flat_map(|needle| source.find(needle)).collect();
    let extension = source.find("SubscriberInitExt").next().is_some();
    for call in [".init()", ".try_init()"] {
        found.extend(source.find(call).filter(|at| {
            let statement: String =
                source.statement(*at).chars().filter(|c| !c.is_whitespace()).collect();
            let known = BEGINNINGS.iter().any(|word| statement.contains(word));
            known || (extension && statement.contains("subscriber"))
        }));
    }
    found.sort_unstable();
    // A call is found by its name and again by its path.
    found.dedup_by_key(|at| source.place(*at).line);
    found
}

fn recorders(source: &Source) -> Vec<usize> {
    let mut found: Vec<usize> = [
        "set_global_recorder(",
        ".install_recorder()",
        "PrometheusMetricLayer::pair(",
        "PrometheusMetricLayer::pair_from(",
    ]
    .iter()
    .flat_map(|needle| source.find(needle))
    .collect();
    found.extend(
        source.find(".install()").filter(|at| source.statement(*at).contains("PrometheusBuilder")),
    );
    found
}

fn tracer_providers(source: &Source) -> Vec<usize> {
    source.find("set_tracer_provider(").collect()
}

/// Pairs each other installation with one of meshwise that the same process can run.
fn beside_install(facts: &Facts, others: fn(&Source) -> Vec<usize>) -> Vec<Hit> {
    let ours = installs(facts);
    let mut hits = Vec::new();
    for source in &facts.sources {
        for at in others(source) {
            let meets = |part: Part<'_>| source.part().meets(part);
            let Some((our_source, our_at)) = ours.iter().find(|(s, _)| meets(s.part())) else {
                continue;
            };
            let (place, our) = (source.place(at), our_source.place(*our_at));
            hits.push(
                Hit::new(format!(
                    "{}:{} and meshwise's install() at {}:{} set the same global",
                    place.file, place.line, our.file, our.line
                ))
                .seen(format!("{}:{}: {}", our.file, our.line, our.text))
                .at(Some(place)),
            );
        }
    }
    hits
}

fn with_help(hits: Vec<Hit>, help: impl Fn(&Place) -> String) -> Vec<Hit> {
    hits.into_iter()
        .map(|hit| {
            let text = hit.place.as_ref().map(&help);
            match text {
                Some(text) => hit.help(text),
                None => hit,
            }
        })
        .collect()
}

fn second_subscriber(facts: &Facts) -> Vec<Hit> {
    with_help(beside_install(facts, subscribers), |place| {
        format!(
            "delete {}:{}; what it set belongs into the builder: \
             `meshwise::builder(..).logs(|logs| ..)`, or RUST_LOG and MESHWISE_LOG_FORMAT",
            place.file, place.line
        )
    })
}

fn second_recorder(facts: &Facts) -> Vec<Hit> {
    with_help(beside_install(facts, recorders), |place| {
        format!(
            "delete {}:{}; `mesh.ops_router()` serves /metrics, and \
             `meshwise::builder(..).metrics(|metrics| ..)` sets buckets and labels",
            place.file, place.line
        )
    })
}

fn second_provider(facts: &Facts) -> Vec<Hit> {
    with_help(beside_install(facts, tracer_providers), |place| {
        format!(
            "delete {}:{}; meshwise sets its own, and `meshwise::builder(..).traces(|traces| ..)` \
             takes exporters and samplers",
            place.file, place.line
        )
    })
}

fn logger_package(facts: &Facts) -> Vec<Hit> {
    if facts.mesh().is_none() {
        return Vec::new();
    }
    let root = facts.graph.root();
    facts
        .graph
        .links(root)
        .filter(|node| LOGGERS.contains(&node.name()))
        // Where its call is found, that finding says more.
        .filter(|_| beside_install(facts, subscribers).is_empty())
        .map(|node| {
            Hit::new(format!("this package depends on `{}` and on meshwise", node.name()))
                .at(facts.dependency(node.name()))
                .seen(facts.graph.path_text(node))
                .help(format!(
                    "remove {} from [dependencies], or move it to [dev-dependencies]",
                    node.name()
                ))
        })
        .collect()
}
