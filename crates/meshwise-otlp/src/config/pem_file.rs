//! Where certificates and keys are.

/// Names a PEM file.
#[derive(Clone, Debug)]
pub(crate) struct PemFile {
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS reads files, and tells"))]
    pub(crate) source: &'static str,
    pub(crate) path: String,
}
