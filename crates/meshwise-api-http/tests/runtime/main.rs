//! The layers and pages as an application uses them.
#![allow(unreachable_pub, reason = "one binary; its modules share what they need")]

mod client;
mod counting;
mod pages;
mod proof;
mod server;
mod support;
mod types;
