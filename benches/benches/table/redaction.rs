//! Looking through 64 KiB of text for secrets: of what services log, and of what is meant to be slow.

use benches::{Bench, Contestant};
use meshwise::core::Redaction;
use std::hint::black_box;

const LENGTH: usize = 64 << 10;

/// What the text is called, and what it repeats.
const TEXTS: &[(&str, &str)] = &[
    (
        "plain text",
        "The order 4711 of 3 items was placed by ada, as agreed; it ships on 2026-11-21. \
         GET /orders/4711?page=2 in 12.5 ms, status=200 user=ada at 2026-11-21T10:30:00Z\n",
    ),
    ("quotes", "\""),
    ("equals signs", "="),
    ("percent signs", "%"),
    ("basic", "basic "),
    ("bearer", "bearer "),
    ("digits", "0123456789"),
    ("card numbers", "4111 1111 1111 1111 "),
    ("nested JSON", r#"{"a":{"b":[{"c":"d"}]},"e":1},"#),
    ("Debug", r#"Foo { bar: Some(Baz { qux: "x", n: [1, 2, 3] }) }, "#),
    ("names of secrets", r#"{"password":"token","secret":"api_key"},"#),
    ("parameters", "sid=5\n"),
    ("encoded names", "%6en="),
    ("encoded blanks", "%20key="),
    ("beginnings of keys", "sk-"),
];

pub(crate) fn run(bench: &mut Bench) {
    for &(what, unit) in TEXTS {
        bench.contest(&format!("redaction, 64 KiB of {what}"), |contest| {
            contest.ours("meshwise-core", move || {
                let text = unit.repeat(LENGTH.div_ceil(unit.len()));
                Contestant::new(move || {
                    drop(black_box(Redaction::standard().text(black_box(&text))));
                })
            });
        });
    }
}
