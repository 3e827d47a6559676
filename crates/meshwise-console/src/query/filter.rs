//! What people type into the search field.
//!
//! Words that are all to hold, separated by spaces; quotes keep a word together.
//!
//! | word | holds for |
//! |---|---|
//! | `service:stock`, `name:"GET /items"`, `kind:client` | spans of it |
//! | `status:error` | spans that failed; records of level error |
//! | `level:warn` | records of at least that level |
//! | `>100ms`, `<2s` | spans that are longer or shorter |
//! | `http.route=/items`, `route:/items` | what has this attribute, or an event with it |
//! | `edge:orders>stock` | calls over this edge |
//! | `trace:ID`, or an id alone | the trace |
//! | any other word | what has it in a name, a message or a value |
//!
//! A word that says nothing of what is searched is named in the answer, rather than passed over.

use super::duration::duration;
use crate::store::{
    pack::Packed,
    segment::{FAILED, LogRow, REFUSED, Segment, SpanRow},
    text::{Sym, Text},
};
use std::collections::HashMap;

/// A longer search is cut, in bytes.
const LENGTH: usize = 1000;
/// More words are not read.
const WORDS: usize = 20;

/// Is a search.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter {
    pub(crate) service: Option<String>,
    name: Option<String>,
    kind: Option<u8>,
    pub(crate) failed: Option<bool>,
    /// Failed or refused, as Jaeger's tag `error` says of both.
    error: bool,
    level: Option<u8>,
    longer: Option<u64>,
    shorter: Option<u64>,
    attributes: Vec<(String, String)>,
    pub(crate) edge: Option<(String, String)>,
    pub(crate) trace: Option<u128>,
    texts: Vec<String>,
    /// Words that are none of any search, or of one for spans or log records only.
    odd: Vec<String>,
    of_spans: Vec<String>,
    of_logs: Vec<String>,
}

impl Filter {
    /// Reads what was typed.
    pub(crate) fn parse(typed: &str) -> Self {
        let mut filter = Self::default();
        for word in words(crate::store::cut(typed, LENGTH)).into_iter().take(WORDS) {
            filter.word(&word);
        }
        filter
    }

    fn word(&mut self, word: &str) {
        for (sign, bound) in [('>', &mut self.longer), ('<', &mut self.shorter)] {
            let Some(limit) = word.strip_prefix(sign) else { continue };
            match duration(limit) {
                Some(limit) => {
                    *bound = Some(limit);
                    self.of_spans.push(word.to_owned());
                }
                None => self.odd.push(word.to_owned()),
            }
            return;
        }
        if (word.len() == 32)
            && let Ok(id) = u128::from_str_radix(word, 16)
        {
            self.trace = Some(id);
            return;
        }
        if let Some((key, value)) = word.split_once(':')
            && !value.is_empty()
            && self.keyed(&key.to_ascii_lowercase(), value, word)
        {
            return;
        }
        if let Some((key, value)) = word.split_once('=')
            && !key.is_empty()
        {
            self.attributes.push((key.to_owned(), value.trim_matches('"').to_owned()));
            return;
        }
        self.texts.push(word.to_owned());
    }

    /// Reads `key:value`; whether there is such a key.
    fn keyed(&mut self, key: &str, value: &str, word: &str) -> bool {
        let low = value.to_ascii_lowercase();
        let read = match key {
            "service" => {
                self.service = Some(value.to_owned());
                true
            }
            "name" | "op" => {
                self.name = Some(value.to_owned());
                true
            }
            "route" => {
                self.attributes.push(("http.route".to_owned(), value.to_owned()));
                true
            }
            "status" => {
                self.failed = ["ok", "error"].iter().position(|of| *of == low).map(|at| at == 1);
                self.failed.is_some()
            }
            "kind" => {
                self.kind = kind_number(&low);
                self.kind.is_some()
            }
            "level" => {
                self.level = level_number(&low);
                self.level.is_some()
            }
            "trace" => {
                self.trace = u128::from_str_radix(value, 16).ok();
                self.trace.is_some()
            }
            "edge" => {
                let ends = value.split_once('>');
                self.edge = ends.map(|(client, server)| (client.to_owned(), server.to_owned()));
                self.edge.is_some()
            }
            _ => return false,
        };
        let list = match key {
            _ if !read => &mut self.odd,
            "name" | "op" | "kind" | "edge" => &mut self.of_spans,
            "level" => &mut self.of_logs,
            _ => return true,
        };
        list.push(word.to_owned());
        true
    }

