//! API versions as data.

mod date;
mod declared;
mod scheme;
mod state;
mod text;

pub use date::{Date, DateError};
pub use declared::{Declared, ProvidedApi, ProvidedVersion, RequiredApi};
pub use scheme::{ApiId, ApiIdError, Scheme, SchemeError, Version, VersionError};
pub use state::{State, StateError};
