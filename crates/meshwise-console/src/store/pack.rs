//! How attributes, events and links lie in a segment's bytes.
//!
//! A list is its length and then its parts; numbers are LEB128, signed ones zigzag; a string is its
//! name in the segment's [`Text`]. A span of the shop is some 100 bytes so.

use super::text::{Sym, Text};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use serde_json::{Number, Value, json};

/// A longer text is cut, in bytes.
pub(crate) const TEXT_LIMIT: usize = 16 * 1024;
/// More attributes of one thing are left out.
pub(crate) const ATTRIBUTE_LIMIT: usize = 256;
/// What a cut text ends with.
const CUT: &str = "… (cut)";

/// Writes into a segment.
#[derive(Debug)]
pub(crate) struct Packer<'a> {
    pub(crate) bytes: &'a mut Vec<u8>,
    pub(crate) text: &'a mut Text,
    /// How many texts were cut and attributes left out.
    pub(crate) cut: u64,
}

impl Packer<'_> {
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
            number >>= 7;
        }
        self.bytes.push(u8::try_from(number).unwrap_or(0));
    }

    pub(crate) fn signed(&mut self, number: i64) {
        self.number((number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
    }

    pub(crate) fn string(&mut self, text: &str) {
        let sym = self.intern(text);
        self.number(u64::from(sym.0));
    }

    /// Names a string, cut if it is too long.
    pub(crate) fn intern(&mut self, text: &str) -> Sym {
        if text.len() <= TEXT_LIMIT {
            return self.text.intern(text);
        }
        self.cut += 1;
        let kept = &text[..text.floor_char_boundary(TEXT_LIMIT)];
        self.text.intern(&format!("{kept}{CUT}"))
    }

    pub(crate) fn id(&mut self, id: &[u8]) {
        self.bytes.extend_from_slice(id);
    }

    pub(crate) fn attributes(&mut self, attributes: &[KeyValue]) {
        let kept = attributes.len().min(ATTRIBUTE_LIMIT);
        self.cut += (attributes.len() - kept) as u64;
        self.number(kept as u64);
        for attribute in &attributes[..kept] {
            self.string(&attribute.key);
            self.value(attribute.value.as_ref().and_then(|value| value.value.as_ref()));
        }
    }

    fn value(&mut self, value: Option<&Any>) {
        match value {
            Some(Any::StringValue(text)) => {
                self.bytes.push(TEXT);
                self.string(text);
            }
            Some(Any::BoolValue(false)) => self.bytes.push(FALSE),
            Some(Any::BoolValue(true)) => self.bytes.push(TRUE),
            Some(Any::IntValue(number)) => {
                self.bytes.push(INTEGER);
                self.signed(*number);
            }
            Some(Any::DoubleValue(number)) => {
                self.bytes.push(DOUBLE);
                self.bytes.extend_from_slice(&number.to_le_bytes());
            }
            Some(nested @ (Any::ArrayValue(_) | Any::KvlistValue(_) | Any::BytesValue(_))) => {
                self.bytes.push(JSON);
                self.string(&any_json(nested).to_string());
            }
            Some(Any::StringValueStrindex(_)) | None => self.bytes.push(EMPTY),
        }
    }
}

const EMPTY: u8 = 0;
const TEXT: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const INTEGER: u8 = 4;
const DOUBLE: u8 = 5;
const JSON: u8 = 6;

/// Writes a value as JSON; what is nested deeper than decoders allow never gets here.
fn any_json(value: &Any) -> Value {
    let inner = |value: &AnyValue| value.value.as_ref().map_or(Value::Null, any_json);
    match value {
        Any::StringValue(text) => json!(text),
        Any::BoolValue(truth) => json!(truth),
        Any::IntValue(number) => json!(number),
        Any::DoubleValue(number) => double_json(*number),
        Any::BytesValue(bytes) => json!(format!("{} bytes", bytes.len())),
        Any::ArrayValue(array) => array.values.iter().map(inner).collect(),
        Any::KvlistValue(list) => {
            let pair = |pair: &KeyValue| {
                (pair.key.clone(), pair.value.as_ref().map_or(Value::Null, inner))
            };
            Value::Object(list.values.iter().map(pair).collect())
        }
        Any::StringValueStrindex(_) => Value::Null,
    }
}

/// Writes a number that JSON may not have as text.
fn double_json(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| json!(number.to_string()), Value::Number)
}

