#![no_main]

#[path = "../../crates/meshwise-core/tests/support/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::check("redaction", data));
