//! The properties of the fuzz targets, on stable Rust: over the seeds, and over arbitrary bytes.

#[path = "support/properties.rs"]
mod properties;

use proptest::{collection, prelude::*, strategy::Union, string};
use std::{fs, path::Path};

#[test]
fn the_seeds_hold() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds");
    for name in ["extract", "baggage", "tracestate", "deadline", "redaction"] {
        let mut count = 0;
        for seed in fs::read_dir(seeds.join(name)).expect("a folder of seeds") {
            let path = seed.expect("a seed").path();
            let data = fs::read(&path).expect("a file");
            println!("{}", path.display());
            properties::check(name, &data);
            // Broken off anywhere, they hold as well.
            for end in 0..data.len().min(500) {
                properties::check(name, &data[..end]);
            }
            count += 1;
        }
        assert!(count >= 5, "{name} has seeds");
    }
}

/// Writes a header's name, or something like it.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => prop::sample::select(vec![
            "traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid",
            "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags", "uber-trace-id", "uberctx-a",
            "x-amzn-trace-id", "x-datadog-trace-id", "x-datadog-parent-id",
            "x-datadog-sampling-priority", "x-datadog-origin", "x-datadog-tags",
        ]).prop_map(str::to_owned),
        1 => "(uberctx-)?[!-~]{0,8}",
    ]
}

/// Writes what looks like the values of some format, valid now and then.
fn value() -> impl Strategy<Value = Vec<u8>> {
    const ID: &str = "(4bf92f3577b34da6a3ce929d0e0e4736|00f067aa0ba902b7|[0-9a-f]{0,33})";
    let patterns = [
        &format!("(00|cc|ff)-{ID}-{ID}-0[0-9a-f](-x)?"),
        "mw=p:00f067aa0ba902b7;s:[a-z%2]{0,9};v:[a-z0-9%]{0,4}(;a:[0-9]{1,11})?,[a-z]=[ -~]{1,3}",
        "([a-z0-9@]{1,3}=[ -~]{1,5},){0,40}",
        "([ -~]{0,6}=[ -~]{0,6}[;,]?){0,9}",
        &format!("{ID}-{ID}(-[01d])?(-{ID})?"),
        &format!("{ID}:{ID}:0:[0-9a-f]{{1,2}}"),
        "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=[01?]",
        "-?[0-9]{1,20}",
        r"(_dd\.p\.[a-z]{1,3}=[ -~]{0,9},?){0,5}(_dd\.p\.tid=4bf92f3577b34da6)?",
    ];
    let text = patterns.map(|pattern| string::string_regex(pattern).expect("a pattern"));
    prop_oneof![
        4 => Union::new(text).prop_map(String::into_bytes),
        1 => collection::vec(any::<u8>(), 0..100),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_headers_hold(lines in collection::vec((name(), value()), 0..20)) {
        let mut data = Vec::new();
        for (name, value) in lines {
            data.extend(name.bytes());
            data.push(b':');
            data.extend(value);
            data.push(b'\n');
        }
        properties::check("extract", &data);
    }

    #[test]
    fn any_bytes_hold(data in collection::vec(any::<u8>(), 0..400)) {
        properties::check("extract", &data);
        properties::check("baggage", &data);
        properties::check("tracestate", &data);
        properties::check("deadline", &data);
        properties::check("redaction", &data);
    }

    #[test]
    fn any_value_holds(data in value()) {
        properties::check("baggage", &data);
        properties::check("tracestate", &data);
        properties::check("deadline", &data);
    }

    #[test]
    fn any_text_holds(
        parts in collection::vec(prop_oneof![
            prop::sample::select(vec![
                "token", "password", "pw", "key", "=", ":", ": ", "\"", "'", "\\\"", ",", ", ", "[",
                "]", "{", "}", "(", ")", "<", ">", "&", "?", "#", "/", "://", "@", "%", "%20", "\n",
                " ", "-", "--", "-----BEGIN PRIVATE KEY-----", "bearer ", "basic ", "eyJ", ".",
                "ghp_", "sk-", "AKIA", "4111", "4111111111111111", "1", "a", "cookie",
                "authorization", "Some(", "null", "ü", "[redacted]", "REDACTED", ";",
            ]).prop_map(str::to_owned),
            "[ -~]{0,4}",
        ], 0..24),
    ) {
        properties::check("redaction", parts.concat().as_bytes());
    }

    #[test]
    fn any_timeout_holds(data: [u8; 12], digits in "[0-9]{1,9}[HMSmunx]?") {
        properties::check("deadline", &data);
        properties::check("deadline", digits.as_bytes());
    }
}
