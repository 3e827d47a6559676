//! Names as OpenTelemetry has them, out of those that Prometheus shows ("Prometheus and `OpenMetrics`
//! Compatibility").

use crate::{
    kind::Kind,
    names::{self, otel},
};
use metrics::Unit;
use std::borrow::Cow;

/// What a metric is called in OTLP.
#[derive(Debug, PartialEq)]
pub(crate) struct Renamed<'a> {
    pub(crate) name: Cow<'a, str>,
    /// The unit in UCUM's form; `None` if what the metric was described with says it.
    pub(crate) unit: Option<&'static str>,
    /// Whether a gauge is the conventions' `UpDownCounter`.
    pub(crate) goes_up_and_down: bool,
}

/// The metrics of the conventions: name in Prometheus, name, unit, whether it is an `UpDownCounter`.
const METRICS: [(&str, &str, &str, bool); 14] = [
    (names::HTTP_SERVER_REQUEST_DURATION, otel::HTTP_SERVER_REQUEST_DURATION, "s", false),
    (names::HTTP_SERVER_ACTIVE_REQUESTS, otel::HTTP_SERVER_ACTIVE_REQUESTS, "{request}", true),
    (names::HTTP_SERVER_REQUEST_BODY_SIZE, otel::HTTP_SERVER_REQUEST_BODY_SIZE, "By", false),
    (names::HTTP_SERVER_RESPONSE_BODY_SIZE, otel::HTTP_SERVER_RESPONSE_BODY_SIZE, "By", false),
    (names::HTTP_CLIENT_REQUEST_DURATION, otel::HTTP_CLIENT_REQUEST_DURATION, "s", false),
    (names::HTTP_CLIENT_ACTIVE_REQUESTS, otel::HTTP_CLIENT_ACTIVE_REQUESTS, "{request}", true),
    (names::HTTP_CLIENT_REQUEST_BODY_SIZE, otel::HTTP_CLIENT_REQUEST_BODY_SIZE, "By", false),
    (names::HTTP_CLIENT_RESPONSE_BODY_SIZE, otel::HTTP_CLIENT_RESPONSE_BODY_SIZE, "By", false),
    (names::RPC_SERVER_CALL_DURATION, otel::RPC_SERVER_CALL_DURATION, "s", false),
    (names::RPC_CLIENT_CALL_DURATION, otel::RPC_CLIENT_CALL_DURATION, "s", false),
    (
        names::MESSAGING_CLIENT_OPERATION_DURATION,
        otel::MESSAGING_CLIENT_OPERATION_DURATION,
        "s",
        false,
    ),
    (names::MESSAGING_PROCESS_DURATION, otel::MESSAGING_PROCESS_DURATION, "s", false),
    (
        names::MESSAGING_CLIENT_SENT_MESSAGES,
        otel::MESSAGING_CLIENT_SENT_MESSAGES,
        "{message}",
        false,
    ),
    (
        names::MESSAGING_CLIENT_CONSUMED_MESSAGES,
        otel::MESSAGING_CLIENT_CONSUMED_MESSAGES,
        "{message}",
        false,
    ),
];

/// The attributes of the conventions that labels are made of: label, attribute.
const LABELS: [(&str, &str); 18] = [
    (names::LABEL_ERROR_TYPE, otel::ERROR_TYPE),
    (names::LABEL_HTTP_REQUEST_METHOD, otel::HTTP_REQUEST_METHOD),
    (names::LABEL_HTTP_RESPONSE_STATUS_CODE, otel::HTTP_RESPONSE_STATUS_CODE),
    (names::LABEL_HTTP_ROUTE, otel::HTTP_ROUTE),
    (names::LABEL_MESSAGING_CONSUMER_GROUP_NAME, otel::MESSAGING_CONSUMER_GROUP_NAME),
    (names::LABEL_MESSAGING_DESTINATION_NAME, otel::MESSAGING_DESTINATION_NAME),
    (names::LABEL_MESSAGING_DESTINATION_PARTITION_ID, otel::MESSAGING_DESTINATION_PARTITION_ID),
    (names::LABEL_MESSAGING_OPERATION_NAME, otel::MESSAGING_OPERATION_NAME),
    (names::LABEL_MESSAGING_OPERATION_TYPE, otel::MESSAGING_OPERATION_TYPE),
    (names::LABEL_MESSAGING_SYSTEM, otel::MESSAGING_SYSTEM_NAME),
    (names::LABEL_RPC_METHOD, otel::RPC_METHOD),
    (names::LABEL_RPC_STATUS_CODE, otel::RPC_STATUS_CODE),
    (names::LABEL_RPC_SYSTEM_NAME, otel::RPC_SYSTEM_NAME),
    (names::LABEL_SERVER_ADDRESS, otel::SERVER_ADDRESS),
    (names::LABEL_SERVER_PORT, otel::SERVER_PORT),
    (names::LABEL_SERVER_SERVICE_NAME, otel::SERVER_SERVICE_NAME),
    (names::LABEL_SERVICE_NAME, otel::SERVICE_NAME),
    (names::LABEL_URL_SCHEME, otel::URL_SCHEME),
];

