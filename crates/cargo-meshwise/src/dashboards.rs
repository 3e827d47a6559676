//! `cargo meshwise dashboards`: Grafana's pages of what meshwise counts, as files.
//!
//! They are written with the rows of `meshwise_core::internal::catalogue`, which the crates that count
//! describe their metrics with.

mod grafana;
mod guards;
mod messages;
mod overview;
mod peers;
mod runtime;
mod service;
mod versions;

use std::path::Path;

use grafana::Dashboard;

use crate::files;

/// Writes one JSON file for each page, and lists them.
///
/// # Errors
/// When a file cannot be written there.
pub(crate) fn write(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut written = Vec::new();
    for page in pages() {
        let file = folder.join(format!("{}.json", page.name));
        files::replace(&file, format!("{:#}\n", page.json()).as_bytes())?;
        written.push(file.display().to_string());
    }
    Ok(written)
}

fn pages() -> [Dashboard; 7] {
    [
        overview::page(),
        service::page(),
        peers::page(),
        guards::page(),
        versions::page(),
        messages::page(),
        runtime::page(),
    ]
}

#[cfg(test)]
mod tests;
