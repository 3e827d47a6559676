//! The messages that consumers have in hand, and how old the oldest is.
//!
//! A handler that hangs finishes nothing, so no histogram tells of it. Its message's age does, for it
//! is asked for at each scrape. Each message in hand takes a slot of a fixed array and writes the
//! moment that its age counts from: one exchange to take a slot, one store to leave it, no lock.

use crate::system::System;
use meshwise_core::internal::clock;
use meshwise_metrics::internal::{MessagingChannel, MessagingMetrics, MessagingSeries};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::{Duration, Instant, SystemTime},
};

/// How many messages of one channel are watched at once; those beyond are not.
const SLOTS: usize = 1024;
/// How many channels have an array of their own.
const MAX_CHANNELS: usize = 200;
const FREE: u64 = 0;
/// Is added to moments as [`clock::nanos`] counts them: ages from long before are below it.
const BIAS: u64 = 1 << 63;

/// Holds the arrays of all channels of a service.
#[derive(Clone, Debug)]
pub(crate) struct Hands(Arc<HandsParts>);

#[derive(Debug)]
struct HandsParts {
    metrics: Option<MessagingMetrics>,
    channels: Mutex<Vec<Arc<Hand>>>,
}

/// Counts the messages of one channel, and watches those that its consumers have in hand.
#[derive(Debug)]
pub(crate) struct Hand {
    system: System,
    destination: Arc<str>,
    group: Option<Arc<str>>,
    pub(crate) series: Option<MessagingSeries>,
    slots: Box<[AtomicU64]>,
    next: AtomicUsize,
}

impl Hands {
    pub(crate) fn new(metrics: Option<MessagingMetrics>) -> Self {
        Self(Arc::new(HandsParts { metrics, channels: Mutex::default() }))
    }

    /// Finds the array of a channel, or makes it; consumers of channels beyond the bound share one
    /// that is not shown.
    pub(crate) fn of(
        &self,
        system: System,
        destination: &Arc<str>,
        group: Option<&Arc<str>>,
    ) -> Arc<Hand> {
        let HandsParts { metrics, channels } = &*self.0;
        let mut hands = channels.lock();
        let known = hands.iter().find(|hand| {
            hand.system == system
                && hand.destination == *destination
                && hand.group.as_ref() == group
        });
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let hand = Arc::new(Hand::new(metrics.as_ref(), system, destination, group));
        if hands.len() < MAX_CHANNELS {
            hands.push(Arc::clone(&hand));
        }
        hand
    }

    /// Sets the gauges.
    pub(crate) fn tell(&self) {
        let now = Instant::now();
        let hands = self.0.channels.lock().clone();
        for hand in hands {
            if let Some(series) = &hand.series {
                series.age(hand.oldest(now).unwrap_or_default());
            }
        }
    }
}

impl Hand {
    fn new(
        metrics: Option<&MessagingMetrics>,
        system: System,
        destination: &Arc<str>,
        group: Option<&Arc<str>>,
    ) -> Self {
        let channel = MessagingChannel {
            system: system.as_str(),
            destination,
            group: group.map(|group| &**group),
        };
        Self {
            system,
            destination: Arc::clone(destination),
            group: group.cloned(),
            series: metrics.map(|metrics| metrics.series(&channel)),
            slots: (0..SLOTS).map(|_| AtomicU64::new(FREE)).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Takes a message in hand, which was published at that time, if that is known.
    pub(crate) fn take(self: &Arc<Self>, now: Instant, published: Option<SystemTime>) -> InHand {
        let since = clock::nanos(now).saturating_add(BIAS);
        let value = match published {
            Some(at) => {
                let age = clock::wall_time(now).duration_since(at).unwrap_or_default();
                since.saturating_sub(clock::span(age)).max(FREE + 1)
            }
            None => since,
        };
        let first = self.next.fetch_add(1, Relaxed);
        let slot = (0..SLOTS).map(|at| first.wrapping_add(at) % SLOTS).find(|at| {
            self.slots[*at].load(Relaxed) == FREE
                && self.slots[*at].compare_exchange(FREE, value, AcqRel, Relaxed).is_ok()
        });
        InHand { hand: Arc::clone(self), slot }
    }

    /// Returns the age of the oldest message in hand.
    pub(crate) fn oldest(&self, now: Instant) -> Option<Duration> {
        let values = self.slots.iter().map(|slot| slot.load(Acquire));
        let oldest = values.filter(|value| *value != FREE).min()?;
        let now = clock::nanos(now).saturating_add(BIAS);
        Some(Duration::from_nanos(now.saturating_sub(oldest)))
    }
}

/// Keeps a message in hand until it is dropped.
#[derive(Debug)]
pub(crate) struct InHand {
    hand: Arc<Hand>,
    slot: Option<usize>,
}

impl Drop for InHand {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.and_then(|at| self.hand.slots.get(at)) {
            slot.store(FREE, Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand() -> Arc<Hand> {
        Hands::new(None).of(System::NATS, &"orders".into(), None)
    }

    #[test]
    fn the_oldest_message_in_hand_counts_until_it_is_settled() {
        let hand = hand();
        let now = Instant::now();
        assert_eq!(hand.oldest(now), None);
        let old = hand.take(now, None);
        let young = hand.take(now + Duration::from_secs(3), None);
        let later = now + Duration::from_secs(5);
        assert_eq!(hand.oldest(later), Some(Duration::from_secs(5)));
        drop(old);
        assert_eq!(hand.oldest(later), Some(Duration::from_secs(2)));
        drop(young);
        assert_eq!(hand.oldest(later), None);
    }

    #[test]
    fn an_age_counts_from_when_the_message_was_published() {
        let hand = hand();
        let now = Instant::now();
        let published = clock::wall_time(now) - Duration::from_secs(3600);
        let _held = hand.take(now, Some(published));
        let age = hand.oldest(now).unwrap();
        assert!(age.abs_diff(Duration::from_secs(3600)) < Duration::from_millis(1), "{age:?}");
        // A clock that runs ahead, and one that stands still since long ago.
        let _ahead = hand.take(now, Some(SystemTime::now() + Duration::from_secs(99)));
        let _ancient = hand.take(now, Some(SystemTime::UNIX_EPOCH));
        assert!(hand.oldest(now).unwrap() > Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn no_number_of_messages_is_too_many_and_slots_come_free() {
        let hand = hand();
        let now = Instant::now();
        let held: Vec<_> = (0..SLOTS + 10).map(|_| hand.take(now, None)).collect();
        assert_eq!(held.iter().filter(|held| held.slot.is_none()).count(), 10);
        drop(held);
        assert_eq!(hand.oldest(now), None);
        assert!(hand.take(now, None).slot.is_some());
    }

    #[test]
    fn channels_are_bounded() {
        let hands = Hands::new(None);
        for i in 0..2 * MAX_CHANNELS {
            let _hand = hands.of(System::NATS, &format!("orders.{i}").into(), None);
        }
        assert_eq!(hands.0.channels.lock().len(), MAX_CHANNELS);
        let one = hands.of(System::NATS, &"orders.1".into(), None);
        assert!(Arc::ptr_eq(&one, &hands.of(System::NATS, &"orders.1".into(), None)));
    }
}
