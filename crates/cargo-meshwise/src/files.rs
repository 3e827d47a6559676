//! Files that others may read or write at the same time.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

/// Writes a file whole or not at all, also when other processes write it.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
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
