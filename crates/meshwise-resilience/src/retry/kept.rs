//! A request's head, kept for another attempt.

use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    uri::{self, Authority, PathAndQuery, Scheme},
};
use meshwise_core::Attempt;

/// Keeps a request's head in fewer bytes than itself has, for it moves with the call.
pub(super) struct KeptHead {
    method: Method,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    path: Option<KeptPath>,
    version: Version,
    /// In one piece: a copy of the map would be three.
    headers: Option<Box<[(HeaderName, HeaderValue)]>>,
    pub(super) extensions: Extensions,
}

/// A path and query.
enum KeptPath {
    /// Copied: a second reference to bytes that had one so far costs an allocation.
    Short {
        length: u8,
        text: [u8; SHORT],
    },
    Shared(PathAndQuery),
}

/// With this length a path takes no more room than the other variant, and its length.
const SHORT: usize = 46;

impl KeptPath {
    #[inline(always)]
    fn of(path: &PathAndQuery) -> Self {
        let bytes = path.as_str().as_bytes();
        let mut text = [0; SHORT];
        match (text.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(bytes);
                Self::Short { length, text }
            }
            _ => Self::Shared(path.clone()),
        }
    }

    fn path(&self) -> Option<PathAndQuery> {
        match self {
            Self::Short { length, text } => text.get(..usize::from(*length))?.try_into().ok(),
            Self::Shared(path) => Some(path.clone()),
        }
    }
}

impl KeptHead {
    #[inline(always)]
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let (uri, headers) = (request.uri(), request.headers());
        Self {
            method: request.method().clone(),
            scheme: uri.scheme().cloned(),
            authority: uri.authority().cloned(),
            path: uri.path_and_query().map(KeptPath::of),
            version: request.version(),
            headers: if headers.is_empty() { None } else { Some(pairs(headers)) },
            extensions: request.extensions().clone(),
        }
    }

    /// Tells whether doing the request twice does no harm: one after the other, or at a time.
    pub(super) fn harmless(&self) -> (bool, bool) {
        // RFC 9110, sections 9.2.1 and 9.2.2. Two PUTs at a time can overtake each other. The
        // header is that of draft-ietf-httpapi-idempotency-key-header.
        let mut headers = self.headers.iter().flatten();
        let repeatable =
            self.method.is_idempotent() || headers.any(|(name, _)| name == "idempotency-key");
        (repeatable, self.method.is_safe())
    }

    /// Returns how many times the request was tried before it came here.
    pub(super) fn tried(&self) -> u32 {
        self.extensions.get().map_or(0, |attempt: &Attempt| attempt.0)
    }

    /// Makes a request of it; `None` cannot be: it was one.
    pub(super) fn request<B>(&self, body: B) -> Option<Request<B>> {
        let mut parts = uri::Parts::default();
        (parts.scheme, parts.authority) = (self.scheme.clone(), self.authority.clone());
        parts.path_and_query = match &self.path {
            Some(path) => Some(path.path()?),
            None => None,
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from_parts(parts).ok()?;
        *request.version_mut() = self.version;
        let headers = request.headers_mut();
        headers.extend(self.headers.iter().flatten().cloned());
        *request.extensions_mut() = self.extensions.clone();
        Some(request)
    }
}

#[inline(never)]
fn pairs(headers: &HeaderMap) -> Box<[(HeaderName, HeaderValue)]> {
    headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_the_request_again() {
        let long = format!("/a/long/path/{}?with=a&query", "x".repeat(60));
        let uris =
            ["/", "/items/7?a=b", "http://stock", "https://stock:8443/a?b", "stock:443", "*"];
        for uri in uris.into_iter().chain([&*long]) {
            let mut request = Request::builder().method("PURGE").uri(uri).version(Version::HTTP_2);
            for (name, value) in [("x-a", "1"), ("x-b", "2"), ("x-a", "3")] {
                request = request.header(name, value);
            }
            let mut request = request.extension(7_u32).body(()).unwrap();
            request.headers_mut().get_mut("x-b").unwrap().set_sensitive(true);
            let again = KeptHead::of(&request).request(()).unwrap();
            assert_eq!(again.uri(), request.uri());
            assert_eq!(again.uri().to_string(), request.uri().to_string());
            assert_eq!(again.method(), request.method());
            assert_eq!(again.version(), request.version());
            assert_eq!(again.headers(), request.headers());
            assert!(again.headers()["x-b"].is_sensitive());
            assert_eq!(again.extensions().get(), Some(&7_u32));
        }
    }
}
