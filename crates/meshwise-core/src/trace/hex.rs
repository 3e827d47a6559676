//! Hexadecimal digits, eight at a time: one in each byte of a word.

use crate::internal::swar::ONES;

const HIGH: u64 = 0x80 * ONES;

/// Writes eight lower-case digits.
#[inline]
pub(super) fn write(int: u32) -> [u8; 8] {
    // Spread the eight half-bytes over as many bytes.
    let mut word = u64::from(int);
    word = (word << 16 | word) & 0x0000_ffff_0000_ffff;
    word = (word << 8 | word) & 0x00ff_00ff_00ff_00ff;
    word = (word << 4 | word) & 0x0f0f_0f0f_0f0f_0f0f;
    // Those above nine become letters.
    let letters = ((word + 6 * ONES) >> 4) & ONES;
    (word + u64::from(b'0') * ONES + letters * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

/// Reads eight digits, lower-case only.
#[inline]
pub(super) fn read(digits: [u8; 8]) -> Option<u32> {
    let word = u64::from_be_bytes(digits);
    if word & HIGH != 0 {
        return None;
    }
    let decimal = at_least(word, b'0') & !at_least(word, b'9' + 1);
    let letter = at_least(word, b'a') & !at_least(word, b'f' + 1);
    if (decimal | letter) & HIGH != HIGH {
        return None;
    }
    let mut word = (word & (0x0f * ONES)) + ((letter & HIGH) >> 7) * 9;
    // Bring the half-bytes together again.
    word = (word >> 4 | word) & 0x00ff_00ff_00ff_00ff;
    word = (word >> 8 | word) & 0x0000_ffff_0000_ffff;
    word = (word >> 16 | word) & 0xffff_ffff;
    Some(word as u32)
}

/// Sets the high bit of each byte that is `from` or more, and leaves the other bits to chance. No
/// byte carries into the next as long as all are ASCII.
#[inline]
fn at_least(word: u64, from: u8) -> u64 {
    word + u64::from(0x80 - from) * ONES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for int in
            (0..32).flat_map(|bit| [1 << bit, u32::MAX << bit, 0x89ab_cdef_u32.rotate_left(bit)])
        {
            let digits = format!("{int:08x}");
            assert_eq!(write(int), digits.as_bytes());
            assert_eq!(read(write(int)), Some(int));
        }
    }

    #[test]
    fn a_byte_that_is_no_digit_is_refused_in_each_place() {
        for byte in 0..=u8::MAX {
            let digit = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            for place in 0..8 {
                let mut digits = *b"09afa0f9";
                digits[place] = byte;
                assert_eq!(read(digits).is_some(), digit, "{byte:#x} in place {place}");
            }
        }
    }
}