    /// Returns the words that say nothing of traces.
    pub(crate) fn odd_of_traces(&self) -> Vec<String> {
        self.odd.iter().chain(&self.of_logs).cloned().collect()
    }

    /// Returns the words that say nothing of log records.
    pub(crate) fn odd_of_logs(&self) -> Vec<String> {
        self.odd.iter().chain(&self.of_spans).cloned().collect()
    }

    /// Adds an attribute that must be there.
    pub(crate) fn with_attribute(mut self, key: String, value: String) -> Self {
        if key == "error" && value == "true" {
            self.error = true;
        } else if key == "span.kind"
            && let Some(kind) = kind_number(&value)
        {
            self.kind = Some(kind);
        } else {
            self.attributes.push((key, value));
        }
        self
    }

    /// Sets the operation's name.
    pub(crate) fn with_name(mut self, name: Option<String>) -> Self {
        self.name = name.or(self.name);
        self
    }

    /// Sets the bounds of a duration, in nanoseconds.
    pub(crate) fn with_durations(mut self, longer: Option<u64>, shorter: Option<u64>) -> Self {
        (self.longer, self.shorter) = (longer, shorter);
        self
    }

    /// Tells whether all traces match.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether words are sought anywhere in a trace, besides in one span.
    pub(crate) fn texts(&self) -> usize {
        self.texts.len()
    }

    /// Tells whether a span fulfils all but the words that are sought anywhere.
    pub(crate) fn span(
        &self,
        service: &str,
        segment: &Segment<SpanRow>,
        row: &SpanRow,
        prepared: &Prepared,
    ) -> bool {
        self.service.as_ref().is_none_or(|wanted| wanted == service)
            && self.name.as_ref().is_none_or(|wanted| segment.text.get(row.name) == wanted)
            && self.kind.is_none_or(|kind| row.kind == kind)
            && self.failed.is_none_or(|failed| (row.status == FAILED) == failed)
            && (!self.error || [FAILED, REFUSED].contains(&row.status))
            && self.longer.is_none_or(|limit| row.duration > limit)
            && self.shorter.is_none_or(|limit| row.duration < limit)
            && (self.attributes.is_empty() || self.has_attributes(segment, row, prepared))
    }

    fn has_attributes(
        &self,
        segment: &Segment<SpanRow>,
        row: &SpanRow,
        prepared: &Prepared,
    ) -> bool {
        if prepared.keys.iter().any(Option::is_none) {
            return false;
        }
        let mut found = vec![false; self.attributes.len()];
        let mut look = |key: Sym, value: Packed| {
            for (at, (_, wanted)) in self.attributes.iter().enumerate() {
                found[at] |= prepared.keys[at] == Some(key) && value.reads(&segment.text, wanted);
            }
        };
        let mut unpacker = segment.unpack(row.at);
        let _ = (unpacker.sym(), unpacker.sym());
        unpacker.attributes(&mut look);
        for _ in 0..unpacker.number().min(1000) {
            let _ = (unpacker.signed(), unpacker.sym());
            unpacker.attributes(&mut look);
        }
        segment.unpack_context(row.context).attributes(&mut look);
        found.into_iter().all(|found| found)
    }

