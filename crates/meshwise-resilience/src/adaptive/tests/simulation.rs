//! Limits and samples in the traffic of a service, on a clock that the test moves.

use super::super::{
    AdaptiveConfig,
    sampler::{Began, Sampler},
};
use std::{cmp::Reverse, collections::BinaryHeap};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;

/// What the peer does with a call: it takes so long, and is well or dropped then.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Well(u64),
    Dropped(u64),
}

/// What a second saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Second {
    limit: u32,
    well: u32,
    dropped: u32,
    refused: u32,
}

/// Makes calls at random moments, `rate` a second on average, within the limit that is found.
fn simulate(
    config: &AdaptiveConfig,
    rate: u64,
    seconds: usize,
    mut answer: impl FnMut(&mut fastrand::Rng, u32) -> Answer,
) -> Vec<Second> {
    config.check().unwrap();
    let (start, sampler) = (1000 * SECOND, Sampler::default());
    sampler.set(Some(config), start, 7, || {});
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut limit, mut in_flight) = (config.0.initial.or_none(), 0);
    let mut seen = vec![Second::default(); seconds];
    let mut ends = BinaryHeap::<Reverse<(u64, Answer, u64, Began)>>::new();
    let mut next = start;
    for number in 0.. {
        next += rng.u64(0..=2 * SECOND / rate);
        // Those that end by then.
        while let Some(Reverse((now, how, _, began))) = ends.peek().copied()
            && now <= next
        {
            ends.pop();
            let second = (now - start) / SECOND;
            if let Some(second) = seen.get_mut(second as usize) {
                match how {
                    Answer::Well(_) => second.well += 1,
                    Answer::Dropped(_) => second.dropped += 1,
                }
            }
            match how {
                Answer::Well(_) => sampler.well(began, || now, in_flight),
                Answer::Dropped(_) => sampler.drops(in_flight),
            }
            in_flight -= 1;
            sampler.tick(now, |new| limit = new);
        }
        let Some(second) = seen.get_mut(((next - start) / SECOND) as usize) else { break };
        second.limit = limit;
        if in_flight >= limit {
            second.refused += 1;
            continue;
        }
        in_flight += 1;
        let answer = answer(&mut rng, in_flight);
        let (Answer::Well(takes) | Answer::Dropped(takes)) = answer;
        ends.push(Reverse((next + takes, answer, number, sampler.wants(|| next))));
    }
    seen
}

fn limits(seen: &[Second], at: [usize; 4]) -> [u32; 4] {
    at.map(|second| seen[second - 1].limit)
}

fn both() -> [AdaptiveConfig; 2] {
    [AdaptiveConfig::gradient2(), AdaptiveConfig::vegas()]
}

#[test]
fn one_drop_a_second_among_thousands_lowers_no_limit() {
    for config in both() {
        let config = config.with_limits(200, 20, 1000);
        let mut calls = 0_u32;
        let seen = simulate(&config, 2000, 90, |_, _| {
            calls += 1;
            let dropped = calls.is_multiple_of(2000);
            if dropped { Answer::Dropped(50 * MS) } else { Answer::Well(50 * MS) }
        });
        let limits = limits(&seen, [15, 30, 60, 90]);
        assert!(limits.iter().all(|limit| *limit >= 150), "{config:?} {limits:?}");
        assert_eq!(seen.iter().map(|second| second.refused).sum::<u32>(), 0, "{limits:?}");
    }
}

#[test]
fn a_dependency_that_is_down_for_some_does_not_drive_a_limit_to_its_floor() {
    for config in both() {
        for percent in [1, 3] {
            let config = config.clone().with_limits(200, 20, 1000);
            // A server's own answers of 503, told at once, were they reported as drops.
            let seen = simulate(&config, 1000, 90, |rng, _| {
                if rng.u32(..100) < percent { Answer::Dropped(0) } else { Answer::Well(50 * MS) }
            });
            let limits = limits(&seen, [15, 30, 60, 90]);
            assert!(limits.iter().all(|limit| *limit >= 150), "{config:?} {percent}: {limits:?}");
            assert_eq!(seen.iter().map(|second| second.refused).sum::<u32>(), 0);
        }
    }
}

#[test]
fn a_peer_that_drops_what_it_cannot_bear_gets_what_it_can() {
    for config in both() {
        // It has 100 places, and answers 503 at once past them.
        let seen = simulate(&config.with_limits(400, 20, 1000), 6000, 120, |_, in_flight| {
            if in_flight > 100 { Answer::Dropped(0) } else { Answer::Well(50 * MS) }
        });
        for second in &seen[60..] {
            assert!((90..=130).contains(&second.limit), "{second:?}");
            assert!(second.well > 1700, "{second:?}");
        }
    }
}

