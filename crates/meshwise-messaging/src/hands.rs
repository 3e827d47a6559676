//! The messages that consumers have in hand, and how old the oldest is.
//!
//! A handler that hangs finishes nothing, so no histogram tells of it. Its message's age does, for it
//! is asked for at each scrape. Each message in hand takes a slot of its channel's array, and writes the
//! moment that its age counts from and what it is: one exchange to take a slot, a few stores, one more to
//! leave it, no lock. The array grows where it is crowded; what finds no place even then goes into a map
//! behind a lock.

use crate::system::System;
use meshwise_core::{TraceId, internal::clock};
use meshwise_metrics::internal::{MessagingChannel, MessagingMetrics, MessagingSeries};
use parking_lot::Mutex;
use std::{
    array,
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicU32, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::{Duration, Instant, SystemTime},
};

/// How many slots an array begins with, and grows by.
const BLOCK: usize = 64;
/// How many blocks it may have.
const BLOCKS: usize = 16;
/// How many slots that makes; numbers from here on are those of messages beyond.
const SLOTS: usize = BLOCK * BLOCKS;
/// How many slots that are taken make it grow.
const CROWDED: usize = 8;
/// How many channels have an array of their own.
const MAX_CHANNELS: usize = 200;
const FREE: u64 = 0;
/// Taken, and not written yet.
const TAKEN: u64 = 1;
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
    blocks: [OnceLock<Box<[Slot; BLOCK]>>; BLOCKS],
    /// How many blocks are in use, one at least.
    grown: AtomicUsize,
    next: AtomicUsize,
    /// Those that have found no slot, since when, by what stands for a slot's number.
    beyond: Mutex<BTreeMap<usize, (u64, HandFacts)>>,
}

/// A place for a message in hand.
#[derive(Debug)]
struct Slot {
    /// The moment that its age counts from.
    since: AtomicU64,
    trace: [AtomicU64; 2],
    attempt: AtomicU32,
}

/// Says what is known of a message in hand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HandFacts {
    /// When it was published.
    pub(crate) published: Option<SystemTime>,
    pub(crate) trace_id: TraceId,
    /// How often it was delivered, or tried, before.
    pub(crate) attempt: u32,
}

/// Shows a message that a consumer of this service has in hand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MessageInHand {
    /// The messaging system.
    pub system: System,
    /// The topic, queue or subject.
    pub destination: Arc<str>,
    /// The consumer group.
    pub group: Option<Arc<str>>,
    /// How old it is: since it was published if that is known, since it came here else.
    pub age: Duration,
    /// How often it was delivered, or tried, before.
    pub attempt: u32,
    /// Its trace, if there is one: log lines say the same. A batch of messages has one of its own.
    pub trace_id: Option<TraceId>,
}

impl Hands {
    pub(crate) fn new(metrics: Option<MessagingMetrics>) -> Self {
        Self(Arc::new(HandsParts { metrics, channels: Mutex::default() }))
    }

    /// Finds the array of a channel, or makes it; those of channels beyond the bound are not
    /// shown.
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

    /// Lists all messages in hand, the oldest first.
    pub(crate) fn list(&self, now: Instant) -> Vec<MessageInHand> {
        let hands = self.0.channels.lock().clone();
        let mut messages = Vec::new();
        hands.iter().for_each(|hand| hand.list(now, &mut messages));
        messages.sort_by_key(|message| std::cmp::Reverse(message.age));
        messages
    }

