//! Fields that only some may read.

use meshwise_core::Service;
use meshwise_log::{LogConfig, LogLines, LogOutput, RateLimit, Redaction};
use tracing_subscriber::layer::SubscriberExt;

struct Logs {
    public: LogLines,
    private: LogLines,
}

/// Runs a program whose fields `email` and `iban` are private.
fn logged(change: impl FnOnce(LogConfig) -> LogConfig, program: impl FnOnce()) -> Logs {
    let (public, private) = (LogLines::new(), LogLines::new());
    let config = LogConfig::new(Service::new("orders", "1"))
        .with_output(LogOutput::memory(&public))
        .with_private(["email", "iban"], LogOutput::memory(&private));
    let (layer, logs) = change(config).build().expect("logs");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), program);
    let _ = logs.shutdown(std::time::Duration::from_secs(5));
    Logs { public, private }
}

#[test]
fn a_private_field_of_a_span_makes_each_line_within_private() {
    let logs = logged(
        |config| config,
        || {
            let span = tracing::info_span!("order", email = "ann@example.com", id = 7);
            span.in_scope(|| tracing::info!("placed"));
            let span = tracing::info_span!("pay", iban = tracing::field::Empty);
            span.record("iban", "DE02");
            span.in_scope(|| tracing::info!(customer_email = "bob@example.com", "paid"));
            tracing::info!(id = 8, "shipped");
        },
    );
    let (public, private) = (logs.public.lines(), logs.private.lines());
    assert_eq!((public.len(), private.len()), (3, 2), "{private:?}");
    for secret in ["ann@", "bob@", "DE02"] {
        assert!(public.iter().all(|line| !line.contains(secret)), "{secret}: {public:?}");
        assert!(private.iter().any(|line| line.contains(secret)), "{secret}: {private:?}");
    }
    assert!(private[0].contains("placed") && private[0].contains("\"id\":7"), "{private:?}");
}

#[test]
fn secrets_are_hidden_there_too_and_limits_hold() {
    let limit = |config: LogConfig| {
        config
            .with_rate_limit(Some(RateLimit::new(2, 0.001)))
            .with_redaction(Redaction::default().with_name("pin"))
    };
    let logs = logged(limit, || {
        for _ in 0..5 {
            tracing::warn!(email = "ann@example.com", password = "hunter2", pin = 1234, "wrong");
        }
    });
    let (public, private) = (logs.public.lines(), logs.private.lines());
    assert_eq!((public.len(), private.len()), (2, 2), "{public:?} {private:?}");
    for line in &private {
        assert!(line.contains("ann@example.com"), "{line}");
        assert!(!line.contains("hunter2") && !line.contains("1234"), "{line}");
    }
}

/// Writes a private line where the operator has named `path`; returns how many were lost.
#[cfg(feature = "files")]
fn lost_at(path: &str) -> u64 {
    let mut settings = meshwise_core::settings::Settings::default();
    settings.log.private.path.set(path.to_owned());
    let (public, private) = (LogLines::new(), LogLines::new());
    let config = LogConfig::new(Service::new("orders", "1"))
        .with_output(LogOutput::memory(&public))
        .with_private(["email"], LogOutput::memory(&private))
        .with_settings(&settings.log);
    let (layer, logs) = config.build().expect("logs");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info!(email = "ann@example.com", "placed");
    });
    let report = logs.shutdown(std::time::Duration::from_secs(5));
    assert_eq!((public.lines().len(), private.lines().len()), (1, 0));
    assert!(!public.lines()[0].contains("ann@example.com"));
    report.dropped().map(|(_, lines)| lines).sum()
}

/// The author's output is no stand-in for a file that an operator has named.
#[cfg(feature = "files")]
#[test]
fn private_lines_for_a_file_that_cannot_be_opened_are_lost_and_counted() {
    assert_eq!(lost_at("/dev/null/private.log"), 1);
}

#[cfg(all(unix, feature = "files"))]
#[test]
fn a_private_file_that_was_open_to_all_is_so_no_more() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644))
        .expect("its mode");
    assert_eq!(lost_at(file.path().to_str().expect("Unicode")), 0);
    let mode = file.as_file().metadata().expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(std::fs::read_to_string(file.path()).expect("lines").contains("ann@example.com"));
}
