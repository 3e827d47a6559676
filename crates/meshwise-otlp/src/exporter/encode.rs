//! Batches as requests on the wire.

use super::encoded::EncodedBatch;
use crate::protocol::OtlpProtocol;
use bytes::Bytes;
use std::fmt;

/// The largest message that is sent while it can be split, in bytes of protobuf: what a gRPC
/// server takes unless told otherwise (4 MiB), with some room for what surrounds it.
const MESSAGE_LIMIT: usize = (4 << 20) - (64 << 10);
/// A larger buffer is not kept for the next request.
const KEEP: usize = 1 << 20;

/// A request that can be turned into JSON.
#[cfg(feature = "otlp-http-json")]
pub trait WireMessage: prost::Message + Default + serde::Serialize {}
#[cfg(feature = "otlp-http-json")]
impl<M: prost::Message + Default + serde::Serialize> WireMessage for M {}

/// A request; without JSON, no one reads it.
#[cfg(not(feature = "otlp-http-json"))]
pub trait WireMessage {}
#[cfg(not(feature = "otlp-http-json"))]
impl<M> WireMessage for M {}

/// Writes batches of one signal as OTLP has them.
pub trait Encode: fmt::Debug + Send + Sync + 'static {
    /// What is exported together.
    type Batch: Send + 'static;
    /// The request of the signal's service.
    type Request: WireMessage + 'static;

    /// Writes a batch.
    fn encode(&mut self, batch: Self::Batch, into: &mut EncodedBatch);
}

/// Makes requests of batches. Its memory is kept from batch to batch.
#[derive(Debug)]
pub(super) struct Encoder<E> {
    encode: E,
    protocol: OtlpProtocol,
    gzip: bool,
    limit: usize,
    batch: EncodedBatch,
    /// The buffer of a request that is over.
    spare: Vec<u8>,
}

/// One request of a batch.
#[derive(Debug)]
pub(super) struct Part {
    /// As it goes over the wire, gRPC's five bytes in front included.
    pub(super) body: Result<Bytes, String>,
    /// How many records are in it.
    pub(super) records: u64,
}

impl<E: Encode> Encoder<E> {
    pub(super) fn new(encode: E, protocol: OtlpProtocol, gzip: bool) -> Self {
        let (batch, spare) = (EncodedBatch::default(), Vec::new());
        Self { encode, protocol, gzip, limit: MESSAGE_LIMIT, batch, spare }
    }

    pub(super) fn encode_mut(&mut self) -> &mut E {
        &mut self.encode
    }

    /// Takes a batch in the place of the one before.
    pub(super) fn load(&mut self, batch: E::Batch) {
        self.encode.encode(batch, &mut self.batch);
    }

    /// Returns the batch's next request; there is one, unless it would be too large.
    pub(super) fn next_part(&mut self) -> Option<Part> {
        let mut body = std::mem::take(&mut self.spare);
        let framed = match self.protocol {
            #[cfg(feature = "otlp-grpc")]
            OtlpProtocol::Grpc => super::frame::PREFIX,
            _ => 0,
        };
        body.resize(framed, 0);
        let records = self.batch.write_request(self.limit, &mut body);
        if records == 0 {
            self.spare = body;
            return None;
        }
        Some(Part { body: self.finish(body).map(Bytes::from), records: records as u64 })
    }

    /// Takes a request's buffer back, if no one else has it.
    pub(super) fn recycle(&mut self, body: Bytes) {
        if let Ok(mut body) = body.try_into_mut()
            && body.capacity() <= KEEP
        {
            body.clear();
            self.spare = body.into();
        }
    }

    /// Turns protobuf, behind the room for gRPC's prefix, into what goes over the wire.
    fn finish(&self, body: Vec<u8>) -> Result<Vec<u8>, String> {
        match self.protocol {
            #[cfg(feature = "otlp-grpc")]
            OtlpProtocol::Grpc => {
                let mut framed = self.compress(body, super::frame::PREFIX)?;
                super::frame::set_prefix(&mut framed, self.gzip);
                Ok(framed)
            }
            #[cfg(feature = "otlp-http-json")]
            OtlpProtocol::HttpJson => {
                let request = <E::Request as prost::Message>::decode(&*body);
                let request = request.map_err(|error| error.to_string())?;
                let json = super::json::encode(&request).map_err(|error| error.to_string())?;
                self.compress(json, 0)
            }
            _ => self.compress(body, 0),
        }
    }

    /// Compresses all but the first bytes, if that is wanted.
    #[cfg(feature = "gzip")]
    fn compress(&self, body: Vec<u8>, from: usize) -> Result<Vec<u8>, String> {
        use flate2::{Compression, write::GzEncoder};
        use std::io::Write as _;
        if !self.gzip {
            return Ok(body);
        }
        let mut compressed = Vec::with_capacity(body.len() / 4);
        compressed.extend_from_slice(&body[..from]);
        let mut encoder = GzEncoder::new(compressed, Compression::fast());
        encoder.write_all(&body[from..]).and_then(|()| encoder.finish()).map_err(|e| e.to_string())
    }

