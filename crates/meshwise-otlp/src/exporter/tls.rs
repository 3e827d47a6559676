//! TLS to the collector: rustls, with the system's certificates or those of a file.

use super::client::{Connector, connector as plain};
use crate::{config::PemFile, error::OtlpError};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnectorBuilder};
use meshwise_core::{EnvError, internal::files};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use std::sync::Arc;

/// Names the files that replace or add to the defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files<'a> {
    pub(crate) ca: Option<&'a PemFile>,
    pub(crate) client_cert: Option<&'a PemFile>,
    pub(crate) client_key: Option<&'a PemFile>,
}

/// Makes a connector; certificates are read only if they will be used (`files` is there).
pub(super) fn connector(files: Option<Files<'_>>) -> Result<Connector, OtlpError> {
    let config = match files {
        Some(files) => client_config(files)?,
        None => builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    };
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(plain()))
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder() -> Result<Builder, OtlpError> {
    // Named here, so that no process-wide default is needed or changed.
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| EnvError::new("TLS", error.to_string(), "TLS 1.2 and 1.3").into())
}

fn client_config(files: Files<'_>) -> Result<ClientConfig, OtlpError> {
    let builder = match files.ca {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| unusable(file, CERTIFICATES, error))?;
            }
            builder()?.with_root_certificates(roots)
        }
        None => builder()?.with_native_roots().map_err(|source| OtlpError::Certificate {
            variable: "the system".to_owned(),
            path: "its certificate store".to_owned(),
            expected: "trusted certificates (name a file in OTEL_EXPORTER_OTLP_CERTIFICATE)",
            source: source.into(),
        })?,
    };
    let (Some(cert), Some(key)) = (files.client_cert, files.client_key) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(cert)?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key, KEY)?)
        .map_err(|error| unusable(key, KEY, error))?;
    builder.with_client_auth_cert(chain, secret).map_err(|error| unusable(key, KEY, error))
}

const CERTIFICATES: &str = "PEM certificates";
const KEY: &str = "the PEM private key of the client's certificate";

fn certificates(file: &PemFile) -> Result<Vec<CertificateDer<'static>>, OtlpError> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&read(file, CERTIFICATES)?)
            .collect::<Result<_, _>>()
            .map_err(|error| unusable(file, CERTIFICATES, error));
    match certificates {
        Ok(list) if list.is_empty() => Err(unusable(file, CERTIFICATES, "there is none in it")),
        other => other,
    }
}

fn read(file: &PemFile, expected: &'static str) -> Result<Vec<u8>, OtlpError> {
    files::read(file.path.as_ref(), files::PEM_LIMIT)
        .map_err(|error| unusable(file, expected, error))
}

fn unusable(
    file: &PemFile,
    expected: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> OtlpError {
    OtlpError::Certificate {
        variable: file.source.to_owned(),
        path: file.path.clone(),
        expected,
        source: source.into(),
    }
}
