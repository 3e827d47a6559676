#![no_main]

#[path = "../../crates/meshwise-api/tests/model/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::check("version", data));
