//! Typed access to parsed TOML: every value's place is kept, every error told at its place.

use std::{ops::Range, str::FromStr};

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use crate::{
    date::Date,
    diagnostic::{Diagnostic, Diagnostics, Location, Source},
    finding::{Finding, Level},
    text::{nearest, shorten},
};

/// The largest number of days that a limit may name: a hundred years.
pub(crate) const MAX_DAYS: u32 = 36_525;

/// How many diagnostics one file gets; no one reads more.
const MAX_DIAGNOSTICS: usize = 100;

/// A table, and the path at which it stands (empty for the whole file).
pub(crate) struct Node<'t> {
    table: &'t DeTable<'t>,
    pub(crate) at: String,
}

impl<'t> Node<'t> {
    pub(crate) fn root(table: &'t DeTable<'t>) -> Self {
        Self { table, at: String::new() }
    }

    pub(crate) fn path(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Tells whether the key is absent, or an array with nothing in it.
    pub(crate) fn lacks(&self, key: &str) -> bool {
        self.get(key)
            .is_none_or(|value| value.get_ref().as_array().is_some_and(|array| array.is_empty()))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'t str> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.get(key)
    }
}

/// Collects places and diagnostics while a file is read.
pub(crate) struct Reader {
    source: Source,
    /// What it is if something is wrong: `invalid-declaration` or `invalid-lock`.
    finding: &'static Finding,
    diagnostics: Vec<Diagnostic>,
    untold: usize,
}

impl Reader {
    pub(crate) fn new(source: Source, finding: &'static Finding) -> Self {
        Self { source, finding, diagnostics: Vec::new(), untold: 0 }
    }

