//! API versions as data.
