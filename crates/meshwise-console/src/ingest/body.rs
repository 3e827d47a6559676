//! Bodies, read and decompressed within limits.

use super::error::IngestError;
use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt as _;
use std::{
    io::Read as _,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// A larger body is refused, in bytes as it is sent.
pub(crate) const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// A body that is larger once decompressed is refused, in bytes.
pub(crate) const INFLATED_LIMIT: usize = 32 * 1024 * 1024;
/// A larger body of JSON is refused, in bytes once decompressed: JSON takes more to read.
pub(crate) const JSON_LIMIT: usize = 16 * 1024 * 1024;
/// All bodies that are being received together are no larger, in bytes.
const IN_FLIGHT: usize = 128 * 1024 * 1024;
/// A body must be there within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts the bytes of all bodies that are being received.
#[derive(Debug, Default)]
pub(crate) struct InFlight(AtomicUsize);

/// Holds a body's bytes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    in_flight: &'a InFlight,
    bytes: usize,
}

impl Held<'_> {
    fn more(&mut self, bytes: usize) -> Result<(), IngestError> {
        self.bytes += bytes;
        let before = self.in_flight.0.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > IN_FLIGHT { Err(IngestError::Busy) } else { Ok(()) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.in_flight.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads a body.
pub(crate) async fn read<'a, B>(
    headers: &HeaderMap,
    body: B,
    in_flight: &'a InFlight,
) -> Result<(Bytes, Held<'a>), IngestError>
where
    B: Body<Data = Bytes>,
{
    let announced = headers.get(http::header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(IngestError::TooLarge(BODY_LIMIT));
    }
    let mut held = Held { in_flight, bytes: 0 };
    let collected = async {
        let mut body = pin!(body);
        let mut all = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| IngestError::BrokeOff)?.into_data() else { continue };
            if all.len() + data.len() > BODY_LIMIT {
                return Err(IngestError::TooLarge(BODY_LIMIT));
            }
            held.more(data.len())?;
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    };
    let body = tokio::time::timeout(PATIENCE, collected).await;
    Ok((body.map_err(|_| IngestError::TooSlow)??, held))
}

/// Decompresses gzip.
pub(crate) fn inflate(bytes: &[u8]) -> Result<Bytes, IngestError> {
    let mut inflated = Vec::new();
    let limit = INFLATED_LIMIT as u64 + 1;
    MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut inflated).map_err(IngestError::Gzip)?;
    if inflated.len() > INFLATED_LIMIT {
        return Err(IngestError::TooLarge(INFLATED_LIMIT));
    }
    Ok(Bytes::from(inflated))
}
