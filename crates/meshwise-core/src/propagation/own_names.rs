//! Finding the headers of context among a message's.

use super::{Format, names, text};

/// The names of all headers of the formats chosen, to be found among a message's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnNames {
    names: Vec<&'static str>,
    /// Has a bit for each length of a name, the last for 63 and more: most names of strangers' headers
    /// have another.
    lengths: u64,
    /// Whether those of Jaeger's baggage are among them.
    uberctx: bool,
    /// Whether they are W3C's, and no others.
    pub(super) w3c: bool,
}

impl OwnNames {
    pub(super) fn of(formats: &[Format]) -> Self {
        let mut names = Vec::new();
        for name in formats.iter().flat_map(|format| format.header_names()) {
            if !names.contains(&name.as_str()) {
                names.push(name.as_str());
            }
        }
        let lengths = names.iter().fold(0, |bits, name| bits | Self::bit(name.len()));
        let w3c = [Format::TraceContext, Format::Baggage];
        Self {
            names,
            lengths,
            uberctx: formats.contains(&Format::Jaeger),
            w3c: formats.len() == w3c.len() && w3c.iter().all(|format| formats.contains(format)),
        }
    }

    const fn bit(length: usize) -> u64 {
        1 << if length < 63 { length } else { 63 }
    }

    #[inline]
    pub(super) fn find<'n>(&self, name: &'n str) -> Option<&'n str> {
        if self.lengths & Self::bit(name.len()) != 0
            && let Some(own) = self.names.iter().find(|own| text::is_name(name, own))
        {
            return Some(own);
        }
        (self.uberctx && below_uberctx(name)).then_some(name)
    }
}

/// Tells whether a name, in any case, is one of Jaeger's baggage.
fn below_uberctx(name: &str) -> bool {
    let start = name.as_bytes().get(..names::UBERCTX.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(names::UBERCTX.as_bytes()))
}