    /// Marks which of the words are in a span.
    pub(crate) fn mark(
        segment: &Segment<SpanRow>,
        row: &SpanRow,
        prepared: &Prepared,
        found: &mut [bool],
    ) {
        for (at, syms) in prepared.texts.iter().enumerate() {
            if found[at] || !syms.any {
                continue;
            }
            let mut any = syms.has(row.name);
            let mut unpacker = segment.unpack(row.at);
            any |= syms.has(unpacker.sym());
            let _ = unpacker.sym();
            unpacker.attributes(|_, value| any |= syms.has_value(value));
            for _ in 0..unpacker.number().min(1000) {
                let _ = unpacker.signed();
                any |= syms.has(unpacker.sym());
                unpacker.attributes(|_, value| any |= syms.has_value(value));
            }
            found[at] = any;
        }
    }

    /// Tells whether a log record fulfils all.
    pub(crate) fn log(
        &self,
        service: &str,
        segment: &Segment<LogRow>,
        row: &LogRow,
        prepared: &Prepared,
    ) -> bool {
        let level = self.level.or((self.failed == Some(true)).then_some(17));
        let plain = self.service.as_ref().is_none_or(|wanted| wanted == service)
            && level.is_none_or(|level| row.severity >= level)
            && self.trace.is_none_or(|trace| row.trace == trace);
        if !plain || (self.attributes.is_empty() && self.texts.is_empty()) {
            return plain;
        }
        if prepared.keys.iter().any(Option::is_none) || prepared.texts.iter().any(|syms| !syms.any)
        {
            return false;
        }
        let mut pairs = vec![false; self.attributes.len()];
        let mut texts: Vec<bool> = prepared.texts.iter().map(|syms| syms.has(row.body)).collect();
        let mut look = |key: Sym, value: Packed| {
            for (at, (_, wanted)) in self.attributes.iter().enumerate() {
                pairs[at] |= prepared.keys[at] == Some(key) && value.reads(&segment.text, wanted);
            }
            for (at, syms) in prepared.texts.iter().enumerate() {
                texts[at] |= syms.has_value(value);
            }
        };
        let mut unpacker = segment.unpack(row.at);
        let _ = (unpacker.sym(), unpacker.sym());
        unpacker.attributes(&mut look);
        pairs.into_iter().chain(texts).all(|found| found)
    }

    fn prepare(&self, text: &Text) -> Prepared {
        let mut keys = vec![None; self.attributes.len()];
        let mut texts = vec![Syms::default(); self.texts.len()];
        if self.attributes.is_empty() && self.texts.is_empty() {
            return Prepared { keys, texts };
        }
        for (sym, found) in text.iter() {
            for (at, (key, _)) in self.attributes.iter().enumerate() {
                if found == key {
                    keys[at] = Some(sym);
                }
            }
            for (at, word) in self.texts.iter().enumerate() {
                if contains(found, word) {
                    texts[at].add(sym, text.len());
                }
            }
        }
        Prepared { keys, texts }
    }
}

/// Is what a search means in one segment.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    keys: Vec<Option<Sym>>,
    texts: Vec<Syms>,
}

/// Prepares each segment once.
#[derive(Debug, Default)]
pub(crate) struct Preparer(HashMap<(u16, u32), Prepared>);

impl Preparer {
    pub(crate) fn get<R>(
        &mut self,
        filter: &Filter,
        service: u16,
        number: u32,
        segment: &Segment<R>,
    ) -> &Prepared {
        self.0.entry((service, number)).or_insert_with(|| filter.prepare(&segment.text))
    }
}

/// Is a set of a segment's strings.
#[derive(Clone, Debug, Default)]
struct Syms {
    bits: Vec<u64>,
    any: bool,
}

impl Syms {
    fn add(&mut self, sym: Sym, all: usize) {
        if self.bits.is_empty() {
            self.bits = vec![0; all.div_ceil(64)];
        }
        if let Some(bits) = self.bits.get_mut(sym.0 as usize / 64) {
            *bits |= 1 << (sym.0 % 64);
            self.any = true;
        }
    }

