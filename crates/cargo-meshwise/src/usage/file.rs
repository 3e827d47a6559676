//! Usage that was exported to a file: for those whose metrics are not in Prometheus.

use meshwise_api::ApiId;

use super::{Gap, Usage, UsageError, Window};

/// How old an export may be: a day, so that a nightly job will do.
const STALE: i64 = 86_400;

/// How far ahead of this machine's clock an export may end.
const AHEAD: i64 = 300;

pub(super) fn read(
    bytes: &[u8],
    about: &ApiId,
    window: Option<Window>,
    now: i64,
) -> Result<Usage, UsageError> {
    let mut usage: Usage = serde_json::from_slice(bytes)
        .map_err(|error| UsageError::File(format!("is not valid: {error}")))?;
    if usage.schema != Usage::SCHEMA {
        let (has, reads) = (usage.schema, Usage::SCHEMA);
        return Err(UsageError::File(format!("has schema {has}; this release reads {reads}")));
    }
    if usage.api != about.name() || Some(usage.version.as_str()) != about.version() {
        let (api, version) = (&usage.api, &usage.version);
        return Err(UsageError::File(format!("is about {api}@{version}")));
    }
    usage.calls.retain(|_, calls| *calls > 0);

    let (from, to) = (usage.from.to_unix_seconds(), usage.to.to_unix_seconds());
    if from >= to || to > now + AHEAD {
        return Err(UsageError::File(format!(
            "reaches from {} to {}, which is no past",
            usage.from, usage.to
        )));
    }
    if usage.instances == 0 {
        usage.gaps.push(Gap::new("no instance counted"));
    }
    if now - to > STALE {
        usage.gaps.push(Gap::new("the export ends more than a day ago").between(to, now));
    }
    if let Some(window) = window
        && to - window.seconds() < from
    {
        let begin = to - window.seconds();
        usage
            .gaps
            .push(Gap::new(format!("the export is shorter than {window}")).between(begin, from));
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_api::Timestamp;

    const NOW: i64 = 1_795_000_000;

    fn export(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
        let at = |seconds| Timestamp::from_unix_seconds(seconds).expect("a moment").to_string();
        let mut value = serde_json::json!({
            "schema": 1, "api": "auth", "version": "1.1", "from": at(NOW - 30 * 86_400),
            "to": at(NOW), "calls": {"orders": 3, "stock": 0}, "instances": 2, "gaps": [],
        });
        change(&mut value);
        value.to_string().into_bytes()
    }

    fn read(bytes: &[u8]) -> Result<Usage, UsageError> {
        let about: ApiId = "auth@1.1".parse().expect("an id");
        super::read(bytes, &about, Some("30d".parse().expect("a window")), NOW)
    }

    #[test]
    fn a_complete_export_is_complete() {
        let usage = read(&export(|_| {})).expect("valid");
        assert!(usage.is_complete());
        assert_eq!(usage.calls.into_iter().collect::<Vec<_>>(), [("orders".to_owned(), 3)]);
    }

    #[test]
    fn what_does_not_say_that_it_is_complete_is_not() {
        let no_gaps = export(|v| {
            v.as_object_mut().expect("an object").remove("gaps");
        });
        assert!(read(&no_gaps).expect_err("no gaps").to_string().contains("missing field `gaps`"));
        for (change, word) in [
            (("to", serde_json::json!("2026-11-10T00:00:00Z")), "more than a day ago"),
            (("from", serde_json::json!("2026-11-10T00:00:00Z")), "shorter than 30d"),
            (("instances", serde_json::json!(0)), "no instance counted"),
            (("gaps", serde_json::json!([{"why": "down"}])), "down"),
        ] {
            let usage = read(&export(|v| v[change.0] = change.1)).expect("valid");
            assert!(usage.gaps.iter().any(|gap| gap.why.contains(word)), "{:?}", usage.gaps);
        }
    }

    #[test]
    fn what_is_no_usage_of_this_version_is_refused() {
        for (field, value) in [
            ("schema", serde_json::json!(2)),
            ("api", serde_json::json!("orders")),
            ("version", serde_json::json!("1.2")),
            ("calls", serde_json::json!({"orders": -1})),
            ("calls", serde_json::json!({"orders": 1.5})),
            ("calls", serde_json::json!([])),
            ("from", serde_json::json!("2030-01-01T00:00:00Z")),
            ("to", serde_json::json!("2030-01-01T00:00:00Z")),
            ("complete", serde_json::json!(true)),
        ] {
            assert!(read(&export(|v| v[field] = value.clone())).is_err(), "{field} {value}");
        }
        assert!(read(b"").is_err());
        assert!(read(b"[[[[").is_err());
    }
}
