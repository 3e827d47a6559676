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
    // Two kinds by turns, and what else was found to cost most.
    ("headers of credentials", "x-api-key: basic "),
    ("headers in base64", "basic QUFBx-api-key: "),
    ("bearer, then basic", "authorization: bearer a basic QUFB"),
    ("options, then tuples", "--token (\""),
    ("lists of options", "[\"--token\", \n"),
    ("encoded blanks, then pairs", "%20key=a="),
    ("encoded blanks, then elements", "%20key=a>"),
    ("parameters, then encoded names", "code=%6en="),
    ("values that are none", "token=null %20key="),
    ("brackets that are open", "skey=["),
    ("brackets that are empty", "token=[]"),
    ("values in quotes", "key=\"a b\" "),
    ("signs, then equals signs", "=-1"),
    ("short passwords", ": pw"),
    ("shorter passwords", "pw=a,"),
    ("cards, then URLs", "4111 1111 1111 1111 http://u:p@h/"),
    ("cards with any separator", "4111-1111 1111.1111_4111%201111"),
    ("bearer, then hexadecimal digits", "Bearer 0123456789abcdef0 "),
    ("Debug, then JSON", r#"Token { token: Some("x") }, {"token":"x"},"#),
    ("JSON within JSON", r#"{\"token\":\"x\",\"pin\":7},"#),
    ("nested braces", "token={{[{"),
    ("at signs", "http://@@@@"),
    ("passwords with at signs", "a://b:c@d@"),
    ("percent signs, then at signs", "%%@%25@"),
    ("parameters of one letter", "?key=a&code=b;sid=c&sig=d"),
];

pub(crate) fn run(bench: &mut Bench) {
    for &(what, unit) in TEXTS {
        bench.contest(&format!("redaction, 64 KiB of {what}"), |contest| {
            // A call has millions of instructions, and each the same.
            contest.batch(20);
            contest.ours("meshwise-core", move || {
                let text = unit.repeat(LENGTH.div_ceil(unit.len()));
                Contestant::new(move || {
                    drop(black_box(Redaction::standard().text(black_box(&text))));
                })
            });
        });
    }
}
