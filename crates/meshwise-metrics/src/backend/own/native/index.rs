//! Which bucket a value is in.
//!
//! Bucket `i` of schema `s` holds what is above 2^((i-1)/2^s) and not above 2^(i/2^s). Two buckets
//! of one schema are one of the schema below, so that the finest index tells all others.

use super::bounds::{BOUNDS, MANTISSA_BITS};

/// The finest schema: 256 buckets to a power of two.
pub(crate) const FINEST: i8 = 8;
/// The coarsest schema: 16 powers of two to a bucket.
pub(crate) const COARSEST: i8 = -4;
/// What is not farther from 0 than this, 2^-128, is counted as 0: the threshold of Prometheus'
/// client libraries.
pub(crate) const ZERO_THRESHOLD: f64 = f64::from_bits((1023 - 128) << MANTISSA_BITS);

const SLICE_BITS: u32 = 9;
const SLICES: usize = 1 << SLICE_BITS;

/// How many bounds are below each of 512 even slices of a power of two. A slice is narrower than a
/// bucket, so that it holds one bound at most.
static BELOW: [u16; SLICES] = below();

const fn below() -> [u16; SLICES] {
    let mut below = [0; SLICES];
    let mut slice = 0;
    let mut bound = 0;
    while slice < SLICES {
        let start = (slice as u64) << (MANTISSA_BITS - SLICE_BITS);
        while bound < BOUNDS.len() && BOUNDS[bound] < start {
            bound += 1;
        }
        below[slice] = bound as u16;
        slice += 1;
    }
    below
}

/// Returns the index at the finest schema of a finite value that is above [`ZERO_THRESHOLD`].
#[inline]
pub(super) fn finest(value: f64) -> i32 {
    let bits = value.to_bits();
    let exponent = ((bits >> MANTISSA_BITS) & 0x7ff) as i32 - 1023;
    let mantissa = bits & ((1 << MANTISSA_BITS) - 1);
    let below = BELOW[(mantissa >> (MANTISSA_BITS - SLICE_BITS)) as usize % SLICES];
    // Past the last bound there is none to compare with.
    let above = BOUNDS.get(usize::from(below)).is_some_and(|bound| mantissa > *bound);
    (exponent << FINEST) + i32::from(below) + i32::from(above)
}

/// Returns the index that a bucket has `halvings` schemas further down.
#[inline]
pub(super) fn fold(index: i32, halvings: u8) -> i32 {
    (index + (1 << halvings) - 1) >> halvings
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, any, proptest};

    /// Every value above the threshold.
    fn values() -> impl Strategy<Value = f64> {
        (ZERO_THRESHOLD.to_bits() + 1..f64::INFINITY.to_bits()).prop_map(f64::from_bits)
    }

    /// The definition, word by word; rounding makes it wrong next to a bound.
    fn naive(value: f64, schema: i8) -> f64 {
        (value.log2() * f64::from(schema).exp2()).ceil()
    }

    fn schemas() -> impl Iterator<Item = (i8, u8)> {
        (COARSEST..=FINEST).map(|schema| (schema, (FINEST - schema) as u8))
    }

    proptest! {
        #[test]
        fn an_index_is_what_its_definition_says(value in values()) {
            for (schema, halvings) in schemas() {
                let index = f64::from(fold(finest(value), halvings));
                let found = [value.next_down(), value, value.next_up()]
                    .map(|value| naive(value, schema));
                // `log2` is off by a few digits at most.
                let near = value.log2() * f64::from(schema).exp2();
                let close = (near - near.round()).abs() < 1e-9 && (index - near).abs() < 1.0 + 1e-9;
                assert!(found.contains(&index) || close, "{value:e}: {index} of {schema}");
            }
        }

        #[test]
        fn greater_values_never_come_before(a in values(), b in values()) {
            for (_, halvings) in schemas() {
                let [first, second] = [a.min(b), a.max(b)].map(|v| fold(finest(v), halvings));
                assert!(first <= second);
            }
        }

        #[test]
        fn folding_twice_is_folding_by_two(index in -300_000..300_000_i32, a in 0..6_u8, b in 0..6_u8) {
            assert_eq!(fold(fold(index, a), b), fold(index, a + b));
        }

        #[test]
        fn any_bits_are_some_index(bits in any::<u64>()) {
            let _ = finest(f64::from_bits(bits));
        }
    }

    #[test]
    fn powers_of_two_end_their_buckets() {
        for exponent in -127..=1023_i32 {
            let value = f64::from(exponent).exp2();
            for (schema, halvings) in schemas() {
                let index = fold(finest(value), halvings);
                let bucket = fold(exponent << FINEST, halvings);
                assert_eq!(index, bucket, "2^{exponent} at {schema}");
                // Where a power of two is a bound, what is next belongs to the next bucket.
                let is_bound = schema >= 0 || exponent % (1 << -schema) == 0;
                let next = fold(finest(value.next_up()), halvings);
                assert_eq!(next, index + i32::from(is_bound), "above 2^{exponent} at {schema}");
            }
        }
    }

    #[test]
    fn bounds_end_their_buckets() {
        for exponent in [-128_i32, -1, 0, 5, 1022] {
            for (n, bound) in BOUNDS.iter().enumerate().skip(1) {
                let value = f64::from_bits((((exponent + 1023) as u64) << MANTISSA_BITS) | bound);
                let index = (exponent << FINEST) + n as i32;
                assert_eq!(finest(value), index);
                assert_eq!(finest(value.next_up()), index + 1);
            }
        }
    }
}
