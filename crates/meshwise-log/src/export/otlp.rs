//! Records by OTLP: a queue of bytes, and their messages.

use super::config::ExportConfig;
use crate::error::LogError;
use meshwise_core::{DropReason, Resource, Signal, SignalReport, internal::queue::Block};
use meshwise_otlp::{
    BatchConfig, OtlpConfig,
    internal::{
        Batcher, Encode, EncodedBatch, Items, Origin, SCHEMA_URL, flush, is_exporting, join,
        moment_after, worker_deadline, write_resource, write_scope,
    },
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use std::{
    mem,
    time::{Duration, Instant},
};

/// The exporter's thread.
const THREAD: &str = "meshwise-logs";
/// How much memory a block has for each record, to begin with.
const USUAL_RECORD: usize = 384;
/// Blocks that grew beyond this are not kept.
const KEEP_CAPACITY: usize = 64 << 10;

/// Sends records to a collector. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Export(Batcher<Records>);

impl Export {
    /// Starts an exporter, if one is wanted; `hints` gets what looks like a mistake.
    pub(crate) fn start(
        config: &mut ExportConfig,
        resource: &Resource,
        hints: &mut Vec<String>,
    ) -> Result<Option<Self>, LogError> {
        let (by_code, wanted) = config.wanted();
        let mut standard = config.standard.clone();
        let batch = BatchConfig::from_settings(standard.batch.parts());
        let coded = BatchConfig::from_settings(config.batch.parts());
        let batch = batch.over(coded, &config.env, Signal::Logs)?;
        // Looked at in any case, so that what is wrong there is told.
        let said = OtlpConfig::from_standard(standard.otlp.parts(), &config.env, Signal::Logs)?;
        if !wanted {
            return Ok(None);
        }
        let origin = if by_code { Origin::Code } else { Origin::Env };
        let code = OtlpConfig::from_settings(config.otlp.parts());
        let make = |config: OtlpConfig| {
            config.into_exporter(Signal::Logs, LogEncoder { resource: resource.clone() })
        };
        let Some(exporter) = join(&code, &said, origin, &config.env, Signal::Logs, make, hints)?
        else {
            return Ok(None);
        };
        let sizes = batch.sizes(Signal::Logs)?;
        let batcher = Batcher::start(Signal::Logs, THREAD, Box::new(exporter), sizes);
        Ok(Some(Self(batcher.map_err(LogError::Thread)?)))
    }

    /// Tells whether this thread exports: nothing of what it logs may be exported again.
    pub(crate) fn is_exporting() -> bool {
        is_exporting()
    }

    /// Queues a record, or drops and counts it.
    #[inline]
    pub(crate) fn push(&self, record: &[u8]) {
        self.0.push(|block| block.push(record));
    }

    /// Counts a record that was not made.
    pub(crate) fn dropped(&self, reason: DropReason) {
        self.0.dropped(reason, 1);
    }

    pub(crate) fn report(&self) -> SignalReport {
        self.0.report()
    }

    /// Waits until what has come is exported or lost; `false` if that takes longer than `timeout`.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        self.0.begin_flush().wait(moment_after(timeout))
    }

    /// Exports what has come, before a shutdown that more may come before. What a collector that hangs
    /// has not taken by then is given up: the account that the last line gives is to have it.
    pub(crate) async fn flush_elsewhere(&self, timeout: Duration) {
        self.0.expect_shutdown();
        if !flush(vec![self.0.clone()], timeout).await {
            let _ended = self.0.begin_shutdown(Instant::now());
            self.0.end_shutdown();
        }
    }

    /// Exports what is queued while `work` is done, and counts as lost what is left then.
    pub(crate) fn shut_down_while(&self, timeout: Duration, work: impl FnOnce()) {
        let deadline = moment_after(timeout);
        let answer = self.0.begin_shutdown(worker_deadline(timeout));
        work();
        let _ = answer.wait(deadline);
        self.0.end_shutdown();
    }
}

/// Records, one behind the other, as they go over the wire.
#[derive(Debug, Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Records {
    fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.bytes[mem::replace(&mut start, *end)..*end])
    }
}

