//! JSON as protobuf's mapping has it: a number that JSON has no digits for is a word (`"NaN"`, `"Infinity"`,
//! `"-Infinity"`), where `serde_json` writes `null` and so loses the point or attribute.

use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

/// Encodes a message.
pub(super) fn encode(message: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&WithWords(message))
}

/// Is a value whose numbers are written so, however deep they are.
struct WithWords<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Serialize for WithWords<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Words(serializer))
    }
}

/// Hands all but such numbers to the serializer within.
struct Words<S>(S);

macro_rules! as_is {
    ($($name:ident: $kind:ty),* $(,)?) => {
        $(fn $name(self, value: $kind) -> Result<S::Ok, S::Error> { self.0.$name(value) })*
    };
}

impl<S: Serializer> Serializer for Words<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Words<S::SerializeSeq>;
    type SerializeTuple = Words<S::SerializeTuple>;
    type SerializeTupleStruct = Words<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Words<S::SerializeTupleVariant>;
    type SerializeMap = Words<S::SerializeMap>;
    type SerializeStruct = Words<S::SerializeStruct>;
    type SerializeStructVariant = Words<S::SerializeStructVariant>;

    as_is! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_char: char,
        serialize_str: &str, serialize_bytes: &[u8], serialize_unit_struct: &'static str,
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        match value {
            value if value.is_nan() => self.0.serialize_str("NaN"),
            f64::INFINITY => self.0.serialize_str("Infinity"),
            f64::NEG_INFINITY => self.0.serialize_str("-Infinity"),
            value => self.0.serialize_f64(value),
        }
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&WithWords(value))
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &WithWords(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &WithWords(value))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.0.serialize_seq(len).map(Words)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.0.serialize_tuple(len).map(Words)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.0.serialize_tuple_struct(name, len).map(Words)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.0.serialize_tuple_variant(name, index, variant, len).map(Words)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.0.serialize_map(len).map(Words)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        self.0.serialize_struct(name, len).map(Words)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.0.serialize_struct_variant(name, index, variant, len).map(Words)
    }
}

macro_rules! parts {
    ($($kind:ident: $part:ident),* $(,)?) => {
        $(impl<S: $kind> $kind for Words<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                self.0.$part(&WithWords(value))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        })*
    };
}

macro_rules! fields {
    ($($kind:ident),* $(,)?) => {
        $(impl<S: $kind> $kind for Words<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), S::Error> {
                self.0.serialize_field(key, &WithWords(value))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        })*
    };
}

parts! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}
fields!(SerializeStruct, SerializeStructVariant);

impl<S: SerializeMap> SerializeMap for Words<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.0.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_value(&WithWords(value))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::{
        common::v1::{AnyValue, ArrayValue, KeyValue, any_value},
        metrics::v1::{
            Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, metric::Data,
            number_data_point,
        },
    };
    use serde_json::{Value, json};

    fn written(message: &impl Serialize) -> Value {
        serde_json::from_slice(&encode(message).unwrap()).unwrap()
    }

    #[test]
    fn numbers_without_digits_are_words_at_any_depth() {
        let any = |value| AnyValue { value: Some(value) };
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e300];
        let values = values.map(|value| any(any_value::Value::DoubleValue(value)));
        let array = any_value::Value::ArrayValue(ArrayValue { values: values.to_vec() });
        let attributes =
            vec![KeyValue { key: "k".to_owned(), value: Some(any(array)), key_strindex: 0 }];
        let point = |value| NumberDataPoint {
            attributes: attributes.clone(),
            value: Some(value),
            ..NumberDataPoint::default()
        };
        let data_points = vec![
            point(number_data_point::Value::AsDouble(f64::NAN)),
            point(number_data_point::Value::AsInt(i64::MAX)),
        ];
        let gauge = Metric { data: Some(Data::Gauge(Gauge { data_points })), ..Metric::default() };
        let json = written(&gauge);
        let points = &json["gauge"]["dataPoints"];
        assert_eq!(points[0]["asDouble"], "NaN");
        assert_eq!(points[1]["asInt"], i64::MAX.to_string());
        let values = &points[0]["attributes"][0]["value"]["arrayValue"]["values"];
        let values: Vec<_> =
            values.as_array().unwrap().iter().map(|value| value["doubleValue"].clone()).collect();
        assert_eq!(json!(values), json!(["NaN", "Infinity", "-Infinity", -0.0, 1e300]));
    }

    #[test]
    fn all_else_is_as_serde_json_has_it() {
        let point = HistogramDataPoint {
            count: 3,
            sum: Some(1.5),
            bucket_counts: vec![1, 2],
            explicit_bounds: vec![0.5],
            ..HistogramDataPoint::default()
        };
        let histogram = Histogram { data_points: vec![point], aggregation_temporality: 2 };
        let metric = Metric { data: Some(Data::Histogram(histogram)), ..Metric::default() };
        assert_eq!(encode(&metric).unwrap(), serde_json::to_vec(&metric).unwrap());
    }
}
