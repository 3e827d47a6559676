//! What is done to every span on its way out, whatever exporter takes it: secrets are hidden, then
//! texts are cut.

use crate::{
    limits::truncate_values,
    names::{URL_FULL, URL_QUERY},
};
use meshwise_core::{Redaction, internal::REDACTED};
use opentelemetry::{Array, KeyValue, StringValue, Value, trace::Status};
use opentelemetry_sdk::trace::SpanData;
use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

/// Makes spans fit to leave the process; off the hot path, on the exporter's thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrub {
    pub(crate) redaction: Redaction,
    /// The longest text of an attribute, in characters.
    pub(crate) value_limit: Option<usize>,
}

impl Scrub {
    /// Changes what must not go out as it is; a span without secrets is left alone, and nothing is
    /// allocated for it.
    pub(crate) fn apply(&self, span: &mut SpanData) {
        self.text(&mut span.name);
        unique(&mut span.attributes);
        self.attributes(&mut span.attributes);
        for event in &mut span.events.events {
            self.text(&mut event.name);
            unique(&mut event.attributes);
            self.attributes(&mut event.attributes);
        }
        for link in &mut span.links.links {
            self.attributes(&mut link.attributes);
        }
        if let Status::Error { description } = &mut span.status {
            self.text(description);
        }
        // A secret that is cut off would not be known for one.
        if let Some(limit) = self.value_limit {
            truncate_values(span, limit);
        }
    }

    fn text(&self, text: &mut Cow<'static, str>) {
        if let Cow::Owned(clean) = self.redaction.text(text) {
            *text = Cow::Owned(clean);
        }
    }

    fn attributes(&self, attributes: &mut [KeyValue]) {
        for KeyValue { key, value, .. } in attributes {
            let key = key.as_str();
            if self.redaction.hides(key) {
                // `has_password = true` tells no secret.
                if !matches!(value, Value::Bool(_) | Value::Array(Array::Bool(_))) {
                    *value = Value::from(REDACTED);
                }
                continue;
            }
            match value {
                Value::String(text) => self.string(key, text),
                Value::I64(number) if self.is_card(*number) => *value = Value::from(REDACTED),
                Value::F64(number) if number.fract() == 0.0 && self.is_card(*number as i64) => {
                    *value = Value::from(REDACTED);
                }
                Value::Array(Array::String(texts)) => {
                    texts.iter_mut().for_each(|text| self.string(key, text));
                }
                Value::Array(Array::I64(numbers)) if numbers.iter().any(|n| self.is_card(*n)) => {
                    *value = Value::from(REDACTED);
                }
                _ => {}
            }
        }
    }

    fn string(&self, key: &str, text: &mut StringValue) {
        let clean = match key {
            URL_FULL => self.redaction.url(text.as_str()),
            URL_QUERY => self.redaction.query(text.as_str()),
            _ => self.redaction.text(text.as_str()),
        };
        if let Cow::Owned(clean) = clean {
            *text = StringValue::from(clean);
        }
    }

    fn is_card(&self, number: i64) -> bool {
        u64::try_from(number).is_ok_and(|number| self.redaction.hides_number(number))
    }
}

/// Of several values of one key the last is meant (`Span::record`), and goes out: OpenTelemetry has keys
/// once (specification, "Attribute Collections").
pub(crate) fn unique(attributes: &mut Vec<KeyValue>) {
    // Nearly all are few, and have none twice.
    const FEW: usize = 32;
    if attributes.len() <= FEW && !any_twice(attributes) {
        return;
    }
    let mut places = HashMap::with_capacity(attributes.len());
    let mut kept = Vec::with_capacity(attributes.len());
    for one in std::mem::take(attributes) {
        match places.entry(one.key.clone()) {
            Entry::Occupied(place) => kept[*place.get()] = one,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(one);
            }
        }
    }
    *attributes = kept;
}

/// Tells whether a key is there twice. Keys are compared if their lengths and some of their letters lead to the
/// same bit: hardly any two do.
fn any_twice(attributes: &[KeyValue]) -> bool {
    let mut seen = 0_u128;
    attributes.iter().enumerate().any(|(at, one)| {
        let bit = 1 << place(one.key.as_str().as_bytes());
        let may = seen & bit != 0;
        seen |= bit;
        may && attributes[..at].iter().any(|kv| kv.key == one.key)
    })
}

