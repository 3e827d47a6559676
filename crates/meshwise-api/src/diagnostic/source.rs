//! The text of a file, and where in it each key's value is.

use std::{collections::BTreeMap, ops::Range};

use super::Location;

/// How much of a line is shown, in characters; longer ones are cut around the caret.
const SHOWN: usize = 160;

/// Holds a file's text with the places of its values, by paths such as `provides[0].versions[1].sunset`.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    name: String,
    text: String,
    spans: BTreeMap<String, Range<usize>>,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), spans: BTreeMap::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn place(&mut self, path: String, span: Range<usize>) {
        self.spans.insert(path, span);
    }

    /// Finds the place of a value, or of the nearest table around it.
    pub(crate) fn locate(&self, path: &str) -> Option<Location> {
        let mut path = path;
        loop {
            if let Some(span) = self.spans.get(path) {
                return Some(self.location(span.clone()));
            }
            path = &path[..path.rfind('.')?];
        }
    }

    /// Turns bytes of the text into line and columns. Places past the end are its end.
    pub(crate) fn location(&self, span: Range<usize>) -> Location {
        let text = self.text.as_str();
        let floor = |at: usize| text.floor_char_boundary(at.min(text.len()));
        let (start, end) = (floor(span.start), floor(span.end.max(span.start)));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[line_start..].find('\n').map_or(text.len(), |at| line_start + at);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let visible_end = line_start + line.len();
        let start = start.min(visible_end);
        let end = end.clamp(start, visible_end);

        let column = text[line_start..start].chars().count() + 1;
        let width = text[start..end].chars().count().max(1);
        let cut = column.saturating_sub(1 + SHOWN / 4);
        // A line that fits is shown whole.
        let cut = if line.chars().nth(SHOWN).is_none() { 0 } else { cut };
        Location {
            file: self.name.clone(),
            line: text[..line_start].bytes().filter(|b| *b == b'\n').count() + 1,
            column,
            end_column: column + width,
            text: line.chars().skip(cut).take(SHOWN).collect(),
            text_column: cut + 1,
        }
    }
}
