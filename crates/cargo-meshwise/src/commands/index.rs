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
/// `Undetermined` when something is damaged: the index then stays as it was. `Usage` for a
/// dictionary that cannot be written.
pub(crate) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let opened = context.open()?;
    if !opened.damage.is_empty() {
        let message = format!(
            "{} was not written, because {} services cannot be read",
            index::FILE,
            opened.damage.len()
        );
        return Err(Failure::message(Exit::Undetermined, message));
    }
    let index =
        reindex::rebuild(&opened.store, &opened.dictionary).map_err(StoreError::into_failure)?;
    let written = opened.store.location().join(index::FILE);
    let documents: u64 = index.services.values().map(|head| head.seq).sum();
    let (services, head) = (index.services.len(), opened.dictionary.head_digest());
    context.out.either(
        &json!({"written": written, "services": services, "documents": documents, "head": head}),
        |out| {
            out.line(format_args!(
                "wrote {written}: {}, {documents} documents, all whole",
                count(services, "service")
            ))
        },
    )?;
    Ok(Exit::Ok)
}
