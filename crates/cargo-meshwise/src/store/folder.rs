//! Reading a folder's files directly.
//!
//! Through `object_store` each file costs two trips to another thread, which is most of the time
//! that ten thousand small files take. Writing stays there: it knows how to create atomically.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read as _},
    num::NonZero,
    path::Path,
    thread,
};

use bytes::Bytes;

use super::{
    error::StoreError,
    key::Key,
    listing::{Listing, MAX_BYTES, MAX_STRAYS, Sequence},
};

/// Reads a file; `None` when there is none.
pub(super) fn read(file: &Path) -> Result<Option<Bytes>, StoreError> {
    let shown = || file.display().to_string();
    let unavailable = |error: io::Error| StoreError::unavailable(shown(), error);
    // Before it is opened: opening a pipe would wait for another process to write into it.
    match file.metadata() {
        Ok(metadata) if !metadata.is_file() => {
            return Err(StoreError::Damaged(format!("{} is no file; remove it", shown())));
        }
        // A huge file is refused before it is read.
        Ok(metadata) if metadata.len() > MAX_BYTES as u64 => {
            return Err(StoreError::TooLarge(shown()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable(error)),
    }
    let mut bytes = Vec::new();
    let open = File::open(file).map_err(unavailable)?;
    open.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unavailable)?;
    if bytes.len() > MAX_BYTES {
        return Err(StoreError::TooLarge(shown()));
    }
    Ok(Some(bytes.into()))
}

/// Lists all services of a dictionary in a folder.
pub(super) fn list(folder: &Path) -> Result<Listing, StoreError> {
    let services = folder.join("services");
    let unavailable =
        |error: io::Error| StoreError::unavailable(services.display().to_string(), error);
    let mut listing = Listing::default();
    let entries = match fs::read_dir(&services) {
        Ok(entries) => entries,
        // No one published yet.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(listing),
        Err(error) => return Err(unavailable(error)),
    };
    let mut stray = |path: &Path| {
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && listing.strays.len() < MAX_STRAYS {
            listing.strays.push(path.display().to_string());
        }
    };
    for entry in entries {
        let service = entry.map_err(unavailable)?.path();
        let Ok(documents) = fs::read_dir(&service) else {
            stray(&service);
            continue;
        };
        let name = service.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut seqs = Vec::new();
        for document in documents {
            let document = document.map_err(unavailable)?.path();
            let file = document.file_name().and_then(|file| file.to_str()).unwrap_or_default();
            match Key::parse(&format!("services/{name}/{file}")) {
                Some(key) => seqs.push(key.seq()),
                None => stray(&document),
            }
        }
        if !seqs.is_empty() {
            listing.services.insert(name.to_owned(), Sequence::of(seqs));
        }
    }
    listing.strays.sort();
    Ok(listing)
}

/// Calls a function for each item, on all processors, and returns the results in order.
pub(super) fn in_parallel<I: Sync, T: Send>(items: &[I], work: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    // A few items are done sooner than a thread is started.
    if workers == 1 || items.len() < 64 {
        return items.iter().map(work).collect();
    }
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = items
            .chunks(items.len().div_ceil(workers))
            .map(|chunk| scope.spawn(move || chunk.iter().map(work).collect::<Vec<T>>()))
            .collect();
        let mut results = Vec::with_capacity(items.len());
        for thread in threads {
            match thread.join() {
                Ok(mut part) => results.append(&mut part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for count in [0, 1, 63, 64, 65, 1000] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(
                in_parallel(&items, |item| item * 2),
                items.iter().map(|item| item * 2).collect::<Vec<_>>()
            );
        }
    }
}
