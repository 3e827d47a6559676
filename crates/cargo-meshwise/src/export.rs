//! The dictionary in the words of other tools.

mod backstage;
mod linkset;
mod yaml;

pub(crate) use backstage::backstage;
pub(crate) use linkset::linkset;
pub(crate) use yaml::yaml;
