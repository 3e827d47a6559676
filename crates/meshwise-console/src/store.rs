//! What is kept: rings of spans and log records for each service, and what is counted of them.
//!
//! A plain machine: it is given `now`, in milliseconds of Unix time, and does no I/O. Spans and log
//! records lie in segments, each with strings of its own, so that the oldest go as a whole. Past the
//! budget the service with the most goes first: one that is noisy evicts its own.

pub(crate) mod edges;
mod ids;
pub(crate) mod pack;
mod recent;
pub(crate) mod red;
pub(crate) mod ring;
pub(crate) mod segment;
mod semantics;
pub(crate) mod series;
pub(crate) mod services;
pub(crate) mod text;
pub(crate) mod traces;

pub(crate) use ids::{USER, cut, span_id, trace_id};

use edges::Edges;
use opentelemetry_proto::tonic::{
    common::v1::{InstrumentationScope, KeyValue},
    logs::v1::LogRecord,
    trace::v1::Span,
};
use pack::{Packer, text_of};
use recent::Recent;
use red::Call;
use ring::Place;
use segment::{LogRow, SpanRow};
use series::{Description, Exemplar, Reading};
use services::{Entered, Service, Services};
use traces::Traces;

/// Counts what came and what became of it.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct Counts {
    pub(crate) spans: u64,
    pub(crate) logs: u64,
    pub(crate) points: u64,
    /// Spans that were there already.
    pub(crate) duplicates: u64,
    /// Spans without a valid id, and what could not be read.
    pub(crate) invalid: u64,
    /// Texts that were cut and attributes that were left out.
    pub(crate) cut: u64,
    /// Spans and log records of a trace that has as many as are kept.
    pub(crate) trace_full: u64,
}

/// Keeps what services sent.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) budget: usize,
    pub(crate) services: Services,
    pub(crate) traces: Traces,
    pub(crate) edges: Edges,
    pub(crate) counts: Counts,
    recent: Recent,
    sequence: u64,
    series_full: bool,
}

/// Is the resource and scope of what comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) service: u16,
    pub(crate) resource: &'a [KeyValue],
    pub(crate) scope: Option<&'a InstrumentationScope>,
    /// Stands for both.
    pub(crate) key: u64,
}

