//! gRPC's rule: retry while more than half of the tokens are left.

use crate::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// Thousandths of a token, as gRPC counts them.
const TOKEN: u64 = 1000;

pub(super) struct Tokens {
    max: u64,
    ratio: u64,
    tokens: AtomicU64,
}

impl Tokens {
    pub(super) fn new(max: u32, ratio: f64) -> Self {
        let max = u64::from(max) * TOKEN;
        // The ratio is above 0 and at most 1.
        let ratio = ((ratio * TOKEN as f64).round() as u64).max(1);
        Self { max, ratio, tokens: AtomicU64::new(max) }
    }

    #[inline]
    pub(super) fn succeeded(&self) {
        // Full is how it is as long as all goes well: then nothing is written.
        if self.tokens.load(Relaxed) < self.max {
            self.update(|tokens| (tokens + self.ratio).min(self.max));
        }
    }

    pub(super) fn failed(&self) {
        self.update(|tokens| tokens.saturating_sub(TOKEN));
    }

    pub(super) fn allow(&self) -> bool {
        self.tokens.load(SeqCst) > self.max / 2
    }

    pub(super) fn available(&self) -> u64 {
        self.tokens.load(SeqCst).saturating_sub(self.max / 2).div_ceil(TOKEN)
    }

    fn update(&self, change: impl Fn(u64) -> u64) {
        let mut seen = self.tokens.load(Relaxed);
        while let Err(other) =
            self.tokens.compare_exchange_weak(seen, change(seen), SeqCst, Relaxed)
        {
            seen = other;
        }
    }
}
