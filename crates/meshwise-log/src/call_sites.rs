//! What is known of a call site before it logs: whether its fields are secrets, and how their names
//! stand in a line.
//!
//! Names of fields are part of the program, so the answers never change; they are found out when a
//! call site logs for the first time.

use crate::format::{CallSite, Source, Style, around_message, constant_record, names::ACCESS};
use std::{
    hash::{Hash, Hasher},
    ops::Deref,
    sync::OnceLock,
};
use tracing_core::Metadata;

/// How many call sites are remembered, more than most services have. The others are asked anew at
/// each line: programs may make call sites while they run, and memory is bounded.
const SLOTS: usize = 2048;
/// How many slots are tried for a call site.
const TRIES: usize = 8;

/// Remembers call sites, in a table without locks: slots are filled once, and never emptied.
pub(crate) struct CallSites(Box<[OnceLock<Box<CallSite>>]>);

/// What is known of a call site: remembered, or found out for this once.
pub(crate) enum Lookup<'s> {
    Remembered(&'s CallSite),
    Made(Box<CallSite>),
}

impl Deref for Lookup<'_> {
    type Target = CallSite;

    fn deref(&self) -> &CallSite {
        match self {
            Self::Remembered(site) => site,
            Self::Made(site) => site,
        }
    }
}

impl CallSites {
    pub(crate) fn new() -> Self {
        Self((0..SLOTS).map(|_| OnceLock::new()).collect())
    }

    /// Finds what is known of the call site, or finds it out; `record` tells that it is one of those
    /// that stand for all records of the `log` facade.
    pub(crate) fn get(&self, metadata: &Metadata<'_>, style: &Style, record: bool) -> Lookup<'_> {
        let id = metadata.callsite();
        let mut hasher = Fold(0);
        id.hash(&mut hasher);
        let first = hasher.finish() as usize;
        let slots = (0..TRIES).filter_map(|n| self.0.get(first.wrapping_add(n) % SLOTS));
        for slot in slots {
            // The first thread fills the slot, maybe with the same.
            let site = match slot.get() {
                Some(site) => site,
                None => slot.get_or_init(|| Box::new(call_site(metadata, style, record))),
            };
            if site.id == id {
                return Lookup::Remembered(site);
            }
        }
        Lookup::Made(Box::new(call_site(metadata, style, record)))
    }
}

/// Finds out what is to be known of a call site.
fn call_site(metadata: &Metadata<'_>, style: &Style, record: bool) -> CallSite {
    let place = metadata.file().zip(metadata.line());
    let (before, after) = around_message(style, *metadata.level(), metadata.target(), place);
    let source = match () {
        () if metadata.is_span() => Source::Span,
        () if record => Source::Record,
        () if metadata.target() == ACCESS => Source::Access,
        () => Source::Event,
    };
    CallSite {
        id: metadata.callsite(),
        source,
        fields: style.all_known(source, metadata.fields().iter().map(|field| field.name())),
        before,
        after,
        record: constant_record(style, metadata),
    }
}

/// Hashes addresses: fast, and good enough for a table of them.
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        // The best bits are the highest.
        self.0 >> 40
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_core::{
        Kind, Level,
        callsite::{Callsite, Identifier},
        field::FieldSet,
        subscriber::Interest,
    };

    struct MadeSite(OnceLock<Metadata<'static>>);

    impl Callsite for MadeSite {
        fn set_interest(&self, _: Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            self.0.get().expect("set at once")
        }
    }

    /// Makes a call site, as programs do that load code while they run.
    fn made_site() -> &'static MadeSite {
        let made: &'static MadeSite = Box::leak(Box::new(MadeSite(OnceLock::new())));
        let fields = FieldSet::new(&["password", "id", "message"], Identifier(made));
        let kind = Kind::EVENT;
        let metadata = Metadata::new("event", "tests", Level::INFO, None, None, None, fields, kind);
        made.0.set(metadata).expect("not set yet");
        made
    }

    #[test]
    fn each_call_site_gets_its_own_and_the_memory_is_bounded() {
        let (style, call_sites) = (Style::for_tests(), CallSites::new());
        let made: Vec<_> = (0..3 * SLOTS).map(|_| made_site()).collect();
        for _ in 0..2 {
            let mut known = 0;
            for site in &made {
                let found = call_sites.get(site.metadata(), &style, false);
                assert!(found.id == site.metadata().callsite());
                assert_eq!(found.fields.len(), 3);
                known += usize::from(matches!(found, Lookup::Remembered(_)));
            }
            assert!((SLOTS / 2..=SLOTS).contains(&known), "{known}");
        }
    }

    #[test]
    fn threads_that_log_for_the_first_time_at_once_agree() {
        let (style, call_sites) = (Style::for_tests(), CallSites::new());
        let made: Vec<_> = (0..100).map(|_| made_site()).collect();
        let all = || -> Vec<usize> {
            let found = made.iter().map(|site| call_sites.get(site.metadata(), &style, false));
            found.map(|site| std::ptr::from_ref(&*site).addr()).collect()
        };
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(all);
            (all(), other.join().expect("no panic"))
        });
        assert_eq!(one, other);
        assert_eq!(one, all());
    }
}
