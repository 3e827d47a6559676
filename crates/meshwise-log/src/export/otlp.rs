//! Records by OTLP: a queue of bytes, and their messages.

use super::config::ExportConfig;
use crate::error::LogError;
use meshwise_core::{DropReason, Resource, Signal, SignalReport, internal::queue::Block};
use meshwise_otlp::{
    BatchConfig, OtlpConfig,
    internal::{
        Batcher, Encode, Items, Origin, SCHEMA_URL, flush, is_exporting, join, moment_after,
        proto_resource, proto_scope, worker_deadline,
    },
};
use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
};
use prost::Message as _;
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

/// Puts records into messages.
#[derive(Debug)]
struct LogEncoder {
    resource: Resource,
}

impl LogEncoder {
    fn request(resource: &ResourceLogs, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
        let scope_logs = ScopeLogs {
            scope: Some(proto_scope()),
            log_records,
            schema_url: SCHEMA_URL.to_owned(),
        };
        let resource_logs = ResourceLogs { scope_logs: vec![scope_logs], ..resource.clone() };
        ExportLogsServiceRequest { resource_logs: vec![resource_logs] }
    }

    fn records(request: &mut ExportLogsServiceRequest) -> Option<&mut Vec<LogRecord>> {
        Some(&mut request.resource_logs.first_mut()?.scope_logs.first_mut()?.log_records)
    }
}

impl Encode for LogEncoder {
    type Batch = Records;
    type Message = ExportLogsServiceRequest;

    fn message(&self, batch: Records) -> ExportLogsServiceRequest {
        // They were written here, and can be read.
        let records = batch.iter().map(|record| LogRecord::decode(record).unwrap_or_default());
        let resource = ResourceLogs {
            resource: Some(proto_resource(&self.resource)),
            scope_logs: Vec::new(),
            schema_url: SCHEMA_URL.to_owned(),
        };
        Self::request(&resource, records.collect())
    }

    fn count(request: &ExportLogsServiceRequest) -> usize {
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        scopes.map(|scope| scope.log_records.len()).sum()
    }

    fn split_off(request: &mut ExportLogsServiceRequest, n: usize) -> ExportLogsServiceRequest {
        let rest = Self::records(request).map(|records| records.split_off(n.min(records.len())));
        let resource = request.resource_logs.first().map(|resource| ResourceLogs {
            resource: resource.resource.clone(),
            scope_logs: Vec::new(),
            schema_url: resource.schema_url.clone(),
        });
        Self::request(&resource.unwrap_or_default(), rest.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let encoder = LogEncoder { resource: service.into() };
        let texts: Vec<LogRecord> = (0..10)
            .map(|time_unix_nano| LogRecord { time_unix_nano, ..LogRecord::default() })
            .collect();
        let mut batch = Records::default();
        texts.iter().for_each(|record| batch.push(&record.encode_to_vec()));
        let mut message = encoder.message(batch);
        let rest = LogEncoder::split_off(&mut message, 4);
        assert_eq!((LogEncoder::count(&message), LogEncoder::count(&rest)), (4, 6));
        let whole = [&message, &rest].map(|part| {
            let resource = &part.resource_logs[0];
            let attributes = &resource.resource.as_ref().unwrap().attributes;
            assert!(attributes.iter().any(|attribute| attribute.key == "service.name"));
            let scope = &resource.scope_logs[0];
            assert_eq!(scope.scope.as_ref().unwrap().name, "meshwise");
            scope.log_records.clone()
        });
        assert_eq!(whole.concat(), texts);
    }
}
