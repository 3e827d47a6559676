//! Where the answers for machines lead: links by their relations, in the form of HAL's `_links`
//! (draft-kelly-json-hal). Each page is found from `/apis` without knowing how addresses are made.

use super::{html::View, url::encode};
use crate::serve::notice::is_url;
use meshwise_api::{Declared, ProvidedApi, ProvidedVersion, names};
use serde::Serialize;

/// Links by relation; those that are not there are left out.
#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PageLinks {
    #[serde(rename = "self")]
    own: PageLink,
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<PageLink>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    item: Vec<PageLink>,
    /// What people read (RFC 8631).
    #[serde(skip_serializing_if = "Option::is_none")]
    service_doc: Option<PageLink>,
    /// What describes it to machines (RFC 8631).
    #[serde(skip_serializing_if = "Option::is_none")]
    service_desc: Option<PageLink>,
    /// RFC 9727.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_catalog: Option<PageLink>,
    /// RFC 5829.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor_version: Option<PageLink>,
    /// RFC 9745, section 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation: Option<PageLink>,
}

#[derive(Default, Serialize)]
struct PageLink {
    href: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    media: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'static str>,
}

const JSON: &str = "application/json";
const HTML: &str = "text/html";

impl PageLink {
    fn json(href: String, title: Option<&'static str>) -> Self {
        Self { href, media: Some(JSON), title }
    }

    fn html(href: String) -> Self {
        Self { href, media: Some(HTML), title: None }
    }

    /// A place outside of these pages, if the text is one that can be followed.
    fn outside(view: View<'_>, text: Option<&str>) -> Option<Self> {
        let url = text.filter(|url| is_url(url))?;
        let href =
            if url.starts_with('/') { format!("{}{url}", view.base) } else { url.to_owned() };
        Some(Self { href, media: None, title: None })
    }
}

fn page(view: View<'_>, names: &[&str]) -> String {
    let path: String = names.iter().map(|name| format!("/{}", encode(name))).collect();
    format!("{}{}{path}", view.base, names::PATH_APIS)
}

/// Links the page of the whole service.
pub(super) fn service(declared: &Declared, view: View<'_>) -> PageLinks {
    let items = declared.provides.iter();
    PageLinks {
        own: PageLink::json(page(view, &[]), None),
        item: items.map(|it| PageLink::json(page(view, &[it.api]), Some(it.api))).collect(),
        service_doc: Some(PageLink::html(format!("{}?format=html", page(view, &[])))),
        api_catalog: Some(PageLink {
            href: format!("{}{}", view.base, names::PATH_API_CATALOG),
            media: Some("application/linkset+json"),
            title: None,
        }),
        ..PageLinks::default()
    }
}

/// Links an API with all its versions.
pub(super) fn api(api: &ProvidedApi, view: View<'_>) -> PageLinks {
    let items = api.versions.iter().map(|version| version.version);
    PageLinks {
        own: PageLink::json(page(view, &[api.api]), Some(api.api)),
        collection: Some(PageLink::json(page(view, &[]), None)),
        item: items.map(|it| PageLink::json(page(view, &[api.api, it]), Some(it))).collect(),
        service_doc: Some(PageLink::html(format!("{}?format=html", page(view, &[api.api])))),
        service_desc: PageLink::outside(view, api.description),
        ..PageLinks::default()
    }
}

/// Links a version with what takes its place.
pub(super) fn version(api: &ProvidedApi, version: &ProvidedVersion, view: View<'_>) -> PageLinks {
    // What another service provides has no page here.
    let successor = version.successor.and_then(|text| view.declared.successor(api.api, text));
    let successor = successor.map(|(api, next)| page(view, &[api.api, next.version]));
    PageLinks {
        own: PageLink::json(page(view, &[api.api, version.version]), Some(version.version)),
        collection: Some(PageLink::json(page(view, &[api.api]), Some(api.api))),
        successor_version: successor.map(|href| PageLink::json(href, version.successor)),
        deprecation: PageLink::outside(view, version.migration),
        ..PageLinks::default()
    }
}
