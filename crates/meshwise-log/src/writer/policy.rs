//! What happens when the queue is full.

/// Says what happens to a line when the queue is full (complete by nature).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature: a line is dropped or waits")]
pub enum QueuePolicy {
    /// It is dropped and counted: the service never waits for its log, except for `ERROR` lines
    /// ([`LogConfig::with_error_wait`](crate::LogConfig::with_error_wait)).
    #[default]
    Drop,
    /// The thread that logs waits until it fits in: no line is lost, and a destination that hangs brings
    /// the service to a stop.
    Wait,
}
