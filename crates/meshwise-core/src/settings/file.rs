//! Settings from TOML files.

use super::{
    part::{Part, PartMut, PartShape},
    path::Path,
    problem::{Problem, SettingsError},
    raw::{Raw, RawEntry, RawValue},
    read::FileReader,
    tree::Settings,
    value::Source,
};
use crate::internal::files;
use std::{fs, path as fs_path, sync::Arc};
use toml::de::{DeTable, DeValue};

/// The longest file.
const MAX_BYTES: u64 = 1 << 20;
/// The most files of a directory.
const MAX_FILES: usize = 100;

impl Settings {
    /// Reads a file, or all `*.toml` files of a directory (not of those within it), in the order of
    /// their names: later ones beat earlier ones. Hidden files are passed over.
    ///
    /// # Errors
    /// If a file cannot be read, is longer than 1 MiB, is no TOML, or holds what is not known or not
    /// allowed: all of that at once, with lines.
    pub fn from_path(path: impl AsRef<fs_path::Path>) -> Result<Self, SettingsError> {
        let mut problems = Vec::new();
        let settings = Self::read_path(path.as_ref(), &mut problems);
        SettingsError::check(problems)?;
        Ok(settings)
    }

    /// Reads the same, without what is wrong, which is added to `problems`.
    #[doc(hidden)]
    #[must_use]
    pub fn read_path(path: &fs_path::Path, problems: &mut Vec<Problem>) -> Self {
        let mut settings = Self::default();
        let files = files_of(path).unwrap_or_else(|error| {
            problems.extend_from_slice(error.problems());
            Vec::new()
        });
        for file in files {
            match read(&file) {
                Ok(text) => {
                    settings.overlay(&Self::read_toml(
                        &text,
                        &file.display().to_string(),
                        problems,
                    ));
                }
                Err(problem) => problems.extend_from_slice(whole(&file, problem).problems()),
            }
        }
        settings
    }

    /// Reads TOML; `name` stands for the file in errors and sources.
    ///
    /// ```
    /// use meshwise_core::settings::Settings;
    /// let text = "[peers.auth]\ntimeout.limit = \"400ms\"\nretry.attemps = 2";
    /// let error = Settings::from_toml(text, "mesh.toml").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "mesh.toml:3: peers.auth.retry.attemps is not known; did you mean `attempts`?"
    /// );
    /// ```
    ///
    /// # Errors
    /// If it is no TOML, or holds what is not known or not allowed: all of that at once.
    pub fn from_toml(text: &str, name: &str) -> Result<Self, SettingsError> {
        let mut problems = Vec::new();
        let settings = Self::read_toml(text, name, &mut problems);
        SettingsError::check(problems)?;
        Ok(settings)
    }

    fn read_toml(text: &str, name: &str, problems: &mut Vec<Problem>) -> Self {
        let lines = Lines::of(text);
        let file: Arc<str> = name.into();
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let problem = |error: &toml::de::Error| {
                let at = error.span().map_or(0, |span| span.start);
                let source = Source::File { path: Arc::clone(&file), line: lines.at(at) };
                let problem = format!("is no TOML: {}", error.message());
                Problem { source, key: String::new(), problem }
            };
            problems.extend(errors.iter().take(20).map(problem));
            return Self::default();
        }
        let raw = entries(table.get_ref(), &lines);
        let mut settings = Self::default();
        let mut reader = FileReader { file, problems: Vec::new() };
        if let (PartShape::Section(fields), PartMut::Section(section)) =
            (Self::described(), settings.as_mut())
        {
            reader.section(&raw, section, &fields, &mut Path::new());
        }
        problems.append(&mut reader.problems);
        settings
    }
}

fn whole(file: &fs_path::Path, problem: String) -> SettingsError {
    let source = Source::File { path: file.display().to_string().into(), line: 1 };
    Problem { source, key: String::new(), problem }.into()
}

/// Lists the files that a path names.
fn files_of(path: &fs_path::Path) -> Result<Vec<fs_path::PathBuf>, SettingsError> {
    let wrong = |error: std::io::Error| whole(path, format!("cannot be read: {error}"));
    if !fs::metadata(path).map_err(wrong)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(wrong)? {
        let entry = entry.map_err(wrong)?.path();
        let name = entry.file_name().map(|name| name.to_string_lossy().into_owned());
        let is_toml = entry.extension().is_some_and(|extension| extension == "toml");
        if is_toml && name.is_some_and(|name| !name.starts_with('.')) {
            files.push(entry);
        }
        if files.len() > MAX_FILES {
            return Err(whole(path, format!("holds more than {MAX_FILES} files")));
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &fs_path::Path) -> Result<String, String> {
    let bytes = files::read(path, MAX_BYTES).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8 in line {line}")
    })
}

/// Finds the line of a byte.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    fn at(&self, byte: usize) -> usize {
        self.0.partition_point(|end| *end < byte) + 1
    }
}

fn entries(table: &DeTable<'_>, lines: &Lines) -> Vec<RawEntry> {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        let line = lines.at(key.span().start);
        RawEntry { name: name.to_string(), line, value: raw(value, lines) }
    };
    let mut entries: Vec<RawEntry> = table.iter().map(entry).collect();
    // Problems are told in the order of the lines.
    entries.sort_by_key(|entry| entry.line);
    entries
}

fn raw(value: &toml::Spanned<DeValue<'_>>, lines: &Lines) -> Raw {
    let line = lines.at(value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => RawValue::Text(text.to_string()),
        DeValue::Boolean(value) => RawValue::Bool(*value),
        DeValue::Integer(whole) => match i64::from_str_radix(whole.as_str(), whole.radix()) {
            Ok(whole) => RawValue::Whole(whole),
            Err(_) => RawValue::Other(whole.to_string(), "a whole number that does not fit"),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => RawValue::Number(number),
            Err(_) => RawValue::Other(number.to_string(), "a number that does not fit"),
        },
        DeValue::Datetime(time) => RawValue::Other(time.to_string(), "a date or a time"),
        DeValue::Array(items) => {
            RawValue::List(items.iter().map(|item| raw(item, lines)).collect())
        }
        DeValue::Table(table) => RawValue::Table(entries(table, lines)),
    };
    Raw { value, line }
}
