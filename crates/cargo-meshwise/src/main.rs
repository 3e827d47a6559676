//! The subcommand `cargo meshwise`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cargo_meshwise::run(std::env::args_os()).into()
}
