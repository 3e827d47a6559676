//! What the layers of both sides share.

pub(crate) mod clock;
pub(crate) mod recorder;
pub(crate) mod routes;
pub(crate) mod table;
