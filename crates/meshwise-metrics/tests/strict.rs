//! The strict parser that other tests rely on is itself proved to refuse what is wrong.

mod support;

use meshwise_metrics::Format;
use std::panic::catch_unwind;
use support::strict::parse;

const HEAD: &str = "# HELP x_total About x.\n# TYPE x_total counter\n";
const HIST: &str = "# HELP h About h.\n# TYPE h histogram\n";

#[test]
fn what_is_right_passes() {
    let text = format!(
        "{HEAD}x_total{{a=\"\\\\ \\\" \\n\",b=\"\"}} 3\nx_total 1e+06\n\n\
         {HIST}h_bucket{{le=\"0.5\"}} 1\nh_bucket{{le=\"+Inf\"}} 2\nh_sum -0.25\nh_count 2\n"
    );
    let exposed = parse(&text, Format::Text);
    assert_eq!(exposed.families.len(), 2);
    assert_eq!(exposed.families[0].samples[0].labels["a"], "\\ \" \n");
    let open = "# HELP x About \\\"x\\\".\n# TYPE x counter\nx_total 3\n\
                # HELP h_seconds h\n# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n\
                h_seconds_bucket{le=\"+Inf\"} 1 # {trace_id=\"ab\"} 0.5 17.25\nh_seconds_sum 0.5\n\
                h_seconds_count 1\n# EOF\n";
    let exposed = parse(open, Format::OpenMetrics);
    assert!(exposed.families[1].samples[0].exemplar.is_some());
}

