//! The formats by name.

use super::names;
use http::HeaderName;
use std::{fmt, str::FromStr};

/// Names a wire format, by its word in `OTEL_PROPAGATORS`.
///
/// What each reads, writes and loses stands in the [module's table](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `tracecontext`: W3C `traceparent` and `tracestate`, level 2.
    TraceContext,
    /// `baggage`: W3C `baggage`.
    Baggage,
    /// `b3`: the single `b3` header. Reads the several headers of [`Format::B3Multi`] too.
    B3,
    /// `b3multi`: `x-b3-traceid`, `x-b3-spanid`, ... Reads the single `b3` header first.
    B3Multi,
    /// `jaeger`: `uber-trace-id`, and baggage in `uberctx-*`.
    Jaeger,
    /// `xray`: AWS X-Ray's `x-amzn-trace-id`.
    XRay,
    /// `datadog`: `x-datadog-trace-id`, `x-datadog-parent-id`, ...
    Datadog,
}

impl Format {
    /// Lists every format.
    #[doc(hidden)]
    pub const ALL: &'static [Self] = &[
        Self::TraceContext,
        Self::Baggage,
        Self::B3,
        Self::B3Multi,
        Self::Jaeger,
        Self::XRay,
        Self::Datadog,
    ];

    /// Returns the word that `OTEL_PROPAGATORS` has for it.
    #[doc(hidden)]
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
            Self::B3 => "b3",
            Self::B3Multi => "b3multi",
            Self::Jaeger => "jaeger",
            Self::XRay => "xray",
            Self::Datadog => "datadog",
        }
    }

    /// Lists the headers it reads or writes. Jaeger's `uberctx-*` have no fixed names and are not
    /// among them.
    #[must_use]
    #[doc(hidden)]
    pub fn header_names(self) -> &'static [&'static HeaderName] {
        match self {
            Self::TraceContext => &names::ALL_OF_TRACE_CONTEXT,
            Self::Baggage => &names::ALL_OF_BAGGAGE,
            Self::B3 | Self::B3Multi => &names::ALL_OF_B3,
            Self::Jaeger => &names::ALL_OF_JAEGER,
            Self::XRay => &names::ALL_OF_XRAY,
            Self::Datadog => &names::ALL_OF_DATADOG,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    /// Parses the word that `OTEL_PROPAGATORS` has for it, in any case.
    fn from_str(word: &str) -> Result<Self, UnknownFormat> {
        let known =
            Self::ALL.iter().copied().find(|format| format.as_str().eq_ignore_ascii_case(word));
        known.ok_or(UnknownFormat(()))
    }
}

/// Says that a word names no propagation format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no known propagation format; use tracecontext, baggage, b3, b3multi, jaeger, xray or datadog"
)]
pub struct UnknownFormat(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_environment_s() {
        for &format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
            assert_eq!(format.to_string().to_uppercase().parse(), Ok(format));
            assert!(UnknownFormat(()).to_string().contains(format.as_str()));
        }
        for word in ["", "ottrace", "b3 ", "none", "trace-context"] {
            assert_eq!(word.parse::<Format>(), Err(UnknownFormat(())), "{word}");
        }
    }
}
