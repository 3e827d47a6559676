//! Rate, errors and duration over the last minutes, in a bounded ring of short buckets.

use std::collections::VecDeque;

/// A bucket spans so many milliseconds.
pub(crate) const STEP: u64 = 5_000;
/// So many buckets are kept: ten minutes.
pub(crate) const STEPS: usize = 120;
/// Durations are counted in so many classes, each √2 wider than the one before.
pub(crate) const CLASSES: usize = 40;
/// The first class ends here, in nanoseconds.
const FIRST: f64 = 100_000.0;

/// Is one call, as the map and the figures count it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Call {
    pub(crate) trace: u128,
    /// Nanoseconds.
    pub(crate) duration: u64,
    pub(crate) failed: bool,
}

/// Counts the calls of one step.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// The step's number: Unix time over [`STEP`].
    pub(crate) step: u64,
    pub(crate) calls: u32,
    pub(crate) failed: u32,
    pub(crate) classes: [u32; CLASSES],
    /// The longest call, in nanoseconds.
    longest: u64,
    /// The slowest call, a failed one before all others.
    pub(crate) worst: Call,
}

/// Sums up the calls of some time.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    classes: [u64; CLASSES],
    longest: u64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { calls: 0, failed: 0, classes: [0; CLASSES], longest: 0 }
    }
}

impl Sum {
    fn add_bucket(&mut self, bucket: &Bucket) {
        self.calls += u64::from(bucket.calls);
        self.failed += u64::from(bucket.failed);
        self.longest = self.longest.max(bucket.longest);
        for (sum, class) in self.classes.iter_mut().zip(bucket.classes) {
            *sum += u64::from(class);
        }
    }

    /// Returns the share of calls that failed, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "shown to three digits")]
    pub(crate) fn share(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.failed as f64 / self.calls as f64 }
    }

    /// Estimates a quantile in milliseconds; none without calls. The error is at most a class's width, and
    /// it is never longer than the longest call.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        let all: u64 = self.classes.iter().sum();
        if all == 0 {
            return None;
        }
        let rank = quantile * all as f64;
        let mut below = 0.0;
        for (class, &count) in self.classes.iter().enumerate() {
            let count = count as f64;
            if count > 0.0 && below + count >= rank {
                let (from, to) = bounds(class);
                let at = from + (to - from) * ((rank - below) / count).clamp(0.0, 1.0);
                return Some(at.min(self.longest as f64) / 1e6);
            }
            below += count;
        }
        None
    }
}

/// Returns the bounds of a class, in nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "40 classes")]
pub(crate) fn bounds(class: usize) -> (f64, f64) {
    let to = FIRST * 2_f64.powf(class as f64 / 2.0);
    (if class == 0 { 0.0 } else { to / 2_f64.sqrt() }, to)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the number of classes"
)]
fn class(duration: u64) -> usize {
    let over = (duration as f64 / FIRST).log2() * 2.0;
    (over.ceil().max(0.0) as usize).min(CLASSES - 1)
}

/// Keeps the buckets of the last [`STEPS`] steps in which there were calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Red {
    buckets: VecDeque<Bucket>,
    /// All calls ever.
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    /// The last call, in milliseconds of Unix time.
    pub(crate) last: u64,
}

impl Red {
    /// Counts a call at `now`, in milliseconds of Unix time: the console's clock, for senders' may be
    /// years off.
    pub(crate) fn count(&mut self, now: u64, call: Call) {
        self.calls += 1;
        self.failed += u64::from(call.failed);
        self.last = now;
        let step = now / STEP;
        if self.buckets.back().is_none_or(|last| last.step < step) {
            if self.buckets.len() >= STEPS {
                self.buckets.pop_front();
            }
            self.buckets.push_back(Bucket {
                step,
                calls: 0,
                failed: 0,
                classes: [0; CLASSES],
                longest: 0,
                worst: call,
            });
        }
        let Some(bucket) = self.buckets.back_mut() else { return };
        bucket.calls = bucket.calls.saturating_add(1);
        bucket.failed = bucket.failed.saturating_add(u32::from(call.failed));
        bucket.longest = bucket.longest.max(call.duration);
        let class = &mut bucket.classes[class(call.duration)];
        *class = class.saturating_add(1);
        let rank = |call: &Call| (call.failed, call.duration);
        if rank(&call) > rank(&bucket.worst) {
            bucket.worst = call;
        }
    }

