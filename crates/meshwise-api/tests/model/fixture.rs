//! Reads the fixtures under `fixtures/`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use meshwise_api::{Check, Date, Declaration, Diagnostic, Dictionary, Document, Draft, Lock};

/// The day that is today for all fixtures.
pub(crate) fn today() -> Date {
    Date::new(2026, 11, 21).expect("a day")
}

pub(crate) fn folder(id: &str, case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(id).join(case)
}

/// Judges a fixture as the build script and the command do: what cannot be read is all there is.
pub(crate) fn judge(folder: &Path, ci: bool) -> Vec<Diagnostic> {
    let declaration =
        match Declaration::from_bytes("api.toml", &read(folder, "api.toml").expect("api.toml")) {
            Ok(declaration) => declaration,
            Err(errors) => return errors.into_vec(),
        };
    let lock = match read(folder, "api.lock")
        .map(|bytes| Lock::from_bytes("api.lock", &bytes))
        .transpose()
    {
        Ok(lock) => lock,
        Err(errors) => return errors.into_vec(),
    };
    let dictionary = published(folder);
    Check::new(&declaration, today())
        .with_lock(lock.as_ref())
        .with_dictionary(dictionary.as_ref())
        .in_ci(ci)
        .run()
        .diagnostics
}

fn read(folder: &Path, name: &str) -> Option<Vec<u8>> {
    fs::read(folder.join(name)).ok()
}

/// Seals what the fixture's services published.
fn published(folder: &Path) -> Option<Dictionary> {
    let mut files: Vec<_> = fs::read_dir(folder.join("published"))
        .ok()?
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    let mut dictionary = Dictionary::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("readable");
        let at = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# published "))
            .expect("when it was published");
        let declaration =
            Declaration::parse("published", &text).unwrap_or_else(|error| panic!("{error}"));
        let parent: Option<&Document> = dictionary.newest(&declaration.service.name);
        let document = Draft::new(declaration, at.parse().expect("a moment"), "ci")
            .seal(parent)
            .expect("sealed");
        dictionary.insert(document).expect("the next");
    }
    Some(dictionary)
}
