//! Whatever is logged, each event is one line that a reader can read.

use meshwise_core::Service;
use meshwise_log::{LogConfig, LogFormat, LogLines, LogOutput, Redaction};
use proptest::prelude::*;
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;

fn line(format: LogFormat, redaction: Redaction, text: &str, number: f64) -> String {
    let lines = LogLines::new();
    let config = LogConfig::new(Service::new("orders", "1")).with_format(format);
    let config = config.with_redaction(redaction).with_output(LogOutput::memory(&lines));
    let (layer, _) = config.build().expect("logs");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let _span = tracing::info_span!("outer", text).entered();
        tracing::info!(text, debug = ?text, number, target = text, "{text}");
    });
    let lines = lines.lines();
    assert_eq!(lines.len(), 1);
    lines.into_iter().next().expect("one")
}

proptest! {
    #[test]
    fn json_is_one_valid_object_with_equal_values(text in "(?s).{0,100}", number in any::<f64>()) {
        for format in [LogFormat::Json, LogFormat::Ecs, LogFormat::Gcp] {
            let line = line(format, Redaction::off(), &text, number);
            let breaks = line.contains(['\n', '\r', '\u{2028}', '\u{2029}']);
            prop_assert!(!breaks, "{}", line);
            let json: Value = serde_json::from_str(&line).expect("JSON");
            prop_assert_eq!(json["message"].as_str(), Some(text.as_str()));
            let debug = format!("{text:?}");
            let (fields, span) = match format {
                LogFormat::Ecs => (&json["labels"], &json["meshwise.spans"][0]["labels"]),
                _ => (&json, &json["spans"][0]),
            };
            prop_assert_eq!(fields["text"].as_str(), Some(text.as_str()));
            prop_assert_eq!(fields["debug"].as_str(), Some(debug.as_str()));
            prop_assert_eq!(span["text"].as_str(), Some(text.as_str()));
            if number.is_finite() && format != LogFormat::Ecs {
                // (serde_json reads the last digit of a number only roughly, unless told.)
                let read = json["number"].as_f64().expect("a number");
                prop_assert!((read - number).abs() <= number.abs() * 1e-12);
            }
        }
    }

    #[test]
    fn logfmt_stays_on_its_line(text in "(?s).{0,100}", number in any::<f64>()) {
        let line = line(LogFormat::Logfmt, Redaction::default(), &text, number);
        let breaks = line.contains(['\n', '\r', '\u{2028}', '\u{2029}']);
        prop_assert!(!breaks, "{}", line);
    }

    #[test]
    fn redaction_never_panics_and_leaves_no_card_number(text in "(?s).{0,100}|[0-9 :/@.a-zA-Z-]{0,80}") {
        let line = line(LogFormat::Json, Redaction::default(), &format!("{text} 4111111111111111"), 0.0);
        serde_json::from_str::<Value>(&line).expect("JSON");
        prop_assert!(!line.contains("4111111111111111"), "{}", line);
    }
}
