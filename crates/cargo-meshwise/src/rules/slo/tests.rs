//! What files of objectives say, and what is made of it.

use super::*;

fn file(indicator: &str) -> String {
    format!(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: orders}}\nspec:\n  \
         service: orders\n  timeWindow: [{{duration: 30d, isRolling: true}}]\n  \
         budgetingMethod: Occurrences\n  objectives: [{{target: 0.99}}]\n  \
         indicator: {{spec: {{ratioMetric: {indicator}}}}}\n"
    )
}

#[test]
fn a_route_needs_no_query() {
    let text = file(
        "{counter: true, good: {metricSource: {type: meshwise, \
         spec: {route: /orders, within: 250ms}}}}",
    );
    let read = parse(&text).expect("an objective");
    let expression = read[0].error_ratio("5m");
    assert!(expression.contains(r#"job="orders",http_route="/orders""#), "{expression}");
    assert!(expression.contains(r#"le="0.25""#), "{expression}");
    assert_eq!(read[0].period_hours, 720.0);
}

#[test]
fn selectors_get_their_windows() {
    let text = file(
        "{bad: {metricSource: {type: Prometheus, spec: {query: 'a_total{e=\"1\"}'}}}, \
         total: {metricSource: {type: Prometheus, spec: {query: a_total}}}}",
    );
    let expression = parse(&text).expect("an objective")[0].error_ratio("1h");
    assert_eq!(
        expression,
        "(sum(rate(a_total{e=\"1\"}[1h])) or 0 * sum(rate(a_total[1h]))) \
         / sum(rate(a_total[1h]))"
    );
}

#[test]
fn selectors_may_name_routes_and_nothing_good_is_all_bad() {
    for query in [
        r#"a_total{http_route="/orders/{id}",error_type=""}"#,
        r#"a_total{code=~"2.{2}",q='a"}[b',b=`\\}`}"#,
        r#"a_total{q="\\\"}"}"#,
    ] {
        let source = |query: &str| {
            let query = Value::from(query);
            format!("{{metricSource: {{type: Prometheus, spec: {{query: {query}}}}}}}")
        };
        let text = file(&format!("{{good: {}, total: {}}}", source(query), source("a_total")));
        let expression = parse(&text).expect(query)[0].error_ratio("1h");
        let total = "sum(rate(a_total[1h]))";
        assert_eq!(expression, format!("1 - (sum(rate({query}[1h])) or 0 * {total}) / {total}"));
    }
}

#[test]
fn the_next_steps_find_the_bad_calls() {
    let of = |spec: &str| {
        let text = file(&format!("{{good: {{metricSource: {{type: meshwise, spec: {spec}}}}}}}"));
        let read = parse(&text).expect("an objective");
        (read[0].logs(), read[0].exemplars().expect("exemplars"), read[0].error_ratio("5m"))
    };
    let (logs, exemplars, _) = of("{route: '/orders/{id}', within: 250ms}");
    assert_eq!(
        logs,
        "{service_name=\"orders\"} | json | target=\"meshwise::access\" \
         | http_route=\"/orders/{id}\" | outcome=\"failure\" or duration_ms>250"
    );
    assert!(exemplars.contains(r#"http_route="/orders/{id}",error_type!="""#), "{exemplars}");
    assert!(exemplars.ends_with(r#"le!~"0[.]005|0[.]01|0[.]025|0[.]05|0[.]075|0[.]1|0[.]25"}"#));
    let (logs, exemplars, ratio) = of("{route: auth.v1.Auth/Check}");
    assert!(logs.ends_with(r#"| rpc_method="auth.v1.Auth/Check" | outcome="failure""#), "{logs}");
    assert!(exemplars.starts_with(r#"rpc_server_call_duration_seconds_bucket{job="orders","#));
    assert!(ratio.contains(r#"rpc_method="auth.v1.Auth/Check",error_type="""#), "{ratio}");
    assert!(!ratio.contains("http"), "{ratio}");
    let (_, _, all) = of("{}");
    assert!(all.contains("http_server_request_duration_seconds_count"), "{all}");
    assert!(all.contains("rpc_server_call_duration_seconds_count"), "{all}");
}

#[test]
fn what_cannot_be_used_is_refused_with_the_reason() {
    let good = |source: &str| file(&format!("{{good: {{metricSource: {source}}}}}"));
    for (text, reason) in [
        (String::new(), "empty"),
        ("a: [".to_owned(), ""),
        ("apiVersion: openslo/v2\n".to_owned(), ""),
        (file("{}"), "give good and total"),
        (good("{type: meshwise, spec: {within: 260ms}}"), "no bucket's bound"),
        (good("{type: meshwise, spec: {within: soon}}"), "no time"),
        (good("{type: meshwise, spec: {rout: /a}}"), ""),
        (
            file("{good: {metricSource: {type: meshwise, spec: {}}}}").replace("0.99", "99"),
            "between 0 and 1",
        ),
        (
            file("{good: {metricSource: {type: meshwise, spec: {}}}}").replace("30d", "1d"),
            "below 3d",
        ),
        (
            file("{good: {metricSource: {type: meshwise, spec: {}}}}")
                .replace("name: orders", "name: ../a"),
            "no name",
        ),
        (good("{type: meshwise, spec: {route: orders}}"), "write such as /orders/{id}"),
        (
            file(
                "{good: {metricSource: {type: meshwise, spec: {}}}, \
                 total: {metricSource: {type: meshwise, spec: {}}}}",
            ),
            "leave total out",
        ),
        (
            file("{good: {metricSource: {type: meshwise, spec: {}}}}")
                .replace("Occurrences", "Timeslices"),
            "not slices of time",
        ),
        (
            file("{good: {metricSource: {type: meshwise, spec: {}}}}")
                .replace("service: orders", "service: ''"),
            "service is none",
        ),
        (
            file("{good: {metricSource: {type: meshwise, spec: {}}}}")
                .replace("service: orders", "service: '{{ .x }}'"),
            "service is none",
        ),
        (
            file(
                "{good: {metricSource: {type: prometheus, spec: {query: 'a{b=\"c\"}[5m]'}}}, \
                 total: {metricSource: {type: prometheus, spec: {query: a}}}}",
            ),
            "not the selector of one counter",
        ),
        (
            file(
                "{good: {metricSource: {type: prometheus, spec: {query: 'sum(rate(a[5m]))'}}}, \
                 total: {metricSource: {type: prometheus, spec: {query: a}}}}",
            ),
            "not the selector of one counter",
        ),
    ] {
        let error = parse(&text).expect_err(&text);
        let error = format!("{error:#}");
        assert!(error.contains(reason), "{text}: {error}");
    }
}
