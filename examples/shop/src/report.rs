//! What a person wants to see: URLs, one trace as a tree, its log lines, the metrics that moved.

mod tree;

use crate::{load::Made, outage::Summary, site::Site};
use meshwise::opentelemetry::trace::TraceId;
use serde_json::Value;
use std::{collections::BTreeMap, process::ExitCode};

/// Counters that the report shows, and the labels that it shows of each; the rest is on `/metrics`.
const SHOWN: [(&str, &[&str]); 9] = [
    (
        "http_server_request_duration_seconds_count",
        &["http_request_method", "http_route", "http_response_status_code", "error_type"],
    ),
    (
        "http_client_request_duration_seconds_count",
        &["server_service_name", "http_request_method", "http_response_status_code", "error_type"],
    ),
    ("rpc_server_call_duration_seconds_count", &["rpc_method", "rpc_status_code", "error_type"]),
    (
        "rpc_client_call_duration_seconds_count",
        &["server_service_name", "rpc_method", "rpc_status_code", "error_type"],
    ),
    ("meshwise_api_calls_total", &["api", "version", "state", "caller"]),
    ("messaging_client_sent_messages_total", &["messaging_destination_name", "error_type"]),
    ("meshwise_messages_settled_total", &["messaging_destination_name", "outcome"]),
    ("meshwise_messages_duplicate_total", &["messaging_destination_name"]),
    ("meshwise_telemetry_exported_total", &["signal"]),
];

/// Prints where everything is.
pub(crate) fn urls(site: &Site) {
    say!("The shop is open:\n");
    for service in &site.services {
        let base = format!("http://{}", service.address);
        say!("  {:8} {base}   {base}/metrics   {base}/readyz", service.name);
    }
    say!(
        "\nTry it: curl -i http://{}/shop/orders -H 'content-type: application/json' \
         -d '{{\"user\":\"ada\",\"item\":\"tea\",\"count\":2}}'",
        site.gateway()
    );
}

/// Prints what the tour's requests came to.
pub(crate) fn calls(calls: &[Made]) {
    say!("\nSix shoppers came:\n");
    for call in calls {
        let millis = call.took.as_secs_f64() * 1e3;
        say!("  {:38} {}  {millis:7.1} ms", call.what, call.status.as_u16());
    }
}

/// Tells what an outage of stock did to the shop; fails if the guards did not hold.
pub(crate) fn outage(summary: &Summary, guarded: bool) -> ExitCode {
    let Summary { failed, look_ups_failed, look_up_p99, most_in_flight, recovered } = summary;
    say!(
        "\n{}: {failed} orders and {look_ups_failed} look-ups failed; look-ups, which need no stock, \
         took up to {} ms (p99); at most {most_in_flight} calls were in flight in the gateway; at the \
         end orders {}.",
        if guarded { "With guards" } else { "Without guards" },
        look_up_p99.as_millis(),
        if *recovered { "went through" } else { "did not go through" },
    );
    if !guarded {
        return ExitCode::SUCCESS;
    }
    say!("The same without guards: cargo run -p shop -- --break stock --no-guards");
    match *look_ups_failed == 0 && *recovered {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Prints the first shopper's trace, log lines and metrics, and checks that they name one call.
pub(crate) fn story(
    site: &Site,
    calls: &[Made],
    before: &BTreeMap<(&'static str, String), f64>,
) -> Result<(), String> {
    let first = calls.first().ok_or("nobody came")?;
    // A call that starts its own trace has the trace's id for its request id.
    let trace_id = TraceId::from_hex(&first.request_id)
        .map_err(|_| format!("the request id `{}` is no trace id", first.request_id))?;

    let spans: Vec<_> = site
        .spans()
        .into_iter()
        .filter(|(_, span)| span.span_context.trace_id() == trace_id)
        .collect();
    say!("\nThe trace of «{}» ({trace_id}):\n", first.what);
    tree::print(&spans);

    let lines = lines_of(site, &trace_id.to_string());
    say!("\nThe log lines that carry its id:\n");
    for (service, line) in &lines {
        print_line(service, line);
    }

    say!("\nThe metrics that all six moved:\n");
    for (key, after) in site.metrics() {
        let moved = after - before.get(&key).copied().unwrap_or(0.0);
        let (service, series) = &key;
        if moved > 0.0
            && let Some(words) = in_words(series)
        {
            say!("  {service:8} {words:64} +{moved}");
        }
    }
    check(&spans, &lines, &first.request_id)
}

/// Says in a few words what a series counts, if it is one that the report shows.
fn in_words(series: &str) -> Option<String> {
    let (name, labels) = series.split_once('{')?;
    let (_, shown) = SHOWN.iter().find(|(shown, _)| *shown == name)?;
    let value = |label: &&str| {
        let (_, rest) = labels.split_once(&format!("{label}=\""))?;
        rest.split('"').next().filter(|value| !value.is_empty())
    };
    let mut values: Vec<_> = shown.iter().filter_map(value).collect();
    values.dedup(); // an error's type is often its status
    Some(format!("{name} {}", values.join(" ")))
}

/// Finds every service's log lines of a trace, in the order of time.
fn lines_of(site: &Site, trace_id: &str) -> Vec<(&'static str, Value)> {
    let mut found: Vec<(&'static str, Value)> = Vec::new();
    for service in &site.services {
        for line in service.lines.lines() {
            if let Ok(line) = serde_json::from_str::<Value>(&line)
                && line["trace_id"] == trace_id
            {
                found.push((service.name, line));
            }
        }
    }
    found.sort_by_key(|(_, line)| line["timestamp"].to_string());
    found
}

fn print_line(service: &str, line: &Value) {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let time = text("timestamp");
    let time = time.get(11..23).unwrap_or(&time).to_owned();
    let status = match &line["rpc.status_code"] {
        Value::Null => &line["http.response.status_code"],
        code => code,
    };
    let status = match status {
        Value::Null => String::new(),
        Value::String(code) => format!(" -> {code}"),
        other => format!(" -> {other}"),
    };
    say!(
        "  {time} {:5} {service:8} {:20} {}{status}  span_id={} request_id={}",
        text("level"),
        text("target").rsplit("::").next().unwrap_or_default(),
        text("message"),
        text("span_id"),
        text("request_id"),
    );
}

/// Checks that the trace has every hop, and that all signals name the call by the same ids.
fn check(
    spans: &[(&'static str, tree::Span)],
    lines: &[(&'static str, Value)],
    request_id: &str,
) -> Result<(), String> {
    tree::check(spans)?;
    for service in ["gateway", "orders", "auth", "stock", "mailer"] {
        if !lines.iter().any(|(name, _)| *name == service) {
            return Err(format!("no log line of {service} carries the trace's id"));
        }
    }
    let mails = lines.iter().filter(|(_, line)| line["message"] == "mail written").count();
    if mails != 1 {
        return Err(format!("{mails} mails were written about one order"));
    }
    for (service, line) in lines {
        if line["request_id"] != request_id {
            return Err(format!("a log line of {service} has another request id: {line}"));
        }
        let id = line["span_id"].as_str().unwrap_or_default();
        if !spans.iter().any(|(_, span)| span.span_context.span_id().to_string() == id) {
            return Err(format!("a log line of {service} names a span that is not there: {line}"));
        }
    }
    say!(
        "\nOne call, {} spans and {} log lines in five services: all ids agree; the mailer \
         had its message twice and wrote one mail.",
        spans.len(),
        lines.len()
    );
    Ok(())
}
