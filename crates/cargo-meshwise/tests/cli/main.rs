//! Runs the real command, and its stores and protocols, in temporary folders.

mod init;
mod protocol;
mod store;
mod support;
