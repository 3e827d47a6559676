//! Folders of services, made from the fixtures of `meshwise-api`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use meshwise_api::{Declaration, Dictionary, Document, Draft};

/// The day that is today for all fixtures.
pub(crate) const TODAY: &str = "2026-11-21";

/// Where the fixtures of the findings are.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../meshwise-api/fixtures")
}

/// Lists the fixtures by id.
pub(crate) fn ids() -> Vec<String> {
    let entries = fs::read_dir(fixtures()).expect("fixtures").map(|entry| entry.expect("readable"));
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut ids: Vec<_> =
        folders.map(|entry| entry.file_name().into_string().expect("ASCII")).collect();
    ids.sort();
    ids
}

/// Puts a fixture's files into a package in place of another's. Returns the dictionary's folder, if
/// the fixture has one.
pub(crate) fn place(id: &str, case: &str, package: &Path) -> Option<PathBuf> {
    let fixture = fixtures().join(id).join(case);
    for name in ["api.toml", "api.lock"] {
        match fs::read(fixture.join(name)) {
            Ok(bytes) => fs::write(package.join(name), bytes).expect("written"),
            Err(_) => {
                let _ = fs::remove_file(package.join(name));
            }
        }
    }
    let published = fixture.join("published");
    if !published.exists() {
        return None;
    }
    let folder = package.join(format!("dictionary-{id}-{case}"));
    publish(&published, &folder);
    Some(folder)
}

/// Seals what a fixture's services published, and writes the documents as a dictionary has them.
fn publish(published: &Path, folder: &Path) {
    let mut files: Vec<_> = fs::read_dir(published)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    let mut dictionary = Dictionary::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("readable");
        let at = text.lines().next().and_then(|line| line.strip_prefix("# published "));
        let at = at.expect("when it was published").parse().expect("a moment");
        let declaration =
            Declaration::parse("published", &text).unwrap_or_else(|error| panic!("{error}"));
        let parent = dictionary.newest(&declaration.service.name);
        let document = Draft::new(declaration, at, "ci").seal(parent).expect("sealed");
        write(folder, &document);
        dictionary.insert(document).expect("the next");
    }
}

/// Writes a document where it belongs.
pub(crate) fn write(folder: &Path, document: &Document) {
    let path = folder.join(document.path());
    fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    fs::write(path, document.to_json()).expect("written");
}
