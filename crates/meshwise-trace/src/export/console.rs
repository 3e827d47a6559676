//! Spans as lines for people.

use super::sink::{SpanSink, Terms};
use crate::spare::{self, SpanBox};
use futures_util::future::BoxFuture;
use meshwise_otlp::internal::Exported;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    time::{Duration, SystemTime},
};

/// Prints one line for each span:
///
/// ```text
/// 2026-02-03T04:05:06.789Z 12.3ms server GET /orders/{id} trace_id=.. span_id=.. parent_id=.. http.route=/orders/{id}
/// ```
pub(crate) struct Console {
    out: Box<dyn Write + Send>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
}

impl Console {
    /// Prints to standard output, as the specification has it.
    pub(crate) fn stdout() -> Self {
        Self { out: Box::new(io::stdout()) }
    }

    fn print(&mut self, batch: &[SpanBox]) -> io::Result<()> {
        let mut text = String::with_capacity(batch.len() * 256);
        for span in batch {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}", SpanLine(span));
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl SpanSink for Console {
    fn export<'a>(&'a mut self, batch: Vec<SpanBox>, _: Terms<'a>) -> BoxFuture<'a, Exported> {
        let printed = self.print(&batch);
        spare::put_back(batch);
        Box::pin(std::future::ready(match printed {
            Ok(()) => Exported::Delivered,
            Err(error) => Exported::failed(format!("cannot write to standard output: {error}")),
        }))
    }
}

/// Shows a span on one line.
struct SpanLine<'a>(&'a SpanData);

impl fmt::Display for SpanLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.0;
        let elapsed = span.end_time.duration_since(span.start_time).unwrap_or_default();
        let kind = match span.span_kind {
            SpanKind::Client => "client",
            SpanKind::Server => "server",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
            SpanKind::Internal => "internal",
        };
        // Tenths of a microsecond are as fine as anyone reads.
        let elapsed = Duration::from_nanos(elapsed.as_nanos() as u64 / 100 * 100);
        write!(f, "{} {elapsed:?} {kind} {}", Utc(span.start_time), OneLine(&span.name))?;
        match &span.status {
            Status::Error { description } if description.is_empty() => f.write_str(" ERROR")?,
            Status::Error { description } => write!(f, " ERROR={}", Quoted(description))?,
            Status::Ok | Status::Unset => {}
        }
        let context = &span.span_context;
        write!(f, " trace_id={} span_id={}", context.trace_id(), context.span_id())?;
        if span.parent_span_id != SpanId::INVALID {
            write!(f, " parent_id={}", span.parent_span_id)?;
        }
        for attribute in &span.attributes {
            write!(f, " {}={}", attribute.key, Quoted(&attribute.value.as_str()))?;
        }
        for event in span.events.iter() {
            write!(f, " event={}", Quoted(&event.name))?;
        }
        for link in span.links.iter() {
            let linked = &link.span_context;
            write!(f, " link={}-{}", linked.trace_id(), linked.span_id())?;
        }
        Ok(())
    }
}

/// Shows text such that it can neither break the line nor drive the terminal.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
        }
        Ok(())
    }
}

/// Shows a value, in quotes if it has anything in it that would blur where it ends.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '"';
        if !self.0.is_empty() && self.0.chars().all(plain) {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

/// Shows a moment as RFC 3339 has it, in UTC, with milliseconds.
struct Utc(SystemTime);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (days, rest) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = civil(days);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            rest / 3600,
            rest / 60 % 60,
            rest % 60,
            since.subsec_millis()
        )
    }
}

/// Turns days since 1970 into year, month and day (Howard Hinnant's `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_util::span_data;
    use opentelemetry::KeyValue;

    #[test]
    fn a_span_is_one_readable_line() {
        let mut span = span_data("GET /orders/{id}");
        span.span_kind = SpanKind::Server;
        span.start_time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_770_091_506_789);
        span.end_time = span.start_time + Duration::from_nanos(12_345_678);
        span.status = Status::error("it \"broke\"\nbadly");
        span.attributes = vec![
            KeyValue::new("http.response.status_code", 500),
            KeyValue::new("user_agent.original", "curl 8"),
            KeyValue::new("empty", ""),
        ];
        assert_eq!(
            SpanLine(&span).to_string(),
            "2026-02-03T04:05:06.789Z 12.3456ms server GET /orders/{id} \
             ERROR=\"it \\\"broke\\\"\\nbadly\" \
             trace_id=0000000000000000000000000000000a span_id=000000000000000b \
             http.response.status_code=500 user_agent.original=\"curl 8\" empty=\"\""
        );
    }

    #[test]
    fn nothing_in_a_span_can_break_the_line() {
        let mut span = span_data("a\nb\x1b[31m");
        span.attributes = vec![KeyValue::new("k", "x\ny\u{85}\x07")];
        let line = SpanLine(&span).to_string();
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_200, "2024-03-01T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
            assert_eq!(Utc(moment).to_string(), text);
        }
    }
}
