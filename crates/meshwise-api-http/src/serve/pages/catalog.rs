//! The catalogue of APIs (RFC 9727), as a linkset (RFC 9264, section 4.2).

use super::url::encode;
use crate::{
    runtime::routes::{ApiRoutes, PathForm, main_of},
    serve::notice::is_url,
};
use meshwise_api::{Date, Declared, names};
use serde_json::{Value, json};

/// Lists each API under its page, with where its description is found and its versions are served.
pub(super) fn linkset(declared: &Declared, routes: &ApiRoutes, base: &str, today: Date) -> Value {
    let page = |path: &str| format!("{base}{}{path}", names::PATH_APIS);
    let mut entries = vec![json!({
        "anchor": format!("{base}{}", names::PATH_API_CATALOG),
        "item": declared
            .provides
            .iter()
            .map(|api| json!({ "href": page(&format!("/{}", encode(api.api))) }))
            .collect::<Vec<_>>(),
    })];
    for api in declared.provides {
        let at = format!("/{}", encode(api.api));
        let mut entry = json!({
            "anchor": page(&at),
            // What people read, and what machines read (RFC 8631).
            "service-doc": [{ "href": page(&format!("{at}?format=html")), "type": "text/html" }],
            "service-meta": [{ "href": page(&at), "type": "application/json" }],
        });
        if let Some(url) = api.description.filter(|url| is_url(url)) {
            let href = if url.starts_with('/') { format!("{base}{url}") } else { url.to_owned() };
            entry["service-desc"] = json!([{ "href": href }]);
        }
        let live = api.versions.iter().filter(|version| version.state_on(today).is_live());
        let items: Vec<Value> = live
            .map(|version| match endpoint(routes, api.api, version.version) {
                Some(path) => json!({ "href": format!("{base}{path}"), "title": version.version }),
                // It has no address of its own, as a gRPC service has none.
                None => json!({
                    "href": page(&format!("{at}/{}", encode(version.version))),
                    "title": version.version,
                    "type": "application/json",
                }),
            })
            .collect();
        if !items.is_empty() {
            entry["item"] = items.into();
        }
        entries.push(entry);
    }
    json!({ "linkset": entries })
}

/// Finds the shortest path prefix under which a version, or its main version, is served.
///
/// Where only the default rules are known, it is the shortest that they take for one.
fn endpoint<'a>(routes: &'a ApiRoutes, api: &str, version: &str) -> Option<&'a str> {
    let forms = [PathForm::VersionAlone, PathForm::ApiFirst].map(Some);
    [None].into_iter().chain(forms).find_map(|form| {
        routes.shortest_prefix(form, |rule_api, rule_version| {
            let main = rule_version.strip_prefix('v').unwrap_or(rule_version);
            rule_api == api && (rule_version == version || main_of(version) == Some(main))
        })
    })
}
