//! What changes of a description mean to callers of the older one.

mod document;
mod hostile;
mod model;
mod properties;
mod vectors;