/// Returns a number below 128 that two keys have in common if they are the same, and seldom otherwise.
fn place(key: &[u8]) -> u32 {
    let (Some(first), Some(last)) = (key.first(), key.last()) else { return 0 };
    let middle = key[key.len() / 2];
    let mixed = u32::from_le_bytes([key.len() as u8, *first, middle, *last]);
    mixed.wrapping_mul(0x9e37_79b9) >> 25
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_util::span_data;
    use opentelemetry::trace::{Event, Link, SpanContext};

    fn scrubbed(attributes: Vec<KeyValue>) -> Vec<String> {
        let mut span = span_data("work");
        span.attributes = attributes;
        Scrub::default().apply(&mut span);
        span.attributes.iter().map(|kv| kv.value.to_string()).collect()
    }

    #[test]
    fn of_several_values_of_a_key_the_last_goes_out() {
        let few = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5)];
        assert_eq!(scrubbed(few.map(|(key, n)| KeyValue::new(key, n)).into()), ["3", "5", "4"]);
        let many: Vec<_> = (0..200).map(|n| KeyValue::new(format!("k{}", n % 150), n)).collect();
        let kept = scrubbed(many);
        assert_eq!((kept.len(), &*kept[0], &*kept[149]), (150, "150", "149"));
    }

    #[test]
    fn attributes_are_hidden_by_name_and_by_looks() {
        let attributes = vec![
            KeyValue::new("password", "hunter2"),
            KeyValue::new("user.pin", 1234),
            KeyValue::new("has_password", true),
            KeyValue::new(
                "http.request.header.authorization",
                Value::Array(vec![StringValue::from("x")].into()),
            ),
            KeyValue::new("http.request.header.x-api-key", "k"),
            KeyValue::new("db_url", "postgres://me:pw@db/x"),
            KeyValue::new("card", 4_111_111_111_111_111_i64),
            KeyValue::new("card as a real", 4_111_111_111_111_111.0),
            KeyValue::new("cards", Value::Array(vec![1, 4_111_111_111_111_111_i64].into())),
            KeyValue::new(
                "texts",
                Value::Array(vec![StringValue::from("a"), "pw=x".into()].into()),
            ),
            KeyValue::new("url.full", "http://h/x?sig=1"),
            KeyValue::new("url.query", "key=1&page=2"),
            KeyValue::new("http.route", "/orders/{id}"),
            KeyValue::new("n", 7),
        ];
        assert_eq!(
            scrubbed(attributes),
            [
                "[redacted]",
                "[redacted]",
                "true",
                "[redacted]",
                "[redacted]",
                "postgres://me:[redacted]@db/x",
                "[redacted]",
                "[redacted]",
                "[redacted]",
                "[\"a\",\"pw=[redacted]\"]",
                "http://h/x?sig=REDACTED",
                "key=REDACTED&page=2",
                "/orders/{id}",
                "7",
            ]
        );
    }

    #[test]
    fn no_way_out_is_left() {
        let secret = "sent Bearer abcdefgh12345";
        let mut span = span_data(secret);
        span.events.events = vec![Event::new(
            secret,
            span.start_time,
            vec![KeyValue::new("api_key", "abcdefgh12345"), KeyValue::new("text", secret)],
            0,
        )];
        span.links.links =
            vec![Link::new(SpanContext::NONE, vec![KeyValue::new("text", secret)], 0)];
        span.status = Status::error(secret);
        Scrub::default().apply(&mut span);
        assert!(!format!("{span:?}").contains("abcdefgh12345"), "{span:?}");
        assert_eq!(span.name, "sent Bearer [redacted]");
    }

    #[test]
    fn what_is_cut_was_looked_at_whole() {
        let mut span = span_data("work");
        span.attributes = vec![KeyValue::new("text", "card 4111111111111111 x")];
        let scrub = Scrub { value_limit: Some(12), ..Scrub::default() };
        scrub.apply(&mut span);
        assert_eq!(span.attributes[0].value.as_str(), "card [redact");
    }
}
