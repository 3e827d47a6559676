//! What a span's first attributes are put into.

#[cfg(feature = "pipeline")]
use opentelemetry::trace::SpanBuilder;
use opentelemetry::{KeyValue, Value};

/// Longer memory is not kept.
#[cfg(feature = "pipeline")]
const KEEP_TEXT: usize = 512;

/// Takes a span's attributes, in memory that a span before has left.
#[doc(hidden)]
#[allow(clippy::exhaustive_structs, reason = "made here alone")]
#[derive(Debug, Default)]
pub struct Room {
    /// The attributes, in their order.
    pub attributes: Vec<KeyValue>,
    pub(crate) late: LateText,
}

/// A text that becomes an attribute's value once its span is exported.
///
/// A path or URL is another one in each call. A text of its own would be memory that the call's thread takes
/// and the exporter's thread frees, the dearest kind for any allocator.
#[derive(Clone, Debug, Default)]
pub(crate) struct LateText {
    text: String,
    /// The attribute's place.
    at: Option<usize>,
}

impl Room {
    /// Adds an attribute whose text `write` appends. One stays in the room's own memory.
    #[inline]
    pub fn push_text(&mut self, key: &'static str, write: impl FnOnce(&mut String)) {
        let LateText { text, at } = &mut self.late;
        if at.is_some() {
            let mut own = String::new();
            write(&mut own);
            self.attributes.push(KeyValue::new(key, own));
            return;
        }
        write(text);
        *at = Some(self.attributes.len());
        self.attributes.push(KeyValue::new(key, ""));
    }

    /// Returns the attributes, each with its text.
    #[must_use]
    pub fn into_attributes(self) -> Vec<KeyValue> {
        let Self { mut attributes, mut late } = self;
        late.put_into(&mut attributes);
        attributes
    }
}

#[cfg(feature = "pipeline")]
impl Room {
    /// Has a span built; what attributes the builder has come behind those in the room.
    #[inline]
    pub(crate) fn build(&mut self, build: impl FnOnce(&mut Self) -> SpanBuilder) -> SpanBuilder {
        let mut builder = build(self);
        if let Some(own) = &mut builder.attributes {
            self.attributes.append(own);
        }
        builder
    }
}

impl LateText {
    /// Gives the attribute its text.
    #[inline]
    pub(crate) fn put_into(&mut self, attributes: &mut [KeyValue]) {
        if let Some(attribute) = self.at.take().and_then(|at| attributes.get_mut(at)) {
            attribute.value = Value::from(self.text.clone());
        }
    }

    #[cfg(feature = "pipeline")]
    pub(crate) fn clear(&mut self) {
        self.at = None;
        match self.text.capacity() <= KEEP_TEXT {
            true => self.text.clear(),
            false => self.text = String::new(),
        }
    }
}
