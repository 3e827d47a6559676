//! What an inbox says of a message.

/// Says whether a message is to be handled (complete by nature).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "only a message that is new is to be handled"]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum Begun<G> {
    /// It is new: handle it, and tell the guard.
    New(G),
    /// It was handled before: acknowledge it.
    Done,
    /// Another consumer has it in hand: let it come again later.
    InFlight,
}

impl<G> Begun<G> {
    /// Returns the guard of a message that is new.
    pub fn into_new(self) -> Option<G> {
        match self {
            Self::New(guard) => Some(guard),
            Self::Done | Self::InFlight => None,
        }
    }
}
