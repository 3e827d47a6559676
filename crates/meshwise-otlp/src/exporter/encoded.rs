//! A batch as protobuf.

use meshwise_core::internal::wire::{self, BYTES, tag, varint, varint_len};
use std::{fmt, ops::Range};

// The numbers of fields are the same for all signals (opentelemetry-proto 1.9): of `ResourceLogs` as of
// `ResourceSpans`, of `ScopeLogs` as of `ScopeSpans`, and of the requests.
const OF_RESOURCES: u8 = tag(1, BYTES);
const RESOURCE: u8 = tag(1, BYTES);
const SCOPES: u8 = tag(2, BYTES);
const SCOPE: u8 = tag(1, BYTES);
const RECORDS: u8 = tag(2, BYTES);
const SCHEMA_URL: u8 = tag(3, BYTES);

/// More memory than this, in bytes, is not kept for the next batch.
const KEEP: usize = 1 << 20;

/// The records of one batch as they go over the wire, by scope: what requests are put together from.
#[derive(Default)]
pub struct EncodedBatch {
    /// The fields of `ResourceSpans` before its scopes, and behind them.
    resource: Surroundings,
    /// The first so many are this batch's: the others are kept for their memory.
    scopes: Vec<Scope>,
    used: usize,
    /// Where the next request begins.
    next: Place,
}

/// The fields around those that there are many of.
#[derive(Debug, Default)]
struct Surroundings {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Surroundings {
    fn set(&mut self, tag: u8, described: impl FnOnce(&mut Vec<u8>), schema_url: &str) {
        self.before.clear();
        wire::message(&mut self.before, tag, described);
        self.after.clear();
        wire::text(&mut self.after, SCHEMA_URL, schema_url);
    }

    fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }
}

/// The records of one scope, one behind the other.
#[derive(Debug, Default)]
struct Scope {
    scope: Surroundings,
    records: Vec<u8>,
    ends: Vec<End>,
}

/// Where a message ends that is one record or, of metrics, some.
#[derive(Clone, Copy, Debug)]
struct End {
    at: usize,
    records: usize,
}

/// A place between two messages.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    scope: usize,
    message: usize,
}

impl EncodedBatch {
    /// Begins a batch of records of a process; `resource` writes the fields of `Resource`.
    pub fn begin(&mut self, resource: impl FnOnce(&mut Vec<u8>), schema_url: &str) {
        self.resource.set(RESOURCE, resource, schema_url);
        for scope in &mut self.scopes {
            scope.records.clear();
            scope.records.shrink_to(KEEP);
            scope.ends.clear();
        }
        // A batch of many scopes is no reason to keep as many buffers.
        self.scopes.truncate(4);
        (self.used, self.next) = (0, Place::default());
    }

    /// Begins a scope, and returns its number; `scope` writes the fields of `InstrumentationScope`.
    pub fn add_scope(&mut self, scope: impl FnOnce(&mut Vec<u8>), schema_url: &str) -> usize {
        let number = self.used;
        if number == self.scopes.len() {
            self.scopes.push(Scope::default());
        }
        self.scopes[number].scope.set(SCOPE, scope, schema_url);
        self.used += 1;
        number
    }

    /// Adds one record to a scope; `write` writes its fields.
    #[inline]
    pub fn add(&mut self, scope: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.add_several(scope, 1, write);
    }

    /// Adds a message that holds so many records.
    #[inline]
    pub fn add_several(&mut self, scope: usize, records: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let scope = &mut self.scopes[scope];
        wire::message(&mut scope.records, RECORDS, write);
        scope.ends.push(End { at: scope.records.len(), records });
    }

    /// Writes the next request behind what is there: of all that is left or, if it would have more bytes than
    /// `limit`, of as much as fits, and of one message at least. Returns how many records are in it; 0 once
    /// nothing is left.
    pub fn write_request(&mut self, limit: usize, out: &mut Vec<u8>) -> usize {
        // Its own tag and length.
        let limit = limit.saturating_sub(1 + varint_len(limit as u64));
        let (mut size, mut records) = (self.resource.len(), 0);
        let mut parts = Vec::with_capacity(1);
        while let Some(scope) = self.scopes[..self.used].get(self.next.scope) {
            let part = scope.part(self.next.message, limit.saturating_sub(size), records == 0);
            self.next.message += part.messages;
            if part.messages > 0 {
                size += field_len(scope.len(&part));
                records += part.records;
                parts.push((self.next.scope, part));
            }
            if self.next.message < scope.ends.len() {
                break;
            }
            self.next = Place { scope: self.next.scope + 1, message: 0 };
        }
        if records > 0 {
            out.reserve(field_len(size));
            out.push(OF_RESOURCES);
            varint(out, size as u64);
            out.extend_from_slice(&self.resource.before);
            for (scope, part) in parts {
                let scope = &self.scopes[scope];
                out.push(SCOPES);
                varint(out, scope.len(&part) as u64);
                out.extend_from_slice(&scope.scope.before);
                out.extend_from_slice(&scope.records[part.bytes]);
                out.extend_from_slice(&scope.scope.after);
            }
            out.extend_from_slice(&self.resource.after);
        }
        records
    }
}

impl fmt::Debug for EncodedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.scopes[..self.used].iter().map(|scope| scope.records.len());
        f.debug_struct("EncodedBatch").field("bytes", &bytes.sum::<usize>()).finish_non_exhaustive()
    }
}

/// What one request has of a scope.
#[derive(Debug)]
struct ScopePart {
    bytes: Range<usize>,
    messages: usize,
    records: usize,
}

impl Scope {
    /// Returns the part from a message on that fits into so many bytes; `one` message does in any case.
    fn part(&self, from: usize, limit: usize, one: bool) -> ScopePart {
        let start = from.checked_sub(1).map_or(0, |before| self.ends[before].at);
        let mut part = ScopePart { bytes: start..start, messages: 0, records: 0 };
        for end in &self.ends[from..] {
            let longer = ScopePart {
                bytes: start..end.at,
                messages: part.messages + 1,
                records: part.records + end.records,
            };
            let fits = field_len(self.len(&longer)) <= limit || (one && part.messages == 0);
            if !fits {
                break;
            }
            part = longer;
        }
        part
    }

    /// Returns the length of its message with this part of its records.
    fn len(&self, part: &ScopePart) -> usize {
        self.scope.len() + part.bytes.len()
    }
}

/// Returns the length of a field with a message of so many bytes.
fn field_len(message: usize) -> usize {
    1 + varint_len(message as u64) + message
}