    /// Parses a file, for a reader of its own.
    ///
    /// # Errors
    /// If it is no TOML: all that is wrong with it.
    pub(crate) fn parse<'t>(
        file: &str,
        text: &'t str,
        finding: &'static Finding,
    ) -> Result<(Self, DeTable<'t>), Diagnostics> {
        // Some editors begin a file with a byte order mark; TOML has no use for it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Self::new(Source::new(file, text), finding);
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            reader.syntax(&errors);
            return Err(reader.fail());
        }
        Ok((reader, root.into_inner()))
    }

    /// Returns the source if nothing was wrong.
    pub(crate) fn finish(self) -> Result<Source, Diagnostics> {
        if self.diagnostics.is_empty() { Ok(self.source) } else { Err(self.fail()) }
    }

    /// Returns what was wrong, in the order of the file.
    pub(crate) fn fail(mut self) -> Diagnostics {
        let place = |d: &Diagnostic| d.location.as_ref().map_or((0, 0), |at| (at.line, at.column));
        self.diagnostics.sort_by_key(place);
        if self.untold > 0 {
            self.diagnostics.push(Diagnostic::new(
                self.finding,
                format!("{} more errors are not shown", self.untold),
            ));
        }
        Diagnostics::new(self.diagnostics)
    }

    /// Keeps a diagnostic while there is room. Places are only looked up then: a hostile file has
    /// as many errors as bytes.
    fn push(&mut self, diagnostic: Diagnostic, place: impl FnOnce(&Source) -> Option<Location>) {
        if self.has_room() {
            let location = place(&self.source);
            self.diagnostics.push(diagnostic.with_location(location));
        } else {
            self.untold += 1;
        }
    }

    /// A file that people write has its own finding for keys that nothing reads.
    fn unknown_key(&self) -> &'static Finding {
        if self.finding == Finding::INVALID_DECLARATION {
            Finding::UNKNOWN_KEY
        } else {
            self.finding
        }
    }

    fn has_room(&self) -> bool {
        self.diagnostics.len() < MAX_DIAGNOSTICS
    }

    /// Tells of something at a path.
    pub(crate) fn report(&mut self, path: &str, diagnostic: Diagnostic) {
        self.push(diagnostic, |source| source.locate(path));
    }

    fn report_span(&mut self, span: Range<usize>, diagnostic: Diagnostic) {
        self.push(diagnostic, |source| Some(source.location(span)));
    }

    /// Tells of what is not TOML.
    pub(crate) fn syntax(&mut self, errors: &[Error]) {
        for error in errors {
            let message = shorten(error.message().lines().next().unwrap_or("this is not TOML"));
            let end = self.source.text().len();
            self.report_span(
                error.span().unwrap_or(end..end),
                Diagnostic::new(self.finding, message),
            );
        }
    }

    /// Tells of keys that nothing reads, and which one may be meant.
    pub(crate) fn known_keys(&mut self, node: &Node<'_>, known: &[&str]) {
        for (key, _) in node.table {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            if !self.has_room() {
                self.untold += 1;
                continue;
            }
            let table = if node.at.is_empty() {
                "the top level".to_owned()
            } else {
                format!("[{}]", strip_indices(&node.at))
            };
            let mut diagnostic = Diagnostic::new(
                self.unknown_key(),
                format!("unknown key `{}` in {table}", shorten(name)),
            );
            let free = || known.iter().copied().filter(|key| !node.has(key));
            diagnostic = match nearest(name, free()) {
                Some(meant) => diagnostic.with_label(format!("did you mean `{meant}`?")),
                None => {
                    let mut keys: Vec<_> = known.to_vec();
                    keys.sort_unstable();
                    keys.dedup();
                    diagnostic.with_help(format!("the keys here are {}", keys.join(", ")))
                }
            };
            self.report_span(key.span(), diagnostic);
        }
    }

    fn wrong_type(&mut self, path: &str, value: &DeValue<'_>, wanted: &str) {
        self.report(
            path,
            Diagnostic::new(
                self.finding,
                format!(
                    "`{}` is {wanted}, not a value of type {}",
                    strip_indices(path),
                    value.type_str()
                ),
            ),
        );
    }

    fn place(&mut self, path: &str, value: &Spanned<DeValue<'_>>) {
        self.source.place(path.to_owned(), value.span());
    }

    /// Keeps the place of a value that is told of but not read.
    pub(crate) fn mark(&mut self, node: &Node<'_>, key: &str) {
        if let Some(value) = node.get(key) {
            self.place(&node.path(key), value);
        }
    }

    /// Reads a value that may be absent.
    pub(crate) fn optional<T>(
        &mut self,
        node: &Node<'_>,
        key: &str,
        read: impl FnOnce(&mut Self, &str, &DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = node.get(key)?;
        let path = node.path(key);
        self.place(&path, value);
        read(self, &path, value.get_ref())
    }

    /// Reads a value that must be there.
    pub(crate) fn required<T>(
        &mut self,
        node: &Node<'_>,
        key: &str,
        example: &str,
        read: impl FnOnce(&mut Self, &str, &DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        if !node.has(key) {
            self.missing(node, key, example);
            return None;
        }
        self.optional(node, key, read)
    }

    fn missing(&mut self, node: &Node<'_>, key: &str, example: &str) {
        let table = strip_indices(&node.at);
        let place = if table.is_empty() { "the file".to_owned() } else { format!("[{table}]") };
        let diagnostic = Diagnostic::new(self.finding, format!("{place} has no key `{key}`"))
            .with_help(format!("add {example}"));
        if node.at.is_empty() {
            // The file as a whole has no better place than its first line.
            self.report_span(0..0, diagnostic);
        } else {
            self.report(&node.at.clone(), diagnostic);
        }
    }

    /// Reads a table that may be absent.
    pub(crate) fn table<'t>(&mut self, node: &Node<'t>, key: &str) -> Option<Node<'t>> {
        let value = node.get(key)?;
        let at = node.path(key);
        self.place(&at, value);
        match value.get_ref() {
            DeValue::Table(table) => Some(Node { table, at }),
            other => {
                self.wrong_type(&at, other, "a table");
                None
            }
        }
    }

    /// Reads a table that must be there.
    pub(crate) fn required_table<'t>(&mut self, node: &Node<'t>, key: &str) -> Option<Node<'t>> {
        if !node.has(key) {
            self.missing(node, key, &format!("[{key}]"));
            return None;
        }
        self.table(node, key)
    }

    /// Reads an array of tables; none if it is absent.
    pub(crate) fn tables<'t>(&mut self, node: &Node<'t>, key: &str) -> Vec<Node<'t>> {
        let Some(value) = node.get(key) else {
            return Vec::new();
        };
        let path = node.path(key);
        self.place(&path, value);
        let DeValue::Array(array) = value.get_ref() else {
            let wanted = format!("written as [[{}]]", strip_indices(&path));
            self.wrong_type(&path, value.get_ref(), &wanted);
            return Vec::new();
        };
        let mut nodes = Vec::new();
        for (index, value) in array.iter().enumerate() {
            let at = format!("{path}[{index}]");
            self.place(&at, value);
            match value.get_ref() {
                DeValue::Table(table) => nodes.push(Node { table, at }),
                other => self.wrong_type(&at, other, "a table"),
            }
        }
        nodes
    }

    pub(crate) fn text(&mut self, path: &str, value: &DeValue<'_>) -> Option<String> {
        match value {
            DeValue::String(text) if text.trim().is_empty() => {
                let message = format!("`{}` is empty", strip_indices(path));
                self.report(
                    path,
                    Diagnostic::new(self.finding, message).with_help("fill or remove it"),
                );
                None
            }
            DeValue::String(text) => Some(text.clone().into_owned()),
            other => {
                self.wrong_type(path, other, "text in quotes");
                None
            }
        }
    }

    pub(crate) fn texts(&mut self, path: &str, value: &DeValue<'_>) -> Option<Vec<String>> {
        let DeValue::Array(array) = value else {
            self.wrong_type(path, value, "a list of texts: [\"...\"]");
            return None;
        };
        let mut texts = Vec::new();
        for (index, value) in array.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.place(&path, value);
            texts.extend(self.text(&path, value.get_ref()));
        }
        Some(texts)
    }

    pub(crate) fn integer(&mut self, path: &str, value: &DeValue<'_>) -> Option<i64> {
        let number = value
            .as_integer()
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        match (number, value) {
            (None, DeValue::Integer(_)) => {
                let message = format!("`{}` is too large a number", strip_indices(path));
                self.report(path, Diagnostic::new(self.finding, message));
            }
            (None, _) => self.wrong_type(path, value, "a number"),
            (Some(_), _) => {}
        }
        number
    }

    pub(crate) fn boolean(&mut self, path: &str, value: &DeValue<'_>) -> Option<bool> {
        let boolean = value.as_bool();
        if boolean.is_none() {
            self.wrong_type(path, value, "true or false");
        }
        boolean
    }

    pub(crate) fn date(&mut self, path: &str, value: &DeValue<'_>) -> Option<Date> {
        let key = path.rsplit('.').next().unwrap_or(path);
        let diagnostic = match value {
            DeValue::Datetime(at) => {
                if let (Some(date), None, None) = (at.date, at.time, at.offset) {
                    // The parser refuses days that the calendar lacks; so does this.
                    if let Some(date) = Date::new(i32::from(date.year), date.month, date.day) {
                        return Some(date);
                    }
                    Diagnostic::new(self.finding, format!("{date} is not a day of the calendar"))
                } else {
                    let message = format!("`{key}` is a day, without a time");
                    let help = at.date.map_or_else(
                        || format!("write {key} = 2026-01-31"),
                        |date| format!("write {key} = {date}; it begins at 00:00 UTC"),
                    );
                    Diagnostic::new(self.finding, message).with_help(help)
                }
            }
            DeValue::String(text) => match text.parse::<Date>() {
                Ok(date) => Diagnostic::new(self.finding, format!("`{key}` is a date, not text"))
                    .with_help(format!("write it without quotes: {key} = {date}")),
                Err(error) => Diagnostic::new(self.finding, error.to_string())
                    .with_help(format!("write {key} = 2026-01-31, without quotes")),
            },
            other => {
                self.wrong_type(path, other, "a date such as 2026-01-31");
                return None;
            }
        };
        self.report(path, diagnostic);
        None
    }

    pub(crate) fn days(&mut self, path: &str, value: &DeValue<'_>) -> Option<u32> {
        let days = self.integer(path, value)?;
        match u32::try_from(days) {
            Ok(days) if days <= MAX_DAYS => Some(days),
            _ => {
                let message = format!("{days} is not a number of days from 0 to {MAX_DAYS}");
                self.report(path, Diagnostic::new(self.finding, message));
                None
            }
        }
    }

    pub(crate) fn level(&mut self, path: &str, value: &DeValue<'_>) -> Option<Level> {
        self.one_of(path, value, "level", &["deny", "warn", "allow"], |name| name.parse().ok())
    }

    /// Reads text that has a form of its own; its error says which.
    pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        path: &str,
        value: &DeValue<'_>,
    ) -> Option<T> {
        match self.text(path, value)?.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.report(path, Diagnostic::new(self.finding, error.to_string()));
                None
            }
        }
    }

    /// Reads a name out of a fixed set.
    pub(crate) fn one_of<T>(
        &mut self,
        path: &str,
        value: &DeValue<'_>,
        what: &str,
        names: &[&str],
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(path, value)?;
        let found = read(&text);
        if found.is_none() {
            let mut diagnostic =
                Diagnostic::new(self.finding, format!("{:?} is not a {what}", shorten(&text)))
                    .with_help(format!("write one of {}", names.join(", ")));
            if let Some(meant) = nearest(&text, names.iter().copied()) {
                diagnostic = diagnostic.with_label(format!("did you mean {meant:?}?"));
            }
            self.report(path, diagnostic);
        }
        found
    }
}

/// Turns `provides[0].versions[1]` into `provides.versions`, as a table's header has it.
fn strip_indices(path: &str) -> String {
    let mut depth = 0u32;
    path.chars()
        .filter(|c| match c {
            '[' => {
                depth += 1;
                false
            }
            ']' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
        .collect()
}
