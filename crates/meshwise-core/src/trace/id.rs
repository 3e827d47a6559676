//! Ids and flags: fixed-size values that parse and print without allocating.

use super::hex;
use std::{fmt, str::FromStr};

/// Says that a text is not an id of the wanted length in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {digits} hexadecimal digits")]
pub struct ParseIdError {
    digits: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $int:ty, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($int);

        impl $name {
            /// All zeros, which names nothing.
            #[doc(hidden)]
            pub const INVALID: Self = Self(0);

            /// Reads the id from big-endian bytes.
            #[doc(hidden)]
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(<$int>::from_be_bytes(bytes))
            }

            /// Makes the id from a number.
            #[doc(hidden)]
            #[must_use]
            pub const fn from_int(int: $int) -> Self {
                Self(int)
            }

            /// Returns big-endian bytes.
            #[doc(hidden)]
            #[must_use]
            pub const fn to_bytes(self) -> [u8; $bytes] {
                self.0.to_be_bytes()
            }

            /// Returns the id as a number.
            #[doc(hidden)]
            #[must_use]
            pub const fn to_int(self) -> $int {
                self.0
            }

            /// Tells whether any bit is set.
            #[doc(hidden)]
            #[must_use]
            pub const fn is_valid(self) -> bool {
                self.0 != 0
            }

            /// Writes lower-case hexadecimal digits to the stack; read them with
            /// `str::from_utf8` or [`Self::with_hex`].
            #[doc(hidden)]
            #[must_use]
            pub fn to_hex(self) -> [u8; $bytes * 2] {
                let mut out = [0; $bytes * 2];
                let mut int = self.0;
                for digits in out.rchunks_exact_mut(8) {
                    digits.copy_from_slice(&hex::write(int as u32));
                    int >>= 32;
                }
                out
            }

            /// Calls `f` with the lower-case hexadecimal digits; allocates nothing.
            #[doc(hidden)]
            pub fn with_hex<T>(self, f: impl FnOnce(&str) -> T) -> T {
                f(str::from_utf8(&self.to_hex()).unwrap_or_default())
            }

            /// Parses exactly the id's number of hexadecimal digits, lower-case only, as W3C has
            /// it. All zeros parse: ask [`Self::is_valid`].
            #[doc(hidden)]
            #[must_use]
            #[inline]
            pub fn from_lower_hex(text: &[u8]) -> Option<Self> {
                if text.len() != $bytes * 2 {
                    return None;
                }
                let (mut int, mut wrong): ($int, u64) = (0, 0);
                for digits in text.as_chunks::<8>().0 {
                    let (read, not) = hex::read(*digits);
                    int = (int << 32) | <$int>::from(read);
                    wrong |= not;
                }
                (wrong == 0).then_some(Self(int))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.with_hex(|hex| f.pad(hex))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Parses hexadecimal digits in either case.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let error = ParseIdError { digits: $bytes * 2 };
                if text.len() != $bytes * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(error);
                }
                <$int>::from_str_radix(text, 16).map(Self).map_err(|_| error)
            }
        }
    };
}

id! {
    /// Names one trace: 16 bytes, 32 hexadecimal digits.
    ///
    /// ```
    /// # use meshwise_core::TraceId;
    /// let id: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
    /// assert_eq!(id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    /// # Ok::<(), meshwise_core::ParseIdError>(())
    /// ```
    TraceId, u128, 16
}

id! {
    /// Names one span within a trace: 8 bytes, 16 hexadecimal digits.
    SpanId, u64, 8
}

