//! URLs as spans say them, without secrets.

use http::{
    Uri,
    uri::{Authority, PathAndQuery},
};
use meshwise_core::Redaction;
use std::borrow::Cow;

/// Replaces the values of secret query parameters by `REDACTED`, as the `url.query` convention
/// asks, after the default [`Redaction`]; borrows when there is nothing to hide.
///
/// What a mesh's own redaction hides besides goes when its spans are exported.
///
/// ```
/// use meshwise_http::redact_query;
/// assert_eq!(redact_query("page=2&token=abc"), "page=2&token=REDACTED");
/// assert_eq!(redact_query("page=2"), "page=2");
/// ```
#[must_use]
pub fn redact_query(query: &str) -> Cow<'_, str> {
    Redaction::standard().query(query)
}

/// Writes a URL with credentials and secret query parameters replaced by `REDACTED`, as the
/// `url.full` convention asks, after the default [`Redaction`].
///
/// ```
/// use meshwise_http::redact_url;
/// let url = "http://me:pw@auth:80/check?sig=1&a=b".parse()?;
/// assert_eq!(redact_url(&url), "http://REDACTED:REDACTED@auth:80/check?sig=REDACTED&a=b");
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[must_use]
pub fn redact_url(url: &Uri) -> String {
    // Just as long: what keeps it need not copy it.
    let length = |text: Option<&str>, more| text.map_or(0, |text| text.len() + more);
    let authority = url.authority().map(Authority::as_str);
    let length = length(url.scheme_str(), "://".len())
        + length(authority, 0)
        + url.path().len()
        + length(url.query(), "?".len());
    let mut out = String::with_capacity(length);
    if let Some(scheme) = url.scheme_str() {
        out.push_str(scheme);
        out.push_str("://");
    }
    out.push_str(authority.unwrap_or_default());
    out.push_str(url.path());
    if let Some(query) = url.query() {
        out.push('?');
        out.push_str(query);
    }
    let redaction = Redaction::standard();
    let user = authority.is_some_and(|authority| authority.as_bytes().contains(&b'@'));
    if !user && url.query().is_none() && !redaction.finds(url.path()) {
        return out; // Most have nothing in which a secret could be.
    }
    match redaction.url(&out) {
        Cow::Owned(clean) => clean,
        Cow::Borrowed(_) => out,
    }
}

/// Appends what [`redact_url`] writes of a URL whose scheme and authority are `origin`, in which there is no
/// secret.
pub(crate) fn write_url(out: &mut String, origin: Option<&str>, url: &Uri) {
    let path = url.path_and_query().map_or("", PathAndQuery::as_str);
    match origin.filter(|_| url.scheme().is_some() && url.query().is_none()) {
        Some(origin) if !Redaction::standard().finds(path) => {
            out.push_str(origin);
            out.push_str(path);
        }
        _ => out.push_str(&redact_url(url)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_a_known_origin_is_what_it_is_without_knowing_it() {
        for (url, origin) in [
            ("http://auth:80/check", Some("http://auth:80")),
            ("http://auth:80/check?token=abc", Some("http://auth:80")),
            ("http://auth/token=abc", Some("http://auth")),
            ("https://auth", Some("https://auth")),
            ("http://me:pw@auth/check", None),
            ("/check", None),
            ("auth:80", Some("http://auth:80")),
        ] {
            let url: Uri = url.parse().unwrap();
            let mut written = "url=".to_owned();
            write_url(&mut written, origin, &url);
            assert_eq!(written, format!("url={}", redact_url(&url)));
        }
    }

    #[test]
    fn secrets_go_whatever_their_case_or_place() {
        for (query, expected) in [
            ("TOKEN=x", "TOKEN=REDACTED"),
            ("a=1&X-Amz-Signature=x&b", "a=1&X-Amz-Signature=REDACTED&b"),
            ("token=a=b", "token=REDACTED"),
            ("token=", "token="),
            ("token", "token"),
            ("tokens=5", "tokens=5"),
            ("", ""),
            ("X-Amz-Security-Token=a", "X-Amz-Security-Token=REDACTED"),
            ("api_token=a&auth_token=a", "api_token=REDACTED&auth_token=REDACTED"),
            ("access-token=a&jwt=a&pwd=a", "access-token=REDACTED&jwt=REDACTED&pwd=REDACTED"),
            (
                "client_assertion=a&code_verifier=a",
                "client_assertion=REDACTED&code_verifier=REDACTED",
            ),
            ("to%6ben=a&s%69g=a", "to%6ben=REDACTED&s%69g=REDACTED"),
            (
                "sig=a&Signature=a&key=a&code=a",
                "sig=REDACTED&Signature=REDACTED&key=REDACTED&code=REDACTED",
            ),
            (
                "AWSAccessKeyId=a&X-Goog-Signature=a",
                "AWSAccessKeyId=REDACTED&X-Goog-Signature=REDACTED",
            ),
            ("token=REDACTED", "token=REDACTED"),
            ("pan=4111111111111111", "pan=REDACTED"),
        ] {
            assert_eq!(redact_query(query), expected);
        }
    }

    #[test]
    fn a_clean_query_is_borrowed() {
        assert!(matches!(redact_query("a=1&b=2"), Cow::Borrowed(_)));
    }

    #[test]
    fn user_alone_is_a_credential_too() {
        assert_eq!(redact_url(&"http://me@host/".parse().unwrap()), "http://REDACTED@host/");
        assert_eq!(redact_url(&"/path?x=1".parse().unwrap()), "/path?x=1");
        let asked = "https://host/reset?a=http://u:p@h/&token=x".parse().unwrap();
        let wanted = "https://host/reset?a=http://REDACTED:REDACTED@h/&token=REDACTED";
        assert_eq!(redact_url(&asked), wanted);
    }
}
