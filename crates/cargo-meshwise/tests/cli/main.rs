//! Runs the real command in temporary folders.

mod commands;
mod contract;
mod damage;
mod environments;
mod git;
mod init;
mod law;
mod life;
mod places;
mod races;
mod relocate;
mod site;
mod support;
mod workspace;
