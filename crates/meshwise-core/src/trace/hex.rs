//! Hexadecimal digits, eight at a time: one in each byte of a word.

use crate::internal::swar::ONES;

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

/// Reads eight digits, and what tells whether they are: 0 if all of them are lower-case digits.
#[inline]
pub(super) const fn read(digits: [u8; 8]) -> (u32, u64) {
    let word = u64::from_be_bytes(digits);
    // Of digits, letters alone have this bit.
    let letters = (word >> 6) & ONES;
    let mut half = (word & (0x0f * ONES)) + letters * 9;
    // What is no digit would be written otherwise. No byte carries into the next: it is 24 at most.
    let above = ((half + 6 * ONES) >> 4) & ONES;
    let written = half + b'0' as u64 * ONES + above * (b'a' - b'9' - 1) as u64;
    let wrong = (written ^ word) | (half & (0xf0 * ONES));
    // Bring the half-bytes together again.
    half = (half >> 4 | half) & 0x00ff_00ff_00ff_00ff;
    half = (half >> 8 | half) & 0x0000_ffff_0000_ffff;
    half = (half >> 16 | half) & 0xffff_ffff;
    (half as u32, wrong)
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
            assert_eq!(read(write(int)), (int, 0));
        }
    }

    #[test]
    fn a_byte_that_is_no_digit_is_refused_in_each_place() {
        for byte in 0..=u8::MAX {
            let digit = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            for place in 0..8 {
                let mut digits = *b"09afa0f9";
                digits[place] = byte;
                assert_eq!(read(digits).1 == 0, digit, "{byte:#x} in place {place}");
            }
        }
    }
}