impl Store {
    /// Makes one that keeps about `budget` bytes.
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            budget,
            services: Services::default(),
            traces: Traces::default(),
            edges: Edges::default(),
            counts: Counts::default(),
            recent: Recent::default(),
            sequence: 0,
            series_full: false,
        }
    }

    /// Returns the place of the service that a resource names.
    pub(crate) fn enter(&mut self, now: u64, resource: &[KeyValue]) -> u16 {
        let name = text_of(resource, "service.name").filter(|name| !name.is_empty());
        let place = self.enter_name(now, name.unwrap_or("unknown_service"));
        if let Some(service) = self.services.get_mut(place) {
            let version = text_of(resource, "service.version").map(|version| cut(version, 100));
            if service.version.as_deref() != version {
                service.version = version.map(str::to_owned);
            }
        }
        place
    }

    /// Returns how much of the last `window` milliseconds there was something to hear in: rates of a console
    /// that has just started are not those of a minute.
    pub(crate) fn heard(&self, now: u64, window: u64) -> u64 {
        let first = self.services.iter().map(|(_, service)| service.first).min();
        first.map_or(window, |first| window.min(now.saturating_sub(first).max(red::STEP)))
    }

    /// Returns the place of a service.
    pub(crate) fn enter_name(&mut self, now: u64, name: &str) -> u16 {
        let name = cut(name, 200);
        let place = match self.services.enter(now, name) {
            Entered::Known(place) => place,
            Entered::Replaces(place) => {
                while self.evict(place) {}
                self.services.replace(now, place, name);
                place
            }
        };
        if let Some(service) = self.services.get_mut(place) {
            service.last = now;
        }
        place
    }

    /// Takes a span; whether it was kept.
    pub(crate) fn span(&mut self, now: u64, source: Source<'_>, span: &Span) -> bool {
        let (Some(trace), Some(id)) = (trace_id(&span.trace_id), span_id(&span.span_id)) else {
            self.counts.invalid += 1;
            return false;
        };
        if !self.recent.is_new(trace, id) {
            self.counts.duplicates += 1;
            return true;
        }
        self.counts.spans += 1;
        if self.traces.is_full(trace) {
            self.counts.trace_full += 1;
            return false;
        }
        let Some(service) = self.services.get_mut(source.service) else { return false };
        let (number, segment) = service.spans.open();
        let (context, context_cut) =
            segment.context(source.key, |packer| pack_context(packer, source));
        let status = span.status.as_ref();
        let name = cut(&span.name, 1000);
        let mut sym = text::Sym(0);
        let (at, span_cut) = segment.pack(|packer| {
            sym = packer.intern(name);
            packer.string(status.map_or("", |status| &status.message));
            packer.string(&span.trace_state);
            packer.attributes(&span.attributes);
            pack_events(packer, span);
            pack_links(packer, span);
            let dropped = [
                span.dropped_attributes_count,
                span.dropped_events_count,
                span.dropped_links_count,
            ];
            for count in dropped {
                packer.number(u64::from(count));
            }
        });
        let duration = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
        segment.last = now;
        segment.rows.push(SpanRow {
            trace,
            id,
            parent: span_id(&span.parent_span_id).unwrap_or(0),
            start: span.start_time_unix_nano,
            duration,
            name: sym,
            at,
            context,
            kind: u8::try_from(span.kind).unwrap_or(0),
            status: match status.map_or(0, |status| status.code) {
                2 if semantics::is_refused(span) => segment::REFUSED,
                // Others are no codes of OTLP's.
                code @ 0..=2 => u8::try_from(code).unwrap_or(0),
                _ => 0,
            },
        });
        let row = u16::try_from(segment.rows.len() - 1).unwrap_or(u16::MAX);
        // A span may name no end.
        let end = span.end_time_unix_nano.max(span.start_time_unix_nano);
        service.ahead = (end / 1_000_000).cast_signed().saturating_sub_unsigned(now);
        self.counts.cut += context_cut + span_cut + (span.name.len() - name.len()).min(1) as u64;
        let place = Place { service: source.service, row, segment: number };
        self.traces.add_span(now, trace, place);
        self.count(now, source.service, trace, id, span);
        true
    }

    /// Counts a span's call on the map and among its service's operations.
    fn count(&mut self, now: u64, place: u16, trace: u128, id: u64, span: &Span) {
        let duration = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
        let failed = span.status.as_ref().is_some_and(|status| status.code == 2);
        let call = Call { trace, duration, failed };
        let Some(service) = self.services.get_mut(place) else { return };
        let name = std::sync::Arc::clone(&service.name);
        let parent = span_id(&span.parent_span_id);
        semantics::place_on_map(&mut self.edges, now, name, call, (trace, id), span);
        // What a service serves; a span without a parent is a job of its own.
        let serves = [semantics::SERVER, semantics::CONSUMER].contains(&span.kind);
        if serves || parent.is_none() {
            service.red.count(now, call);
            if let Some(operation) = self.services.operation(place, cut(&span.name, 200)) {
                operation.count(now, call);
            }
        }
    }

    /// Takes a log record; whether it was kept.
    pub(crate) fn log(&mut self, now: u64, source: Source<'_>, record: &LogRecord) -> bool {
        self.counts.logs += 1;
        let trace = trace_id(&record.trace_id);
        if trace.is_some_and(|trace| self.traces.is_full(trace)) {
            self.counts.trace_full += 1;
            return false;
        }
        let Some(service) = self.services.get_mut(source.service) else { return false };
        let (number, segment) = service.logs.open();
        let (context, context_cut) =
            segment.context(source.key, |packer| pack_context(packer, source));
        let mut body = text::Sym(0);
        let (at, record_cut) = segment.pack(|packer| {
            body = packer.intern(&pack::body_text(record.body.as_ref()));
            packer.string(&record.severity_text);
            packer.string(&record.event_name);
            packer.attributes(&record.attributes);
        });
        let time = match record.time_unix_nano {
            0 => record.observed_time_unix_nano,
            time => time,
        };
        self.sequence += 1;
        segment.last = now;
        segment.rows.push(LogRow {
            trace: trace.unwrap_or(0),
            span: span_id(&record.span_id).unwrap_or(0),
            time: if time == 0 { now.saturating_mul(1_000_000) } else { time },
            sequence: self.sequence,
            body,
            at,
            context,
            severity: u8::try_from(record.severity_number).unwrap_or(0),
        });
        let row = u16::try_from(segment.rows.len() - 1).unwrap_or(u16::MAX);
        self.counts.cut += context_cut + record_cut;
        if let Some(trace) = trace {
            let place = Place { service: source.service, row, segment: number };
            self.traces.add_log(now, trace, place);
        }
        true
    }

    /// Takes one reading of a series; whether it was kept.
    pub(crate) fn reading(
        &mut self,
        now: u64,
        service: u16,
        metric: Description<'_>,
        labels: Vec<(String, String)>,
        reading: Reading,
        exemplars: impl IntoIterator<Item = Exemplar>,
    ) -> bool {
        self.counts.points += 1;
        let closed = self.series_full;
        let Some(service) = self.services.get_mut(service) else { return false };
        service.series.read(now, closed, metric, labels, reading, exemplars)
    }

    /// Settles what has waited, and evicts what is over the budget.
    pub(crate) fn tick(&mut self, now: u64) {
        self.edges.tick(now);
        let series: usize = self.services.iter().map(|(_, s)| s.series.memory()).sum();
        self.series_full = series > self.budget / 4;
        let mut memory = self.memory();
        while memory > self.budget {
            let heaviest = self.services.iter().max_by_key(|(_, service)| service.rings());
            let Some((place, _)) = heaviest else { return };
            if !self.evict(place) {
                return;
            }
            memory = self.memory();
        }
    }

    /// Returns the newest log record's number.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Estimates the memory used, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let services: usize = self.services.iter().map(|(_, service)| service.memory()).sum();
        services + self.traces.memory() + self.edges.memory()
    }

    /// Evicts a service's oldest segment, of what it has more of; whether there was one.
    fn evict(&mut self, place: u16) -> bool {
        let Some(service) = self.services.get_mut(place) else { return false };
        if service.spans.memory() >= service.logs.memory() {
            let number = service.spans.first();
            let Some(segment) = service.spans.evict() else { return false };
            for row in &segment.rows {
                self.traces.remove_span(row.trace, place, number);
            }
        } else {
            let number = service.logs.first();
            let Some(segment) = service.logs.evict() else { return false };
            for row in segment.rows.iter().filter(|row| row.trace != 0) {
                self.traces.remove_log(row.trace, place, number);
            }
        }
        true
    }

    /// Returns a span's row with its segment and service, unless it was evicted.
    pub(crate) fn span_at(
        &self,
        place: Place,
    ) -> Option<(&Service, &segment::Segment<SpanRow>, &SpanRow)> {
        let service = self.services.get(place.service)?;
        let segment = service.spans.get(place.segment)?;
        Some((service, segment, segment.rows.get(usize::from(place.row))?))
    }

    /// Returns a log record's row with its segment and service, unless it was evicted.
    pub(crate) fn log_at(
        &self,
        place: Place,
    ) -> Option<(&Service, &segment::Segment<LogRow>, &LogRow)> {
        let service = self.services.get(place.service)?;
        let segment = service.logs.get(place.segment)?;
        Some((service, segment, segment.rows.get(usize::from(place.row))?))
    }
}

