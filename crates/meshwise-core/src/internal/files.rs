//! Files that settings name: none of them holds up the start of a service.

use std::{
    fs::{self, File, FileType},
    io::{self, Read as _},
    path::Path,
};

/// The longest file of certificates: those of all systems are some 200 KiB.
pub const PEM_LIMIT: u64 = 16 << 20;

/// Reads a file, of at most `limit` bytes.
///
/// # Errors
/// If it cannot be read, is longer, or is no regular file: to open a pipe waits for who writes to it, and
/// a device may never end.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Asked before it is opened: a device may do something then.
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() {
        return Err(io::Error::other(format!("it is {}, and no regular file", described(kind))));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it is longer than {} KiB", limit >> 10)));
    }
    Ok(bytes)
}

/// Tells whether a regular file or a directory can be opened.
///
/// # Errors
/// If it cannot, or is neither of these.
pub fn check(path: &Path) -> io::Result<()> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return fs::read_dir(path).map(drop);
    }
    if kind.is_file() {
        return File::open(path).map(drop);
    }
    Err(io::Error::other(format!("it is {}, and neither file nor directory", described(kind))))
}

fn described(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_dir() { "a directory" } else { "of another kind" }
}
