//! Gradient2 and Vegas, as plain machines: a sample in, a limit out.

use super::{AdaptiveConfig, LimitAlgorithm};

/// What one window saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// The mean time of a call, in nanoseconds, more than zero; none if no call went well.
    pub(super) time: Option<f64>,
    /// The most calls under way.
    pub(super) in_flight: u32,
    /// Whether the neighbour was overloaded.
    pub(super) dropped: bool,
}

#[derive(Debug)]
pub(super) struct Limit {
    floor: f64,
    ceiling: f64,
    /// Not rounded, so that small steps add up.
    limit: f64,
    algorithm: Algorithm,
}

#[derive(Debug)]
enum Algorithm {
    Gradient2(Gradient2),
    Vegas(Vegas),
}

impl Limit {
    pub(super) fn new(config: &AdaptiveConfig, seed: u64) -> Self {
        Self {
            floor: f64::from(config.floor),
            ceiling: f64::from(config.ceiling),
            limit: f64::from(config.initial),
            algorithm: match config.algorithm {
                LimitAlgorithm::Gradient2 { tolerance, smoothing, headroom, long_window } => {
                    Algorithm::Gradient2(Gradient2 {
                        tolerance,
                        smoothing,
                        headroom: f64::from(headroom),
                        long: Average { window: long_window, samples: 0, value: 0.0 },
                    })
                }
                LimitAlgorithm::Vegas { smoothing, probe_after } => Algorithm::Vegas(Vegas {
                    smoothing,
                    probe_after,
                    shortest: f64::INFINITY,
                    until_probe: probe_after,
                    probing: None,
                    rng: fastrand::Rng::with_seed(seed),
                }),
            },
        }
    }

    /// Takes a sample; returns the limit that follows from it.
    pub(super) fn update(&mut self, sample: Sample) -> u32 {
        let limit = match &mut self.algorithm {
            Algorithm::Gradient2(gradient) => gradient.update(self.limit, sample),
            Algorithm::Vegas(vegas) => vegas.update(self.limit, sample),
        };
        // A limit that is not a number becomes the floor.
        self.limit = limit.max(self.floor).min(self.ceiling);
        self.limit.round() as u32
    }
}

#[derive(Debug)]
struct Gradient2 {
    tolerance: f64,
    smoothing: f64,
    headroom: f64,
    long: Average,
}

impl Gradient2 {
    fn update(&mut self, limit: f64, sample: Sample) -> f64 {
        let long_by_time = match sample.time {
            Some(time) => self.long.add(time) / time,
            None => 1.0,
        };
        // Recovering from a long time of overload: forget it faster than the average does.
        if long_by_time > 2.0 {
            self.long.value *= 0.95;
        }
        // Not used to the half: the time says nothing of what more calls would do.
        if !sample.dropped && f64::from(sample.in_flight) < limit / 2.0 {
            return limit;
        }
        let mut gradient = (self.tolerance * long_by_time).clamp(0.5, 1.0);
        // By the root, as Gradient's: from 20 to 400 in minutes, not in ten.
        let mut headroom = self.headroom.max(limit.sqrt());
        if sample.dropped {
            (gradient, headroom) = (gradient.min(0.75), 0.0);
        }
        limit + (limit * gradient + headroom - limit) * self.smoothing
    }
}

/// An exponential average, that begins as a plain one.
#[derive(Debug)]
struct Average {
    window: u32,
    samples: u32,
    value: f64,
}

impl Average {
    const WARM_UP: u32 = 10;

    fn add(&mut self, sample: f64) -> f64 {
        let weight = if self.samples < Self::WARM_UP {
            self.samples += 1;
            1.0 / f64::from(self.samples)
        } else {
            2.0 / f64::from(self.window + 1)
        };
        self.value += (sample - self.value) * weight;
        self.value
    }
}

#[derive(Debug)]
struct Vegas {
    smoothing: f64,
    probe_after: u32,
    /// The shortest time since the last probe.
    shortest: f64,
    until_probe: u32,
    /// The limit to come back to after a probe.
    probing: Option<f64>,
    rng: fastrand::Rng,
}

impl Vegas {
    fn update(&mut self, limit: f64, sample: Sample) -> f64 {
        if let Some(limit) = self.probing.take() {
            self.shortest = sample.time.unwrap_or(self.shortest);
            return limit;
        }
        self.until_probe = self.until_probe.saturating_sub(1);
        if self.until_probe == 0 {
            self.until_probe = self.rng.u32(self.probe_after / 2..=self.probe_after).max(1);
            // Under half the load, or what is measured would be a neighbour that is busy already
            // (as BBR probes the round-trip time).
            self.probing = Some(limit);
            return limit / 2.0;
        }
        let time = sample.time.unwrap_or(self.shortest);
        self.shortest = self.shortest.min(time);
        let step = limit.log10().max(1.0);
        let goal = if sample.dropped {
            limit - step.max(limit / 10.0)
        } else if f64::from(sample.in_flight) * 2.0 < limit {
            return limit;
        } else {
            let queued = (limit * (1.0 - self.shortest / time)).ceil();
            if queued <= step {
                limit + 6.0 * step
            } else if queued < 3.0 * step {
                limit + step
            } else if queued > 6.0 * step {
                // Vegas goes down a step for each call's answer; this is one for a whole window's.
                limit - step.max((queued - 6.0 * step) / 5.0)
            } else {
                return limit;
            }
        };
        limit + (goal - limit) * self.smoothing
    }
}
