//! Files that others may read or write at the same time.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

/// Writes a file whole or not at all, also when other processes write it. The error names it.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    staged(file, bytes).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot write {}: {error}", file.display()))
    })
}

fn staged(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let staged = file.with_extension(format!("{:x}.part", meshwise_core::internal::random::u64()));
    let written = fs::File::create_new(&staged)
        .and_then(|mut staged| staged.write_all(bytes))
        .and_then(|()| fs::rename(&staged, file));
    if written.is_err() {
        let _ = fs::remove_file(&staged);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        replace(&file, b"text").expect("written");
        let below = file.join("pages/index.json");
        let error = replace(&below, b"text").expect_err("a file is no folder").to_string();
        assert!(error.contains(&below.display().to_string()), "{error}");
    }
}
