//! API versions as data.

mod date;
mod declared;

pub use date::Date;
pub use declared::{Declared, ProvidedApi, ProvidedVersion, RequiredApi};
