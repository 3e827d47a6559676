//! What servers answer, as MessagePack, read within bounds.

use rmp::Marker;
use std::io::{self, Read};

/// Answers are small; what is larger is none.
const MAX_BYTES: u32 = 64 << 10;
const MAX_ITEMS: u32 = 64;
const MAX_DEPTH: u32 = 8;

/// A value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Whole(u64),
    /// Texts too: nonces are raw bytes in a text.
    Bytes(Vec<u8>),
    Array(Vec<Self>),
    Map(Vec<(Self, Self)>),
    /// Numbers and extensions that no answer has.
    Other,
}

impl Value {
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// Returns a field of a map.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        fields.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }
}

/// Reads one value.
///
/// # Errors
/// If it cannot be read, or is larger than any answer.
pub(super) fn read(from: &mut impl Read) -> io::Result<Value> {
    let mut bytes = MAX_BYTES;
    let mut items = MAX_ITEMS;
    read_within(from, &mut bytes, &mut items, MAX_DEPTH)
}

fn read_within(
    from: &mut impl Read,
    bytes: &mut u32,
    items: &mut u32,
    depth: u32,
) -> io::Result<Value> {
    let Some(depth) = depth.checked_sub(1) else { return Err(too_large()) };
    let marker = rmp::decode::read_marker(from).map_err(|error| error.0)?;
    // How many bytes after the marker say a number: the value, or how long it is.
    let width = match marker {
        Marker::U8 | Marker::I8 | Marker::Str8 | Marker::Bin8 => 1,
        Marker::U16 | Marker::I16 | Marker::Str16 | Marker::Bin16 => 2,
        Marker::Array16 | Marker::Map16 => 2,
        Marker::U32 | Marker::I32 | Marker::F32 | Marker::Str32 | Marker::Bin32 => 4,
        Marker::U64 | Marker::I64 | Marker::F64 => 8,
        _ => 0,
    };
    let mut number = [0; 8];
    from.read_exact(&mut number[8 - width..])?;
    let number = u64::from_be_bytes(number);
    let length = match marker {
        Marker::FixStr(length) | Marker::FixArray(length) | Marker::FixMap(length) => length.into(),
        _ => u32::try_from(number).unwrap_or(u32::MAX),
    };
    Ok(match marker {
        Marker::Null => Value::Nil,
        Marker::True => Value::Bool(true),
        Marker::False => Value::Bool(false),
        Marker::FixPos(value) => Value::Whole(value.into()),
        Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => Value::Whole(number),
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
            read_bytes(from, length, bytes)?
        }
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => read_bytes(from, length, bytes)?,
        Marker::FixArray(_) | Marker::Array16 => read_array(from, length, bytes, items, depth)?,
        Marker::FixMap(_) | Marker::Map16 => read_map(from, length, bytes, items, depth)?,
        Marker::FixNeg(_) | Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64 => Value::Other,
        Marker::F32 | Marker::F64 => Value::Other,
        _ => return Err(too_large()),
    })
}

fn read_bytes(from: &mut impl Read, length: u32, left: &mut u32) -> io::Result<Value> {
    *left = left.checked_sub(length).ok_or_else(too_large)?;
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes)?;
    Ok(Value::Bytes(bytes))
}

fn read_array(
    from: &mut impl Read,
    length: u32,
    bytes: &mut u32,
    items: &mut u32,
    depth: u32,
) -> io::Result<Value> {
    *items = items.checked_sub(length).ok_or_else(too_large)?;
    let values = (0..length).map(|_| read_within(from, bytes, items, depth));
    Ok(Value::Array(values.collect::<io::Result<_>>()?))
}

fn read_map(
    from: &mut impl Read,
    length: u32,
    bytes: &mut u32,
    items: &mut u32,
    depth: u32,
) -> io::Result<Value> {
    *items = items.checked_sub(length).ok_or_else(too_large)?;
    let fields = (0..length).map(|_| {
        let name = read_within(from, bytes, items, depth)?;
        Ok((name, read_within(from, bytes, items, depth)?))
    });
    Ok(Value::Map(fields.collect::<io::Result<_>>()?))
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is no forward protocol's, or too large")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_are_read() {
        let ack = read(&mut &b"\x81\xa3ack\xa4abcd"[..]).expect("ack");
        assert_eq!(ack.field("ack").and_then(Value::text), Some("abcd"));
        let nonce = read(&mut &b"\x92\xa2\xff\xfe\xc3"[..]).expect("array");
        assert_eq!(nonce, Value::Array(vec![Value::Bytes(vec![0xff, 0xfe]), Value::Bool(true)]));
    }

    #[test]
    fn what_is_large_or_deep_is_refused_before_it_is_read() {
        for bad in [
            &b"\xdb\xff\xff\xff\xff"[..],
            b"\xdc\xff\xff",
            b"\xdf\xff\xff\xff\xff",
            &[0x91; 40],
            b"\xc1",
        ] {
            assert!(read(&mut &*bad).is_err(), "{bad:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&mut &bytes[..]);
        }
    }
}
