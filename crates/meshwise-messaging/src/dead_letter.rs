//! What a message is told when it is set aside, or tried again through another queue.

use crate::{carrier::CarrierMut, names, processing::Processing};
use std::fmt::Display;

/// The longest reason that is written, in bytes.
const MAX_REASON: usize = 512;

impl Processing {
    /// Writes into the headers of a message that is set aside why that is
    /// (`x-dead-letter-reason`: at most 512 bytes of visible ASCII, without what is hidden in spans and
    /// lines), and how often it was tried (`x-attempt`).
    ///
    /// The trace goes on if it is sent with a [`Sending`](crate::Sending) that begins in this message's
    /// context.
    pub fn mark_dead_letter(
        &self,
        carrier: &mut (impl CarrierMut + ?Sized),
        reason: &impl Display,
    ) {
        let reason = reason.to_string();
        let reason = self.consumer.0.messaging.0.redaction.text(&reason);
        let mut plain = String::with_capacity(reason.len().min(MAX_REASON));
        for c in reason.chars().take(MAX_REASON) {
            plain.push(if matches!(c, ' '..='~') { c } else { '?' });
        }
        set(carrier, names::X_DEAD_LETTER_REASON, &plain);
        self.mark_retry(carrier);
    }

    /// Writes into the headers of a message that is tried again through another queue how often it was
    /// tried (`x-attempt`): for brokers that do not count, such as Kafka.
    pub fn mark_retry(&self, carrier: &mut (impl CarrierMut + ?Sized)) {
        let attempt = self.attempts_before().saturating_add(1).min(999_999_999);
        set(carrier, names::X_ATTEMPT, &attempt.to_string());
    }
}

fn set(carrier: &mut (impl CarrierMut + ?Sized), name: &str, value: &str) {
    let mut stale = false;
    carrier.each(&mut |other, _| stale |= other.eq_ignore_ascii_case(name));
    if stale {
        carrier.remove_if(&|other| other.eq_ignore_ascii_case(name));
    }
    carrier.add(name, value);
}
