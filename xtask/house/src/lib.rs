//! Reads the workspace's own sources, for the tests of its house style and for `cargo xtask figures`.
//!
//! What a rule of `docs/style.md` forbids and the code still has is counted, and held by a ceiling
//! ([`Ceilings`]) that may only fall.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "nothing outside of this workspace uses it"
)]

mod ceilings;
mod circles;
mod figures;
mod functions;
mod sources;
mod tokens;
mod words;

pub use ceilings::Ceilings;
pub use circles::{Circles, Definition};
pub use figures::Figures;
pub use functions::Functions;
pub use sources::{Source, files, root, sources};
pub use words::{Glossary, Use};
