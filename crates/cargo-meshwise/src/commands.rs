//! One module for each command.

use crate::cli::Global;
use crate::output::Output;

pub mod init;

/// Carries what every command is given.
#[derive(Debug)]
pub struct Context {
    /// The global options.
    pub global: Global,
    /// Where to write.
    pub out: Output,
}
