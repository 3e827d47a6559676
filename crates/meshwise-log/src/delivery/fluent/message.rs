//! The messages that are sent.

use super::super::Batch;
use crate::delivery::BatchLine;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use rmp::encode::{
    ValueWriteError, write_array_len, write_bin, write_bool, write_ext_meta, write_f64,
    write_map_len, write_nil, write_sint, write_str, write_uint,
};
use serde_json::Value;
use std::io::{self, Write};

/// `EventTime`: an extension of this type, seconds and nanoseconds. Fluent Bit closes the connection on
/// a time that is a float.
const EVENT_TIME: i8 = 0;

/// Returns the id by which the server acknowledges a batch.
pub(super) fn chunk(batch: &Batch) -> String {
    BASE64_STANDARD.encode(batch.id().to_be_bytes())
}

/// Makes the message of a batch, in mode `CompressedPackedForward`.
pub(super) fn forward(tag: &str, batch: &Batch) -> io::Result<Vec<u8>> {
    let mut entries = GzEncoder::new(Vec::new(), Compression::fast());
    let mut entry = Vec::new();
    for line in batch.lines() {
        entry.clear();
        write_entry(&mut entry, line)?;
        entries.write_all(&entry)?;
    }
    let entries = entries.finish()?;
    let mut message = Vec::with_capacity(entries.len() + 128);
    let to = &mut message;
    write_array_len(to, 3).map_err(io_error)?;
    write_str(to, tag).map_err(io_error)?;
    write_bin(to, &entries).map_err(io_error)?;
    write_map_len(to, 3).map_err(io_error)?;
    write_str(to, "chunk").map_err(io_error)?;
    write_str(to, &chunk(batch)).map_err(io_error)?;
    write_str(to, "size").map_err(io_error)?;
    write_uint(to, batch.len() as u64).map_err(io_error)?;
    write_str(to, "compressed").map_err(io_error)?;
    write_str(to, "gzip").map_err(io_error)?;
    Ok(message)
}

pub(super) fn io_error(error: ValueWriteError<io::Error>) -> io::Error {
    match error {
        ValueWriteError::InvalidMarkerWrite(error) | ValueWriteError::InvalidDataWrite(error) => {
            error
        }
    }
}

/// Writes a line's time and record.
fn write_entry(to: &mut Vec<u8>, line: BatchLine<'_>) -> io::Result<()> {
    write_array_len(to, 2).map_err(io_error)?;
    let (seconds, nanos) = (line.nanos() / 1_000_000_000, line.nanos() % 1_000_000_000);
    write_ext_meta(to, 8, EVENT_TIME).map_err(io_error)?;
    // (Until 2106, as the protocol has it.)
    to.extend_from_slice(&u32::try_from(seconds).unwrap_or(u32::MAX).to_be_bytes());
    to.extend_from_slice(&u32::try_from(nanos).unwrap_or_default().to_be_bytes());
    match serde_json::from_slice(line.text()) {
        Ok(record @ Value::Object(_)) => write_value(to, &record),
        _ => {
            write_map_len(to, 1).map_err(io_error)?;
            write_str(to, "log").map_err(io_error)?;
            write_str(to, &String::from_utf8_lossy(line.text())).map_err(io_error)
        }
    }
}

/// Writes a value of JSON. (It is not deep: the parser has a limit.)
fn write_value(to: &mut Vec<u8>, value: &Value) -> io::Result<()> {
    match value {
        Value::Null => write_nil(to),
        Value::Bool(value) => write_bool(to, *value),
        Value::Number(number) => {
            if let Some(number) = number.as_u64() {
                write_uint(to, number).map_err(io_error)?;
            } else if let Some(number) = number.as_i64() {
                write_sint(to, number).map_err(io_error)?;
            } else {
                write_f64(to, number.as_f64().unwrap_or(f64::NAN)).map_err(io_error)?;
            }
            Ok(())
        }
        Value::String(text) => write_str(to, text).map_err(io_error),
        Value::Array(values) => {
            write_array_len(to, length(values.len())?).map_err(io_error)?;
            values.iter().try_for_each(|value| write_value(to, value))
        }
        Value::Object(fields) => {
            write_map_len(to, length(fields.len())?).map_err(io_error)?;
            fields.iter().try_for_each(|(name, value)| {
                write_str(to, name).map_err(io_error)?;
                write_value(to, value)
            })
        }
    }
}

fn length(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::{
        super::value::{Value as Packed, read},
        *,
    };
    use flate2::read::GzDecoder;
    use std::io::Read as _;

    #[test]
    fn a_batch_is_one_message_of_times_and_records() {
        let mut batch = Batch::with_id(1);
        batch.push(
            b"{\"a\":-1,\"b\":[null,true,1.5,\"x\"],\"c\":18446744073709551615}\n",
            1_500_000_000,
        );
        batch.push(b"plain text\n", 7);
        let message = forward("orders", &batch).expect("message");
        let Packed::Array(parts) = read(&mut &message[..]).expect("packed") else {
            panic!("array")
        };
        let [tag, Packed::Bytes(entries), Packed::Map(options)] = &parts[..] else {
            panic!("{parts:?}")
        };
        assert_eq!(tag.text(), Some("orders"));
        let option =
            |wanted| options.iter().find(|(name, _)| name.text() == Some(wanted)).map(|o| &o.1);
        assert_eq!(option("chunk").and_then(Packed::text), Some("AAAAAAAAAAAAAAAAAAAAAQ=="));
        assert_eq!(option("size"), Some(&Packed::Whole(2)));
        assert_eq!(option("compressed").and_then(Packed::text), Some("gzip"));
        let mut plain = Vec::new();
        GzDecoder::new(&entries[..]).read_to_end(&mut plain).expect("gzip");
        assert_eq!(plain[..11], [0x92, 0xd7, 0, 0, 0, 0, 1, 0x1d, 0xcd, 0x65, 0]);
        let tail = b"\x92\xd7\x00\x00\x00\x00\x00\x00\x00\x00\x07\x81\xa3log\xaaplain text";
        assert!(plain.ends_with(tail), "{plain:x?}");
    }
}
