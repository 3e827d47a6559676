//! Hexadecimal ids as the older formats have them: either case, sometimes short.

/// Parses 1 to `max` hexadecimal digits of either case; short ids are padded with zeros on the left.
pub(super) fn parse(text: &str, max: usize) -> Option<u128> {
    let fits = (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if fits { u128::from_str_radix(text, 16).ok() } else { None }
}

/// Parses exactly `digits` hexadecimal digits of either case.
pub(super) fn exactly(text: &str, digits: usize) -> Option<u128> {
    if text.len() == digits { parse(text, digits) } else { None }
}

/// Takes the lower 64 bits.
pub(super) fn low(id: u128) -> u64 {
    (id & u128::from(u64::MAX)) as u64
}