impl Block for Records {
    fn items(&self) -> usize {
        self.ends.len()
    }

    fn size(&self) -> usize {
        self.ends.len()
    }
}

impl Items for Records {
    fn with_capacity(records: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(records * USUAL_RECORD),
            ends: Vec::with_capacity(records),
        }
    }

    fn append(&mut self, later: &mut Self) {
        later.iter().for_each(|record| self.push(record));
        later.ends.clear();
        later.bytes.clear();
        later.bytes.shrink_to(KEEP_CAPACITY);
    }

    fn move_first(&mut self, n: usize, into: &mut Self) {
        self.iter().take(n).for_each(|record| into.push(record));
        let n = n.min(self.ends.len());
        let moved = n.checked_sub(1).map_or(0, |last| self.ends[last]);
        self.bytes.drain(..moved);
        self.ends.drain(..n);
        self.ends.iter_mut().for_each(|end| *end -= moved);
    }
}

/// Hands on records, which are written already.
#[derive(Debug)]
struct LogEncoder {
    resource: Resource,
}

impl Encode for LogEncoder {
    type Batch = Records;
    type Request = ExportLogsServiceRequest;

    fn encode(&mut self, batch: Records, into: &mut EncodedBatch) {
        into.begin(|out| write_resource(out, &self.resource), SCHEMA_URL);
        let scope = into.add_scope(write_scope, SCHEMA_URL);
        batch.iter().for_each(|record| into.add(scope, |out| out.extend_from_slice(record)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use prost::Message as _;

    fn records(texts: &[&str]) -> Records {
        let mut records = Records::with_capacity(1);
        texts.iter().for_each(|text| records.push(text.as_bytes()));
        records
    }

    fn texts(records: &Records) -> Vec<&str> {
        records.iter().map(|record| std::str::from_utf8(record).unwrap()).collect()
    }

    #[test]
    fn records_move_in_their_order() {
        let mut some = records(&["a", "", "bcd", "e"]);
        let mut into = records(&["0"]);
        some.move_first(3, &mut into);
        assert_eq!((texts(&into), texts(&some)), (vec!["0", "a", "", "bcd"], vec!["e"]));
        some.push(b"f");
        some.move_first(0, &mut into);
        some.move_first(9, &mut into);
        assert_eq!((into.items(), some.items()), (6, 0));
        some.push(b"g");
        into.append(&mut some);
        assert_eq!(texts(&into), ["0", "a", "", "bcd", "e", "f", "g"]);
        assert_eq!((some.items(), into.size()), (0, 7));
    }

    #[test]
    fn each_part_of_a_split_message_has_resource_and_scope() {
        let service = meshwise_core::Service::new("orders", "1");
        let mut encoder = LogEncoder { resource: service.into() };
        let record = |time_unix_nano| LogRecord { time_unix_nano, ..LogRecord::default() };
        let all: Vec<_> = (0..10).map(record).collect();
        let mut encoded = EncodedBatch::default();
        let mut encode = |encoded: &mut EncodedBatch, records: &[LogRecord]| {
            let mut batch = Records::default();
            records.iter().for_each(|record| batch.push(&record.encode_to_vec()));
            encoder.encode(batch, encoded);
        };
        encode(&mut encoded, &all[6..]);
        let mut four = Vec::new();
        assert_eq!(encoded.write_request(usize::MAX, &mut four), 4);
        let mut seen = Vec::new();
        encode(&mut encoded, &all);
        for records in [4, 4, 2, 0] {
            let mut request = Vec::new();
            assert_eq!(encoded.write_request(four.len(), &mut request), records);
            let request = ExportLogsServiceRequest::decode(&*request).unwrap();
            for resource in request.resource_logs {
                let attributes = resource.resource.unwrap().attributes;
                assert!(attributes.iter().any(|attribute| attribute.key == "service.name"));
                let scope = &resource.scope_logs[0];
                assert_eq!(scope.scope.as_ref().unwrap().name, "meshwise");
                assert_eq!((&*resource.schema_url, &*scope.schema_url), (SCHEMA_URL, SCHEMA_URL));
                seen.extend(scope.log_records.clone());
            }
        }
        assert_eq!(seen, all);
    }
}
