//! Sends batches until it is known what became of them.

use super::{Batch, Deliver, Delivery, LineDelivery};
use meshwise_core::{Redaction, internal::random};
use std::{
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

/// How long a destination that refused is left alone, at first and at most. The wait is drawn between
/// a half and the whole of it, so that a fleet does not come back at one moment.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(30);
/// How often a wait is interrupted to see whether it is still worth it.
const NAP: Duration = Duration::from_millis(20);
/// How often problems are told.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// How many characters of a problem are told.
const MAX_TOLD: usize = 500;

/// Holds a transport, and the patience with it.
pub(crate) struct Shipper {
    deliver: Box<dyn Deliver>,
    /// The next wait, if the last attempt was in vain.
    wait: Duration,
    /// What waits and what is lost are told of apart: neither keeps the other quiet.
    waiting: Complaints,
    losses: Complaints,
    /// Lines that are lost, and were not told of yet.
    untold: u64,
}

/// What became of a batch, line by line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shipped {
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    /// Not known: it was given up before.
    pub(crate) open: u64,
}

impl Shipper {
    /// Holds a transport that has done nothing yet; what it says is told with what `redaction` hides.
    pub(crate) fn new(name: &str, deliver: Box<dyn Deliver>, redaction: &Redaction) -> Self {
        let complaints = || Complaints::new(name, redaction.clone());
        let (waiting, losses) = (complaints(), complaints());
        Self { deliver, wait: FIRST_WAIT, waiting, losses, untold: 0 }
    }

    /// Sends a batch, again and again, until all of it is accepted or lost, or `gives_up`.
    pub(crate) fn ship(&mut self, mut batch: Batch, gives_up: &dyn Fn() -> bool) -> Shipped {
        let mut shipped = Shipped::default();
        loop {
            let all = batch.len() as u64;
            let deliver = AssertUnwindSafe(|| self.deliver.deliver(&batch));
            let delivery =
                catch_unwind(deliver).unwrap_or_else(|_| Delivery::lost("the transport panicked"));
            let (asked, reason) = match delivery {
                Delivery::Accepted => {
                    shipped.delivered += all;
                    self.wait = FIRST_WAIT;
                    return shipped;
                }
                Delivery::Lost { reason } => {
                    shipped.lost += all;
                    self.tell_lost(all, &reason);
                    return shipped;
                }
                Delivery::Refused { retry_after, reason } => (retry_after, reason),
                Delivery::Lines { lines, retry_after, refused, lost: reason } => {
                    let end = |index| lines.get(index).copied().unwrap_or(LineDelivery::Lost);
                    let count = |wanted| (0..batch.len()).filter(|i| end(*i) == wanted).count();
                    let delivered = count(LineDelivery::Accepted) as u64;
                    let lost = count(LineDelivery::Lost) as u64;
                    shipped.delivered += delivered;
                    shipped.lost += lost;
                    if delivered > 0 {
                        self.wait = FIRST_WAIT;
                    }
                    if lost > 0 {
                        self.tell_lost(lost, &reason);
                    }
                    batch = batch.retain(|index| end(index) == LineDelivery::Refused);
                    if batch.is_empty() {
                        return shipped;
                    }
                    (retry_after, refused)
                }
            };
            let waiting = batch.len();
            self.waiting.tell(&format!("{waiting} lines and those after them wait: {reason}"));
            if !self.rest(asked, gives_up) {
                shipped.open = waiting as u64;
                return shipped;
            }
        }
    }

    fn tell_lost(&mut self, lines: u64, reason: &str) {
        self.untold += lines;
        let all = self.untold;
        if self.losses.tell(&format!("{all} lines are lost: {reason}")) {
            self.untold = 0;
        }
    }

    /// Waits before the next attempt; `false` if there is to be none.
    fn rest(&mut self, asked: Option<Duration>, gives_up: &dyn Fn() -> bool) -> bool {
        let own = self.wait.mul_f64(0.5 + random::f64() / 2.0);
        self.wait = (2 * self.wait).min(LAST_WAIT);
        let wait = asked.map_or(own, |asked| asked.max(own)).min(2 * LAST_WAIT);
        let until = Instant::now() + wait;
        loop {
            if gives_up() {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(NAP));
        }
    }
}

