//! Where certificates and keys are.

/// Names a PEM file.
#[derive(Clone, Debug)]
pub(super) struct PemFile {
    pub(super) source: &'static str,
    pub(super) path: String,
}
