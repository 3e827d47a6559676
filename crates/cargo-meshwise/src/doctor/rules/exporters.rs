//! Exporters that were left out of the build, or cannot work as they were built.

use super::{toml_list, web::has_tls};
use crate::doctor::{
    facts::Facts,
    graph::Node,
    rule::{Hit, Rule, Severity},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "exporter-left-out",
        severity: Severity::Error,
        summary: "OTLP is asked for, and meshwise was built without it",
        why: "where a variable asks for it, the service starts with a warning and without traces; \
              where code does, `install()` fails",
        reference: "https://opentelemetry.io/docs/specs/otel/protocol/exporter/",
        check: exporter_left_out,
    },
    Rule {
        id: "exporter-no-tls",
        severity: Severity::Error,
        summary: "the collector is reached by https, and meshwise was built without TLS",
        why: "no span can be sent; on a machine whose collector is a plain http sidecar it works",
        reference: "https://github.com/open-telemetry/opentelemetry-rust/issues/1302",
        check: exporter_no_tls,
    },
    Rule {
        id: "otlp-no-transport",
        severity: Severity::Error,
        summary: "opentelemetry-otlp has no transport",
        why: "with default features off and none of its transports on, an exporter cannot be built, \
              and many set-ups fall back to logs alone with one line on stderr",
        reference: "https://docs.rs/opentelemetry-otlp/latest/opentelemetry_otlp/#feature-flags",
        check: otlp_no_transport,
    },
    Rule {
        id: "otlp-no-http-client",
        severity: Severity::Error,
        summary: "opentelemetry-otlp speaks HTTP and has no HTTP client",
        why: "`http-proto` and `http-json` bring the encoding and no client; building the exporter \
              fails with NoHttpClient, and a set-up that falls back exports nothing",
        reference: "https://github.com/gadget-inc/silo/pull/320",
        check: otlp_no_client,
    },
    Rule {
        id: "otlp-async-client",
        severity: Severity::Error,
        summary: "opentelemetry-otlp has an async HTTP client, and its exporting thread no runtime",
        why: "since 0.28 the batch processor exports on a thread of its own; an async client panics \
              there (\"there is no reactor running\"), the thread ends, and every later span is \
              dropped while the service goes on. It is chosen even when the blocking client is on \
              too",
        reference: "https://github.com/open-telemetry/opentelemetry-rust/issues/2673",
        check: otlp_async_client,
    },
    Rule {
        id: "otlp-no-tls",
        severity: Severity::Error,
        summary: "the collector is reached by https, and opentelemetry-otlp was built without TLS",
        why: "older lines then speak plain text to the TLS port, and the error says no more than \
              \"transport error\"; newer ones fail when the exporter is built",
        reference: "https://github.com/open-telemetry/opentelemetry-rust/issues/3182",
        check: otlp_no_tls,
    },
    Rule {
        id: "sdk-disabled",
        severity: Severity::Warning,
        summary: "exporting is set up and switched off",
        why: "OTEL_SDK_DISABLED=true turns traces off whatever else is set",
        reference: "https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/",
        check: sdk_disabled,
    },
];

/// Says by what OTLP is asked for, if it is.
fn otlp_asked(facts: &Facts) -> Option<String> {
    if facts.sdk_disabled() {
        return None;
    }
    match facts.env("OTEL_TRACES_EXPORTER") {
        Some(names) if names.split(',').any(|name| name.trim().eq_ignore_ascii_case("otlp")) => {
            return Some(format!("OTEL_TRACES_EXPORTER={names}"));
        }
        Some(_) => return None,
        None => {}
    }
    if let Some((name, _)) = facts.otlp("ENDPOINT") {
        return Some(format!("{name} is set"));
    }
    ["SpanExport::otlp", "SpanExport::Otlp"].iter().find_map(|needle| {
        let place = facts.call(needle)?;
        Some(format!("{}:{}: {}", place.file, place.line, place.text))
    })
}