/// Writes a resource and scope: attributes, then the scope's name, version and attributes.
fn pack_context(packer: &mut Packer<'_>, source: Source<'_>) {
    packer.attributes(source.resource);
    packer.string(source.scope.map_or("", |scope| &scope.name));
    packer.string(source.scope.map_or("", |scope| &scope.version));
    packer.attributes(source.scope.map_or(&[], |scope| &scope.attributes));
}

/// More events or links of one span are left out.
const PARTS: usize = 256;

fn pack_events(packer: &mut Packer<'_>, span: &Span) {
    let kept = span.events.len().min(PARTS);
    packer.cut += (span.events.len() - kept) as u64;
    packer.number(kept as u64);
    for event in &span.events[..kept] {
        let since = event.time_unix_nano.wrapping_sub(span.start_time_unix_nano);
        packer.signed(since.cast_signed());
        packer.string(&event.name);
        packer.attributes(&event.attributes);
    }
}

fn pack_links(packer: &mut Packer<'_>, span: &Span) {
    let valid = |link: &&opentelemetry_proto::tonic::trace::v1::span::Link| {
        link.trace_id.len() == 16 && link.span_id.len() == 8
    };
    let links: Vec<_> = span.links.iter().filter(valid).take(PARTS).collect();
    packer.cut += (span.links.len() - links.len()) as u64;
    packer.number(links.len() as u64);
    for link in links {
        packer.id(&link.trace_id);
        packer.id(&link.span_id);
        packer.attributes(&link.attributes);
    }
}
