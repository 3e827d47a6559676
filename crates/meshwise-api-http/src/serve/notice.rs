//! What callers of a version are told about its end.

use super::error::{ApiConfigError, unknown_api, unknown_version};
use crate::{
    headers::{DEPRECATION, Deprecation, Link, SUNSET, Sunset},
    serve::pages::encode,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use meshwise_api::{Declared, ProvidedVersion, names};

/// Holds the headers and the refusal of one version, ready to be sent.
#[derive(Debug, Default)]
pub(super) struct Notice {
    /// Each with its moment, in seconds since 1970.
    deprecation: Option<(i64, HeaderValue)>,
    sunset: Option<(i64, HeaderValue)>,
    links: Vec<(String, HeaderValue)>,
    /// Why a call past the sunset is refused, as problem+json (RFC 9457).
    pub(super) problem: Bytes,
    /// The same as a gRPC message.
    pub(super) message: Option<HeaderValue>,
}

impl Notice {
    /// Adds what the handler has not said itself. Of two ends the earlier counts: a handler may end one
    /// resource sooner, and one that hands a peer's answer on tells of the peer's end, which is not ours.
    ///
    /// `successor` leads where this caller finds it, if that is known better than for all.
    pub(super) fn add_to(&self, headers: &mut HeaderMap, successor: Option<&HeaderValue>) {
        let links = self.links.iter().map(|(rel, link)| (&**rel, link));
        let links =
            links.filter(|(rel, _)| successor.is_none() || *rel != names::REL_SUCCESSOR_VERSION);
        let better = successor.map(|link| (names::REL_SUCCESSOR_VERSION, link));
        // A relation stands only once among our own, so whatever is found is the handler's.
        for (rel, link) in better.into_iter().chain(links) {
            if Link::find(headers, rel).is_none() {
                headers.append(http::header::LINK, link.clone());
            }
        }
        if let Some((at, value)) = &self.deprecation {
            let said = || Deprecation::read(headers, *at)?.seconds();
            if is_later(headers, &DEPRECATION, said(), *at) {
                headers.insert(DEPRECATION.clone(), value.clone());
            }
        }
        if let Some((at, value)) = &self.sunset {
            let said = Sunset::read(headers, *at).map(|Sunset(said)| said);
            if is_later(headers, &SUNSET, said, *at) {
                headers.insert(SUNSET.clone(), value.clone());
            }
        }
    }
}

/// Tells whether a header is missing, or names a later moment.
fn is_later(headers: &HeaderMap, name: &HeaderName, said: Option<i64>, at: i64) -> bool {
    said.map_or_else(|| !headers.contains_key(name), |said| said > at)
}

/// Says where links lead.
#[derive(Clone, Debug)]
pub(super) struct NoticeLinks {
    /// Where the pages about APIs are; none if those who call here do not reach them.
    pub(super) pages: Option<String>,
    /// Whether to link to what people should read.
    pub(super) documentation: bool,
    /// Links of the user's own: API, version, relation, target.
    pub(super) own: Vec<(String, String, String, String)>,
}

impl Default for NoticeLinks {
    fn default() -> Self {
        Self { pages: Some(names::PATH_APIS.to_owned()), documentation: false, own: Vec::new() }
    }
}

impl NoticeLinks {
    /// Tells whether each of the user's links can be written, and is about a declared version.
    pub(super) fn check(&self, declared: &Declared) -> Result<(), ApiConfigError> {
        for (api, version, rel, target) in &self.own {
            let provided = declared.provided(api).ok_or_else(|| unknown_api(declared, api))?;
            if provided.version(version).is_none() {
                return Err(unknown_version(declared, api, version));
            }
            let wrong = || ApiConfigError::Link { target: target.clone(), rel: rel.clone() };
            Link::header(target, rel).ok_or_else(wrong)?;
        }
        let pages = self.pages.as_deref().unwrap_or_default();
        Link::header(pages, names::REL_DEPRECATION).map(drop).ok_or_else(|| ApiConfigError::Link {
            target: pages.to_owned(),
            rel: names::REL_DEPRECATION.to_owned(),
        })
    }

    /// Tells whether the user has said where a relation of a version leads.
    pub(super) fn has_own(&self, api: &str, version: &str, rel: &str) -> bool {
        self.own.iter().any(|own| (&*own.0, &*own.1, &*own.2) == (api, version, rel))
    }

    /// Puts together what callers of a version are told. `next` is its successor among what is provided
    /// here, and `prefix` the path under which that is served.
    pub(super) fn notice(
        &self,
        api: &'static str,
        version: &'static ProvidedVersion,
        next: Option<(&str, &str)>,
        prefix: Option<&str>,
    ) -> Notice {
        let mut links = Vec::new();
        let mut link = |rel: &str, target: Option<String>| {
            let own = self
                .own
                .iter()
                .find(|own| (&*own.0, &*own.1, &*own.2) == (api, version.version, rel));
            let target = own.map(|own| own.3.clone()).or(target);
            if let Some(header) = target.and_then(|target| Link::header(&target, rel)) {
                links.push((rel.to_owned(), header));
            }
        };
        let page = |api: &str, version: &str| {
            Some(format!("{}/{}/{}", self.pages.as_ref()?, encode(api), encode(version)))
        };
        let successor = prefix.map(str::to_owned);
        let successor = successor.or_else(|| next.and_then(|(api, next)| page(api, next)));
        link(names::REL_SUCCESSOR_VERSION, successor);
        let read = self.documentation.then(|| match version.migration {
            Some(url) if is_url(url) => Some(url.to_owned()),
            _ => Some(page(api, version.version)? + "?format=html"),
        });
        let read = read.flatten();
        link(names::REL_DEPRECATION, read.clone());
        link(names::REL_SUNSET, read.filter(|_| version.sunset.is_some()));
        for (own_api, own_version, rel, target) in &self.own {
            let known = [names::REL_SUCCESSOR_VERSION, names::REL_DEPRECATION, names::REL_SUNSET];
            if own_api == api && own_version == version.version && !known.contains(&&**rel) {
                links.extend(Link::header(target, rel).map(|header| (rel.clone(), header)));
            }
        }
        // A version that ends is deprecated by then at the latest (RFC 9745, section 4).
        let deprecated = version.deprecated.or(version.sunset);
        let detail = detail(api, version);
        Notice {
            deprecation: deprecated
                .and_then(|day| Some((day.to_unix_seconds(), Deprecation::on(day).to_header()?))),
            sunset: version
                .sunset
                .and_then(|day| Some((day.to_unix_seconds(), Sunset::on(day).to_header()?))),
            links,
            problem: problem(api, version, &detail),
            message: HeaderValue::try_from(grpc_message(&detail)).ok(),
        }
    }
}

/// Tells whether a text can be followed by a reader who does not have the repository.
pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://") || text.starts_with('/')
}

fn detail(api: &str, version: &ProvidedVersion) -> String {
    let mut text = format!("version {} of {api} is retired", version.version);
    if let Some(day) = version.sunset {
        text += &format!(" since {day}");
    }
    if let Some(next) = version.successor {
        text += &format!("; use {next}");
    }
    text
}

fn problem(api: &str, version: &ProvidedVersion, detail: &str) -> Bytes {
    let mut problem = serde_json::json!({
        "type": "about:blank",
        "title": "Gone",
        "status": 410,
        "detail": detail,
        "api": api,
        "version": version.version,
    });
    for (key, value) in [
        ("deprecated", version.deprecated.map(|day| day.to_string())),
        ("sunset", version.sunset.map(|day| day.to_string())),
        ("successor", version.successor.map(str::to_owned)),
        ("migration", version.migration.filter(|url| is_url(url)).map(str::to_owned)),
    ] {
        if let Some(value) = value {
            problem[key] = value.into();
        }
    }
    problem.to_string().into()
}

/// Encodes a `grpc-message`: all but visible ASCII and space, and the percent sign itself.
fn grpc_message(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_wire() {
        assert_eq!(grpc_message("50% of ä\n"), "50%25 of %C3%A4%0A");
    }
}
