//! Jaeger's query API, as far as its own page and Grafana's data source ask it.

use super::{
    duration::duration,
    filter::{Filter, KINDS, is_user},
    numbers::{hex_span, hex_trace},
    params::Params,
    span,
    traces::{self, TraceSummary},
};
use crate::store::{
    Store,
    segment::{FAILED, REFUSED},
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// So many traces are returned at most.
const LIMIT: usize = 1500;

/// Wraps data as Jaeger does.
fn wrap(data: impl IntoIterator<Item = Value>) -> Value {
    let data: Vec<_> = data.into_iter().collect();
    json!({"total": data.len(), "limit": 0, "offset": 0, "errors": null, "data": data})
}

/// Lists services.
pub(crate) fn services(store: &Store) -> Value {
    let with_spans = store.services.iter().filter(|(_, service)| service.spans.rows() > 0);
    let names: BTreeSet<_> = with_spans.map(|(_, service)| service.name.to_string()).collect();
    wrap(names.into_iter().map(Value::from))
}

/// Lists a service's operations by name, with their kind if `kinds`, and only those of kind `of` if it is set.
pub(crate) fn operations(store: &Store, service: &str, kinds: bool, of: Option<&str>) -> Value {
    let Some(service) = store.services.find(service).and_then(|at| store.services.get(at)) else {
        return wrap([]);
    };
    let mut found = BTreeSet::new();
    for (_, segment) in service.spans.newest().take(8) {
        for row in &segment.rows {
            let kind = KINDS.get(usize::from(row.kind)).copied().unwrap_or_default();
            if of.is_some_and(|of| of != kind) {
                continue;
            }
            found.insert((segment.text.get(row.name), if kinds { kind } else { "" }));
        }
    }
    let shown = |(name, kind): (&str, &str)| match kinds {
        true => json!({"name": name, "spanKind": kind}),
        false => json!(name),
    };
    wrap(found.into_iter().take(1000).map(shown))
}

/// Finds traces. A parameter that cannot be read is named, rather than passed over.
///
/// # Errors
///
/// The parameter's name.
pub(crate) fn find(store: &Store, params: &Params) -> Result<Value, &'static str> {
    let ids: Vec<_> = params.all("traceID").collect();
    if !ids.is_empty() {
        let ids = ids.into_iter().filter_map(|id| u128::from_str_radix(id, 16).ok()).take(100);
        return Ok(wrap(ids.filter_map(|id| trace(store, id))));
    }
    let set = |name| params.get(name).filter(|text| !text.is_empty());
    let number = |name| match set(name) {
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| name),
        None => Ok(None),
    };
    let bound = |name| match set(name) {
        Some(text) => duration(text).map(Some).ok_or(name),
        None => Ok(None),
    };
    let mut filter = Filter::default();
    filter.service = params.get("service").map(str::to_owned);
    filter =
        filter.with_name(params.get("operation").filter(|name| *name != "all").map(str::to_owned));
    filter = filter.with_durations(bound("minDuration")?, bound("maxDuration")?);
    if let Some(tags) = set("tags") {
        let tags = serde_json::from_str::<Map<String, Value>>(tags).map_err(|_| "tags")?;
        for (key, value) in tags.into_iter().take(20) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            filter = filter.with_attribute(key, value);
        }
    }
    for tag in params.all("tag").take(20) {
        let (key, value) = tag.split_once(':').ok_or("tag")?;
        filter = filter.with_attribute(key.to_owned(), value.to_owned());
    }
    let limit = number("limit")?.map_or(20, |limit| limit.min(LIMIT as u64));
    let limit = usize::try_from(limit).unwrap_or(LIMIT);
    // Microseconds of Unix time, by the senders' clocks.
    let (start, end) = (number("start")?.unwrap_or(0), number("end")?.unwrap_or(u64::MAX));
    #[expect(clippy::cast_precision_loss, reason = "microseconds, compared with a search's bounds")]
    let within =
        |trace: &TraceSummary<'_>| (start as f64..=end as f64).contains(&(trace.start * 1e3));
    let list = traces::list_those(store, &filter, 0, limit, within);
    let ids = list.traces.iter().filter_map(|trace| u128::from_str_radix(&trace.id, 16).ok());
    Ok(wrap(ids.filter_map(|id| trace(store, id))))
}