fn exporter_left_out(facts: &Facts) -> Vec<Hit> {
    let Some(trace) = facts.graph.named("meshwise-trace").next() else { return Vec::new() };
    let Some(asked) = otlp_asked(facts) else { return Vec::new() };
    let protocol = facts.otlp("PROTOCOL");
    let (grpc, http, json) =
        (trace.has("otlp-grpc"), trace.has("otlp-http"), trace.has("otlp-http-json"));
    let lower = protocol.as_ref().map(|(_, value)| value.to_ascii_lowercase());
    let missing = match lower.as_deref() {
        Some("grpc") if !grpc => "otlp-grpc",
        Some("http/protobuf") if !http => "otlp-http",
        Some("http/json") if !json => "otlp-http",
        Some(_) => return Vec::new(),
        None if !grpc && !http => "otlp-http",
        None => return Vec::new(),
    };
    let mut hit = Hit::new(format!("OTLP is asked for, and meshwise's feature `{missing}` is off"))
        .at(facts.features_of("meshwise"))
        .seen(asked);
    if let Some((name, value)) = protocol {
        hit = hit.seen(format!("{name}={value}"));
    }
    hit = hit.seen(facts.graph.path_text(trace));
    let own = facts.graph.root().asks_for("meshwise").next();
    let mut features: Vec<&str> =
        own.into_iter().flat_map(|d| d.features.iter().map(String::as_str)).collect();
    features.push(missing);
    features.sort_unstable();
    features.dedup();
    vec![hit.help(format!("set features = {} for meshwise", toml_list(features)))]
}

fn exporter_no_tls(facts: &Facts) -> Vec<Hit> {
    let Some(trace) = facts.graph.named("meshwise-trace").next() else { return Vec::new() };
    let speaks = trace.has("otlp-grpc") || trace.has("otlp-http");
    if !speaks || trace.has("tls") || facts.sdk_disabled() {
        return Vec::new();
    }
    let Some((seen, place)) = facts.https_endpoint() else { return Vec::new() };
    let hit = Hit::new("the collector is reached by https, and meshwise's feature `tls` is off")
        .at(facts.features_of("meshwise").or(place))
        .seen(seen)
        .seen(facts.graph.path_text(trace))
        .help("add \"tls\" to the features of meshwise");
    vec![hit]
}

/// The transports that were compiled in.
fn transports(otlp: &Node) -> (bool, bool) {
    let grpc = ["grpc-tonic", "tonic", "grpc-sys"].iter().any(|f| otlp.has(f));
    let http = otlp.has("http-proto") || otlp.has("http-json");
    (grpc, http)
}

/// The transports that will be used, as far as it shows: by the protocol variable, or the builder.
fn used(facts: &Facts, otlp: &Node) -> (bool, bool) {
    let (grpc, http) = transports(otlp);
    match facts.otlp("PROTOCOL") {
        Some((_, "grpc")) => (grpc, false),
        Some((_, protocol)) if protocol.starts_with("http") => (false, http),
        _ if grpc && http => {
            let calls = |needle| facts.call(needle).is_some();
            match (calls(".with_tonic()"), calls(".with_http()")) {
                (true, false) => (true, false),
                (false, true) => (false, true),
                _ => (true, true),
            }
        }
        _ => (grpc, http),
    }
}

fn otlp(facts: &Facts) -> impl Iterator<Item = &Node> {
    facts.graph.named("opentelemetry-otlp")
}

fn otlp_no_transport(facts: &Facts) -> Vec<Hit> {
    otlp(facts)
        .filter(|node| transports(node) == (false, false))
        .map(|node| {
            Hit::new("`opentelemetry-otlp` is in this binary with no transport compiled in")
                .at(facts.features_of(node.name()))
                .seen(facts.graph.path_text(node))
                .help(format!(
                    "opentelemetry-otlp = {{ version = \"{}\", default-features = false, \
                     features = [\"trace\", \"grpc-tonic\"] }}",
                    node.line()
                ))
        })
        .collect()
}

/// The HTTP clients that the crate can choose, the one it prefers first.
const CLIENTS: [&str; 3] = ["reqwest-client", "hyper-client", "reqwest-blocking-client"];

