//! What names the effect of a message, so that it comes about once.

use crate::{
    carrier::{Delivery, first, text},
    names,
};
use std::borrow::Cow;

/// The longest key that is taken from a header or a message id, in bytes.
const MAX_KEY: usize = 256;

/// Returns what names the effect of a message, for an [inbox](crate::Begun): the same for each
/// delivery of it, and for each copy that its producer sent.
///
/// It is the header `x-idempotency-key`; else the message id (AMQP's `message_id`, `Nats-Msg-Id`);
/// else the place in the log (topic, partition, offset), which tells redeliveries from new messages but
/// not copies from each other; else `None`. A header or id of more than 256 bytes, or with anything but
/// visible ASCII in it, is none; in a log's name such bytes are written as `%C3`.
///
/// ```
/// let message = vec![("X-Idempotency-Key", "order-7")];
/// assert_eq!(meshwise_messaging::message_key(&message).as_deref(), Some("order-7"));
/// ```
#[must_use]
pub fn message_key(message: &(impl Delivery + ?Sized)) -> Option<String> {
    let told = first(message, names::X_IDEMPOTENCY_KEY);
    if let Some(told) = told.and_then(|key| text(key, MAX_KEY)) {
        return Some(told.to_owned());
    }
    if let Some(id) = message.message_id()
        && let Some(id) = text(id.as_bytes(), MAX_KEY)
    {
        return Some(id.to_owned());
    }
    let at = message.position()?;
    Some(match at.partition {
        Some(partition) => format!("{}/{partition}/{}", plain(at.log), at.offset),
        None => format!("{}/{}", plain(at.log), at.offset),
    })
}

/// Writes a name in visible ASCII, no two alike: where a database keeps no other letters, they would all be
/// one, and a new message be taken for one that is done.
fn plain(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%') {
        return Cow::Borrowed(name);
    }
    let mut plain = String::with_capacity(name.len() * 3);
    for byte in name.bytes() {
        match byte {
            b'%' => plain.push_str("%25"),
            byte if byte.is_ascii_graphic() => plain.push(char::from(byte)),
            byte => plain.push_str(&format!("%{byte:02X}")),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::{Carrier, Position};

    #[derive(Default)]
    struct Message {
        header: Option<&'static [u8]>,
        id: Option<&'static str>,
        partition: Option<u32>,
    }

    impl Carrier for Message {
        fn each<'c>(&'c self, see: &mut dyn FnMut(&'c str, &'c [u8])) {
            if let Some(key) = self.header {
                see("X-Idempotency-Key", key);
            }
        }
    }

    impl Delivery for Message {
        fn message_id(&self) -> Option<Cow<'_, str>> {
            self.id.map(Cow::Borrowed)
        }

        fn position(&self) -> Option<Position<'_>> {
            Some(Position::new("orders", self.partition, 7))
        }
    }

    #[test]
    fn the_header_beats_the_id_and_that_the_place() {
        let key = |message: &Message| message_key(message).unwrap();
        let mut message = Message::default();
        assert_eq!(key(&message), "orders/7");
        message.partition = Some(3);
        assert_eq!(key(&message), "orders/3/7");
        message.id = Some("m-1");
        assert_eq!(key(&message), "m-1");
        message.header = Some(b" order-7 ");
        assert_eq!(key(&message), "order-7");
        for bad in [&b""[..], b"a b", b"\xff", &[b'x'; 257]] {
            message.header = Some(bad);
            assert_eq!(key(&message), "m-1", "{bad:?}");
        }
        message.id = Some("\u{e9}");
        assert_eq!(key(&message), "orders/3/7");
    }

    #[test]
    fn names_of_logs_are_told_apart_in_any_database() {
        assert_eq!(plain("orders.v1-eu"), "orders.v1-eu");
        assert_eq!(plain("aufträge"), "auftr%C3%A4ge");
        let names = ["注文", "発注", "a b", "a%20b", "a\u{a0}b", "a%b"];
        let plain: std::collections::BTreeSet<_> = names.map(plain).into();
        assert_eq!(plain.len(), names.len());
        assert!(plain.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_graphic())));
    }
}