    /// Waits until the messages that are in hand now are settled.
    pub(crate) async fn settled(&self) {
        /// How often is looked: only a process that ends does.
        const EVERY: Duration = Duration::from_millis(10);
        let hands = self.0.channels.lock().clone();
        let held = hands.into_iter().map(|hand| (hand.held(), hand));
        let mut held: Vec<_> = held.collect();
        loop {
            held.iter_mut().for_each(|(held, hand)| held.retain(|held| hand.holds(*held)));
            held.retain(|(held, _)| !held.is_empty());
            if held.is_empty() {
                return;
            }
            tokio::time::sleep(EVERY).await;
        }
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
            blocks: array::from_fn(|_| OnceLock::new()),
            grown: AtomicUsize::new(1),
            next: AtomicUsize::new(0),
            beyond: Mutex::default(),
        }
    }

    /// Takes a message in hand; returns its slot, to be [released](Self::release).
    #[inline]
    pub(crate) fn take(&self, now: Instant, facts: &HandFacts) -> usize {
        let since = clock::nanos(now).saturating_add(BIAS);
        let since = match facts.published {
            Some(at) => {
                let age = clock::wall_time(now).duration_since(at).unwrap_or_default();
                since.saturating_sub(clock::span(age)).max(TAKEN + 1)
            }
            None => since,
        };
        loop {
            let grown = self.grown.load(Relaxed);
            let first = self.next.fetch_add(1, Relaxed) % (grown * BLOCK);
            let whole = grown == BLOCKS;
            let most = if whole { SLOTS } else { CROWDED };
            let mut places = (first..first + most).map(|at| at % (grown * BLOCK));
            if let Some(at) = places.find(|at| self.slot(*at).take(since, facts)) {
                return at;
            }
            if whole {
                return self.take_beyond(since, *facts);
            }
            self.grown.fetch_max(grown + 1, Relaxed);
        }
    }

    #[inline(never)]
    fn take_beyond(&self, since: u64, facts: HandFacts) -> usize {
        let mut beyond = self.beyond.lock();
        let at = beyond.last_key_value().map_or(SLOTS, |(last, _)| last + 1);
        beyond.insert(at, (since, facts));
        at
    }

    /// Leaves a slot.
    pub(crate) fn release(&self, at: usize) {
        match at < SLOTS {
            true => self.slot(at).since.store(FREE, Release),
            false => drop(self.beyond.lock().remove(&at)),
        }
    }

    /// Tells whether a slot holds the same message still.
    fn holds(&self, (at, since): (usize, u64)) -> bool {
        match at < SLOTS {
            true => self.slot(at).since.load(Acquire) == since,
            false => self.beyond.lock().get(&at).is_some_and(|held| held.0 == since),
        }
    }

    #[inline]
    fn slot(&self, at: usize) -> &Slot {
        let block =
            self.blocks[at / BLOCK].get_or_init(|| Box::new(array::from_fn(|_| Slot::new())));
        &block[at % BLOCK]
    }

    /// Returns the age of the oldest message in hand.
    pub(crate) fn oldest(&self, now: Instant) -> Option<Duration> {
        let now = clock::nanos(now).saturating_add(BIAS);
        let oldest = self.held().into_iter().map(|(_, since)| since).min()?;
        Some(Duration::from_nanos(now.saturating_sub(oldest)))
    }

    /// Returns the numbers of the slots that are taken, and since when.
    fn held(&self) -> Vec<(usize, u64)> {
        let mut held = Vec::new();
        for (block, slots) in self.blocks.iter().enumerate() {
            for (place, slot) in slots.get().into_iter().flat_map(|slots| slots.iter()).enumerate()
            {
                let since = slot.since.load(Acquire);
                if since > TAKEN {
                    held.push((block * BLOCK + place, since));
                }
            }
        }
        held.extend(self.beyond.lock().iter().map(|(at, (since, _))| (*at, *since)));
        held
    }

    /// Returns what is known of the message in a slot, if it is there still.
    fn facts(&self, held @ (at, since): (usize, u64)) -> Option<(TraceId, u32)> {
        if at >= SLOTS {
            let beyond = self.beyond.lock();
            let (_, facts) = beyond.get(&at).filter(|held| held.0 == since)?;
            return Some((facts.trace_id, facts.attempt));
        }
        let slot = self.slot(at);
        let [high, low] = [&slot.trace[0], &slot.trace[1]].map(|half| half.load(Acquire));
        let attempt = slot.attempt.load(Acquire);
        // Left meanwhile, and perhaps taken anew: what was read may be another's.
        let trace_id = TraceId::from_int(u128::from(high) << 64 | u128::from(low));
        self.holds(held).then_some((trace_id, attempt))
    }

    fn list(&self, now: Instant, messages: &mut Vec<MessageInHand>) {
        let now = clock::nanos(now).saturating_add(BIAS);
        for held in self.held() {
            let Some((trace_id, attempt)) = self.facts(held) else { continue };
            messages.push(MessageInHand {
                system: self.system,
                destination: Arc::clone(&self.destination),
                group: self.group.clone(),
                age: Duration::from_nanos(now.saturating_sub(held.1)),
                attempt,
                trace_id: trace_id.is_valid().then_some(trace_id),
            });
        }
    }
}

impl Slot {
    const fn new() -> Self {
        Self {
            since: AtomicU64::new(FREE),
            trace: [AtomicU64::new(0), AtomicU64::new(0)],
            attempt: AtomicU32::new(0),
        }
    }