/// Returns what a metric is called. One that is not in the conventions keeps its name, but for the
/// `_total` of counters, which comes again where Prometheus' form is made of it.
pub(crate) fn metric(prometheus: &str, kind: Kind) -> Renamed<'_> {
    let found = METRICS.iter().find(|(name, ..)| *name == prometheus);
    if let Some((_, name, unit, goes_up_and_down)) = found {
        return Renamed {
            name: Cow::Borrowed(name),
            unit: Some(unit),
            goes_up_and_down: *goes_up_and_down,
        };
    }
    let name = match kind {
        Kind::Counter => prometheus.strip_suffix("_total").unwrap_or(prometheus),
        Kind::Gauge | Kind::Histogram => prometheus,
    };
    Renamed { name: Cow::Borrowed(name), unit: None, goes_up_and_down: false }
}

/// Returns what a label is called.
pub(crate) fn label(prometheus: &str) -> &str {
    LABELS.iter().find(|(label, _)| *label == prometheus).map_or(prometheus, |(_, name)| name)
}

/// Tells whether the conventions have a whole number under this name.
pub(crate) fn is_whole(attribute: &str) -> bool {
    matches!(attribute, otel::HTTP_RESPONSE_STATUS_CODE | otel::SERVER_PORT)
}

/// Returns a unit in UCUM's form, if it says more than that things are counted.
pub(crate) fn unit(unit: Unit) -> Option<&'static str> {
    Some(match unit {
        Unit::Seconds => "s",
        Unit::Milliseconds => "ms",
        Unit::Microseconds => "us",
        Unit::Nanoseconds => "ns",
        Unit::Bytes => "By",
        Unit::Kibibytes => "KiBy",
        Unit::Mebibytes => "MiBy",
        Unit::Gibibytes => "GiBy",
        Unit::Tebibytes => "TiBy",
        Unit::Percent => "%",
        Unit::BitsPerSecond => "bit/s",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader that turns OTLP into Prometheus' form makes of a name and a unit.
    fn prometheus(name: &str, unit: &str, kind: Kind) -> String {
        let unit = match unit {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        };
        let total = if kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", name.replace('.', "_"))
    }

    #[test]
    fn what_is_renamed_comes_back_as_the_same() {
        for (name, ..) in METRICS {
            let kind = if name.ends_with("_total") { Kind::Counter } else { Kind::Histogram };
            let renamed = metric(name, kind);
            assert_eq!(prometheus(&renamed.name, renamed.unit.unwrap(), kind), name);
            assert!(renamed.name.contains('.'), "{name}");
        }
        for (name, _) in LABELS {
            assert_eq!(label(name).replace('.', "_"), name);
        }
    }

    #[test]
    fn what_the_conventions_do_not_know_keeps_its_name() {
        assert_eq!(metric("orders_total", Kind::Counter).name, "orders");
        assert_eq!(metric("wait_total", Kind::Gauge).name, "wait_total");
        assert_eq!(metric("queue_wait_seconds", Kind::Histogram).unit, None);
        assert_eq!(label("kind"), "kind");
        assert_eq!(unit(Unit::Count), None);
    }
}
