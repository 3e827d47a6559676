//! Runs the real command, and its stores and protocols, in temporary folders.

mod commands;
mod contract;
mod damage;
mod init;
mod law;
mod places;
mod protocol;
mod races;
mod site;
mod store;
mod support;
