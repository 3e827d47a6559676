//! Durations as they are typed, and as Jaeger's page sends them.

/// Reads a duration such as `1.5s`, `100ms`, `20us` or `1m30s`, in nanoseconds, as Jaeger does.
pub(super) fn duration(text: &str) -> Option<u64> {
    let mut rest = text.trim_start_matches('=');
    if rest == "0" {
        return Some(0);
    }
    let mut nanos = 0_u64;
    loop {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let end = rest[unit..].find(|c: char| c.is_ascii_digit() || c == '.');
        let (part, after) = rest.split_at(end.map_or(rest.len(), |end| unit + end));
        nanos = nanos.saturating_add(part_of_duration(part, unit)?);
        if after.is_empty() {
            return Some(nanos);
        }
        rest = after;
    }
}

/// Reads a number and its unit, which begins at `unit`.
fn part_of_duration(text: &str, unit: usize) -> Option<u64> {
    let (number, unit) = text.split_at(unit);
    let nanos = match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    Some((number.parse::<f64>().ok()? * nanos) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_jaeger_reads_them() {
        for (text, nanos) in [
            ("1.5s", Some(1_500_000_000)),
            ("=20us", Some(20_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1h0m0.5s", Some(3_600_500_000_000)),
            ("2µs5ns", Some(2_005)),
            ("0", Some(0)),
            ("99999999999999999999h1h", Some(u64::MAX)),
            ("100", None),
            ("1m30", None),
            ("m", None),
            ("1.2.3s", None),
            ("1 s", None),
            ("-1s", None),
            ("", None),
        ] {
            assert_eq!(duration(text), nanos, "{text}");
        }
    }
}
