//! When alerts fire, and when they do not. Values are promtool's: `0+60x10` begins at 0 and has ten
//! more, one a minute, each 60 higher.

pub(super) struct Case {
    pub(super) alert: &'static str,
    pub(super) name: &'static str,
    pub(super) series: &'static [(&'static str, &'static str)],
    pub(super) at: &'static str,
    pub(super) fires: bool,
}

const fn fires(
    alert: &'static str,
    name: &'static str,
    at: &'static str,
    series: &'static [(&'static str, &'static str)],
) -> Case {
    Case { alert, name, series, at, fires: true }
}

const fn silent(
    alert: &'static str,
    name: &'static str,
    at: &'static str,
    series: &'static [(&'static str, &'static str)],
) -> Case {
    Case { alert, name, series, at, fires: false }
}

pub(super) const CASES: &[Case] = &[
    fires(
        "MeshwiseBreakerOpen",
        "one instance's is open",
        "5m",
        &[
            (r#"meshwise_breaker_state{job="orders",instance="a",peer="stock"}"#, "0 0 2x8"),
            (r#"meshwise_breaker_state{job="orders",instance="b",peer="stock"}"#, "0x10"),
        ],
    ),
    silent(
        "MeshwiseBreakerOpen",
        "half open, closed again",
        "8m",
        &[(r#"meshwise_breaker_state{job="orders",instance="a",peer="stock"}"#, "2 1 0x8")],
    ),
    fires(
        "MeshwiseRetryBudgetExhausted",
        "one a second",
        "12m",
        &[(
            r#"meshwise_retries_total{job="orders",peer="stock",result="budget_exhausted"}"#,
            "0+60x15",
        )],
    ),
    silent(
        "MeshwiseRetryBudgetExhausted",
        "retries succeed",
        "12m",
        &[
            (r#"meshwise_retries_total{job="orders",peer="stock",result="success"}"#, "0+60x15"),
            (
                r#"meshwise_retries_total{job="orders",peer="stock",result="budget_exhausted"}"#,
                "7x15",
            ),
        ],
    ),
    fires(
        "MeshwiseDeadlineSpent",
        "one of ten calls",
        "12m",
        &[
            (
                r#"meshwise_calls_refused_total{job="orders",peer="stock",reason="deadline_exceeded"}"#,
                "0+6x15",
            ),
            (
                r#"http_client_request_duration_seconds_count{job="orders",server_service_name="stock"}"#,
                "0+54x15",
            ),
        ],
    ),
    fires(
        "MeshwiseDeadlineSpent",
        "gRPC calls",
        "12m",
        &[
            (
                r#"meshwise_calls_refused_total{job="orders",peer="auth",reason="deadline_exceeded"}"#,
                "0+6x15",
            ),
            (
                r#"rpc_client_call_duration_seconds_count{job="orders",server_service_name="auth"}"#,
                "0+54x15",
            ),
        ],
    ),
    silent(
        "MeshwiseDeadlineSpent",
        "one of a thousand, and other reasons",
        "12m",
        &[
            (
                r#"meshwise_calls_refused_total{job="orders",peer="stock",reason="deadline_exceeded"}"#,
                "0+6x15",
            ),
            (
                r#"meshwise_calls_refused_total{job="orders",peer="stock",reason="timeout"}"#,
                "0+600x15",
            ),
            (
                r#"http_client_request_duration_seconds_count{job="orders",server_service_name="stock"}"#,
                "0+6000x15",
            ),
        ],
    ),
    fires(
        "MeshwiseInstanceEjected",
        "for a quarter of an hour",
        "15m",
        &[(r#"meshwise_instances{job="orders",peer="stock",state="ejected"}"#, "1x20")],
    ),
    silent(
        "MeshwiseInstanceEjected",
        "back after five minutes",
        "15m",
        &[
            (r#"meshwise_instances{job="orders",peer="stock",state="ejected"}"#, "1x5 0x15"),
            (r#"meshwise_instances{job="orders",peer="stock",state="ready"}"#, "3x20"),
        ],
    ),
    fires(
        "MeshwiseConsumerBehind",
        "more and more",
        "30m",
        &[(
            r#"meshwise_consumer_lag_messages{job="mail",messaging_destination_name="orders",messaging_consumer_group_name="mail"}"#,
            "0+20x40",
        )],
    ),
    silent(
        "MeshwiseConsumerBehind",
        "many, and they become fewer",
        "30m",
        &[(
            r#"meshwise_consumer_lag_messages{job="mail",messaging_destination_name="orders",messaging_consumer_group_name="mail"}"#,
            "5000-20x40",
        )],
    ),
    fires(
        "MeshwiseMessageHangs",
        "for ten minutes",
        "12m",
        &[(
            r#"meshwise_consumer_age_seconds{job="mail",messaging_destination_name="orders",messaging_consumer_group_name="mail"}"#,
            "0+60x15",
        )],
    ),
    silent(
        "MeshwiseMessageHangs",
        "a slow one, then the next",
        "12m",
        &[(
            r#"meshwise_consumer_age_seconds{job="mail",messaging_destination_name="orders",messaging_consumer_group_name="mail"}"#,
            "0+60x4 0+60x4 0x10",
        )],
    ),
    fires(
        "MeshwiseDeprecatedVersionCalled",
        "now and then",
        "3h",
        &[(
            r#"meshwise_api_calls_total{job="auth",api="auth",version="1.1",state="deprecated",caller="orders"}"#,
            "0+1x200",
        )],
    ),
    silent(
        "MeshwiseDeprecatedVersionCalled",
        "not any more; another is current",
        "3h",
        &[
            (
                r#"meshwise_api_calls_total{job="auth",api="auth",version="1.1",state="deprecated",caller="orders"}"#,
                "9x200",
            ),
            (
                r#"meshwise_api_calls_total{job="auth",api="auth",version="2.0",state="current",caller="orders"}"#,
                "0+1x200",
            ),
        ],
    ),
    fires(
        "MeshwiseRetiredVersionCalled",
        "now and then",
        "30m",
        &[(
            r#"meshwise_api_calls_total{job="auth",api="auth",version="1.0",state="retired",caller="orders"}"#,
            "0+1x40",
        )],
    ),
    silent(
        "MeshwiseRetiredVersionCalled",
        "only a deprecated one is",
        "30m",
        &[(
            r#"meshwise_api_calls_total{job="auth",api="auth",version="1.1",state="deprecated",caller="orders"}"#,
            "0+1x40",
        )],
    ),
    // promtool's time begins in 1970.
    fires(
        "MeshwiseSunsetNear",
        "in ten days, and called",
        "3h",
        &[
            (
                r#"meshwise_api_sunset_seconds{job="auth",instance="a",api="auth",version="1.1"}"#,
                "864000x200",
            ),
            (
                r#"meshwise_api_calls_total{job="auth",instance="a",api="auth",version="1.1",state="deprecated",caller="orders"}"#,
                "0+1x200",
            ),
        ],
    ),
    silent(
        "MeshwiseSunsetNear",
        "in ten days, and called by no one",
        "3h",
        &[
            (
                r#"meshwise_api_sunset_seconds{job="auth",instance="a",api="auth",version="1.1"}"#,
                "864000x200",
            ),
            (
                r#"meshwise_api_calls_total{job="auth",instance="a",api="auth",version="1.1",state="deprecated",caller="orders"}"#,
                "9x200",
            ),
        ],
    ),
    silent(
        "MeshwiseSunsetNear",
        "in a year, and called",
        "3h",
        &[
            (
                r#"meshwise_api_sunset_seconds{job="auth",instance="a",api="auth",version="1.1"}"#,
                "31536000x200",
            ),
            (
                r#"meshwise_api_calls_total{job="auth",instance="a",api="auth",version="1.1",state="deprecated",caller="orders"}"#,
                "0+1x200",
            ),
        ],
    ),
    fires(
        "MeshwiseUndeclaredCall",
        "some",
        "20m",
        &[(
            r#"meshwise_api_undeclared_calls_total{job="orders",peer="stock",api="stock"}"#,
            "0+1x30",
        )],
    ),
    silent(
        "MeshwiseUndeclaredCall",
        "none since the start",
        "20m",
        &[(
            r#"meshwise_api_undeclared_calls_total{job="orders",peer="stock",api="stock"}"#,
            "0x30",
        )],
    ),
    fires(
        "MeshwiseTelemetryDropped",
        "a queue is full",
        "20m",
        &[(
            r#"meshwise_telemetry_dropped_total{job="orders",signal="traces",reason="queue_full"}"#,
            "0+5x30",
        )],
    ),
    silent(
        "MeshwiseTelemetryDropped",
        "it was, an hour ago",
        "80m",
        &[(
            r#"meshwise_telemetry_dropped_total{job="orders",signal="traces",reason="queue_full"}"#,
            "0+5x10 50x80",
        )],
    ),
    fires(
        "MeshwiseLabelsOverflow",
        "a route too many",
        "20m",
        &[(
            r#"meshwise_label_overflow_total{job="orders",metric="http_server_request_duration_seconds",label="http_route"}"#,
            "0+5x30",
        )],
    ),
    silent(
        "MeshwiseLabelsOverflow",
        "none",
        "20m",
        &[(
            r#"meshwise_label_overflow_total{job="orders",metric="http_server_request_duration_seconds",label="http_route"}"#,
            "0x30",
        )],
    ),
    fires(
        "MeshwiseErrorBudgetBurn",
        "half of the calls fail",
        "70m",
        &[
            (
                r#"http_server_request_duration_seconds_count{job="gateway",http_route="/shop/orders",error_type="503"}"#,
                "0+60x90",
            ),
            (
                r#"http_server_request_duration_seconds_count{job="gateway",http_route="/shop/orders"}"#,
                "0+60x90",
            ),
        ],
    ),
    fires(
        "MeshwiseErrorBudgetBurn",
        "all calls are slow",
        "70m",
        &[
            (
                r#"http_server_request_duration_seconds_count{job="stock",http_route="/items/{item}/reserve"}"#,
                "0+60x90",
            ),
            (
                r#"http_server_request_duration_seconds_bucket{job="stock",http_route="/items/{item}/reserve",le="0.25"}"#,
                "0x90",
            ),
            (
                r#"http_server_request_duration_seconds_bucket{job="stock",http_route="/items/{item}/reserve",le="1.0"}"#,
                "0+60x90",
            ),
        ],
    ),
    silent(
        "MeshwiseErrorBudgetBurn",
        "one of ten thousand fails",
        "70m",
        &[
            (
                r#"http_server_request_duration_seconds_count{job="gateway",http_route="/shop/orders",error_type="503"}"#,
                "0+1x90",
            ),
            (
                r#"http_server_request_duration_seconds_count{job="gateway",http_route="/shop/orders"}"#,
                "0+10000x90",
            ),
        ],
    ),
    silent(
        "MeshwiseErrorBudgetBurn",
        "it burned, and is over",
        "8h",
        &[
            (
                r#"http_server_request_duration_seconds_count{job="gateway",http_route="/shop/orders",error_type="503"}"#,
                "0+60x20 1200x500",
            ),
            (
                r#"http_server_request_duration_seconds_count{job="gateway",http_route="/shop/orders"}"#,
                "0+60x520",
            ),
        ],
    ),
];
