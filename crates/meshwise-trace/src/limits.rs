//! Limits of what one span holds.

use meshwise_core::settings::SpanLimitSettings;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanLimits};

/// What `OTEL_*_LIMIT` say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EnvLimits {
    span_attributes: Option<u32>,
    events: Option<u32>,
    links: Option<u32>,
    event_attributes: Option<u32>,
    link_attributes: Option<u32>,
    /// In characters.
    pub(crate) value_length: Option<usize>,
}

impl EnvLimits {
    /// Takes what is set.
    pub(crate) fn from_settings(said: &SpanLimitSettings) -> Self {
        Self {
            span_attributes: said.attributes.get().copied(),
            events: said.events.get().copied(),
            links: said.links.get().copied(),
            event_attributes: said.event_attributes.get().copied(),
            link_attributes: said.link_attributes.get().copied(),
            value_length: said.value_length.get().map(|length| *length as usize),
        }
    }

    /// Changes limits to what the environment says.
    pub(crate) fn over(self, mut limits: SpanLimits) -> SpanLimits {
        let set = |limit: &mut u32, value: Option<u32>| *limit = value.unwrap_or(*limit);
        set(&mut limits.max_attributes_per_span, self.span_attributes);
        set(&mut limits.max_events_per_span, self.events);
        set(&mut limits.max_links_per_span, self.links);
        set(&mut limits.max_attributes_per_event, self.event_attributes);
        set(&mut limits.max_attributes_per_link, self.link_attributes);
        limits
    }
}

/// Cuts every text among a span's attributes to `limit` characters, those of events and links
/// included.
///
/// The SDK has no such limit, so it is applied on the way out, off the hot path.
pub(crate) fn truncate_values(span: &mut SpanData, limit: usize) {
    truncate_all(&mut span.attributes, limit);
    for event in &mut span.events.events {
        truncate_all(&mut event.attributes, limit);
    }
    for link in &mut span.links.links {
        truncate_all(&mut link.attributes, limit);
    }
}

fn truncate_all(attributes: &mut [KeyValue], limit: usize) {
    for attribute in attributes {
        match &mut attribute.value {
            Value::String(text) => truncate(text, limit),
            Value::Array(Array::String(texts)) => {
                texts.iter_mut().for_each(|text| truncate(text, limit));
            }
            _ => {}
        }
    }
}

fn truncate(text: &mut StringValue, limit: usize) {
    // No text has more characters than bytes.
    if text.as_str().len() > limit
        && let Some((end, _)) = text.as_str().char_indices().nth(limit)
    {
        *text = StringValue::from(text.as_str()[..end].to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_util::span_data;
    use meshwise_core::{Env, settings::Settings};
    use opentelemetry::trace::Event;

    #[test]
    fn the_environment_sets_what_it_names() {
        let env = Env::from_pairs([
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "10"),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "3"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "5"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "many"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100"),
        ]);
        let said =
            Settings::from_standard_env_of(&env, |path| path.is_in("traces")).unwrap().traces;
        let limits = EnvLimits::from_settings(&said.limits);
        assert_eq!(limits.value_length, Some(100));
        let limits = limits.over(SpanLimits::default());
        assert_eq!(limits.max_attributes_per_span, 10);
        assert_eq!(limits.max_attributes_per_event, 10);
        assert_eq!(limits.max_attributes_per_link, 3);
        assert_eq!(limits.max_events_per_span, 5);
        assert_eq!(limits.max_links_per_span, 128);
        assert_eq!(env.findings()[0].variable(), "OTEL_SPAN_LINK_COUNT_LIMIT");
    }

    #[test]
    fn values_are_cut_by_characters_not_bytes() {
        let mut span = span_data("work");
        let long = "äöüäöü";
        span.attributes = vec![
            KeyValue::new("long", long),
            KeyValue::new("short", "äöü"),
            KeyValue::new("number", 123_456),
            KeyValue::new("list", Value::Array(Array::String(vec![long.into(), "a".into()]))),
        ];
        span.events.events =
            vec![Event::new("event", span.start_time, vec![KeyValue::new("long", long)], 0)];
        truncate_values(&mut span, 3);
        let values: Vec<_> = span.attributes.iter().map(|kv| kv.value.to_string()).collect();
        assert_eq!(values, ["äöü", "äöü", "123456", "[\"äöü\",\"a\"]"]);
        assert_eq!(span.events.events[0].attributes[0].value.as_str(), "äöü");
    }
}
