//! JSON of OTLP with the numbers that JSON has no form for.
//!
//! Protobuf's JSON (<https://protobuf.dev/programming-guides/json/>) has `"NaN"`, `"Infinity"` and numbers in
//! quotes where a double is meant, `1e9` where an integer is, and `null` for any field that is left out; JavaScript
//! and `serde_json` write `null` for what is no number. The decoders of `opentelemetry-proto` take none of these, and without them a quantile of an
//! empty summary would cost its whole metric. Spans and log records are read this way only once a plain
//! reading has failed.

use opentelemetry_proto::tonic::metrics::v1::Metric;
use serde::{
    Deserialize, Deserializer,
    de::{
        Error as _, IntoDeserializer, Visitor,
        value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Map, Number, Value};

/// The fields of OTLP that are doubles, alone or in a list.
const DOUBLES: [&str; 5] =
    ["asDouble", "doubleValue", "explicitBounds", "quantile", "zeroThreshold"];
/// Those that may be left out, which is what `null` says there.
const OPTIONAL_DOUBLES: [&str; 3] = ["max", "min", "sum"];

/// Decodes a message.
pub(super) fn decode<M: for<'de> Deserialize<'de>>(text: &str) -> Result<M, Error> {
    let value: Value = serde_json::from_str(text)?;
    M::deserialize(JsonNode { value: &value, kind: FieldKind::Other })
}

/// Decodes a metric, whose points the plain reading leaves out without a word if one of them has such a number.
pub(super) fn metric(text: &str) -> Result<Metric, Error> {
    const DATA: [&str; 5] = ["exponentialHistogram", "gauge", "histogram", "sum", "summary"];
    let value: Value = serde_json::from_str(text)?;
    let metric = Metric::deserialize(JsonNode { value: &value, kind: FieldKind::Other })?;
    let says = |key: &&str| value.get(key).is_some_and(|data| !data.is_null());
    match DATA.iter().find(|key| says(key)) {
        Some(key) if metric.data.is_none() => {
            Err(Error::custom(format!("the {key} of the metric {} is none", metric.name)))
        }
        _ => Ok(metric),
    }
}

/// A value, and what its field is.
#[derive(Clone, Copy)]
struct JsonNode<'de> {
    value: &'de Value,
    kind: FieldKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldKind {
    Double,
    OptionalDouble,
    Other,
}

impl<'de> JsonNode<'de> {
    fn fields(fields: &'de Map<String, Value>) -> impl Iterator<Item = (&'de str, Self)> {
        // An attribute has a key and a value; a quantile has a value that is a double.
        let of_quantile = !fields.contains_key("key");
        fields.iter().filter_map(move |(key, value)| {
            let kind = match &**key {
                "value" if of_quantile => FieldKind::Double,
                key if DOUBLES.contains(&key) => FieldKind::Double,
                key if OPTIONAL_DOUBLES.contains(&key) => FieldKind::OptionalDouble,
                _ => FieldKind::Other,
            };
            // A field that is null is one that is left out, lists too; of a double it is what is no number.
            let left_out = value.is_null() && kind != FieldKind::Double;
            (!left_out).then_some((&**key, Self { value, kind }))
        })
    }

    /// Returns the double that is written in another form than as a number.
    fn as_double(self) -> Option<f64> {
        match self.value {
            Value::Null if self.kind == FieldKind::Double => Some(f64::NAN),
            Value::String(text) if self.kind != FieldKind::Other => match &**text {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                number => number.parse().ok().filter(|number: &f64| number.is_finite()),
            },
            _ => None,
        }
    }

    fn visit_number<V: Visitor<'de>>(self, number: &Number, visitor: V) -> Result<V::Value, Error> {
        if let Some(number) = number.as_u64() {
            return visitor.visit_u64(number);
        }
        if let Some(number) = number.as_i64() {
            return visitor.visit_i64(number);
        }
        let float = number.as_f64().unwrap_or_default();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is checked")]
        match self.kind == FieldKind::Other && float.fract() == 0.0 {
            true if (0.0..1.8e19).contains(&float) => visitor.visit_u64(float as u64),
            true if (-9.2e18..0.0).contains(&float) => visitor.visit_i64(float as i64),
            _ => visitor.visit_f64(float),
        }
    }
}

impl<'de> IntoDeserializer<'de, Error> for JsonNode<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for JsonNode<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Some(double) = self.as_double() {
            return visitor.visit_f64(double);
        }
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Number(number) => self.visit_number(number, visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => {
                let items = items.iter().map(|value| JsonNode { value, kind: self.kind });
                visitor.visit_seq(SeqDeserializer::new(items))
            }
            Value::Object(fields) => {
                visitor.visit_map(MapDeserializer::new(JsonNode::fields(fields)))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null if self.kind != FieldKind::Double => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.value {
            Value::String(text) => visitor.visit_enum(StrDeserializer::new(text)),
            Value::Object(fields) => {
                let fields = MapDeserializer::new(JsonNode::fields(fields));
                visitor.visit_enum(MapAccessDeserializer::new(fields))
            }
            _ => Err(Error::custom("expected an object with one field")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
