//! Where certificates and keys are.

/// Names a PEM file.
#[derive(Clone, Debug)]
pub(crate) struct PemFile {
    pub(crate) source: &'static str,
    pub(crate) path: String,
}
