//! A message whose headers may be anything, and what must hold of it: for the bounded test here, and
//! for the fuzz target.

use meshwise_messaging::{Carrier, Delivery, Messaging, Position, System, message_key};
use std::{borrow::Cow, time::SystemTime};

#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) id: Option<String>,
    pub(crate) published: Option<SystemTime>,
    pub(crate) deliveries: u32,
}

impl Carrier for Message {
    fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
        self.headers.each(see);
    }
}

impl Delivery for Message {
    fn message_id(&self) -> Option<Cow<'_, str>> {
        self.id.as_deref().map(Cow::Borrowed)
    }
    fn position(&self) -> Option<Position<'_>> {
        Some(Position::new("orders", None, u64::MAX))
    }
    fn deliveries_before(&self) -> u32 {
        self.deliveries
    }
    fn published_at(&self) -> Option<SystemTime> {
        self.published
    }
    fn body_size(&self) -> Option<usize> {
        Some(usize::MAX)
    }
}

/// Handles the message, sends it on, and handles it as a batch: nothing panics, and what is sent on is
/// bounded and clean.
pub(crate) fn check(messaging: &Messaging, message: &Message) {
    let consumer = messaging.consumer(System::KAFKA, "orders");
    let processing = consumer.receive(message);
    let key = message_key(message);
    assert!(key.is_none_or(|key| key.len() <= 256));
    {
        let _entered = processing.enter();
        let sending = messaging.producer(System::KAFKA, "mails").send();
        let mut next = message.headers.clone();
        sending.inject(&mut next);
        let once = next.clone();
        sending.inject(&mut next);
        assert_eq!(next, once, "a second time changes nothing");
        let parents = next.iter().filter(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
        assert!(parents.count() <= 1, "{message:?}");
        for (name, value) in &next {
            let ours =
                ["traceparent", "tracestate", "baggage", "x-request-timeout-ms", "x-request-id"];
            if ours.contains(&name.as_str()) {
                assert!(value.len() <= 8192 + 512 && value.is_ascii(), "{name}: {value:?}");
            }
        }
        let mut dead = next;
        processing.mark_dead_letter(
            &mut dead,
            &String::from_utf8_lossy(
                &message.headers.first().map_or(vec![], |(_, value)| value.clone()),
            ),
        );
        sending.unconfirmed();
    }
    consumer.receive_batch([message, message]).ack();
    processing.ack();
}
