//! What becomes of a message.

/// Says what became of a message that was processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Settled {
    /// It was handled.
    Ack,
    /// It could not be handled, and comes again.
    Nack,
    /// It was thrown away.
    Reject,
    /// It was set aside, with the reason.
    DeadLetter,
    /// It was not settled: its handler was cancelled or panicked. The broker delivers it again, if it
    /// does that.
    Dropped,
}

impl Settled {
    /// Returns `ack`, `nack`, `reject`, `dead_letter` or `dropped`.
    #[doc(hidden)]
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Nack => "nack",
            Self::Reject => "reject",
            Self::DeadLetter => "dead_letter",
            Self::Dropped => "dropped",
        }
    }
}
