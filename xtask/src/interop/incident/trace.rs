//! A real collector, and the traces that it has received.

use crate::interop::{
    kits::Kits,
    process::{Server, free_port},
};
use anyhow::Context as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    process::Command,
};

pub(super) struct Collector {
    server: Server,
    port: u16,
}

/// One span as the collector tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct TracedSpan {
    pub(super) service: String,
    trace_id: String,
    parent: String,
    id: String,
    name: String,
    kind: String,
    error: bool,
}

/// The spans of one trace.
pub(super) struct Spans {
    pub(super) trace_id: String,
    spans: Vec<TracedSpan>,
}

impl Collector {
    pub(super) fn start(kits: &Kits) -> anyhow::Result<Self> {
        let (grpc, port) = (free_port()?, free_port()?);
        let server = Server::start(
            Command::new(&kits.rotel)
                .arg("start")
                .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
                .args(["--otlp-http-endpoint", &format!("127.0.0.1:{port}")])
                .args(["--exporter", "blackhole", "--debug-log", "traces"])
                .args(["--debug-log-verbosity", "detailed"]),
        )?;
        server.lines_until(|line| line.contains("Starting Rotel"))?;
        Ok(Self { server, port })
    }

    /// Has a service export here, soon after its spans end.
    pub(super) fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        ]
    }

    /// Waits until one of these traces is there: its root, a server's span of this service, and
    /// a span that failed.
    pub(super) fn trace_of(&self, traces: &BTreeSet<&str>, root: &str) -> anyhow::Result<Spans> {
        let mut reader = SpanReader::default();
        let mut complete = None;
        let waited = self.server.lines_until(|line| {
            reader.read(line);
            complete = reader.complete(traces, root);
            complete.is_some()
        });
        waited.context("no exemplar's trace reached the collector")?;
        complete.context("a trace")
    }
}

/// Puts spans together from the lines of the collector.
#[derive(Default)]
struct SpanReader {
    service: String,
    open: Option<TracedSpan>,
    traces: BTreeMap<String, Vec<TracedSpan>>,
    ended: BTreeSet<String>,
}

impl SpanReader {
    fn read(&mut self, line: &str) {
        let line = line.trim();
        if line.starts_with("Span #") || line.starts_with("ResourceSpans #") {
            if let Some(span) = self.open.take() {
                self.ended.insert(span.trace_id.clone());
                self.traces.entry(span.trace_id.clone()).or_default().push(span);
            }
            if line.starts_with("Span #") {
                self.open =
                    Some(TracedSpan { service: self.service.clone(), ..Default::default() });
            }
        }
        if let Some(name) = attribute(line, "service.name") {
            self.service = name.to_owned();
        }
        let Some((label, value)) = line.split_once(':') else { return };
        let Some(span) = &mut self.open else { return };
        let value = value.trim();
        match label.trim() {
            "Trace ID" => value.clone_into(&mut span.trace_id),
            "Parent ID" => value.clone_into(&mut span.parent),
            "ID" => value.clone_into(&mut span.id),
            "Name" => value.clone_into(&mut span.name),
            "Kind" => value.clone_into(&mut span.kind),
            "Status code" => span.error = value.ends_with("ERROR"),
            _ => {}
        }
    }

    fn complete(&mut self, wanted: &BTreeSet<&str>, root: &str) -> Option<Spans> {
        let ended = std::mem::take(&mut self.ended);
        let done = ended.iter().find(|trace| {
            let spans = self.traces.get(*trace).map_or(&[][..], Vec::as_slice);
            let has_root =
                |span: &TracedSpan| span.service == root && span.kind.ends_with("SERVER");
            // The services export in batches of their own: what failed may come last.
            wanted.contains(trace.as_str())
                && spans.iter().any(has_root)
                && spans.iter().any(|span| span.error)
        })?;
        Some(Spans { trace_id: done.clone(), spans: self.traces.get(done)?.clone() })
    }
}

fn attribute<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.strip_prefix("-> ")?.strip_prefix(name)?.strip_prefix(": Str(")?.strip_suffix(')')
}

impl Spans {
    pub(super) fn print(&self) {
        println!("   trace {}", self.trace_id);
        for span in &self.spans {
            println!("   {span}");
        }
    }

    pub(super) fn has(&self, service: &str) -> bool {
        self.spans.iter().any(|span| span.service == service)
    }

    /// Finds a failed span that no other failed span lies below.
    pub(super) fn deepest_failed(&self) -> Option<&TracedSpan> {
        let failed: Vec<_> = self.spans.iter().filter(|span| span.error).collect();
        let leaf = |span: &&TracedSpan| !failed.iter().any(|other| other.parent == span.id);
        failed.iter().copied().find(leaf)
    }
}

impl fmt::Display for TracedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.trim_start_matches("SPAN_KIND_");
        let error = if self.error { " FAILED" } else { "" };
        write!(f, "{:8} {:8} {}{error}", self.service, kind, self.name)
    }
}
