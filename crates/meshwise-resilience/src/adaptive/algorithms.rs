//! Gradient2 and Vegas, as plain machines: a sample in, a limit out.

use super::AdaptiveConfig;
use meshwise_core::internal::random::Seeded;

/// What one window saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// The mean time of a call, in nanoseconds, more than zero; none if no call went well.
    pub(super) time: Option<f64>,
    pub(super) in_flight: u32,
    /// The share of calls, 0 to 1, that failed because the peer had too much to do.
    pub(super) dropped: f64,
}

/// From this share of drops on a limit does not grow, whatever the time that calls take, and falls
/// even if it is not made use of.
const MANY: f64 = 0.1;

impl Sample {
    /// Returns the share of a step up that may still be gone: all of it without drops, none with
    /// many.
    fn calm(&self) -> f64 {
        (1.0 - self.dropped / MANY).max(0.0)
    }

    /// Tells whether so few calls were in flight that their time says nothing of what more would
    /// take.
    fn idles(&self, limit: f64) -> bool {
        f64::from(self.in_flight) * 2.0 < limit
    }

    /// Tells whether calls used the whole limit, and more would have come.
    fn fills(&self, limit: f64) -> bool {
        f64::from(self.in_flight) + 1.0 > limit
    }

    /// Returns the share of the limit that is too much, by the drops: theirs, half at most.
    fn too_much(&self) -> f64 {
        self.dropped.min(0.5)
    }
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
    Gradient2(Average),
    Vegas(Vegas),
}

impl Limit {
    pub(super) fn new(config: &AdaptiveConfig, seed: u64) -> Self {
        let said = &config.0;
        let algorithm = match said.algorithm.get().map(String::as_str) {
            Some("vegas") => Algorithm::Vegas(Vegas {
                shortest: f64::INFINITY,
                until_probe: PROBE_AFTER,
                queueing: 0,
                probing: None,
                rng: Seeded::new(seed),
            }),
            _ => Algorithm::Gradient2(Average { samples: 0, value: 0.0 }),
        };
        Self {
            floor: f64::from(said.floor.or_none()),
            ceiling: f64::from(said.ceiling.or_none()),
            limit: f64::from(said.initial.or_none()),
            algorithm,
        }
    }

    pub(super) fn update(&mut self, sample: Sample) -> u32 {
        let limit = match &mut self.algorithm {
            Algorithm::Gradient2(long) => long.gradient2(self.limit, sample),
            Algorithm::Vegas(vegas) => vegas.update(self.limit, sample),
        };
        // A limit that is not a number becomes the floor.
        self.limit = limit.max(self.floor).min(self.ceiling);
        self.limit.round() as u32
    }
}

/// How much longer than on average calls may take before Gradient2 lowers the limit.
const TOLERANCE: f64 = 1.5;
/// The share of the way to its new limit that Gradient2 goes at each sample.
const SMOOTHING: f64 = 0.2;
/// Calls above the limit that Gradient2 tries at each sample, so that it can grow; the limit's square
/// root, if that is more.
const HEADROOM: f64 = 4.0;

/// The long average of Gradient2: an exponential one, of 600 samples, that begins as a plain one.
#[derive(Debug)]
struct Average {
    samples: u32,
    value: f64,
}

impl Average {
    const WARM_UP: u32 = 10;
    const WINDOW: u32 = 600;

    fn gradient2(&mut self, limit: f64, sample: Sample) -> f64 {
        let long_by_time = match sample.time {
            Some(time) => self.add(time) / time,
            None => 1.0,
        };
        // Recovering from a long time of overload: forget it faster than the average does.
        if long_by_time > 2.0 {
            self.value *= 0.95;
        }
        let idles = sample.idles(limit);
        if idles && sample.dropped < MANY {
            return limit;
        }
        let gradient = if idles { 1.0 } else { (TOLERANCE * long_by_time).clamp(0.5, 1.0) };
        // By the root, as Gradient's: from 20 to 400 in minutes, not in ten.
        let headroom = HEADROOM.max(limit.sqrt()) * sample.calm();
        let goal = limit * (gradient * (1.0 - sample.too_much())).max(0.5) + headroom;
        limit + (goal - limit) * SMOOTHING
    }

    fn add(&mut self, sample: f64) -> f64 {
        let weight = if self.samples < Self::WARM_UP {
            self.samples += 1;
            1.0 / f64::from(self.samples)
        } else {
            2.0 / f64::from(Self::WINDOW + 1)
        };
        self.value += (sample - self.value) * weight;
        self.value
    }
}

#[derive(Debug)]
struct Vegas {
    /// The shortest time since the last probe.
    shortest: f64,
    until_probe: u32,
    /// Windows in a row with the limit taken and a queue at the peer.
    queueing: u32,
    /// The limit to come back to after a probe.
    probing: Option<f64>,
    rng: Seeded,
}

/// Samples after which Vegas measures the shortest time anew (at random, half to all of it), for the
/// world may have changed. If calls filled the limit and queued at the peer for [`STANDING`] samples in
/// a row, the limit is lowered for one sample, by half at most, so that the queue drains.
const PROBE_AFTER: u32 = 60;

/// A queue that was there for so many windows in a row did not come by chance.
const STANDING: u32 = 5;

impl Vegas {
    fn update(&mut self, limit: f64, sample: Sample) -> f64 {
        if let Some(limit) = self.probing.take() {
            if let Some(time) = sample.time {
                if time < self.shortest * 0.95 {
                    // What was the shortest had queued too, and there may be more of it.
                    self.until_probe = self.until_probe.min(2 * STANDING);
                }
                self.shortest = time;
            }
            return limit;
        }
        let step = limit.log10().max(1.0);
        let idles = sample.idles(limit);
        let mut queued = 0.0;
        if let Some(time) = sample.time {
            if time < self.shortest {
                // Half the way: one quick sample by chance must not make all others look slow.
                let before = if self.shortest.is_finite() { self.shortest } else { time };
                self.shortest = before.midpoint(time);
            }
            queued = (limit * (1.0 - self.shortest / time)).ceil().max(0.0);
            let queues = queued >= 3.0 * step && sample.fills(limit);
            self.queueing = if queues { self.queueing.saturating_add(1) } else { 0 };
            self.until_probe = self.until_probe.saturating_sub(1);
            if self.until_probe == 0 {
                self.until_probe = self.rng.within(PROBE_AFTER / 2, PROBE_AFTER);
                if self.queueing >= STANDING {
                    // The shortest time may be of another world, or was queued for itself: it is
                    // measured with the queue drained (as BBR probes the round-trip time), and
                    // more than what is known of it.
                    self.probing = Some(limit);
                    return (limit - 3.0 * queued).max(limit / 2.0);
                }
                if !queues {
                    // No call has to stay out for it to be measured.
                    (self.shortest, queued) = (time, 0.0);
                }
            }
        }
        if idles && sample.dropped < MANY {
            return limit;
        }
        let change = match queued {
            _ if idles => 0.0,
            _ if queued <= step => 6.0 * step * sample.calm(),
            _ if queued < 3.0 * step => step * sample.calm(),
            // Vegas goes down a step for each call's answer; this is one for a whole window's.
            _ if queued > 6.0 * step => -step.max((queued - 6.0 * step) / 5.0),
            _ => 0.0,
        };
        limit + change - limit * sample.too_much() * SMOOTHING
    }
}