/// Tells on standard error what goes wrong with an output, once a minute. (The log itself may be what
/// does not get through.)
pub(crate) struct Complaints {
    name: String,
    redaction: Redaction,
    told: Option<Instant>,
}

impl Complaints {
    pub(crate) fn of(name: &str) -> Self {
        Self::new(name, Redaction::default())
    }

    pub(crate) fn new(name: &str, redaction: Redaction) -> Self {
        Self { name: name.to_owned(), redaction, told: None }
    }

    /// Tells it, unless something was told within the last minute: then it returns `false`.
    pub(crate) fn tell(&mut self, what: &str) -> bool {
        if self.told.is_some_and(|told| told.elapsed() < COMPLAIN_EVERY) {
            return false;
        }
        self.told = Some(Instant::now());
        let what = self.shown(what);
        // Standard error may be closed; then there is no way to tell.
        let _ = writeln!(std::io::stderr(), "meshwise: log output {}: {what}", self.name);
        true
    }

    /// Hides secrets, and makes it one line that is not too long: the other side's reasons may quote
    /// lines, and be as long as it likes.
    fn shown(&self, what: &str) -> String {
        let plain = self.redaction.text(what);
        let mut rest = plain.chars();
        let mut shown = String::new();
        for c in rest.by_ref().take(MAX_TOLD) {
            match c.is_control() {
                true => shown.extend(c.escape_default()),
                false => shown.push(c),
            }
        }
        if rest.next().is_some() {
            shown.push('…');
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        cell::Cell,
        sync::{Arc, Mutex, PoisonError},
    };

    type Seen = Arc<Mutex<Vec<(u128, Vec<u32>)>>>;

    /// Answers as it was told, and notes what it was sent.
    struct Scripted(Vec<Delivery>, Seen);

    impl Deliver for Scripted {
        fn deliver(&mut self, batch: &Batch) -> Delivery {
            let numbers = batch.lines().map(|line| line.number()).collect();
            self.1.lock().unwrap_or_else(PoisonError::into_inner).push((batch.id(), numbers));
            if self.0.is_empty() { panic!("asked once too often") } else { self.0.remove(0) }
        }
    }

    fn ship(answers: Vec<Delivery>, gives_up: &dyn Fn() -> bool) -> (Shipped, Seen) {
        let seen = Seen::default();
        let scripted = Scripted(answers, Arc::clone(&seen));
        let mut batch = Batch::with_id(9);
        for at in 0..4 {
            batch.push(b"line\n", at);
        }
        let shipped =
            Shipper::new("test", Box::new(scripted), Redaction::standard()).ship(batch, gives_up);
        (shipped, seen)
    }

    #[test]
    fn only_what_was_refused_is_sent_again_under_its_old_number() {
        use LineDelivery::{Accepted, Lost, Refused};
        let part = |lines: &[LineDelivery]| Delivery::Lines {
            lines: lines.to_vec(),
            retry_after: None,
            refused: "busy".to_owned(),
            lost: "bad".to_owned(),
        };
        let answers = vec![
            part(&[Accepted, Refused, Lost, Refused]),
            Delivery::refused("away"),
            part(&[Refused, Accepted]),
            Delivery::Accepted,
        ];
        let (shipped, seen) = ship(answers, &|| false);
        assert_eq!(shipped, Shipped { delivered: 3, lost: 1, open: 0 });
        let numbers = [vec![0, 1, 2, 3], vec![1, 3], vec![1, 3], vec![1]];
        let expected: Vec<_> = numbers.into_iter().map(|numbers| (9, numbers)).collect();
        assert_eq!(*seen.lock().expect("not poisoned"), expected);
    }

    #[test]
    fn a_transport_that_panics_loses_its_batch_and_no_thread() {
        let (shipped, _) = ship(Vec::new(), &|| false);
        assert_eq!(shipped, Shipped { delivered: 0, lost: 4, open: 0 });
    }

    #[test]
    fn what_is_given_up_is_neither_delivered_nor_lost() {
        let asked = Cell::new(0);
        let gives_up = || asked.replace(asked.get() + 1) >= 3;
        let answers = vec![Delivery::refused("away"); 9];
        let (shipped, seen) = ship(answers, &gives_up);
        assert_eq!(shipped, Shipped { delivered: 0, lost: 0, open: 4 });
        assert_eq!(seen.lock().expect("not poisoned").len(), 1, "the first wait is 50 ms or more");
    }
}
