//! What holds for any two texts; checked on damaged vectors, and by `cargo fuzz` on what it finds.

use meshwise_api::contract::{ContractError, Description};

/// Reads two descriptions from bytes, with a NUL between them, and compares them both ways.
///
/// The first byte chooses the form: even for proto. Panics if a property does not hold.
pub(crate) fn check(data: &[u8]) {
    let Some((form, rest)) = data.split_first() else { return };
    let name = if form % 2 == 0 { "x.proto" } else { "x.yaml" };
    let text = String::from_utf8_lossy(rest);
    let (old, new) = text.split_once('\0').unwrap_or((&text, ""));
    let read = |text| match Description::read(name, text) {
        Ok(description) => Some(description),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.len() < 1000, "{text}");
            None
        }
    };
    let Some(old) = read(old) else { return };
    let same = old.compare(&old, None).expect("the same");
    assert!(same.changes().is_empty());
    let Some(new) = read(new) else { return };
    for (old, new) in [(&old, &new), (&new, &old)] {
        match old.compare(new, None) {
            Ok(comparison) => {
                for change in comparison.changes() {
                    assert!(!change.path().is_empty() && change.to_string().len() < 100_000);
                }
            }
            Err(ContractError::Unreadable { .. } | ContractError::TooLarge { .. }) => {
                panic!("it was read before");
            }
            Err(_) => {}
        }
    }
}
