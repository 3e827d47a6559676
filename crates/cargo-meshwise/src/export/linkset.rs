//! An API catalog: RFC 9727, in the linkset format of RFC 9264 (`application/linkset+json`).

use meshwise_api::{Date, Declaration, Provides, Release};
use serde_json::{Map, Value, json};
use url::Url;

/// Writes the catalog of all provided versions. `base` is the URL under which people find
/// `<api>/<version>`: the linkset needs an absolute URL for each version.
///
/// The catalog's `item` links name every version, with its state and dates as extension attributes
/// (RFC 9264 section 4.2.4.3); each version's own context has the relations `service-desc`
/// (RFC 8631), `successor-version` (RFC 5829) and `deprecation` (RFC 9745).
#[must_use]
pub(crate) fn linkset(declarations: &[&Declaration], base: &Url, today: Date) -> Value {
    let mut items = Vec::new();
    let mut contexts = Vec::new();
    for declaration in declarations {
        for provides in &declaration.provides {
            for release in &provides.versions {
                let href = address(base, &provides.api, release.version.as_str());
                items.push(item(declaration, provides, release, &href, today));
                contexts.extend(context(base, provides, release, &href));
            }
        }
    }
    let mut linkset = vec![json!({"anchor": base.as_str(), "item": items})];
    linkset.append(&mut contexts);
    json!({ "linkset": linkset })
}

fn item(
    declaration: &Declaration,
    provides: &Provides,
    release: &Release,
    href: &str,
    today: Date,
) -> Value {
    let mut item = Map::new();
    item.insert("href".into(), href.into());
    item.insert("title".into(), format!("{} {}", provides.api, release.version).into());
    let mut extension = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            item.insert(name.into(), json!([value]));
        }
    };
    extension("provider", Some(declaration.service.name.clone()));
    extension("owner", declaration.service.owner.clone());
    extension("state", Some(release.state(today).to_string()));
    extension("released", release.released.map(|date| date.to_string()));
    extension("deprecated", release.deprecated.map(|date| date.to_string()));
    extension("sunset", release.sunset.map(|date| date.to_string()));
    item.into()
}

/// Writes what is linked from a version, if anything is.
fn context(base: &Url, provides: &Provides, release: &Release, href: &str) -> Option<Value> {
    let mut context = Map::new();
    let mut link = |relation: &str, target: Option<String>| {
        if let Some(target) = target {
            context.insert(relation.into(), json!([{ "href": target }]));
        }
    };
    // A path is a path in the provider's repository: only it knows what that leads to.
    let web = |text: &Option<String>| {
        text.as_ref()
            .and_then(|text| Url::parse(text).ok())
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .map(String::from)
    };
    link("service-desc", web(&provides.description));
    link("deprecation", web(&release.migration));
    link(
        "successor-version",
        release.successor.as_ref().map(|successor| {
            let (api, version) = successor.split_once('@').unwrap_or((&provides.api, successor));
            address(base, api, version)
        }),
    );
    if context.is_empty() {
        return None;
    }
    context.insert("anchor".into(), href.into());
    Some(context.into())
}

/// Writes the address of a version; each part is one segment of the path.
fn address(base: &Url, api: &str, version: &str) -> String {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend([api, version]);
    }
    url.into()
}
