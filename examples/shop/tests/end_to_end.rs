//! The shop as the README starts it: six shoppers, and an outage that no order notices.

use std::process::Command;

/// Runs the shop, and returns what it said once it has ended well.
fn shop(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_shop")).args(arguments).output().expect("a shop");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{said}\n{problems}", output.status);
    said
}

#[test]
fn shoppers_are_served_also_while_a_peer_is_out_of_order() {
    let said = shop(&["--once"]);
    assert!(said.contains("ada buys tea"), "{said}");
    let said = shop(&["--break", "stock"]);
    assert!(said.contains("With guards: 0 orders and 0 look-ups failed"), "{said}");
}