#[test]
fn a_third_of_all_calls_dropped_lowers_a_limit_at_once() {
    for config in both() {
        let seen = simulate(&config.with_limits(200, 20, 1000), 2000, 20, |rng, _| {
            if rng.u32(..10) < 3 { Answer::Dropped(50 * MS) } else { Answer::Well(50 * MS) }
        });
        assert!(seen[3].limit < 180 && seen[19].limit < 100, "{:?}", limits(&seen, [1, 4, 10, 20]));
    }
}

#[test]
fn a_probe_keeps_no_call_of_a_well_peer_out() {
    let config = AdaptiveConfig::vegas().with_limits(110, 20, 110);
    // 80 are in flight, on average, in 50 ms each: all alike, or more or less.
    for spread in [0, 1, 25] {
        let seen = simulate(&config, 1600, 200, |rng, _| {
            Answer::Well(rng.u64((50 - spread) * MS..=(50 + spread) * MS))
        });
        assert!(seen.iter().all(|second| second.limit == 110), "{spread} {seen:?}");
        assert!(seen.iter().all(|second| second.refused == 0), "{spread} {seen:?}");
    }
}

#[test]
fn a_queue_that_was_always_there_is_seen_by_a_probe() {
    // 100 at a time in 10 ms, and a queue that stands from the first call on.
    let config = AdaptiveConfig::vegas().with_limits(300, 20, 1000);
    let seen = simulate(&config, 20_000, 240, |_, in_flight| {
        Answer::Well(10 * MS * u64::from(in_flight.max(100)) / 100)
    });
    // But for the seconds in which it probes.
    let late = &seen[180..];
    assert!(late.iter().all(|second| (60..=130).contains(&second.limit)), "{late:?}");
    assert!(late.iter().filter(|second| second.limit < 100).count() < 4, "{late:?}");
}

/// Returns the mean time of each second's sample, in milliseconds, of calls that take 2 ms, and
/// three of ten `slow` milliseconds.
fn samples(rate: u64, slow: u64, mut is_slow: impl FnMut(u64) -> bool) -> Vec<f64> {
    let start = 1000 * SECOND;
    let sampler = Sampler::default();
    sampler.set(Some(&AdaptiveConfig::gradient2()), start, 7, || {});
    let mut ends = BinaryHeap::<Reverse<(u64, u64, Began)>>::new();
    let (mut means, mut measured) = (vec![], 0_u64);
    for number in 0..rate * 25 {
        let now = start + number * SECOND / rate;
        while let Some(Reverse((end, _, began))) = ends.peek().copied()
            && end <= now
        {
            ends.pop();
            sampler.well(began, || end, 1);
        }
        if number > 0 && number.is_multiple_of(rate) {
            let sample = sampler.sample(now, 10).unwrap();
            means.push(sample.time.unwrap() / MS as f64);
        }
        let began = sampler.wants(|| now);
        measured += u64::from(number >= rate * 10 && began != Began::default());
        let takes = if is_slow(number) { slow } else { 2 };
        ends.push(Reverse((now + takes * MS, number, began)));
    }
    let a_second = measured / 15;
    assert!(a_second <= 520 && a_second >= rate.min(256), "{a_second} of {rate}");
    means
}

#[test]
fn a_sample_is_as_slow_as_the_calls_are() {
    for rate in [200, 1000, 4000] {
        for slow in [300, 700, 1000, 1500] {
            let truth = 0.7 * 2.0 + 0.3 * slow as f64;
            let mut rng = fastrand::Rng::with_seed(rate + slow);
            let random = samples(rate, slow, |_| rng.u32(..10) < 3);
            // In turn, and in step with any choice of one in two, four or eight.
            let in_turn = samples(rate, slow, |number| number % 10 < 3);
            let in_step = samples(rate, slow, |number| number % 160 < 48);
            for means in [random, in_turn, in_step] {
                // The first two seconds' slow calls have not ended yet, in part.
                let mean = means[2..].iter().sum::<f64>() / (means.len() - 2) as f64;
                assert!(
                    (mean / truth - 1.0).abs() < 0.15,
                    "{rate}/s, {slow} ms: {mean}, not {truth}"
                );
                for mean in &means[2..] {
                    assert!((mean / truth - 1.0).abs() < 0.35, "{rate}/s, {slow} ms: {means:?}");
                }
            }
        }
    }
}
