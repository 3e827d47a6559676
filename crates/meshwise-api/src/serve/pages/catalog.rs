//! The catalogue of APIs (RFC 9727), as a linkset (RFC 9264, section 4.2).

use super::url::encode;
use crate::{Date, Declared, names, serve::notice::is_url};
use serde_json::{Value, json};

/// Lists each API under its own address, with where its description and its versions are found.
pub(super) fn linkset(declared: &Declared, base: &str, today: Date) -> Value {
    let page = |path: String| format!("{base}{}{path}", names::PATH_APIS);
    let json_link = |href: String| json!([{ "href": href, "type": "application/json" }]);
    let mut entries = vec![json!({
        "anchor": format!("{base}{}", names::PATH_API_CATALOG),
        "item": declared
            .provides
            .iter()
            .map(|api| json!({ "href": page(format!("/{}", encode(api.api))) }))
            .collect::<Vec<_>>(),
    })];
    for api in declared.provides {
        let at = format!("/{}", encode(api.api));
        let mut entry = json!({
            "anchor": page(at.clone()),
            // What people read, what machines read, and where the versions stand (RFC 8631).
            "service-doc": [{ "href": page(format!("{at}?format=html")), "type": "text/html" }],
            "service-meta": json_link(page(at.clone())),
            "status": json_link(page(at.clone())),
        });
        if let Some(url) = api.description.filter(|url| is_url(url)) {
            let href = if url.starts_with('/') { format!("{base}{url}") } else { url.to_owned() };
            entry["service-desc"] = json!([{ "href": href }]);
        }
        let live = api.versions.iter().filter(|version| version.state_on(today).is_live());
        let items: Vec<Value> = live
            .map(|version| {
                let href = page(format!("{at}/{}", encode(version.version)));
                json!({ "href": href, "type": "application/json" })
            })
            .collect();
        if !items.is_empty() {
            entry["item"] = items.into();
        }
        entries.push(entry);
    }
    json!({ "linkset": entries })
}
