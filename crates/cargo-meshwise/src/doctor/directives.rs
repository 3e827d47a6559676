//! What a filter such as `info,sqlx=warn` lets through, by the rules of `tracing-subscriber`.

use std::str::FromStr;

/// A level of `tracing`, the most verbose last, and `Off` before all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        const NAMES: [(&str, Level); 6] = [
            ("off", Level::Off),
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("info", Level::Info),
            ("debug", Level::Debug),
            ("trace", Level::Trace),
        ];
        NAMES
            .iter()
            .enumerate()
            .find(|(number, (name, _))| {
                text.eq_ignore_ascii_case(name) || text == number.to_string()
            })
            .map(|(_, (_, level))| *level)
            .ok_or(())
    }
}

/// A parsed filter. Directives on spans and fields are kept out: they may only let more through.
#[derive(Debug)]
pub(crate) struct Directives {
    /// Target and level; the empty target is everything.
    list: Vec<(String, Level)>,
    has_spans: bool,
}

impl Directives {
    pub(crate) fn parse(text: &str) -> Self {
        let mut list = Vec::new();
        let mut has_spans = false;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if part.contains(['[', ']', '{', '}']) {
                has_spans = true;
                continue;
            }
            match part.rsplit_once('=') {
                Some((target, level)) => {
                    let level = if level.is_empty() { Ok(Level::Trace) } else { level.parse() };
                    // `EnvFilter` skips what it cannot read, after a word on stderr.
                    list.extend(level.map(|level| (target.to_owned(), level)));
                }
                None => list.push(match part.parse() {
                    Ok(level) => (String::new(), level),
                    Err(()) => (part.to_owned(), Level::Trace),
                }),
            }
        }
        if list.is_empty() && !has_spans {
            list.push((String::new(), Level::Error));
        }
        Self { list, has_spans }
    }

    /// Tells whether a span or event certainly never gets through.
    pub(crate) fn stops(&self, target: &str, level: Level) -> bool {
        if self.has_spans {
            return false;
        }
        self.level_for(target) < level
    }

    /// Returns the level of the directive with the longest target that begins this one.
    pub(crate) fn level_for(&self, target: &str) -> Level {
        self.list
            .iter()
            .filter(|(prefix, _)| target.starts_with(prefix.as_str()))
            .max_by_key(|(prefix, _)| prefix.len())
            .map_or(Level::Off, |(_, level)| *level)
    }

    /// Returns the most verbose level that any directive asks for.
    pub(crate) fn most(&self) -> Level {
        self.list.iter().map(|(_, level)| *level).max().unwrap_or(Level::Off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_target_that_begins_the_name_wins() {
        let target = "otel::tracing";
        for (text, level) in [
            ("", Level::Error),
            ("info", Level::Info),
            ("INFO", Level::Info),
            ("3", Level::Info),
            ("orders=debug", Level::Off),
            ("orders", Level::Off),
            ("info,otel=trace", Level::Trace),
            ("info,otel::tracing=trace", Level::Trace),
            ("otel::tracing", Level::Trace),
            ("otel::tracing=", Level::Trace),
            ("trace,otel=off", Level::Off),
            ("info, otel::tracing = trace", Level::Info),
            ("otel::tracing=loud,warn", Level::Warn),
        ] {
            assert_eq!(Directives::parse(text).level_for(target), level, "{text:?}");
        }
    }

    #[test]
    fn directives_on_spans_leave_the_answer_open() {
        assert!(!Directives::parse("warn,[request{id=1}]=trace").stops("orders", Level::Trace));
        assert!(Directives::parse("warn").stops("orders", Level::Info));
        assert!(!Directives::parse("warn").stops("orders", Level::Warn));
    }
}
