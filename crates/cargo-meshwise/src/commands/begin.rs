//! `cargo meshwise begin`.

use std::fs;

use meshwise_api::Digest;
use serde_json::json;

use super::Context;
use crate::{
    exit::{Exit, Failure, OrExit as _},
    store::{Location, MARKER, StoreError},
};

/// Begins a dictionary in a folder: writes the file that says so.
///
/// # Errors
/// `Usage` when no folder is named, or there is a dictionary already.
pub(crate) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let Some(text) = &context.global.dictionary else {
        return Err(Failure::message(Exit::Usage, "say where, with --dictionary"));
    };
    let location = Location::parse(text).map_err(StoreError::into_failure)?;
    let Some(folder) = location.folder() else {
        return Err(Failure::message(
            Exit::Usage,
            "a dictionary begins in a folder; serve or copy it",
        ));
    };
    let marker = folder.join(MARKER);
    if marker.exists() {
        let message = format!("{} is there already", marker.display());
        return Err(Failure::message(Exit::Usage, message));
    }
    // An id tells two dictionaries apart that are named alike.
    let seed = format!("{} {}", meshwise_core::internal::random::u128(), context.clock()?);
    let id = Digest::of(seed.as_bytes()).to_string();
    let id = id.trim_start_matches("sha256:").get(..32).unwrap_or_default();
    let text = format!(
        "# A dictionary of meshwise; see `cargo meshwise help`.\nformat = 1\nid = \"{id}\"\n"
    );
    fs::create_dir_all(folder).and_then(|()| fs::write(&marker, text)).or_exit(Exit::Usage)?;
    let shown = folder.display().to_string();
    context.out.either(&json!({"dictionary": shown, "id": id}), |out| {
        out.line(format_args!("began a dictionary in {shown}"))
    })?;
    Ok(Exit::Ok)
}
