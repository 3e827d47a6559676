//! `cargo meshwise index`.

use serde_json::json;

use super::Context;
use crate::{
    exit::{Exit, Failure},
    output::count,
    reindex,
    store::{StoreError, index},
};

/// Reads and proves every document, and writes the index from them.
///
/// # Errors
/// `Usage` for a dictionary that cannot be written. Where something cannot be read the index is written
/// all the same, for those who do not need it, and the exit code is `Undetermined`.
pub(crate) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let opened = context.open()?;
    let index = reindex::rebuild(&opened.store, &opened.dictionary, &opened.newest)
        .map_err(StoreError::into_failure)?;
    let written = opened.store.location().join(index::FILE);
    let documents: u64 = index.services.values().map(|head| head.seq).sum();
    let (services, head) = (index.services.len(), opened.dictionary.head_digest());
    let value = json!({
        "written": written,
        "services": services,
        "documents": documents,
        "head": head,
        "unread": opened.unread,
    });
    context.answer(&opened, Exit::Ok, &value, |out| {
        let services = count(services, "service");
        match opened.unread.as_slice() {
            [] => out.line(format_args!(
                "wrote {written}: {services}, {documents} documents, all whole"
            )),
            unread => out.line(format_args!(
                "wrote {written}: {services}, {documents} documents, but for {}",
                unread.join(", ")
            )),
        }
    })
}
