//! The nodes that bulk requests go to.

use crate::delivery::{
    DeliveryError,
    error::{SERVER, STREAM},
    tls,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use meshwise_core::internal::has_bad_port;
use percent_encoding::percent_decode_str;
use std::{fmt, path::Path, sync::Arc, time::Duration};
use ureq::{
    Agent,
    http::Uri,
    tls::{Certificate, RootCerts, TlsConfig},
};

/// Names a node, and the data stream or index on it.
pub(super) struct BulkTarget {
    pub(super) url: String,
    /// What is told of it: without a user's name and password.
    shown: String,
    /// The header of the user that stands in the URL.
    pub(super) user: Option<String>,
    https: bool,
}

impl BulkTarget {
    pub(super) fn parse(url: &str, stream: &str) -> Result<Self, DeliveryError> {
        let odd = |expected| DeliveryError::address(url, SERVER, expected);
        let uri: Result<Uri, _> = url.trim_end_matches('/').parse();
        let uri = uri.map_err(|_| odd(URL))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(odd(URL));
        };
        if has_bad_port(authority) {
            return Err(odd("a URL whose port is a number up to 65535, or that has none"));
        }
        let (user, host) = match authority.as_str().rsplit_once('@') {
            Some((user, host)) => {
                // Passwords may hold `@`.
                let user: Vec<u8> = percent_decode_str(user).collect();
                (Some(format!("Basic {}", BASE64_STANDARD.encode(user))), host)
            }
            None => (None, authority.as_str()),
        };
        let https = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(odd(URL)),
        };
        if uri.query().is_some() {
            return Err(odd("a URL without `?`"));
        }
        if stream.is_empty() || stream.contains(['/', '?', '#', '%', ' ', ',', '*', '"', '\\']) {
            let expected = "a name without `/`, `?`, `#`, `%`, `,`, `*`, `\"`, `\\` and spaces";
            return Err(DeliveryError::address(stream, STREAM, expected));
        }
        let path = uri.path().trim_end_matches('/');
        let shown = format!("{scheme}://{host}{path}");
        let fields = "items.*.status,items.*.error.type,items.*.error.reason";
        let url = format!("{shown}/{stream}/_bulk?filter_path={fields}");
        Ok(Self { url, shown, user, https })
    }
}

const URL: &str = "`http://host:port` or `https://host:port`";

impl fmt::Display for BulkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Makes the client, with certificates read only if they will be used.
pub(super) fn agent<'a>(
    mut targets: impl Iterator<Item = &'a BulkTarget>,
    ca_file: Option<&Path>,
    timeout: Duration,
) -> Result<Agent, DeliveryError> {
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(concat!("meshwise-log/", env!("CARGO_PKG_VERSION")));
    let config = if targets.any(|target| target.https) {
        let certificates = tls::certificates(ca_file)?;
        let certificates: Vec<_> =
            certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(certificates))
            .unversioned_rustls_crypto_provider(provider);
        config.tls_config(tls.build())
    } else {
        config
    };
    Ok(config.build().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_understood_or_named_without_their_passwords() {
        let target =
            BulkTarget::parse("https://me:p%40ss@search:9200/es/", "logs-a-b").expect("url");
        let query = "filter_path=items.*.status,items.*.error.type,items.*.error.reason";
        assert_eq!(target.url, format!("https://search:9200/es/logs-a-b/_bulk?{query}"));
        assert_eq!(target.shown, "https://search:9200/es");
        let user = format!("Basic {}", BASE64_STANDARD.encode("me:p@ss"));
        assert_eq!(target.user, Some(user));
        for url in [
            "",
            "search:9200",
            "ftp://me:secret@search",
            "http://",
            "http://a?x=y",
            "a b",
            "me:secret@a:9200",
        ] {
            let error = BulkTarget::parse(url, "logs").err().map(|error| error.to_string());
            let error = error.expect(url);
            assert!(!error.contains("secret"), "{error}");
            assert!(error.contains(url.rsplit('@').next().expect("a part")), "{error}");
        }
        for stream in ["", "a/b", "a b", "a?b", "*", "a,b"] {
            assert!(BulkTarget::parse("http://search:9200", stream).is_err(), "{stream}");
        }
    }
}
