//! How much of what others send is read, and how much is sent.

/// Bounds what is read from a caller's headers, and written for a callee.
///
/// | what | default | beyond it |
/// |---|---|---|
/// | [`value_bytes`](Self::with_value_bytes) | 1024 | the header is ignored |
/// | [`tracestate_bytes`](Self::with_tracestate_bytes) | 8192 | entries are left out: those above 128 bytes first, then from the end |
/// | [`baggage_members`](Self::with_baggage_members) | 64 | members are left out |
/// | [`baggage_bytes`](Self::with_baggage_bytes) | 8192 | members are left out |
///
/// Entries and members are left out whole, never cut. Fixed by the standards are 32 entries of a
/// `tracestate`, with keys and values of up to 256 bytes.
///
/// ```
/// use meshwise_core::propagation::{HeaderLimits, Propagators};
/// let limits = HeaderLimits::default().with_baggage_members(16).with_baggage_bytes(1024);
/// let propagators = Propagators::default().with_limits(limits);
/// assert_eq!(propagators.limits().baggage_members(), 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLimits {
    value_bytes: usize,
    tracestate_bytes: usize,
    baggage_members: usize,
    baggage_bytes: usize,
}

impl HeaderLimits {
    /// The shortest `tracestate` that the standard wants handed on, in bytes.
    #[doc(hidden)]
    pub const MIN_TRACESTATE_BYTES: usize = 512;

    /// Sets the length of a header value, in bytes, above which it is ignored; `tracestate` and
    /// baggage have limits of their own.
    #[must_use]
    pub const fn with_value_bytes(mut self, bytes: usize) -> Self {
        self.value_bytes = bytes;
        self
    }

    /// Sets the length, in bytes, up to which `tracestate` is handed on; at least 512
    /// (W3C Trace Context, section 3.3.1.5).
    #[must_use]
    pub const fn with_tracestate_bytes(mut self, bytes: usize) -> Self {
        self.tracestate_bytes =
            if bytes < Self::MIN_TRACESTATE_BYTES { Self::MIN_TRACESTATE_BYTES } else { bytes };
        self
    }

    /// Sets how many members of baggage are read and written. W3C Baggage (section 3.3.2) wants 64
    /// at the least; fewer are a choice of one's own.
    #[must_use]
    pub const fn with_baggage_members(mut self, members: usize) -> Self {
        self.baggage_members = members;
        self
    }

    /// Sets how many bytes of baggage, as they stand on the wire, are read and written. W3C
    /// Baggage (section 3.3.2) wants 8192 at the least; fewer are a choice of one's own.
    #[must_use]
    pub const fn with_baggage_bytes(mut self, bytes: usize) -> Self {
        self.baggage_bytes = bytes;
        self
    }

    /// Returns the limit for a header value, in bytes.
    #[doc(hidden)]
    #[must_use]
    pub const fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    /// Returns the limit for `tracestate`, in bytes.
    #[doc(hidden)]
    #[must_use]
    pub const fn tracestate_bytes(&self) -> usize {
        self.tracestate_bytes
    }

    /// Returns how many members of baggage are read and written.
    #[doc(hidden)]
    #[must_use]
    pub const fn baggage_members(&self) -> usize {
        self.baggage_members
    }

    /// Returns how many bytes of baggage are read and written.
    #[doc(hidden)]
    #[must_use]
    pub const fn baggage_bytes(&self) -> usize {
        self.baggage_bytes
    }

    pub(crate) const DEFAULT: Self = Self {
        value_bytes: 1024,
        tracestate_bytes: 8192,
        baggage_members: 64,
        baggage_bytes: 8192,
    };
}

impl Default for HeaderLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
