//! Changing an `api.toml` without touching what is not meant: comments and order stay.

use std::path::PathBuf;

use meshwise_api::{Date, Declaration};
use toml_edit::{Array, DocumentMut, Item, TableLike, Value, value};

use crate::{
    commands::Context,
    exit::{Exit, Failure, OrExit as _},
    files,
};

/// The text of an `api.toml`, to be changed.
#[derive(Clone, Debug)]
pub(crate) struct ApiToml {
    path: PathBuf,
    document: DocumentMut,
}

impl ApiToml {
    /// Reads the declaration's file.
    ///
    /// # Errors
    /// `Usage` when it cannot be read or is no TOML.
    pub(crate) fn open(context: &Context) -> Result<Self, Failure> {
        let path = context.global.declaration.clone();
        let text = std::fs::read_to_string(&path).or_exit(Exit::Usage)?;
        let document = text.parse::<DocumentMut>().or_exit(Exit::Usage)?;
        Ok(Self { path, document })
    }

    /// Reads what the text declares now.
    ///
    /// # Errors
    /// `Usage` when it is not valid.
    pub(crate) fn declaration(&self) -> Result<Declaration, Failure> {
        let name = self.path.display().to_string();
        Declaration::parse(&name, &self.document.to_string()).or_exit(Exit::Usage)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        files::replace(&self.path, self.document.to_string().as_bytes()).or_exit(Exit::Usage)
    }

    /// Sets a key of the service.
    pub(crate) fn set_service(&mut self, key: &str, to: impl Into<Value>) {
        if let Some(service) = self.document.get_mut("service").and_then(Item::as_table_like_mut) {
            service.insert(key, value(to));
        }
    }

    /// Removes all that the service provides and requires.
    pub(crate) fn empty(&mut self) {
        self.document.remove("provides");
        self.document.remove("requires");
    }

    /// Lets another service provide an API too; all of them without one.
    pub(crate) fn share(&mut self, api: Option<&str>, with: &str) {
        for provides in tables(&mut self.document, "provides") {
            let name = provides.get("api").and_then(Item::as_str);
            if api.is_some_and(|api| name != Some(api)) {
                continue;
            }
            let mut shared = provides
                .get("shared-with")
                .and_then(Item::as_array)
                .cloned()
                .unwrap_or_else(Array::new);
            if !shared.iter().any(|there| there.as_str() == Some(with)) {
                shared.push(with);
                provides.insert("shared-with", value(shared));
            }
        }
    }

    /// Notes since when a requirement is there, if it is not noted.
    pub(crate) fn note_since(&mut self, since: impl Fn(&str, &str) -> Option<Date>) {
        for requires in tables(&mut self.document, "requires") {
            let text = |key: &str| requires.get(key).and_then(Item::as_str).unwrap_or_default();
            let day = since(text("api"), text("version"));
            if let (None, Some(day)) = (requires.get("since"), day)
                && let Ok(date) = day.to_string().parse::<toml_edit::Datetime>()
            {
                requires.insert("since", value(date));
            }
        }
    }
}

/// Lists the tables of an array, however it is written.
fn tables<'d>(document: &'d mut DocumentMut, key: &str) -> Vec<&'d mut dyn TableLike> {
    match document.get_mut(key) {
        Some(Item::ArrayOfTables(tables)) => {
            tables.iter_mut().map(|table| table as &mut dyn TableLike).collect()
        }
        Some(Item::Value(Value::Array(array))) => array
            .iter_mut()
            .filter_map(|table| table.as_inline_table_mut())
            .map(|table| table as &mut dyn TableLike)
            .collect(),
        _ => Vec::new(),
    }
}
