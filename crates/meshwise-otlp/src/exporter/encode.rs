//! Batches as messages on the wire.

use crate::protocol::OtlpProtocol;
use bytes::Bytes;
use std::fmt;

/// The largest message that is sent while it can be split, in bytes of protobuf: what a gRPC
/// server takes unless told otherwise (4 MiB), with some room for what surrounds it.
const MESSAGE_LIMIT: usize = (4 << 20) - (64 << 10);

/// A message that every protocol that is compiled in can carry.
#[cfg(feature = "otlp-http-json")]
pub trait WireMessage: prost::Message + serde::Serialize {}
#[cfg(feature = "otlp-http-json")]
impl<M: prost::Message + serde::Serialize> WireMessage for M {}

/// A message that every protocol that is compiled in can carry.
#[cfg(not(feature = "otlp-http-json"))]
pub trait WireMessage: prost::Message {}
#[cfg(not(feature = "otlp-http-json"))]
impl<M: prost::Message> WireMessage for M {}

/// Turns batches of one signal into OTLP's messages.
pub trait Encode: fmt::Debug + Send + Sync + 'static {
    /// What is exported together.
    type Batch: Send + 'static;
    /// The request of the signal's service.
    type Message: WireMessage + 'static;

    /// Makes one message of a batch.
    fn message(&self, batch: Self::Batch) -> Self::Message;

    /// Returns how many records are in a message.
    fn count(message: &Self::Message) -> usize;

    /// Keeps the first `n` records in a message, and returns one with the others.
    fn split_off(message: &mut Self::Message, n: usize) -> Self::Message;
}

/// Encodes batches.
#[derive(Debug)]
pub(super) struct Encoder<E> {
    encode: E,
    protocol: OtlpProtocol,
    gzip: bool,
    limit: usize,
}

/// One message of a batch.
pub(super) struct Part<M> {
    pub(super) message: M,
    /// How many records are in it.
    pub(super) records: u64,
}

impl<E: Encode> Encoder<E> {
    pub(super) fn new(encode: E, protocol: OtlpProtocol, gzip: bool) -> Self {
        Self { encode, protocol, gzip, limit: MESSAGE_LIMIT }
    }

    pub(super) fn encode_mut(&mut self) -> &mut E {
        &mut self.encode
    }

    /// Turns a batch into messages: one, unless it would be too large.
    pub(super) fn split(&self, batch: E::Batch) -> Vec<Part<E::Message>> {
        let mut parts = Vec::with_capacity(1);
        self.split_into(self.encode.message(batch), &mut parts);
        parts
    }

    fn split_into(&self, mut message: E::Message, parts: &mut Vec<Part<E::Message>>) {
        let records = E::count(&message);
        if records > 1 && prost::Message::encoded_len(&message) > self.limit {
            let rest = E::split_off(&mut message, records / 2);
            self.split_into(message, parts);
            self.split_into(rest, parts);
        } else if records > 0 {
            parts.push(Part { message, records: records as u64 });
        }
    }

    /// Encodes a message as it goes over the wire, gRPC's five bytes in front included.
    pub(super) fn encode(&self, message: &E::Message) -> Result<Bytes, String> {
        match self.protocol {
            #[cfg(feature = "otlp-grpc")]
            OtlpProtocol::Grpc => {
                let body = self.compress(prost::Message::encode_to_vec(message))?;
                Ok(super::frame::frame(&body, self.gzip))
            }
            #[cfg(feature = "otlp-http-json")]
            OtlpProtocol::HttpJson => {
                let body = super::json::encode(message).map_err(|error| error.to_string())?;
                self.compress(body).map(Bytes::from)
            }
            _ => self.compress(prost::Message::encode_to_vec(message)).map(Bytes::from),
        }
    }

    #[cfg(feature = "gzip")]
    fn compress(&self, body: Vec<u8>) -> Result<Vec<u8>, String> {
        use flate2::{Compression, write::GzEncoder};
        use std::io::Write as _;
        if !self.gzip {
            return Ok(body);
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        encoder.write_all(&body).and_then(|()| encoder.finish()).map_err(|e| e.to_string())
    }

    #[cfg(not(feature = "gzip"))]
    #[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
    fn compress(&self, body: Vec<u8>) -> Result<Vec<u8>, String> {
        debug_assert!(!self.gzip, "the configuration refuses what is not compiled in");
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers, as messages of texts.
    #[derive(Debug)]
    struct Texts;

    #[derive(Clone, PartialEq, prost::Message)]
    #[cfg_attr(feature = "otlp-http-json", derive(serde::Serialize))]
    struct Message {
        #[prost(string, repeated, tag = "1")]
        texts: Vec<String>,
    }

    impl Encode for Texts {
        type Batch = Vec<String>;
        type Message = Message;

        fn message(&self, texts: Vec<String>) -> Message {
            Message { texts }
        }

        fn count(message: &Message) -> usize {
            message.texts.len()
        }

        fn split_off(message: &mut Message, n: usize) -> Message {
            Message { texts: message.texts.split_off(n) }
        }
    }

    fn encoder(limit: usize) -> Encoder<Texts> {
        Encoder { limit, ..Encoder::new(Texts, OtlpProtocol::HttpProtobuf, false) }
    }

    #[test]
    fn a_batch_is_one_message_unless_it_is_too_large() {
        let batch: Vec<_> = (0..1_000).map(|i| i.to_string()).collect();
        assert_eq!(encoder(MESSAGE_LIMIT).split(batch.clone()).len(), 1);
        let parts = encoder(100).split(batch.clone());
        assert!(parts.len() > 20, "{}", parts.len());
        assert!(parts.iter().all(|part| prost::Message::encoded_len(&part.message) <= 100));
        let texts: Vec<_> = parts.into_iter().flat_map(|part| part.message.texts).collect();
        assert_eq!(texts, batch, "none missing, none twice, in their order");
        assert!(encoder(100).split(Vec::new()).is_empty());
    }

    #[test]
    fn one_record_too_large_is_sent_all_the_same() {
        let parts = encoder(1_000).split(vec!["x".repeat(5_000), "small".to_owned()]);
        assert_eq!(parts.iter().map(|part| part.records).collect::<Vec<_>>(), [1, 1]);
    }
}