fn has_own_client(facts: &Facts) -> bool {
    facts.call(".with_http_client(").is_some()
}

fn otlp_no_client(facts: &Facts) -> Vec<Hit> {
    otlp(facts)
        .filter(|node| {
            // With gRPC there as well, HTTP may never be meant.
            let meant = matches!(used(facts, node), (false, true));
            meant && !has_own_client(facts) && !CLIENTS.iter().any(|client| node.has(client))
        })
        .map(|node| {
            Hit::new("`opentelemetry-otlp` is to speak HTTP and has no HTTP client compiled in")
                .at(facts.features_of(node.name()))
                .seen(facts.graph.path_text(node))
                .help("add \"reqwest-blocking-client\" to the features of opentelemetry-otlp")
        })
        .collect()
}

fn otlp_async_client(facts: &Facts) -> Vec<Hit> {
    const RUNTIME: &str = "experimental_trace_batch_span_processor_with_async_runtime";
    let has_runtime = facts.graph.named("opentelemetry_sdk").any(|sdk| sdk.has(RUNTIME));
    otlp(facts)
        .filter(|node| (node.version().major, node.version().minor) >= (0, 28))
        .filter(|node| matches!(used(facts, node), (false, true)))
        .filter(|_| !has_runtime && !has_own_client(facts))
        .filter_map(|node| {
            let client = CLIENTS[..2].iter().find(|client| node.has(client))?;
            let by: Vec<String> = facts
                .graph
                .who_enables(node, client)
                .into_iter()
                .map(|by| by.name().to_owned())
                .collect();
            Some(
                Hit::new(format!("`opentelemetry-otlp` will export with the async `{client}`"))
                    .at(facts.features_of(node.name()))
                    .seen(facts.graph.path_text(node))
                    .seen(format!("`{client}` is turned on by {}", super::join(&by)))
                    .help(format!(
                        "take \"{client}\" out of its features and put \
                         \"reqwest-blocking-client\" in"
                    )),
            )
        })
        .collect()
}

fn otlp_no_tls(facts: &Facts) -> Vec<Hit> {
    // With meshwise's own exporter the variable is meant for that one.
    if facts.sdk_disabled() || facts.graph.has("meshwise-trace") {
        return Vec::new();
    }
    let Some((seen, place)) = facts.https_endpoint() else { return Vec::new() };
    otlp(facts)
        .filter_map(|node| {
            let (grpc, http) = used(facts, node);
            let grpc_tls = node.features.iter().any(|feature| feature.starts_with("tls"));
            let http_tls = facts.graph.named("reqwest").any(has_tls);
            let lacks = (grpc || http) && !(grpc && grpc_tls) && !(http && http_tls);
            let feature = match (grpc, node.version().minor >= 32) {
                (true, true) => "\"tls-ring\" and \"tls-roots\"",
                (true, false) => "\"tls\" and \"tls-roots\"",
                (false, _) => "\"reqwest-rustls\"",
            };
            lacks.then(|| {
                Hit::new("the collector is reached by https, and no TLS is compiled in")
                    .at(facts.features_of(node.name()).or_else(|| place.clone()))
                    .seen(seen.clone())
                    .seen(facts.graph.path_text(node))
                    .help(format!("add {feature} to the features of opentelemetry-otlp"))
            })
        })
        .collect()
}

fn sdk_disabled(facts: &Facts) -> Vec<Hit> {
    let set_up = facts.otlp("ENDPOINT").map(|(name, _)| name).or_else(|| {
        let name = facts.env("OTEL_TRACES_EXPORTER").filter(|value| *value != "none");
        name.map(|_| "OTEL_TRACES_EXPORTER".to_owned())
    });
    match set_up {
        Some(name) if facts.sdk_disabled() => vec![
            Hit::new(format!("{name} is set, and OTEL_SDK_DISABLED=true switches it off"))
                .seen("OTEL_SDK_DISABLED=true")
                .help("unset OTEL_SDK_DISABLED"),
        ],
        _ => Vec::new(),
    }
}