    #[cfg(not(feature = "gzip"))]
    #[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
    fn compress(&self, body: Vec<u8>, _from: usize) -> Result<Vec<u8>, String> {
        debug_assert!(!self.gzip, "the configuration refuses what is not compiled in");
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::internal::wire::{BYTES, tag, text};
    use prost::Message as _;

    /// Texts, as records of scopes that each have a few.
    #[derive(Debug)]
    struct Texts;

    const A_SCOPE: usize = 30;

    #[derive(Clone, PartialEq, prost::Message)]
    #[cfg_attr(feature = "otlp-http-json", derive(serde::Serialize))]
    struct TextRequest {
        #[prost(message, repeated, tag = "1")]
        resources: Vec<TextResource>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    #[cfg_attr(feature = "otlp-http-json", derive(serde::Serialize))]
    struct TextResource {
        #[prost(message, optional, tag = "1")]
        resource: Option<Text>,
        #[prost(message, repeated, tag = "2")]
        scopes: Vec<TextScope>,
        #[prost(string, tag = "3")]
        schema_url: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    #[cfg_attr(feature = "otlp-http-json", derive(serde::Serialize))]
    struct TextScope {
        #[prost(message, optional, tag = "1")]
        scope: Option<Text>,
        #[prost(message, repeated, tag = "2")]
        records: Vec<Text>,
        #[prost(string, tag = "3")]
        schema_url: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    #[cfg_attr(feature = "otlp-http-json", derive(serde::Serialize))]
    struct Text {
        #[prost(string, tag = "1")]
        text: String,
    }

    impl Encode for Texts {
        type Batch = Vec<String>;
        type Request = TextRequest;

        fn encode(&mut self, texts: Vec<String>, into: &mut EncodedBatch) {
            let of = |what: &str| {
                let what = what.to_owned();
                move |out: &mut Vec<u8>| text(out, tag(1, BYTES), &what)
            };
            into.begin(of("process"), "of the resource");
            for (i, some) in texts.chunks(A_SCOPE).enumerate() {
                let scope = into.add_scope(of(&i.to_string()), "of the scope");
                some.iter().for_each(|text| into.add(scope, of(text)));
            }
        }
    }

    fn parts(limit: usize, batch: Vec<String>) -> Vec<(TextRequest, Part)> {
        let encoder = Encoder::new(Texts, OtlpProtocol::HttpProtobuf, false);
        let mut encoder = Encoder { limit, ..encoder };
        // What was there before leaves no trace.
        encoder.load(vec!["before".to_owned(); 100]);
        encoder.next_part();
        encoder.load(batch);
        let parts = std::iter::from_fn(|| encoder.next_part());
        let decoded =
            parts.map(|part| (TextRequest::decode(part.body.clone().unwrap()).unwrap(), part));
        decoded.collect()
    }

    fn texts(request: &TextRequest) -> Vec<String> {
        let resource = &request.resources[0];
        assert_eq!(resource.resource.as_ref().unwrap().text, "process");
        assert_eq!((request.resources.len(), &*resource.schema_url), (1, "of the resource"));
        let mut all = Vec::new();
        for scope in &resource.scopes {
            let number: usize = scope.scope.as_ref().unwrap().text.parse().unwrap();
            assert_eq!(scope.schema_url, "of the scope");
            for record in &scope.records {
                assert_eq!(record.text.parse::<usize>().unwrap() / A_SCOPE, number);
                all.push(record.text.clone());
            }
        }
        all
    }

    #[test]
    fn a_batch_is_one_message_unless_it_is_too_large() {
        let batch: Vec<_> = (0..1_000).map(|i| i.to_string()).collect();
        assert_eq!(parts(MESSAGE_LIMIT, batch.clone()).len(), 1);
        let parts_of_100 = parts(100, batch.clone());
        assert!(parts_of_100.len() > 20, "{}", parts_of_100.len());
        assert!(parts_of_100.iter().all(|(_, part)| part.body.as_ref().unwrap().len() <= 100));
        let others = [10_000, 0, usize::MAX].map(|limit| parts(limit, batch.clone()));
        for all in others.into_iter().chain([parts_of_100]) {
            let counted = |(request, part): &(TextRequest, Part)| {
                assert_eq!(texts(request).len() as u64, part.records);
                texts(request)
            };
            let texts: Vec<_> = all.iter().flat_map(counted).collect();
            assert_eq!(texts, batch, "none missing, none twice, in their order");
        }
        assert!(parts(100, Vec::new()).is_empty());
    }

    #[test]
    fn one_record_too_large_is_sent_all_the_same() {
        let parts = parts(1_000, vec!["0".repeat(5_000), "1".to_owned()]);
        assert_eq!(parts.iter().map(|(_, part)| part.records).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn memory_is_used_again() {
        let mut encoder = Encoder::new(Texts, OtlpProtocol::HttpProtobuf, false);
        let mut export = |n: usize| {
            encoder.load((0..n).map(|i| i.to_string()).collect());
            let body = encoder.next_part().unwrap().body.unwrap();
            encoder.recycle(body.clone());
            encoder.recycle(body);
            encoder.spare.capacity()
        };
        let kept = export(500);
        assert!(kept > 1_000);
        assert_eq!(export(10), kept);
        assert_eq!(export(200_000), 0, "no more than is usual");
    }
}
