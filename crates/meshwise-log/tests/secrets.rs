//! No value gets into a line past the redaction, whichever way it comes.

mod strict;

use meshwise_core::Service;
use meshwise_log::{LogConfig, LogFormat, LogLines, LogOutput, Redaction};
use serde_json::json;
use std::{error::Error, fmt};
use tracing::{field::Empty, subscriber::with_default};
use tracing_subscriber::{Registry, layer::SubscriberExt};

const ALL: [LogFormat; 5] =
    [LogFormat::Json, LogFormat::Pretty, LogFormat::Logfmt, LogFormat::Ecs, LogFormat::Gcp];

fn line(format: LogFormat, redaction: Redaction, log: impl FnOnce()) -> String {
    let lines = LogLines::new();
    let config = LogConfig::new(Service::new("orders", "1.2.3")).with_format(format);
    let config = config.with_redaction(redaction).with_output(LogOutput::memory(&lines));
    let (layer, _logs) = config.build::<Registry>().expect("logs");
    with_default(tracing_subscriber::registry().with(layer), log);
    let mut lines = lines.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

#[derive(Debug)]
struct Failed(&'static str, Option<Box<Self>>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

const CARD: u64 = 4_111_111_111_111_111;

/// Logs secrets in each place where a value may stand; each holds `hunter2` or the card.
fn everywhere() {
    let error = Failed("login password=hunter2", Some(Box::new(Failed("token: hunter2x", None))));
    let error = &error as &dyn Error;
    let span = tracing::info_span!(
        "work", db_password = "hunter2", url = "http://me:hunter2@host/", pan = CARD, later = Empty,
        pin = Empty, debugged = ?("password", "hunter2"), failed = Empty,
    );
    span.record("later", "Creds { secret: \"hunter2\" }");
    span.record("pin", 1234);
    span.record("failed", error);
    let wide = u128::from(CARD);
    span.in_scope(|| {
        tracing::error!(
            { user.password = "hunter2", r#token = %"hunter2", text = "pw=hunter2", debug = ?("password", "hunter2"),
              error, secret = error, unsigned = CARD, signed = CARD as i64, real = CARD as f64, wide,
              duration_ms = CARD, event.duration = CARD, log.level = "api_key: hunter2",
              text = "token=hunter2", otp = 123_456 },
            "login with password={} and {CARD}", "hunter2"
        );
    });
}

#[test]
fn no_value_gets_past_the_redaction() {
    for format in ALL {
        let text = line(format, Redaction::default(), everywhere);
        for secret in ["hunter2", "4111111111111111", "123456", "1234,"] {
            assert!(!text.contains(secret), "{format:?} tells {secret}: {text}");
        }
        assert!(text.matches("[redacted]").count() >= 18, "{format:?}: {text}");
        let open = line(format, Redaction::off(), everywhere);
        // This test's own reading is right: without redaction all of them are there.
        assert!(open.matches("hunter2").count() >= 12, "{format:?}: {open}");
        assert!(open.matches("4111111111111111").count() >= 5, "{format:?}: {open}");
    }
}

#[test]
fn a_number_that_is_the_message_is_hidden_too() {
    for format in ALL {
        for log in [
            (|| tracing::info!(message = CARD)) as fn(),
            || tracing::info!(message = CARD as f64),
            || tracing::info!(message = CARD as i64),
            || tracing::info!(message = %CARD),
        ] {
            let text = line(format, Redaction::default(), log);
            assert!(text.contains("[redacted]") && !text.contains("4111"), "{format:?}: {text}");
        }
    }
}

#[test]
fn booleans_and_other_numbers_tell_no_secret() {
    let text = line(LogFormat::Json, Redaction::default(), || {
        tracing::info_span!("s", token = true).in_scope(|| {
            tracing::info!(
                {
                    has_password = true,
                    password = false,
                    n = CARD + 1,
                    below = -4_111_111_111_111_111_i64,
                    half = 0.5
                },
                "x"
            );
        });
    });
    let line = strict::json(&text);
    assert_eq!((&line["has_password"], &line["password"]), (&json!(true), &json!(false)));
    assert_eq!((&line["n"], &line["half"]), (&json!(CARD + 1), &json!(0.5)));
    assert_eq!(line["below"], json!(-4_111_111_111_111_111_i64));
    assert_eq!(line["spans"][0]["token"], true);
}

#[test]
fn a_secret_that_a_cut_would_break_in_two_is_hidden() {
    let jwt =
        format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", "eyJzdWIiOiIx".repeat(40), "abcdefghij".repeat(8));
    // Where texts of an event, and of a span, are cut.
    for end in [16 << 10, 4 << 10] {
        for before in [end - 200, end - 40, end - 17, end - 1] {
            let text = format!("{} {jwt} {}", "x".repeat(before - 1), "after".repeat(1000));
            let plain = text.as_str();
            for format in ALL {
                let text = line(format, Redaction::default(), || {
                    tracing::info_span!("s", plain, debug = ?plain).in_scope(|| {
                        tracing::info!({ plain, debug = ?plain, shown = %plain }, "{plain}");
                    });
                });
                assert!(!text.contains("eyJ"), "{format:?} {before}");
                assert!(text.contains("[cut]"), "{format:?} {before}");
            }
        }
    }
}

#[test]
fn a_text_that_grows_while_it_is_cleaned_is_cut_with_a_mark() {
    // Each becomes longer by eight bytes, and there is one in 40.
    let text = format!("{} pw=ab ", "x".repeat(33)).repeat(16 * 1024 / 40);
    assert!(text.len() <= 16 << 10);
    let line = strict::json(&line(LogFormat::Json, Redaction::default(), || {
        tracing::info!({ text }, "x");
    }));
    let text = line["text"].as_str().expect("a text");
    assert!(text.len() <= (16 << 10) + 5 && text.ends_with("[cut]"), "{}", text.len());
    assert!(!text.contains("=ab"));
}
