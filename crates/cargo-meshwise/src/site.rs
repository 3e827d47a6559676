//! Static pages of all that a dictionary knows, for people.
//!
//! | page | address |
//! |---|---|
//! | all APIs and services | `index.html` |
//! | an API: history, current, plan, who uses what | `<api>/index.html` |
//! | a version, with its description | `<api>/<version>/index.html`, as `export linkset` names it |
//! | a service and what is around it | `_/services/<service>/index.html` |
//! | the map | `_/map/index.html` |
//!
//! No page runs a script or asks for anything: all is in the file, and a policy in its head says so.
//! What services declared is text, never markup.

mod api;
mod content;
mod description;
mod graph;
mod home;
mod page;
mod path;
mod schema;
mod service;

use std::{collections::BTreeSet, fs, io, path::Path};

use meshwise_api::contract::Description;
use serde_json::{Value, json};

use crate::{changelog::Changelog, contract, map::Map};

pub(crate) use content::Site;
use content::{File, Shown};
use path::PagePath;

/// Names the files of the last run, so that pages of what is gone are removed.
const LIST: &str = "_/site.json";

impl Site<'_> {
    /// Makes all pages.
    #[must_use]
    pub(crate) fn files(&self) -> Vec<File> {
        let map = Map::of(self.dictionary, self.is_whole, self.today);
        let changelogs: Vec<(String, Vec<Changelog>)> = self
            .dictionary
            .apis()
            .map(|api| {
                let providers = self.dictionary.providers(api);
                let of =
                    |(document, provides): (&meshwise_api::Document, &meshwise_api::Provides)| {
                        let service = &document.declaration().service;
                        Changelog::new(service, provides, self.dictionary, self.today)
                    };
                (api.to_owned(), providers.map(of).collect())
            })
            .collect();
        let mut files = vec![home::page(self, &map, &changelogs), graph::page(self, &map)];
        for (api, changelogs) in &changelogs {
            files.push(api::page(self, &map, api, changelogs));
            for changelog in changelogs {
                for entry in changelog.entries() {
                    let shown = self.shown(&changelog.provider, api, &entry.version);
                    files.extend(api::version(self, &map, changelog, entry, &shown));
                }
            }
        }
        for document in self.dictionary.services() {
            files.push(service::page(self, &map, document));
        }
        files
    }

    fn shown(&self, provider: &str, api: &str, version: &str) -> Shown {
        let document = self.dictionary.newest(provider);
        let Some(contract) = document.and_then(|document| document.contract(api, version)) else {
            return Shown::None;
        };
        match contract::read(self.store, contract) {
            Err(error) => Shown::Unreadable(error.to_string()),
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let description = Description::read(&contract.file, &text).ok();
                Shown::Read { file: contract.file.clone(), text, description }
            }
        }
    }

    /// Writes all pages into a folder, which is made if need be, and removes those of the last run that
    /// are no longer among them. Other files stay as they are.
    ///
    /// # Errors
    /// If the folder holds other things and no site, or cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<Value> {
        fs::create_dir_all(folder)?;
        let before = last_run(folder)?;
        let files = self.files();
        let mut names = BTreeSet::new();
        for (place, text) in &files {
            let file = place.file(folder);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&file, text)?;
            names.insert(place.name());
        }
        let gone = before.difference(&names).filter(|name| PagePath::is_name(name));
        let removed = gone.filter(|name| fs::remove_file(folder.join(name)).is_ok()).count();
        fs::create_dir_all(folder.join("_"))?;
        let list = json!({ "schema": 1, "files": names });
        fs::write(folder.join(LIST), format!("{list:#}\n"))?;
        Ok(
            json!({ "pages": files.len(), "removed": removed, "place": folder.display().to_string() }),
        )
    }
}

/// Reads which files the last run wrote; a folder with anything else in it is no site.
fn last_run(folder: &Path) -> io::Result<BTreeSet<String>> {
    match fs::read(folder.join(LIST)) {
        Ok(bytes) => {
            let list: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let names = list["files"].as_array().into_iter().flatten().filter_map(Value::as_str);
            Ok(names.map(str::to_owned).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut others = fs::read_dir(folder)?.filter_map(Result::ok);
            let dotted =
                |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
            match others.find(|entry| !dotted(entry)) {
                None => Ok(BTreeSet::new()),
                Some(other) => Err(io::Error::other(format!(
                    "{} holds {} and was not made by this command; name an empty folder",
                    folder.display(),
                    other.file_name().to_string_lossy()
                ))),
            }
        }
        Err(error) => Err(error),
    }
}
