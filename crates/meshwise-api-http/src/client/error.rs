//! Why a call was not made.

use std::sync::Arc;

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
