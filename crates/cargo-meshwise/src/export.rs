//! The dictionary in the words of other tools.

mod backstage;
mod linkset;
mod yaml;

pub use backstage::backstage;
pub use linkset::linkset;
pub use yaml::yaml;
