//! The collector's address, checked.

use super::{Endpoint, OtlpProtocol, redact};
use crate::{error::OtlpError, signal::SignalExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, uri::Scheme};
use meshwise_core::{
    EnvError, Signal,
    internal::{has_bad_port, is_of_sender},
};

/// Returns the URL that every request goes to.
pub(crate) fn resolve(
    endpoint: Option<&Endpoint>,
    protocol: OtlpProtocol,
    insecure: bool,
    signal: Signal,
) -> Result<Uri, OtlpError> {
    let grpc = protocol == OtlpProtocol::Grpc;
    let default = Endpoint {
        source: "the default endpoint",
        text: if grpc { "http://localhost:4317" } else { "http://localhost:4318" }.to_owned(),
        whole: false,
    };
    let endpoint = endpoint.unwrap_or(&default);
    let wrong = |allowed: &str| EnvError::new(endpoint.source, redact(&endpoint.text), allowed);
    let allowed = if grpc {
        "http://host:port, https://host:port or host:port"
    } else {
        "a URL that begins with http:// or https://"
    };
    let text = if endpoint.text.contains("://") || !grpc {
        endpoint.text.clone()
    } else {
        // Only gRPC allows an address without a scheme, and asks INSECURE what is meant.
        format!("{}://{}", if insecure { "http" } else { "https" }, endpoint.text)
    };
    let uri: Uri = text.parse().map_err(|_| wrong(allowed))?;
    let https = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => false,
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        _ => return Err(wrong(allowed).into()),
    };
    let authority = uri.authority().filter(|authority| !authority.host().is_empty());
    let authority = authority.ok_or_else(|| wrong(allowed))?;
    if authority.as_str().contains('@') {
        return Err(wrong("a URL without user and password; send them as a header").into());
    }
    if has_bad_port(authority) {
        return Err(wrong("a URL whose port is a number up to 65535, or that has none").into());
    }
    if https && !cfg!(feature = "tls") {
        let what = format!("https ({} is `{}`)", endpoint.source, redact(&endpoint.text));
        return Err(OtlpError::FeatureDisabled { what, feature: "tls" });
    }
    let base = uri.path().trim_end_matches('/');
    let path = match protocol {
        OtlpProtocol::Grpc => format!("{base}{}", signal.grpc_path()),
        _ if endpoint.whole => uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        _ => format!("{base}{}", signal.http_path()),
    };
    let scheme = if https { Scheme::HTTPS } else { Scheme::HTTP };
    let uri = Uri::builder().scheme(scheme).authority(authority.as_str()).path_and_query(path);
    Ok(uri.build().map_err(|_| wrong(allowed))?)
}

/// Checks headers given in code.
pub(crate) fn headers(given: &[(String, String)]) -> Result<HeaderMap, OtlpError> {
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let wrong = |allowed| EnvError::new("with_header", name.as_str(), allowed);
        let header = HeaderName::try_from(name).map_err(|_| wrong("a header's name"))?;
        if is_of_sender(&header) {
            return Err(wrong("a header that the exporter does not set itself").into());
        }
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| wrong("a name whose value has no control characters"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}