    fn has(&self, sym: Sym) -> bool {
        self.bits.get(sym.0 as usize / 64).is_some_and(|bits| bits >> (sym.0 % 64) & 1 == 1)
    }

    fn has_value(&self, value: Packed) -> bool {
        match value {
            Packed::Text(sym) | Packed::Json(sym) => self.has(sym),
            Packed::Empty | Packed::Truth(_) | Packed::Integer(_) | Packed::Double(_) => false,
        }
    }
}

/// Tells whether a text has a word in it, whatever the case of its ASCII letters.
fn contains(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let Some(&first) = word.first() else { return true };
    let starts = memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text);
    starts.into_iter().any(|at| {
        text.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
    })
}

/// Splits at spaces outside quotes.
fn words(typed: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in typed.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn kind_number(kind: &str) -> Option<u8> {
    KINDS.iter().position(|name| *name == kind).and_then(|at| u8::try_from(at).ok())
}

/// The names of OTLP's span kinds, by number.
pub(crate) const KINDS: [&str; 6] = ["", "internal", "server", "client", "producer", "consumer"];

fn level_number(level: &str) -> Option<u8> {
    let levels =
        [("trace", 1), ("debug", 5), ("info", 9), ("warn", 13), ("error", 17), ("fatal", 21)];
    levels.iter().find(|(name, _)| level.eq_ignore_ascii_case(name)).map(|(_, number)| *number)
}

/// Returns the name of the level that a severity belongs to.
pub(crate) fn level_name(severity: u8) -> &'static str {
    match severity {
        0 => "",
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        _ => "fatal",
    }
}

/// Tells whether an edge's end is one that sends nothing itself.
pub(crate) fn is_user(name: &str) -> bool {
    name == crate::store::USER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read() {
        let filter = Filter::parse(
            r#"service:stock name:"GET /items" status:error >1.5s http.route=/items edge:a>b ghost"#,
        );
        assert_eq!(
            filter,
            Filter {
                service: Some("stock".to_owned()),
                name: Some("GET /items".to_owned()),
                failed: Some(true),
                longer: Some(1_500_000_000),
                of_spans: ["name:GET /items", ">1.5s", "edge:a>b"].map(str::to_owned).to_vec(),
                attributes: vec![("http.route".to_owned(), "/items".to_owned())],
                edge: Some(("a".to_owned(), "b".to_owned())),
                texts: vec!["ghost".to_owned()],
                ..Filter::default()
            }
        );
        let id = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(Filter::parse(id).trace, u128::from_str_radix(id, 16).ok());
        assert!(Filter::parse("  ").is_empty());
        assert_eq!(Filter::parse("a:").texts, ["a:"]);
        let shouted = Filter::parse("Service:a STATUS:Error Level:WARN route:/items");
        assert_eq!((shouted.service.as_deref(), shouted.failed), (Some("a"), Some(true)));
        assert_eq!(shouted.level, Some(13));
        assert_eq!(shouted.attributes, [("http.route".to_owned(), "/items".to_owned())]);
    }

    #[test]
    fn words_that_say_nothing_of_what_is_searched_are_named() {
        let filter =
            Filter::parse("kind:bogus >abc edge:a status:bad trace:x level:warn kind:client <1s");
        let odd = ["kind:bogus", ">abc", "edge:a", "status:bad", "trace:x"];
        assert_eq!(filter.odd_of_traces(), [&odd[..], &["level:warn"]].concat());
        assert_eq!(filter.odd_of_logs(), [&odd[..], &["kind:client", "<1s"]].concat());
        assert!(Filter::parse("service:a level:warn ghost x=y").odd_of_logs().is_empty());
    }

    #[test]
    fn words_are_found_whatever_their_case() {
        assert!(contains("Order PLACED", "placed") && contains("é", "é") && contains("x", ""));
        assert!(!contains("order", "orders") && !contains("", "a"));
    }
}
