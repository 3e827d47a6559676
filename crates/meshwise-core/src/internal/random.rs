//! Random numbers that differ from machine to machine: for ids, and for waits that spread a fleet.
//!
//! Each thread has a fast generator (xoshiro256++, 256 bits of state), which the operating system
//! seeds. A seed made of clock and thread number would be the same on machines that start alike:
//! their ids would collide, and their retries come at the same moments. Now and then the operating
//! system seeds it anew, so that a copy of the process (a fork, a restored snapshot of a virtual
//! machine) soon goes its own way. The numbers are no secrets: do not make keys of them.

use rand::{RngCore, SeedableRng, rngs::SmallRng};
use std::{
    cell::RefCell,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// How often numbers are drawn from one seed: the system call then costs each less than 1 ns.
const DRAWS: u32 = 4096;

struct Generator {
    rng: SmallRng,
    /// How often numbers may still be drawn.
    left: u32,
}

thread_local! {
    // Needs no destructor, and so is never gone.
    static GENERATOR: RefCell<Option<Generator>> = const { RefCell::new(None) };
}

/// Returns a random number.
///
/// ```
/// use meshwise_core::internal::random;
/// assert_ne!((random::u64(), random::u64()), (random::u64(), random::u64()));
/// ```
#[inline]
#[must_use]
pub fn u64() -> u64 {
    draw(SmallRng::next_u64)
}

/// Returns a random number.
#[inline]
#[must_use]
pub fn u128() -> u128 {
    draw(|rng| u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()))
}

#[inline]
fn draw<T>(numbers: impl Fn(&mut SmallRng) -> T) -> T {
    GENERATOR.with_borrow_mut(|generator| match generator {
        Some(Generator { rng, left }) if *left > 0 => {
            *left -= 1;
            numbers(rng)
        }
        _ => numbers(seeded(generator)),
    })
}

/// Returns a random number from 0 to less than 1, a multiple of 2^-53.
#[must_use]
pub fn f64() -> f64 {
    (u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns a random number from 0 to `max`, both included.
#[must_use]
pub fn up_to(max: u64) -> u64 {
    // Multiply and shift: even to within 2^-64 of a share.
    ((u128::from(u64()) * (u128::from(max) + 1)) >> 64) as u64
}

/// Returns a random part of a time, none and all of it included.
#[must_use]
pub fn part_of(time: Duration) -> Duration {
    Duration::from_nanos(up_to(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
}

fn seeded(generator: &mut Option<Generator>) -> &mut SmallRng {
    let rng = SmallRng::try_from_os_rng().unwrap_or_else(|_| emergency());
    &mut generator.insert(Generator { rng, left: DRAWS }).rng
}

/// Takes the seed that the standard library has asked the operating system for, should that say no
/// now.
fn emergency() -> SmallRng {
    let state = RandomState::new();
    let mut seed = <SmallRng as SeedableRng>::Seed::default();
    for (i, bytes) in seed.chunks_exact_mut(8).enumerate() {
        bytes.copy_from_slice(&state.hash_one(i).to_ne_bytes());
    }
    SmallRng::from_seed(seed)
}

/// Draws numbers that follow from a seed: what spreads waits and probes, and is to be the same again in
/// a test. Wyrand, 64 bits of state; give it a seed from [`u64`].
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// Begins with a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x2d35_8dcc_aa6c_78a5);
        let product = u128::from(self.0) * u128::from(self.0 ^ 0x8bb8_4b93_962e_acc9);
        (product as u64) ^ (product >> 64) as u64
    }

    /// Returns a number from 0 to less than 1, a multiple of 2^-53.
    pub fn f64(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a number from `least` to `most`, both included.
    pub fn within(&mut self, least: u32, most: u32) -> u32 {
        let count = u64::from(most.saturating_sub(least)) + 1;
        let above = (u128::from(self.next()) * u128::from(count)) >> 64;
        least.saturating_add(above as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, thread};

    /// Makes this thread's generator what a clone of the process would have.
    fn clone_of(seed: u64, left: u32) {
        GENERATOR.set(Some(Generator { rng: SmallRng::seed_from_u64(seed), left }));
    }

    #[test]
    fn no_bit_is_stuck_and_no_number_comes_twice() {
        let numbers: HashSet<u64> = (0..10_000).map(|_| u64()).collect();
        assert_eq!(numbers.len(), 10_000);
        assert_eq!(numbers.iter().fold(0, |all, n| all | n), u64::MAX);
        assert_eq!(numbers.iter().fold(u64::MAX, |all, n| all & n), 0);
    }

    #[test]
    fn threads_go_their_own_ways() {
        let firsts: Vec<u128> = (0..64).map(|_| thread::spawn(u128).join().unwrap()).collect();
        assert_eq!(firsts.iter().collect::<HashSet<_>>().len(), 64);
    }

    #[test]
    fn a_copy_of_the_process_soon_goes_its_own_way() {
        let drawn = || {
            clone_of(7, DRAWS);
            (0..DRAWS).for_each(|_| _ = u64());
            u64()
        };
        assert_ne!(drawn(), drawn(), "the next seed is the operating system's");
        clone_of(7, DRAWS);
        let one = u64();
        clone_of(7, DRAWS);
        assert_eq!(one, u64(), "the same seed gives the same numbers");
    }

    #[test]
    fn the_emergency_seed_differs_too() {
        assert_ne!(emergency().next_u64(), emergency().next_u64());
    }

    #[test]
    fn a_seed_gives_the_same_numbers_within_the_range() {
        let drawn = |seed| {
            let mut random = Seeded::new(seed);
            (0..1000).map(|_| (random.f64(), random.within(3, 6))).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert!(
            drawn(7).iter().all(|(share, n)| (0.0..1.0).contains(share) && (3..=6).contains(n))
        );
        let seen: HashSet<u32> = drawn(7).into_iter().map(|(_, n)| n).collect();
        assert_eq!(seen.len(), 4);
        assert_eq!(Seeded::new(1).within(5, 5), 5);
        let _any = Seeded::new(1).within(0, u32::MAX);
    }

    #[test]
    fn ranges_are_kept_and_filled() {
        let mut seen = [false; 4];
        for _ in 0..1000 {
            let share = f64();
            assert!((0.0..1.0).contains(&share));
            seen[usize::try_from(up_to(3)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 4]);
        assert_eq!(up_to(0), 0);
        let _any = up_to(u64::MAX);
    }
}
