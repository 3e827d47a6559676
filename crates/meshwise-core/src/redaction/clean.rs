//! Texts that were looked through for secrets and have none.
//!
//! Services log some texts again and again: user agents, names of callers and hosts. To look through one
//! of 100 bytes takes some 5,000 instructions, to find it here 60 (row "server, access log only" of
//! docs/performance.md). Each thread keeps a few, each in the place that its length and ends lead to, and
//! the last that came there stays. They are compared whole.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The longest text that is kept, in bytes.
const LENGTH: usize = 192;
/// How many a thread keeps; a power of two.
const PLACES: usize = 8;

struct CleanText {
    /// The rules by which it is clean; 0 for none.
    rules: u64,
    length: usize,
    bytes: [u8; LENGTH],
}

thread_local! {
    // Needs no destructor, and so is never gone.
    static CLEAN: RefCell<[CleanText; PLACES]> = const {
        RefCell::new([const { CleanText { rules: 0, length: 0, bytes: [0; LENGTH] } }; PLACES])
    };
}

/// Returns a number that no other rules have.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}

/// Tells whether a text is known to have nothing to hide under these rules.
#[inline]
pub(super) fn is_known(rules: u64, text: &str) -> bool {
    if text.len() > LENGTH {
        return false;
    }
    CLEAN.with_borrow(|clean| {
        let known = &clean[place(text.as_bytes())];
        known.rules == rules && known.bytes.get(..known.length) == Some(text.as_bytes())
    })
}

/// Remembers that a text has nothing to hide under these rules.
pub(super) fn keep(rules: u64, text: &str) {
    CLEAN.with_borrow_mut(|clean| {
        let known = &mut clean[place(text.as_bytes())];
        if let Some(bytes) = known.bytes.get_mut(..text.len()) {
            bytes.copy_from_slice(text.as_bytes());
            (known.rules, known.length) = (rules, text.len());
        }
    });
}

/// Returns a text's place.
fn place(text: &[u8]) -> usize {
    let word = |part: Option<&[u8; 8]>| part.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mixed = word(text.first_chunk()) ^ word(text.last_chunk()).rotate_left(29);
    let mixed = (mixed ^ text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize & (PLACES - 1)
}

#[cfg(test)]
mod tests {
    use super::super::Redaction;
    use std::borrow::Cow;

    #[test]
    fn a_text_is_clean_by_the_rules_that_found_it_so() {
        let agent = "Mozilla/5.0 (X11; Linux x86_64) acme_4f7c2a91d0";
        let one = Redaction::default();
        for _ in 0..3 {
            assert!(matches!(one.text(agent), Cow::Borrowed(_)));
        }
        let other = one.clone().with_prefix("acme_");
        assert_eq!(other.text(agent), "Mozilla/5.0 (X11; Linux x86_64) [redacted]");
        assert!(matches!(one.text(agent), Cow::Borrowed(_)));
        assert_eq!(other.text(agent), "Mozilla/5.0 (X11; Linux x86_64) [redacted]");
    }

    #[test]
    fn texts_of_one_place_are_told_apart() {
        let redaction = Redaction::default();
        for i in 0..1_000_u32 {
            // The same length and ends.
            let clean = format!("agent: abc {i:04} and so on, to the end");
            let secret = format!("agent: pw={i:04}x and so on, to the end");
            for _ in 0..2 {
                assert!(matches!(redaction.text(&clean), Cow::Borrowed(_)), "{clean}");
                assert!(redaction.text(&secret).contains("[redacted]"), "{secret}");
            }
        }
    }

    #[test]
    fn a_known_text_allocates_nothing() {
        let redaction = Redaction::default();
        let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
        assert!(matches!(redaction.text(agent), Cow::Borrowed(_)));
        let inside = allocation_counter::measure(|| drop(redaction.text(agent)));
        assert_eq!(inside.count_total, 0);
    }
}
