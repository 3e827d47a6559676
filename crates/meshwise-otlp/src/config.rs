//! Where the collector is and how to talk to it.

#[cfg(feature = "_otlp")]
mod endpoint;
mod env;
mod join;
mod pem_file;

#[cfg(feature = "tls")]
pub(crate) use pem_file::PemFile;

pub use join::{Origin, join};

#[cfg(feature = "_otlp")]
use crate::{
    batch::LONGEST,
    exporter::{Encode, Exporter, Settings},
};
use crate::{
    error::OtlpError,
    protocol::{Compression, OtlpProtocol},
    signal::SignalExt as _,
};
use meshwise_core::{
    Signal,
    settings::{OtlpParts, Setting},
};
#[cfg(not(feature = "tls"))]
use pem_file::PemFile;
use std::{borrow::Cow, fmt, time::Duration};

#[cfg(feature = "_otlp")]
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Describes the way to an OpenTelemetry collector.
///
/// What the environment says beats what is set here, where it is read; the
/// [crate docs](crate#environment) list the variables.
///
/// ```
/// # use meshwise_otlp::{OtlpConfig, OtlpProtocol};
/// let config = OtlpConfig::new()
///     .with_protocol(OtlpProtocol::Grpc)
///     .with_endpoint("http://collector.internal:4317")
///     .with_header("x-tenant", "shop");
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct OtlpConfig {
    protocol: Option<OtlpProtocol>,
    endpoint: Option<Endpoint>,
    headers: Vec<(String, String)>,
    timeout: Option<Duration>,
    compression: Option<Compression>,
    insecure: Option<bool>,
    ca: Option<PemFile>,
    client_cert: Option<PemFile>,
    client_key: Option<PemFile>,
}

/// Says what a base URL's query is worth: of a URL, scheme, host, port and path count, and only a signal's own
/// is used as it is (OTLP exporter, "Endpoint URLs for OTLP/HTTP").
const BASE_ENDS: &str = "a query or a fragment, which is not used: each signal's path is appended to it; \
                         send a key as a header (OTEL_EXPORTER_OTLP_HEADERS), or say the whole URL of a \
                         signal (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)";

/// Holds an endpoint as it was given.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// Who said so: a variable or a setter.
    source: &'static str,
    text: String,
    /// Whether it is the URL of one signal, not the base of all of them.
    whole: bool,
}

impl OtlpConfig {
    /// Leaves everything to the environment and the defaults.
    pub const fn new() -> Self {
        Self {
            protocol: None,
            endpoint: None,
            headers: Vec::new(),
            timeout: None,
            compression: None,
            insecure: None,
            ca: None,
            client_cert: None,
            client_key: None,
        }
    }

    /// Sets the protocol; `http/protobuf` by default, or `grpc` if only that is compiled in.
    pub const fn with_protocol(mut self, protocol: OtlpProtocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Sets the collector's base address, as `OTEL_EXPORTER_OTLP_ENDPOINT` does: over HTTP,
    /// `/v1/logs`, `/v1/metrics` or `/v1/traces` is appended. `http://localhost:4318` by default, over gRPC port 4317.
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(Endpoint { source: "with_endpoint", text: url.into(), whole: false });
        self
    }

    /// Sets the address of this signal, as `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and its like do: it is
    /// used as it is.
    pub fn with_signal_endpoint(mut self, url: impl Into<String>) -> Self {
        let source = "with_signal_endpoint";
        self.endpoint = Some(Endpoint { source, text: url.into(), whole: true });
        self
    }

    /// Adds a header to every request; one of that name from the environment beats it. Values
    /// never show in logs or errors.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how long one request may take; 10 s by default. Retries are bounded by
    /// [`BatchConfig::with_export_timeout`](crate::BatchConfig::with_export_timeout), for metrics by
    /// `OTEL_METRIC_EXPORT_TIMEOUT`.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the compression of requests; none by default.
    pub const fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Trusts the certificates of this PEM file instead of the system's. Needs the feature `tls`.
    pub fn with_certificate(mut self, path: impl Into<String>) -> Self {
        self.ca = Some(PemFile { source: "with_certificate", path: path.into() });
        self
    }

    /// Shows the collector this certificate (chain) and proves it with this key, both PEM files.
    /// Needs the feature `tls`.
    pub fn with_client_certificate(
        mut self,
        certificate: impl Into<String>,
        key: impl Into<String>,
    ) -> Self {
        let source = "with_client_certificate";
        self.client_cert = Some(PemFile { source, path: certificate.into() });
        self.client_key = Some(PemFile { source, path: key.into() });
        self
    }