/// Returns one trace in Jaeger's form.
pub(crate) fn one(store: &Store, id: u128) -> Option<Value> {
    trace(store, id).map(|trace| wrap([trace]))
}

fn trace(store: &Store, id: u128) -> Option<Value> {
    let found = store.traces.get(id)?;
    let mut processes: BTreeMap<String, Value> = BTreeMap::new();
    let mut known: Vec<(u16, u32, u32)> = Vec::new();
    let mut spans = Vec::new();
    for &place in &found.spans {
        let Some((service, segment, row)) = store.span_at(place) else { continue };
        let key = (place.service, place.segment, row.context);
        let details = span::details(segment, row, row.start);
        let at = known.iter().position(|known| *known == key).unwrap_or_else(|| {
            known.push(key);
            known.len() - 1
        });
        let process = format!("p{}", at + 1);
        processes.entry(process.clone()).or_insert_with(
            || json!({"serviceName": &*service.name, "tags": tags(&details.resource)}),
        );
        spans.push(span_json(id, &process, segment, row, &details));
    }
    if spans.is_empty() {
        return None;
    }
    Some(json!({
        "traceID": hex_trace(id), "spans": spans, "processes": processes, "warnings": null,
    }))
}

fn span_json(
    id: u128,
    process: &str,
    segment: &crate::store::segment::Segment<crate::store::segment::SpanRow>,
    row: &crate::store::segment::SpanRow,
    details: &span::Details<'_>,
) -> Value {
    let reference = |kind: &str, trace: &str, span: &str| json!({"refType": kind, "traceID": trace, "spanID": span});
    let mut references = Vec::new();
    if row.parent != 0 {
        references.push(reference("CHILD_OF", &hex_trace(id), &hex_span(row.parent)));
    }
    references.extend(
        details.links.iter().map(|link| reference("FOLLOWS_FROM", &link.trace, &link.span)),
    );
    let mut attributes = tags(&details.attributes);
    attributes.push(tag("span.kind", &json!(span::kind(row))));
    if [FAILED, REFUSED].contains(&row.status) {
        attributes.push(tag("error", &json!(true)));
        attributes.push(tag("otel.status_code", &json!("ERROR")));
        let message = span::message(segment, row);
        if !message.is_empty() {
            attributes.push(tag("otel.status_description", &json!(message)));
        }
    }
    if !details.scope[0].is_empty() {
        attributes.push(tag("otel.scope.name", &json!(details.scope[0])));
    }
    let micros = |nanos: u64| nanos / 1000;
    let logs: Vec<_> = details
        .events
        .iter()
        .map(|event| {
            let mut fields = vec![tag("event", &json!(event.name))];
            fields.extend(tags(&event.attributes));
            #[expect(clippy::cast_possible_truncation, reason = "microseconds")]
            let at = event.at as i64;
            json!({"timestamp": micros(row.start).saturating_add_signed(at), "fields": fields})
        })
        .collect();
    json!({
        "traceID": hex_trace(id),
        "spanID": hex_span(row.id),
        "flags": 1,
        "operationName": segment.text.get(row.name),
        "references": references,
        "startTime": micros(row.start),
        "duration": micros(row.duration),
        "tags": attributes,
        "logs": logs,
        "processID": process,
        "warnings": null,
    })
}

fn tags(pairs: &[(&str, Value)]) -> Vec<Value> {
    pairs.iter().map(|(key, value)| tag(key, value)).collect()
}

fn tag(key: &str, value: &Value) -> Value {
    let (kind, value) = match value {
        Value::Bool(_) => ("bool", value.clone()),
        Value::Number(number) if number.is_f64() => ("float64", value.clone()),
        Value::Number(_) => ("int64", value.clone()),
        Value::String(_) => ("string", value.clone()),
        other => ("string", json!(other.to_string())),
    };
    json!({"key": key, "type": kind, "value": value})
}

/// Lists the map's edges: parent, child and calls, of the `window` milliseconds up to `end`.
pub(crate) fn dependencies(store: &Store, end: u64, window: u64) -> Value {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (name, edge) in &store.edges.edges {
        let calls = edge.red.sum(end, window).calls;
        if calls > 0 && !is_user(&name.client) {
            *counts.entry((&name.client, &name.server)).or_default() += calls;
        }
    }
    let edge = |((parent, child), calls): ((&str, &str), u64)| json!({"parent": parent, "child": child, "callCount": calls});
    wrap(counts.into_iter().map(edge))
}
