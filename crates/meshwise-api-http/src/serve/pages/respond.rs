//! From a request to a page.

use super::{ApiPages, html, json, url::decode};
use crate::headers::Link;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use meshwise_api::names;
use sha2::{Digest, Sha256};

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const LINKSET: &str =
    "application/linkset+json; profile=\"https://www.rfc-editor.org/info/rfc9727\"";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Html,
}

impl ApiPages {
    /// Answers a request for one of the pages; `None` if its path is none of theirs.
    ///
    /// An API or version that is not there is answered with 404, a method other than GET and HEAD
    /// with 405, a format that is neither `json` nor `html` with 400, and `If-None-Match` with the
    /// page's own tag with 304.
    #[must_use]
    pub fn respond<B>(&self, request: &Request<B>) -> Option<Response<Bytes>> {
        let path = request.uri().path();
        let path = path.strip_suffix('/').filter(|_| path.len() > 1).unwrap_or(path);
        let catalog = path == names::PATH_API_CATALOG;
        let below = path
            .strip_prefix(names::PATH_APIS)
            .filter(|below| below.is_empty() || below.starts_with('/'));
        if !catalog && below.is_none() {
            return None;
        }
        let mut response = match *request.method() {
            Method::GET | Method::HEAD if catalog => self.catalog(),
            Method::GET | Method::HEAD => match format(request) {
                Some(format) => self.page(below.unwrap_or_default(), format),
                None => problem(StatusCode::BAD_REQUEST, "format is one of json and html"),
            },
            _ => {
                let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "use GET or HEAD");
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
                return Some(response);
            }
        };
        if response.status() == StatusCode::OK {
            tag(&mut response, request.headers());
        }
        if *request.method() == Method::HEAD && response.status() != StatusCode::NOT_MODIFIED {
            // The length that GET would have, which no one could tell from the empty body.
            let length = std::mem::take(response.body_mut()).len();
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        Some(response)
    }

    fn page(&self, below: &str, format: Format) -> Response<Bytes> {
        let (declared, today) = (&self.declared, self.clock.today());
        let view = self.view(today);
        let mut segments = below.split('/').skip(1).map(decode);
        let names = (segments.next(), segments.next(), segments.next());
        let found = match names {
            (None, _, _) => Some(match format {
                Format::Json => json::text(&json::service(declared, view)),
                Format::Html => html::service(declared, view),
            }),
            (Some(Some(name)), None, _) => declared.provided(&name).map(|api| match format {
                Format::Json => json::text(&json::api(declared, api, view)),
                Format::Html => html::api(api, view),
            }),
            (Some(Some(name)), Some(Some(version)), None) => {
                let api = declared.provided(&name);
                let found = api.and_then(|api| Some((api, api.version(&version)?)));
                found.map(|(api, version)| match format {
                    Format::Json => json::text(&json::version(api, version, view)),
                    Format::Html => html::version(api, version, view),
                })
            }
            _ => None,
        };
        let Some(text) = found else {
            return problem(StatusCode::NOT_FOUND, "there is no such API or version");
        };
        let mut response = answer(if format == Format::Html { HTML } else { JSON }, text);
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        if format == Format::Html {
            let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    fn catalog(&self) -> Response<Bytes> {
        let mut response = answer(LINKSET, self.to_catalog(self.clock.today()));
        // Asked for by HEAD, the catalogue still says what it is (RFC 9727, section 2).
        let here = format!("{}{}", self.base, names::PATH_API_CATALOG);
        if let Some(link) = Link::header(&here, names::REL_API_CATALOG) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

/// Tells which format is wanted: the query's word before the `Accept` header; `None` if that word
/// is not known.
fn format<B>(request: &Request<B>) -> Option<Format> {
    let query = request.uri().query().unwrap_or_default();
    match query.split('&').find_map(|pair| pair.strip_prefix("format=")) {
        Some("html") => return Some(Format::Html),
        Some("json") => return Some(Format::Json),
        Some(_) => return None,
        None => {}
    }
    // Browsers name text/html; programs that take anything get JSON.
    let lines = request.headers().get_all(header::ACCEPT).iter();
    let kinds = lines.filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(','));
    let mut best = (0.0, Format::Json);
    for (kind, weight) in kinds.map(weighed) {
        let format = match kind {
            kind if kind.eq_ignore_ascii_case("text/html") => Format::Html,
            kind if kind.eq_ignore_ascii_case(JSON) => Format::Json,
            _ => continue,
        };
        // Of two that are wanted alike it is the first.
        if weight > best.0 {
            best = (weight, format);
        }
    }
    Some(best.1)
}

/// Reads a kind and its weight, 1 if there is none (RFC 9110, section 12.4.2).
fn weighed(kind: &str) -> (&str, f32) {
    let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(0.0))
    });
    (kind.trim(), weight.unwrap_or(1.0))
}

/// Tags a page with a digest of its text, and leaves the text out if the asker has it.
fn tag(response: &mut Response<Bytes>, asked: &HeaderMap) {
    let digest = Sha256::digest(response.body());
    let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{digits}\"");
    let has = |value: &HeaderValue| {
        let tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
            .any(|known| known == tag || known == "*")
    };
    if asked.get_all(header::IF_NONE_MATCH).iter().any(has) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Bytes::new();
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

fn answer(content_type: &'static str, text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // States change at midnight: a client that keeps a page asks before using it.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn problem(status: StatusCode, detail: &str) -> Response<Bytes> {
    let text = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
    });
    let mut response = answer("application/problem+json", text.to_string());
    *response.status_mut() = status;
    response
}
