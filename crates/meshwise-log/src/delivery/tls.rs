//! Whom transports trust: the system's certificates, or those of a file.

use super::DeliveryError;
use meshwise_core::internal::files;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use std::path::Path;

/// Reads certificates from a PEM file, or the system's.
pub(super) fn certificates(
    file: Option<&Path>,
) -> Result<Vec<CertificateDer<'static>>, DeliveryError> {
    let Some(path) = file else {
        // Some of the system's may be odd; none at all is told when a connection needs one.
        return Ok(rustls_native_certs::load_native_certs().certs);
    };
    let unreadable = |source| DeliveryError::Certificates { path: path.to_owned(), source };
    let bytes = files::read(path, files::PEM_LIMIT).map_err(|error| unreadable(error.into()))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match all {
        Ok(all) if all.is_empty() => Err(unreadable("there is no PEM certificate in it".into())),
        Ok(all) => Ok(all),
        Err(error) => Err(unreadable(error.into())),
    }
}

/// Makes rustls' settings for a client that trusts these certificates.
#[cfg(feature = "fluent")]
pub(super) fn client(
    file: Option<&Path>,
) -> Result<std::sync::Arc<rustls::ClientConfig>, DeliveryError> {
    let mut roots = rustls::RootCertStore::empty();
    let _count = roots.add_parsable_certificates(certificates(file)?);
    // Named here, so that no process-wide default is needed or changed.
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| DeliveryError::Certificates {
            path: file.unwrap_or(Path::new("")).to_owned(),
            source: source.into(),
        })?;
    Ok(std::sync::Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
