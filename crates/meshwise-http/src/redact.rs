//! Keeping secrets out of recorded URLs.

use http::Uri;
use std::borrow::Cow;

/// Query parameters whose values are never recorded, in lower case: those that OpenTelemetry's
/// URL conventions name, and those that carry credentials by custom.
const SECRET_PARAMETERS: [&str; 19] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "awsaccesskeyid",
    "client_secret",
    "code",
    "id_token",
    "key",
    "password",
    "passwd",
    "refresh_token",
    "secret",
    "sig",
    "signature",
    "token",
    "x-amz-signature",
    "x-goog-signature",
];

const REDACTED: &str = "REDACTED";

/// Replaces the values of secret query parameters by `REDACTED`, as the `url.query` convention
/// asks; borrows when there is nothing to hide.
///
/// ```
/// use meshwise_http::redact_query;
/// assert_eq!(redact_query("page=2&token=abc"), "page=2&token=REDACTED");
/// assert_eq!(redact_query("page=2"), "page=2");
/// ```
#[must_use]
pub fn redact_query(query: &str) -> Cow<'_, str> {
    if !query.split('&').any(is_secret) {
        return Cow::Borrowed(query);
    }
    let mut out = String::with_capacity(query.len());
    for (i, pair) in query.split('&').enumerate() {
        if i > 0 {
            out.push('&');
        }
        match pair.split_once('=') {
            Some((name, _)) if is_secret(pair) => {
                out.push_str(name);
                out.push('=');
                out.push_str(REDACTED);
            }
            _ => out.push_str(pair),
        }
    }
    Cow::Owned(out)
}

fn is_secret(pair: &str) -> bool {
    let Some((name, value)) = pair.split_once('=') else { return false };
    !value.is_empty() && SECRET_PARAMETERS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Writes a URL with credentials and secret query parameters replaced by `REDACTED`, as the
/// `url.full` convention asks.
///
/// ```
/// use meshwise_http::redact_url;
/// let url = "http://me:pw@auth:80/check?sig=1&a=b".parse()?;
/// assert_eq!(redact_url(&url), "http://REDACTED:REDACTED@auth:80/check?sig=REDACTED&a=b");
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[must_use]
pub fn redact_url(url: &Uri) -> String {
    let mut out = String::with_capacity(96);
    if let Some(scheme) = url.scheme_str() {
        out.push_str(scheme);
        out.push_str("://");
    }
    if let Some(authority) = url.authority() {
        match authority.as_str().rsplit_once('@') {
            Some((credentials, host)) => {
                out.push_str(REDACTED);
                if credentials.contains(':') {
                    out.push(':');
                    out.push_str(REDACTED);
                }
                out.push('@');
                out.push_str(host);
            }
            None => out.push_str(authority.as_str()),
        }
    }
    out.push_str(url.path());
    if let Some(query) = url.query() {
        out.push('?');
        out.push_str(&redact_query(query));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
