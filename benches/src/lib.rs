//! Running contestants in turn within one process, so that what the machine does besides hits all
//! of them alike, and comparing what they take.
//!
//! Absolute times mean little on shared machines; the ratios and the allocation counts are the
//! result.

use std::time::{Duration, Instant};

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    rounds: usize,
    calls: usize,
}

impl Effort {
    /// Reads the command line: `--test` runs each contestant just to see that it works.
    #[must_use]
    pub fn from_args() -> Self {
        match std::env::args().any(|arg| arg == "--test") {
            true => Self { rounds: 2, calls: 50 },
            false => Self { rounds: 60, calls: 2_000 },
        }
    }
}

/// One of those that are compared.
pub struct Contestant<'a> {
    name: &'a str,
    call: Box<dyn FnMut() + 'a>,
}

impl<'a> Contestant<'a> {
    /// Names a contestant and what it does once.
    pub fn new(name: &'a str, call: impl FnMut() + 'a) -> Self {
        Self { name, call: Box::new(call) }
    }
}

impl std::fmt::Debug for Contestant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contestant").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What one call of a contestant takes.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The contestant's name.
    pub name: String,
    /// The median over all rounds.
    pub time: Duration,
    /// Allocations, at the least seen.
    pub allocations: u64,
    /// Bytes allocated, at the least seen.
    pub bytes: u64,
}

/// Runs all contestants in turn, round after round.
pub fn run(effort: Effort, contestants: &mut [Contestant<'_>]) -> Vec<Taken> {
    for contestant in contestants.iter_mut() {
        (0..effort.calls).for_each(|_| (contestant.call)());
    }
    let mut times = vec![Vec::with_capacity(effort.rounds); contestants.len()];
    for _ in 0..effort.rounds {
        for (contestant, times) in contestants.iter_mut().zip(&mut times) {
            let started = Instant::now();
            (0..effort.calls).for_each(|_| (contestant.call)());
            times.push(started.elapsed() / u32::try_from(effort.calls).unwrap_or(u32::MAX));
        }
    }
    let measured = contestants.iter_mut().zip(&mut times);
    measured
        .map(|(contestant, times)| {
            times.sort();
            let counts = (0..20).map(|_| allocation_counter::measure(|| (contestant.call)()));
            let least = counts.min_by_key(|count| count.count_total).unwrap_or_default();
            Taken {
                name: contestant.name.to_owned(),
                time: times[times.len() / 2],
                allocations: least.count_total,
                bytes: least.bytes_total,
            }
        })
        .collect()
}

/// Prints what each contestant takes beyond the first (the bare service), and how the others
/// compare with the second (ours).
pub fn table(title: &str, taken: &[Taken]) {
    println!("\n{title}\n");
    println!("  {:44} {:>12} {:>8} {:>9} {:>8}", "", "time", "allocs", "bytes", "ratio");
    let Some(bare) = taken.first() else { return };
    println!("  {:44} {:>12.2?} {:>8} {:>9}", bare.name, bare.time, bare.allocations, bare.bytes);
    let added = |one: &Taken| one.time.saturating_sub(bare.time);
    let ours = taken.get(1).map(added).unwrap_or_default().as_secs_f64().max(1e-12);
    for one in &taken[1..] {
        println!(
            "  {:44} +{:>11.2?} {:>+8} {:>+9} {:>8.2}",
            one.name,
            added(one),
            one.allocations.cast_signed() - bare.allocations.cast_signed(),
            one.bytes.cast_signed() - bare.bytes.cast_signed(),
            added(one).as_secs_f64() / ours,
        );
    }
}
