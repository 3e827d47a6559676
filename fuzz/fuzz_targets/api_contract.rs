#![no_main]

#[path = "../../crates/meshwise-api/tests/contract/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::check(data));
