//! Card numbers (ISO/IEC 7812): an issuer's prefix and length, the usual groups, the Luhn test.

/// A run of digits.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    from: usize,
    len: usize,
    /// The sum of the Luhn test if the last digit counts once, and if it counts twice.
    sums: [u32; 2],
    /// The first six digits.
    prefix: u32,
    /// Nothing that a number could be part of stands right before it.
    begins: bool,
}

/// The sizes of the groups in which card numbers are written.
const SHAPES: [&[usize]; 4] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3]];
const MOST: usize = 5;

/// Sees the groups of digits of a text go by, and finds those that end a card's number.
///
/// Each digit is added up once, whatever groups it is part of.
#[derive(Debug, Default)]
pub(super) struct Cards {
    /// The last groups that stand close to each other; the first one may begin a number.
    chain: [Group; MOST],
    len: usize,
    /// Where the latest ended.
    end: usize,
}

/// What stands around a group of digits.
pub(super) struct Around {
    pub(super) from: usize,
    /// Where the group before would have to end for the two to be parts of one number.
    pub(super) before: Option<usize>,
    /// Nothing stands before it that a number could be part of.
    pub(super) begins: bool,
    /// The same of what comes after.
    pub(super) ends: bool,
}

impl Cards {
    /// Tells whether a group of so many digits, the first one given, can be all or part of a number.
    #[inline]
    pub(super) fn may_take(&self, len: usize, first: u8) -> bool {
        let begins = matches!(first, b'2'..=b'6') && (len == 4 || matches!(len, 13..=19));
        begins || (self.len > 0 && matches!(len, 3..=6))
    }

    /// Tells whether a number may have begun.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.len > 0
    }

    /// Returns where a number begins that may go on at `here`; `here` if none does.
    pub(super) fn latest_start(&self, here: usize) -> usize {
        // Nineteen digits, and four times a `%20`.
        let near = |group: &&Group| group.len > 0 && here.saturating_sub(group.from) <= 31;
        self.chain.iter().filter(near).map(|group| group.from).fold(here, usize::min)
    }

    /// Forgets what went before.
    #[inline]
    pub(super) fn reset(&mut self) {
        self.len = 0;
    }

    /// Takes the next group; returns where the number begins that it ends.
    pub(super) fn take(&mut self, digits: &[u8], around: &Around) -> Option<usize> {
        let &Around { from, before, begins, ends } = around;
        if before != Some(self.end) {
            self.len = 0;
        }
        self.end = from + digits.len();
        let mut group = Group { from, len: digits.len(), begins, ..Group::default() };
        for (i, digit) in digits.iter().enumerate() {
            let digit = u32::from(digit & 15);
            let doubled = if digit > 4 { 2 * digit - 9 } else { 2 * digit };
            // What is added last stands in its own place; a digit more swaps once and twice.
            group.sums = [group.sums[1] + digit, group.sums[0] + doubled];
            if i < 6 {
                group.prefix = group.prefix * 10 + digit;
            }
        }
        if self.len == MOST {
            self.chain.copy_within(1.., 0);
            self.len -= 1;
        }
        self.chain[self.len] = group;
        self.len += 1;
        let found = if ends { self.card() } else { None };
        if !ends || found.is_some() {
            self.len = 0;
        }
        found
    }

    fn card(&self) -> Option<usize> {
        let groups = &self.chain[..self.len];
        let last = groups.last()?;
        if last.len >= 13 {
            let good = last.begins && last.sums[0] % 10 == 0 && is_issued(last.prefix, last.len);
            return good.then_some(last.from);
        }
        SHAPES.iter().find_map(|shape| {
            let groups = &groups[groups.len().checked_sub(shape.len())?..];
            let alike = groups.iter().zip(*shape).all(|(group, len)| group.len == *len);
            if alike { grouped(groups) } else { None }
        })
    }
}

fn grouped(groups: &[Group]) -> Option<usize> {
    let (mut digits, mut sum) = (0, 0);
    for group in groups.iter().rev() {
        sum += group.sums[digits % 2];
        digits += group.len;
    }
    let [first, second, ..] = groups else { return None };
    // The first group has four digits.
    let tens = if second.len >= 6 { second.prefix / 10_000 } else { second.prefix / 100 };
    let good = first.begins && sum % 10 == 0 && is_issued(first.prefix * 100 + tens, digits);
    good.then_some(first.from)
}

/// Tells whether a number is a card's.
pub(super) fn is_card(number: u64) -> bool {
    let mut digits = [0_u8; 20];
    let (mut at, mut rest) = (20, number);
    while rest > 0 {
        at -= 1;
        digits[at] = (rest % 10) as u8;
        rest /= 10;
    }
    let digits = &digits[at..];
    let around = Around { from: 0, before: None, begins: true, ends: true };
    digits.len() <= 19 && Cards::default().take(digits, &around).is_some()
}

/// Tells whether some issuer's numbers begin with these six digits and are that long.
///
/// All begin with 2 to 6, so that no time since 1970 is one before the year 2033 (in seconds: of ten
/// digits), 2096 in milliseconds for Visa's.
fn is_issued(prefix: u32, len: usize) -> bool {
    let two = prefix / 10_000;
    let three = prefix / 1_000;
    let four = prefix / 100;
    match len {
        // Visa, long ago.
        13 => two / 10 == 4,
        // Diners Club.
        14 => matches!(two, 36 | 38 | 39) || matches!(three, 300..=305 | 309),
        // American Express; JCB, long ago.
        15 => matches!(two, 34 | 37) || matches!(four, 2131),
        16 => {
            two / 10 == 4
                // Mastercard, Maestro, Diners Club in North America, RuPay.
                || matches!(two, 50..=58)
                || matches!(four, 2221..=2720)
                // Mir.
                || matches!(four, 2200..=2204)
                // JCB; Diners Club.
                || matches!(four, 3528..=3589)
                || matches!(two, 30 | 36 | 38 | 39)
                || is_discover(prefix)
        }
        17 | 18 => is_maestro(prefix) || is_discover(prefix),
        // Visa's longest; Mir, JCB, Discover, UnionPay, Maestro.
        19 => {
            two / 10 == 4
                || matches!(four, 2200..=2204 | 3528..=3589)
                || is_maestro(prefix)
                || is_discover(prefix)
        }
        _ => false,
    }
}

/// Discover, `UnionPay`, and Maestro's that begin with 6.
fn is_discover(prefix: u32) -> bool {
    matches!(prefix / 10_000, 62 | 64 | 65 | 67)
        || matches!(prefix / 100, 6011 | 6304 | 6759 | 6761..=6763)
        || matches!(prefix / 10_000, 60)
}

fn is_maestro(prefix: u32) -> bool {
    matches!(prefix / 100, 5018 | 5020 | 5038 | 5893) || matches!(prefix / 1_000, 506)
}
