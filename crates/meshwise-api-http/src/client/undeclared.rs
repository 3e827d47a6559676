//! What becomes of calls that no one declared.

use std::sync::Arc;

/// Says what becomes of calls that no one declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Undeclared {
    /// They are counted, and the first is logged. The default.
    #[default]
    Warn,
    /// They are refused too, with [`UndeclaredCall`].
    Refuse,
}

/// Says that a call was refused because no one declared it.
///
/// A client wraps every service whose error is `From<UndeclaredCall>`, boxed errors among them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "call to {peer} refused: its API {api} is not declared; add [[requires]] with api = {api:?} to api.toml"
)]
pub struct UndeclaredCall {
    pub(super) peer: Arc<str>,
    pub(super) api: Arc<str>,
}

impl UndeclaredCall {
    /// Returns the peer's name.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Returns the API's name.
    #[must_use]
    pub fn api(&self) -> &str {
        &self.api
    }
}