/// Writes a log record's body as text: a string as it is, all else as JSON.
pub(crate) fn body_text(body: Option<&AnyValue>) -> String {
    match body.and_then(|body| body.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        Some(other) => any_json(other).to_string(),
        None => String::new(),
    }
}

/// Returns an attribute's value as text, if it is one.
pub(crate) fn text_of<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Is a value as it lies in a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Packed {
    Empty,
    Text(Sym),
    Truth(bool),
    Integer(i64),
    Double(f64),
    Json(Sym),
}

impl Packed {
    /// Writes the value as JSON.
    pub(crate) fn json(self, text: &Text) -> Value {
        match self {
            Self::Empty => Value::Null,
            Self::Text(sym) => json!(text.get(sym)),
            Self::Truth(truth) => json!(truth),
            Self::Integer(number) => json!(number),
            Self::Double(number) => double_json(number),
            Self::Json(sym) => {
                // A text that was cut is no JSON any more, and shown as it is.
                serde_json::from_str(text.get(sym)).unwrap_or_else(|_| json!(text.get(sym)))
            }
        }
    }

    /// Tells whether the value is written so.
    pub(crate) fn reads(self, text: &Text, wanted: &str) -> bool {
        match self {
            Self::Empty => wanted.is_empty(),
            Self::Text(sym) | Self::Json(sym) => text.get(sym) == wanted,
            Self::Truth(truth) => wanted == if truth { "true" } else { "false" },
            Self::Integer(number) => wanted.parse() == Ok(number),
            Self::Double(number) => wanted.parse() == Ok(number),
        }
    }
}

/// Reads what a [`Packer`] wrote. Past the end all numbers are 0 and all lists are empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unpacker<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> Unpacker<'a> {
    pub(crate) fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0_u64, 0_u32);
        while let Some((&byte, rest)) = self.bytes.split_first() {
            self.bytes = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    pub(crate) fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
    }

    pub(crate) fn sym(&mut self) -> Sym {
        Sym(u32::try_from(self.number()).unwrap_or(u32::MAX))
    }

    pub(crate) fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((head, rest)) = self.bytes.split_first_chunk() else { return [0; N] };
        self.bytes = rest;
        *head
    }

    pub(crate) fn attribute(&mut self) -> (Sym, Packed) {
        let key = self.sym();
        let [kind] = self.take();
        let value = match kind {
            TEXT => Packed::Text(self.sym()),
            FALSE => Packed::Truth(false),
            TRUE => Packed::Truth(true),
            INTEGER => Packed::Integer(self.signed()),
            DOUBLE => Packed::Double(f64::from_le_bytes(self.take())),
            JSON => Packed::Json(self.sym()),
            _ => Packed::Empty,
        };
        (key, value)
    }

    /// Calls `each` with every attribute of a list.
    pub(crate) fn attributes(&mut self, mut each: impl FnMut(Sym, Packed)) {
        for _ in 0..self.number() {
            if self.bytes.is_empty() {
                return;
            }
            let (key, value) = self.attribute();
            each(key, value);
        }
    }

    /// Reads a list as JSON, in its order: `[[key, value], ...]`.
    pub(crate) fn attributes_json(&mut self, text: &'a Text) -> Vec<(&'a str, Value)> {
        let mut list = Vec::new();
        self.attributes(|key, value| list.push((text.get(key), value.json(text))));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(key: &str, value: Any) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }
    }

    #[test]
    fn what_is_packed_is_read_back() {
        let (mut bytes, mut text) = (Vec::new(), Text::default());
        let mut packer = Packer { bytes: &mut bytes, text: &mut text, cut: 0 };
        packer.attributes(&[
            attribute("a", Any::StringValue("b".to_owned())),
            attribute("n", Any::IntValue(i64::MIN)),
            attribute("d", Any::DoubleValue(f64::NAN)),
            attribute("t", Any::BoolValue(true)),
            attribute("long", Any::StringValue("é".repeat(TEXT_LIMIT))),
        ]);
        packer.signed(-3);
        assert_eq!(packer.cut, 1);
        let mut unpacker = Unpacker { bytes: &bytes };
        let read = unpacker.attributes_json(&text);
        assert_eq!(
            read[..4],
            [("a", json!("b")), ("n", json!(i64::MIN)), ("d", json!("NaN")), ("t", json!(true))]
        );
        assert!(read[4].1.as_str().is_some_and(|long| long.ends_with(CUT)));
        assert_eq!(unpacker.signed(), -3);
        assert_eq!((unpacker.number(), unpacker.signed()), (0, 0), "past the end");
    }
}
