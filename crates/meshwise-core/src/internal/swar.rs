//! Looking at eight bytes at once (Sean Eron Anderson, "Bit Twiddling Hacks", `hasless` and
//! `haszero`): SWAR. JSON is escaped and hexadecimal digits are read and written with it.

/// A one in each byte.
pub const ONES: u64 = u64::MAX / 255;

/// Returns a word whose bytes' highest bits tell that some byte is below `limit`, at most 128; the
/// lowest that is set is where the first one stands, those above it mean nothing.
#[must_use]
pub const fn below(word: u64, limit: u64) -> u64 {
    word.wrapping_sub(ONES * limit) & !word
}

/// Does the same for bytes that are equal to `byte`.
#[must_use]
pub const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
}

/// Tells whether the highest bit of some byte is set in what `test` makes of these bytes, taken
/// eight at a time. The last eight may overlap those before; fewer are filled up with `~`.
#[must_use]
pub fn any(bytes: &[u8], test: impl Fn(u64) -> u64) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let found = words.iter().fold(0, |found, word| found | test(u64::from_ne_bytes(*word)));
    let last = match (bytes.last_chunk::<8>(), rest) {
        (_, []) => 0,
        (Some(last), _) => test(u64::from_ne_bytes(*last)),
        (None, rest) => {
            let mut word = [b'~'; 8];
            word[..rest.len()].copy_from_slice(rest);
            test(u64::from_ne_bytes(word))
        }
    };
    (found | last) & (ONES * 0x80) != 0
}
