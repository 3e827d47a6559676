//! Mends what strict readers would not take of the exporter's text.

use crate::{backend::text, expose::Format};
use std::{collections::HashMap, io};

/// Takes the exporter's text and
///
/// - writes a HELP line before each TYPE line: the exporter does so itself only for what was
///   described to it before;
/// - writes `+Inf` for `inf`;
/// - writes the suffixes of a histogram whose own name ends like one of them, which the exporter
///   leaves out then: of `checksum` it shows the sum as `checksum`.
///
/// It relies on how the exporter cuts its text: what a family is comes as one chunk, and so does
/// each series.
pub(super) struct Mended {
    pub(super) text: Vec<u8>,
    help: HashMap<String, String>,
    /// The name of the histogram that comes, if it ends like a suffix.
    ambiguous: Option<String>,
}

impl Mended {
    pub(super) fn new(help: HashMap<String, String>) -> Self {
        Self { text: Vec::new(), help, ambiguous: None }
    }

    fn head(&mut self, name: &str, kind: &str) {
        let like_a_suffix = ["bucket", "sum", "count"].iter().any(|end| name.ends_with(end));
        self.ambiguous = (kind.trim() == "histogram" && like_a_suffix).then(|| name.to_owned());
        let help = self.help.get(name).map(String::as_str);
        text::help(&mut self.text, Format::Text, name, help);
    }

    fn line(&mut self, line: &str, suffix: &str) {
        let name = self.ambiguous.as_deref().unwrap_or_default();
        let bare = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
        match bare {
            Some(rest) if !name.is_empty() => {
                for part in [name, suffix, rest] {
                    self.text.extend_from_slice(part.as_bytes());
                }
            }
            _ => self.text.extend_from_slice(line.as_bytes()),
        }
    }
}

impl io::Write for Mended {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let Ok(text) = str::from_utf8(chunk) else {
            self.text.extend_from_slice(chunk);
            return Ok(chunk.len());
        };
        if let Some((name, kind)) = text.strip_prefix("# TYPE ").and_then(|t| t.split_once(' ')) {
            self.head(name, kind);
            self.text.extend_from_slice(chunk);
        } else if self.ambiguous.is_some() {
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            for (index, line) in lines.iter().enumerate() {
                // Buckets, sum, count.
                let suffix = match lines.len() - index {
                    1 => "_count",
                    2 => "_sum",
                    _ => "_bucket",
                };
                self.line(line, suffix);
            }
        } else if let Some(line) =
            text.strip_suffix("inf\n").filter(|line| line.ends_with([' ', '-']))
        {
            // Of a series' lines only a gauge's single one can end so.
            let (line, sign) = line.strip_suffix('-').map_or((line, "+"), |line| (line, "-"));
            for part in [line, sign, "Inf\n"] {
                self.text.extend_from_slice(part.as_bytes());
            }
        } else {
            self.text.extend_from_slice(chunk);
        }
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