    #[inline]
    fn take(&self, since: u64, facts: &HandFacts) -> bool {
        let free = self.since.load(Relaxed) == FREE
            && self.since.compare_exchange(FREE, TAKEN, AcqRel, Relaxed).is_ok();
        if free {
            let trace = facts.trace_id.to_int();
            self.trace[0].store((trace >> 64) as u64, Release);
            self.trace[1].store(trace as u64, Release);
            self.attempt.store(facts.attempt, Release);
            self.since.store(since, Release);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand() -> Arc<Hand> {
        Hands::new(None).of(System::NATS, &"orders".into(), None)
    }

    fn published(at: SystemTime) -> HandFacts {
        HandFacts { published: Some(at), ..HandFacts::default() }
    }

    #[test]
    fn the_oldest_message_in_hand_counts_until_it_is_settled() {
        let (hand, facts) = (hand(), HandFacts::default());
        let now = Instant::now();
        assert_eq!(hand.oldest(now), None);
        let old = hand.take(now, &facts);
        let young = hand.take(now + Duration::from_secs(3), &facts);
        let later = now + Duration::from_secs(5);
        assert_eq!(hand.oldest(later), Some(Duration::from_secs(5)));
        hand.release(old);
        assert_eq!(hand.oldest(later), Some(Duration::from_secs(2)));
        hand.release(young);
        assert_eq!(hand.oldest(later), None);
    }

    #[test]
    fn an_age_counts_from_when_the_message_was_published() {
        let hand = hand();
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        hand.take(now, &published(clock::wall_time(now) - hour));
        let age = hand.oldest(now).unwrap();
        assert!(age.abs_diff(hour) < Duration::from_millis(1), "{age:?}");
        // A clock that runs ahead, and one that stands still since long ago.
        hand.take(now, &published(SystemTime::now() + Duration::from_secs(99)));
        hand.take(now, &published(SystemTime::UNIX_EPOCH));
        assert!(hand.oldest(now).unwrap() > Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn messages_in_hand_are_listed_with_what_is_known_of_them() {
        let hands = Hands::new(None);
        let now = Instant::now();
        let hand = hands.of(System::NATS, &"orders".into(), Some(&"mailer".into()));
        let other = hands.of(System::KAFKA, &"mails".into(), None);
        let facts =
            HandFacts { trace_id: TraceId::from_int(7 << 64 | 8), attempt: 2, published: None };
        hand.take(now, &facts);
        let settled = hand.take(now, &HandFacts::default());
        hand.release(settled);
        other.take(now + Duration::from_secs(1), &HandFacts::default());
        let listed = hands.list(now + Duration::from_secs(3));
        let told = listed.iter().map(|message| {
            let MessageInHand { destination, group, age, attempt, trace_id, .. } = message;
            (
                &**destination,
                group.as_deref(),
                age.as_secs(),
                *attempt,
                trace_id.map(TraceId::to_int),
            )
        });
        let expected =
            [("orders", Some("mailer"), 3, 2, Some(7 << 64 | 8)), ("mails", None, 2, 0, None)];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn no_number_of_messages_is_too_many_and_slots_come_free() {
        let (hand, facts) = (hand(), HandFacts::default());
        let now = Instant::now();
        hand.take(now, &facts);
        assert_eq!(hand.grown.load(Relaxed), 1, "it is small at first");
        let mut all: Vec<_> = (1..SLOTS + 10).map(|_| hand.take(now, &facts)).collect();
        let last = hand.take(now, &published(clock::wall_time(now) - Duration::from_secs(3600)));
        assert!(last >= SLOTS && hand.oldest(now).unwrap() > Duration::from_secs(3599));
        hand.release(last);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), SLOTS + 9, "each has a number of its own");
        (0..SLOTS).for_each(|at| hand.release(at));
        let later = now + Duration::from_secs(1);
        assert_eq!(hand.oldest(later), Some(Duration::from_secs(1)), "ten are in hand");
        let mut listed = Vec::new();
        hand.list(later, &mut listed);
        assert_eq!(listed.len(), 10);
        all.iter().filter(|at| **at >= SLOTS).for_each(|at| hand.release(*at));
        assert_eq!(hand.oldest(later), None);
        assert!(hand.take(now, &facts) < SLOTS, "slots are free again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_hand_is_waited_for_and_what_comes_later_is_not() {
        let hands = Hands::new(None);
        let hand = hands.of(System::NATS, &"orders".into(), None);
        let (now, facts) = (Instant::now(), HandFacts::default());
        hands.settled().await;
        let first: Vec<_> = (0..SLOTS + 2).map(|_| hand.take(now, &facts)).collect();
        let settled = tokio::spawn({
            let hands = hands.clone();
            async move { hands.settled().await }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        let _later = hand.take(now + Duration::from_secs(1), &facts);
        for at in first {
            assert!(!settled.is_finished());
            hand.release(at);
        }
        settled.await.unwrap();
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
