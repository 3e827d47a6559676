//! The subcommand `cargo meshwise`.

fn main() {}