    /// Sums up the last `window` milliseconds.
    pub(crate) fn sum(&self, now: u64, window: u64) -> Sum {
        let mut sum = Sum::default();
        self.recent(now, window).for_each(|bucket| sum.add_bucket(bucket));
        sum
    }

    /// Lists the buckets of the last `window` milliseconds, the oldest first.
    pub(crate) fn recent(&self, now: u64, window: u64) -> impl Iterator<Item = &Bucket> {
        let (from, to) = (now.saturating_sub(window) / STEP, now / STEP);
        self.buckets
            .iter()
            .filter(move |bucket| (bucket.step > from || window >= now) && bucket.step <= to)
    }

    /// Returns one sum for each of the last `steps` steps, the oldest first; the step under `now` last.
    pub(crate) fn steps(&self, now: u64, steps: usize) -> Vec<Sum> {
        let mut all = vec![Sum::default(); steps];
        let newest = now / STEP;
        for bucket in &self.buckets {
            let back = usize::try_from(newest.saturating_sub(bucket.step)).unwrap_or(usize::MAX);
            if let Some(at) = steps.checked_sub(back + 1) {
                all[at].add_bucket(bucket);
            }
        }
        all
    }

    /// Returns the memory used, in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.buckets.capacity() * size_of::<Bucket>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(millis: u64, failed: bool) -> Call {
        Call { trace: u128::from(millis), duration: millis * 1_000_000, failed }
    }

    #[test]
    fn quantiles_are_right_to_a_class() {
        let mut red = Red::default();
        (1..=100).for_each(|millis| red.count(60_000, call(millis, millis > 95)));
        let sum = red.sum(61_000, 60_000);
        assert_eq!((sum.calls, sum.failed), (100, 5));
        assert!((sum.share() - 0.05).abs() < 1e-9);
        let near = |quantile: f64, truth: f64| {
            let found = sum.quantile(quantile).expect("calls");
            assert!((truth / 1.42..truth * 1.42).contains(&found), "{quantile}: {found}");
        };
        near(0.5, 50.0);
        near(0.99, 99.0);
        assert!(sum.quantile(1.0) <= Some(100.0), "no call was longer");
        let mut one = Red::default();
        one.count(60_000, call(5, false));
        assert_eq!(one.sum(61_000, 60_000).quantile(0.99), Some(5.0));
        assert_eq!(Sum::default().quantile(0.5), None);
    }

    #[test]
    fn many_calls_of_one_class_do_not_make_the_others_more() {
        let mut red = Red::default();
        (0..200_000).for_each(|_| red.count(60_000, call(1, false)));
        (0..1_000).for_each(|_| red.count(60_000, call(1_000, false)));
        assert!(red.sum(61_000, 60_000).quantile(0.99) < Some(2.0), "1 in 200 takes 1 s");
    }

    #[test]
    fn the_worst_call_of_a_step_is_kept_a_failed_one_first() {
        let mut red = Red::default();
        red.count(0, call(90, false));
        red.count(0, call(10, true));
        red.count(0, call(80, false));
        assert_eq!(red.recent(1, 60_000).next().map(|bucket| bucket.worst.trace), Some(10));
    }

    #[test]
    fn old_steps_are_dropped_and_do_not_count() {
        let mut red = Red::default();
        (0..1000).for_each(|at| red.count(at * STEP, call(1, false)));
        assert_eq!(red.buckets.len(), STEPS);
        assert_eq!(red.sum(999 * STEP, 60_000).calls, 12);
        assert_eq!(red.calls, 1000);
        let steps = red.steps(1001 * STEP, 4);
        assert_eq!(steps.iter().map(|sum| sum.calls).collect::<Vec<_>>(), [1, 1, 0, 0]);
    }

    #[test]
    fn no_duration_is_out_of_class() {
        assert_eq!((class(0), class(u64::MAX)), (0, CLASSES - 1));
    }
}