    /// Takes what is set.
    #[doc(hidden)]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it refers to parts; it is made to be passed"
    )]
    pub fn from_settings(said: OtlpParts<'_>) -> Self {
        let endpoint = |setting: &Setting<String>, source, whole| {
            setting.get().map(|text| Endpoint { source, text: text.clone(), whole })
        };
        let file = |setting: &Setting<String>, source| {
            setting.get().map(|path| PemFile { source, path: path.clone() })
        };
        let headers = said.headers.iter();
        let headers =
            headers.filter_map(|(name, value)| Some((name.to_owned(), value.get()?.clone())));
        Self {
            protocol: said.protocol.get().and_then(|word| match word.as_str() {
                "grpc" => Some(OtlpProtocol::Grpc),
                "http/protobuf" => Some(OtlpProtocol::HttpProtobuf),
                "http/json" => Some(OtlpProtocol::HttpJson),
                _ => None,
            }),
            endpoint: endpoint(said.signal_endpoint, said.signal_endpoint_path, true)
                .or_else(|| endpoint(said.endpoint, said.endpoint_path, false)),
            headers: headers.collect(),
            timeout: said.timeout.get().map(|timeout| match timeout.is_zero() {
                true => Duration::MAX,
                false => *timeout,
            }),
            compression: said.compression.get().map(|word| match word.as_str() {
                "gzip" => Compression::Gzip,
                _ => Compression::None,
            }),
            insecure: said.insecure.get().copied(),
            ca: file(said.certificate, said.certificate_path),
            client_cert: file(said.client_certificate, said.client_certificate_path),
            client_key: file(said.client_key, said.client_key_path),
        }
    }

    /// Shows what is set here.
    #[doc(hidden)]
    pub fn show(&self, all: OtlpParts<'_>) {
        if let Some(protocol) = self.protocol {
            all.protocol.set(protocol.as_str().to_owned());
        }
        if let Some(endpoint) = &self.endpoint {
            let text = redact(&endpoint.text).into_owned();
            match endpoint.whole {
                true => all.signal_endpoint.set(text),
                false => all.endpoint.set(text),
            }
        }
        for (name, value) in &self.headers {
            all.headers.entry(name).set(value.clone());
        }
        if let Some(timeout) = self.timeout {
            all.timeout.set(timeout);
        }
        if let Some(compression) = self.compression {
            let word = if compression == Compression::Gzip { "gzip" } else { "none" };
            all.compression.set(word.to_owned());
        }
        if let Some(insecure) = self.insecure {
            all.insecure.set(insecure);
        }
        for (file, setting) in [
            (&self.ca, all.certificate),
            (&self.client_cert, all.client_certificate),
            (&self.client_key, all.client_key),
        ] {
            if let Some(file) = file {
                setting.set(file.path.clone());
            }
        }
    }

    /// Names the setting that led to an exporter of the environment's.
    #[doc(hidden)]
    #[must_use]
    pub fn source(&self, signal: Signal) -> &'static str {
        self.endpoint.as_ref().map_or(signal.exporter_variable(), |endpoint| endpoint.source)
    }

    /// Says so if a part of the endpoint is not used, or its port is the usual one of another protocol.
    #[cfg(feature = "_otlp")]
    #[doc(hidden)]
    #[must_use]
    pub fn hints(&self, signal: Signal) -> Vec<String> {
        let (Ok(protocol), Some(endpoint)) = (self.protocol(), &self.endpoint) else {
            return Vec::new();
        };
        let unused = endpoint.text.contains(['?', '#']).then(|| match endpoint.whole {
            false => Some(format!("{} has {BASE_ENDS}", endpoint.source)),
            true => (protocol == OtlpProtocol::Grpc).then(|| {
                let source = endpoint.source;
                format!("{source} has a query or a fragment, which gRPC does not send")
            }),
        });
        let port = self.port_hint(endpoint, protocol, signal);
        unused.flatten().into_iter().chain(port).collect()
    }

    #[cfg(feature = "_otlp")]
    fn port_hint(
        &self,
        endpoint: &Endpoint,
        protocol: OtlpProtocol,
        signal: Signal,
    ) -> Option<String> {
        let insecure = self.insecure.unwrap_or(false);
        let uri = endpoint::resolve(Some(endpoint), protocol, insecure, signal).ok()?;
        let (_, other) = protocol.usual_ports();
        (uri.port_u16() == Some(other)).then(|| {
            let kind = if protocol == OtlpProtocol::Grpc { "OTLP over HTTP" } else { "gRPC" };
            format!(
                "{} is `{}`: port {other} is usually {kind}, and {} go there by {}; {}",
                endpoint.source,
                redact(&endpoint.text),
                signal.records(),
                protocol.as_str(),
                protocol.way_out()
            )
        })
    }

    #[cfg(not(feature = "_otlp"))]
    #[allow(clippy::unused_self, reason = "without OTLP there is nothing to hint at")]
    #[doc(hidden)]
    #[must_use]
    pub const fn hints(&self, _: Signal) -> Vec<String> {
        Vec::new()
    }

    /// Fills what is open from `other`.
    #[doc(hidden)]
    pub fn or(self, other: Self) -> Self {
        let mut headers = other.headers;
        headers.retain(|(name, _)| {
            !self.headers.iter().any(|(set, _)| set.eq_ignore_ascii_case(name))
        });
        headers.extend(self.headers);
        let (client_cert, client_key) = match (self.client_cert, self.client_key) {
            (None, None) => (other.client_cert, other.client_key),
            set => set,
        };
        Self {
            protocol: self.protocol.or(other.protocol),
            endpoint: self.endpoint.or(other.endpoint),
            headers,
            timeout: self.timeout.or(other.timeout),
            compression: self.compression.or(other.compression),
            insecure: self.insecure.or(other.insecure),
            ca: self.ca.or(other.ca),
            client_cert,
            client_key,
        }
    }

    /// Returns the protocol, by what is compiled in unless set.
    fn protocol(&self) -> Result<OtlpProtocol, OtlpError> {
        let default = match OtlpProtocol::HttpProtobuf.missing_feature() {
            Some(_) if OtlpProtocol::Grpc.missing_feature().is_none() => OtlpProtocol::Grpc,
            _ => OtlpProtocol::HttpProtobuf,
        };
        let protocol = self.protocol.unwrap_or(default);
        match protocol.missing_feature() {
            None => Ok(protocol),
            Some(feature) => {
                let what = format!("the OTLP protocol `{}`", protocol.as_str());
                Err(OtlpError::FeatureDisabled { what, feature })
            }
        }
    }

    /// Says what would have to be compiled in. It is there with all of it too, for a signal that is sent by
    /// none while another is.
    #[doc(hidden)]
    #[must_use]
    pub fn missing(&self) -> OtlpError {
        self.protocol()
            .err()
            .unwrap_or(OtlpError::FeatureDisabled { what: "OTLP".to_owned(), feature: "otlp-http" })
    }

    /// Makes the exporter of a signal. No connection is made yet.
    ///
    /// # Errors
    /// If the address is malformed, what is asked for is not compiled in, or a certificate cannot be
    /// used.
    #[cfg(feature = "_otlp")]
    #[doc(hidden)]
    pub fn into_exporter<E: Encode>(
        self,
        signal: Signal,
        encode: E,
    ) -> Result<Exporter<E>, OtlpError> {
        let protocol = self.protocol()?;
        if self.compression == Some(Compression::Gzip) && !cfg!(feature = "gzip") {
            let what = "the OTLP compression `gzip`".to_owned();
            return Err(OtlpError::FeatureDisabled { what, feature: "gzip" });
        }
        let insecure = self.insecure.unwrap_or(false);
        let uri = endpoint::resolve(self.endpoint.as_ref(), protocol, insecure, signal)?;
        let headers = endpoint::headers(&self.headers)?;
        #[cfg(feature = "tls")]
        let tls = crate::exporter::Files {
            ca: self.ca.as_ref(),
            client_cert: self.client_cert.as_ref(),
            client_key: self.client_key.as_ref(),
        };
        let settings = Settings {
            signal,
            protocol,
            uri,
            headers,
            timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT).min(LONGEST),
            gzip: self.compression == Some(Compression::Gzip),
        };
        #[cfg(feature = "tls")]
        return Exporter::new(settings, encode, tls);
        #[cfg(not(feature = "tls"))]
        Ok(Exporter::new(settings, encode))
    }
}

impl fmt::Debug for OtlpConfig {
    /// Leaves out the headers' values, which may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("OtlpConfig")
            .field("protocol", &self.protocol)
            .field("endpoint", &self.endpoint.as_ref().map(|e| redact(&e.text)))
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .field("compression", &self.compression)
            .field("certificate", &self.ca)
            .field("client_certificate", &self.client_cert)
            .field("client_key", &self.client_key)
            .finish()
    }
}

/// Hides a user name and password in a URL.
fn redact(url: &str) -> Cow<'_, str> {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => Cow::Owned(format!("{}***{}", &url[..start], &url[start + at..])),
        None => Cow::Borrowed(url),
    }
}

#[cfg(test)]
mod tests;
