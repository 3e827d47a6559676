//! Where finished spans go.

mod memory;

pub use memory::MemorySpans;

/// Describes where finished spans go.
#[derive(Clone, Debug)]
#[must_use]
pub struct SpanExport(pub(crate) Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    None,
    Memory(MemorySpans),
}

impl SpanExport {
    /// Sends spans nowhere. Sampling and propagation work all the same.
    pub const fn none() -> Self {
        Self(Kind::None)
    }

    /// Keeps spans in memory, where a test can look at them.
    pub fn memory(spans: &MemorySpans) -> Self {
        Self(Kind::Memory(spans.clone()))
    }
}