#[test]
fn what_is_wrong_is_refused() {
    for (what, text) in [
        ("no head", "x_total 1\n".to_owned()),
        ("no HELP", "# TYPE x_total counter\nx_total 1\n".to_owned()),
        ("no TYPE", "# HELP x_total x\nx_total 1\n".to_owned()),
        ("empty HELP", "# HELP x_total \n# TYPE x_total counter\nx_total 1\n".to_owned()),
        ("no _total", "# HELP x x\n# TYPE x counter\nx 1\n".to_owned()),
        ("unknown type", "# HELP x x\n# TYPE x thing\nx 1\n".to_owned()),
        ("no samples", HEAD.to_owned()),
        ("no line end", format!("{HEAD}x_total 1")),
        ("another family's", format!("{HEAD}y_total 1\n")),
        ("twice", format!("{HEAD}x_total 1\n{HEAD}x_total 1\n")),
        ("series twice", format!("{HEAD}x_total{{a=\"1\"}} 1\nx_total{{a=\"1\"}} 1\n")),
        ("twice but for nothing", format!("{HEAD}x_total{{a=\"\"}} 1\nx_total 1\n")),
        ("label twice", format!("{HEAD}x_total{{a=\"1\",a=\"2\"}} 1\n")),
        ("bad label", format!("{HEAD}x_total{{a.b=\"1\"}} 1\n")),
        ("reserved label", format!("{HEAD}x_total{{__a=\"1\"}} 1\n")),
        ("le on a counter", format!("{HEAD}x_total{{le=\"1\"}} 1\n")),
        ("bad escape", format!("{HEAD}x_total{{a=\"\\t\"}} 1\n")),
        ("bare quote", format!("{HEAD}x_total{{a=\"\"\"}} 1\n")),
        ("line feed", format!("{HEAD}x_total{{a=\"\n\"}} 1\n")),
        ("bad number", format!("{HEAD}x_total inf\n")),
        ("negative", format!("{HEAD}x_total -1\n")),
        ("bad name", "# HELP x-y x\n# TYPE x-y gauge\nx-y 1\n".to_owned()),
        ("no +Inf", format!("{HIST}h_bucket{{le=\"1\"}} 1\nh_sum 1\nh_count 1\n")),
        ("no sum", format!("{HIST}h_bucket{{le=\"+Inf\"}} 1\nh_count 1\n")),
        ("count", format!("{HIST}h_bucket{{le=\"+Inf\"}} 1\nh_sum 1\nh_count 2\n")),
        (
            "not cumulative",
            format!(
                "{HIST}h_bucket{{le=\"1\"}} 2\nh_bucket{{le=\"+Inf\"}} 1\nh_sum 1\nh_count 1\n"
            ),
        ),
        (
            "not ascending",
            format!(
                "{HIST}h_bucket{{le=\"+Inf\"}} 1\nh_bucket{{le=\"1\"}} 1\nh_sum 1\nh_count 1\n"
            ),
        ),
    ] {
        assert!(catch_unwind(|| parse(&text, Format::Text)).is_err(), "{what} passed");
    }
    for (what, text) in [
        ("no EOF", "# HELP x x\n# TYPE x counter\nx_total 1\n"),
        ("after EOF", "# EOF\n# EOF\n"),
        ("empty line", "\n# EOF\n"),
        ("_total in the head", "# HELP x_total x\n# TYPE x_total counter\nx_total 1\n# EOF\n"),
        ("quote in HELP", "# HELP x \"x\"\n# TYPE x gauge\nx 1\n# EOF\n"),
        ("foreign unit", "# HELP x x\n# TYPE x gauge\n# UNIT x seconds\nx 1\n# EOF\n"),
        ("exemplar on a gauge", "# HELP x x\n# TYPE x gauge\nx 1 # {a=\"b\"} 1 1\n# EOF\n"),
    ] {
        assert!(catch_unwind(|| parse(text, Format::OpenMetrics)).is_err(), "{what} passed");
    }
    // Each is refused by prometheus_client too.
    let head = "# HELP h h\n# TYPE h histogram\n";
    for (what, text) in [
        ("a negative sum", "h_bucket{le=\"+Inf\"} 1\nh_sum -1\nh_count 1\n"),
        (
            "a negative bound",
            "h_bucket{le=\"-1.0\"} 0\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        ),
        ("a sum that is NaN", "h_bucket{le=\"+Inf\"} 1\nh_sum NaN\nh_count 1\n"),
        ("no count", "h_bucket{le=\"+Inf\"} 1\nh_sum 1\n"),
        ("no sum", "h_bucket{le=\"+Inf\"} 1\nh_count 1\n"),
        ("half a value", "h_bucket{le=\"+Inf\"} 0.5\nh_sum 1\nh_count 0.5\n"),
        ("a bound that is NaN", "h_bucket{le=\"NaN\"} 1\nh_sum 1\nh_count 1\n"),
        (
            "mixed label sets",
            "h_bucket{a=\"1\",le=\"+Inf\"} 1\nh_bucket{a=\"2\",le=\"+Inf\"} 1\n\
             h_sum{a=\"1\"} 1\nh_count{a=\"1\"} 1\nh_sum{a=\"2\"} 1\nh_count{a=\"2\"} 1\n",
        ),
        ("an endless exemplar", "h_bucket{le=\"+Inf\"} 1 # {a=\"b\"} 1 NaN\nh_sum 1\nh_count 1\n"),
        (
            "the _created of a histogram",
            "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n\
             # HELP h_created x\n# TYPE h_created gauge\nh_created 1\n",
        ),
    ] {
        let text = format!("{head}{text}# EOF\n");
        assert!(catch_unwind(|| parse(&text, Format::OpenMetrics)).is_err(), "{what} passed");
    }
    let two = "# HELP orders x\n# TYPE orders counter\norders_total 1\n\
               # HELP orders_created x\n# TYPE orders_created counter\norders_created_total 1\n# EOF\n";
    assert!(catch_unwind(|| parse(two, Format::OpenMetrics)).is_err(), "a counter's _created");
    // Without a type a name is only itself.
    let two = two
        .replace("orders counter", "orders_total unknown")
        .replace("HELP orders x", "HELP orders_total x");
    parse(&two, Format::OpenMetrics);
    // Below zero there is neither sum nor count.
    let below = format!("{head}h_bucket{{le=\"-1.0\"}} 0\nh_bucket{{le=\"+Inf\"}} 1\n# EOF\n");
    parse(&below, Format::OpenMetrics);
}