/// Holds the flags of a `traceparent`.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// No flag set.
    pub const NONE: Self = Self(0);
    /// The caller may have recorded the trace.
    pub const SAMPLED: Self = Self(1);
    /// At least the right-most 7 bytes of the trace id are random (level 2).
    #[doc(hidden)]
    pub const RANDOM: Self = Self(2);
    /// No service may drop the trace: B3's `d`, Jaeger's debug flag, Datadog's user-keep.
    ///
    /// It is no flag of W3C's: `traceparent` never sets it and is never given it. It holds that
    /// decision between those formats' `extract` and `inject`, in the bit that OpenTelemetry's
    /// Rust propagators use for it.
    #[doc(hidden)]
    pub const DEBUG: Self = Self(4);

    /// Takes all 8 bits as they came.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Returns all 8 bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Tells whether the `sampled` flag is set.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.0 & 1 != 0
    }

    /// Tells whether the `random-trace-id` flag is set.
    #[must_use]
    #[doc(hidden)]
    pub const fn is_random(self) -> bool {
        self.0 & 2 != 0
    }

    /// Tells whether the `debug` flag is set (see [`TraceFlags::DEBUG`]).
    #[must_use]
    #[doc(hidden)]
    pub const fn is_debug(self) -> bool {
        self.0 & Self::DEBUG.0 != 0
    }

    /// Sets or clears the `debug` flag (see [`TraceFlags::DEBUG`]).
    #[must_use]
    #[doc(hidden)]
    pub const fn with_debug(self, debug: bool) -> Self {
        if debug { Self(self.0 | Self::DEBUG.0) } else { Self(self.0 & !Self::DEBUG.0) }
    }

    /// Sets or clears the `random-trace-id` flag.
    #[must_use]
    #[doc(hidden)]
    pub const fn with_random(self, random: bool) -> Self {
        if random { Self(self.0 | Self::RANDOM.0) } else { Self(self.0 & !Self::RANDOM.0) }
    }

    /// Sets or clears the `sampled` flag.
    #[must_use]
    pub const fn with_sampled(self, sampled: bool) -> Self {
        if sampled { Self(self.0 | 1) } else { Self(self.0 & !1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn the_wire_is_lower_case_and_people_may_shout() {
        let shouted = TRACE.to_uppercase();
        assert!(TraceId::from_lower_hex(TRACE.as_bytes()).is_some());
        assert_eq!(TraceId::from_lower_hex(shouted.as_bytes()), None);
        assert_eq!(shouted.parse::<TraceId>(), TRACE.parse());
        for bad in [
            "",
            "+f067aa0ba902b7",
            "00f067aa0ba902b",
            "00f067aa0ba902b70",
            "00f067aa0ba902bg",
            "00f067aa0ba902\u{e9}",
        ] {
            assert_eq!(SpanId::from_lower_hex(bad.as_bytes()), None, "{bad}");
            let error = bad.parse::<SpanId>().unwrap_err();
            assert_eq!(error.to_string(), "not 16 hexadecimal digits");
        }
    }

    #[test]
    fn zeros_parse_and_name_nothing() {
        assert_eq!(SpanId::from_lower_hex(b"0000000000000000"), Some(SpanId::INVALID));
        assert!(!SpanId::INVALID.is_valid() && !TraceId::INVALID.is_valid());
        assert!(SpanId::from_int(1).is_valid());
    }

    #[test]
    fn flags_are_set_one_by_one() {
        let all = TraceFlags::NONE.with_sampled(true).with_random(true).with_debug(true);
        assert_eq!(all.bits(), 7);
        assert_eq!(all.with_sampled(true).with_random(true).with_debug(true), all);
        assert!(all.is_sampled() && all.is_random() && all.is_debug());
        let none = all.with_sampled(false).with_random(false).with_debug(false);
        assert_eq!(none, TraceFlags::NONE);
        assert!(!none.is_sampled() && !none.is_random() && !none.is_debug());
        assert_eq!(TraceFlags::from_bits(0xf8).with_sampled(true).bits(), 0xf9);
    }

    proptest! {
        #[test]
        fn ids_read_as_they_print(trace: u128, span: u64) {
            let (trace, span) = (TraceId::from_int(trace), SpanId::from_int(span));
            prop_assert_eq!(TraceId::from_bytes(trace.to_bytes()), trace);
            prop_assert_eq!(TraceId::from_lower_hex(&trace.to_hex()), Some(trace));
            prop_assert_eq!(trace.to_string(), format!("{:032x}", trace.to_int()));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            prop_assert_eq!(format!("{span:?}"), format!("{:016x}", span.to_int()));
            prop_assert_eq!(span.with_hex(str::len), 16);
        }
    }
}
