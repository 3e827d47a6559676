//! API versions as data.

mod date;
mod declared;
#[cfg(feature = "tower")]
pub mod headers;
pub mod names;
mod scheme;
mod state;
mod text;

pub use date::{Date, DateError};
pub use declared::{Declared, ProvidedApi, ProvidedVersion, RequiredApi};
pub use scheme::{ApiId, ApiIdError, Scheme, SchemeError, Version, VersionError};
pub use state::{State, StateError};
