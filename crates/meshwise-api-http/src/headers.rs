//! The headers that tell callers of an API's end: `Deprecation`, `Sunset` and `Link`.
//!
//! Writing keeps to the newest standard of each; reading also accepts what is found in the wild.
//!
//! ```
//! use http::HeaderValue;
//! use meshwise_api_http::headers::{Deprecation, Link, Sunset};
//!
//! let now = 1_700_000_000;
//! let deprecated = HeaderValue::from_static("@1688169599");
//! assert_eq!(Deprecation::parse(&deprecated, now), Some(Deprecation::At(1_688_169_599)));
//!
//! let sunset = Sunset(1_803_859_200);
//! let value = sunset.to_header().expect("a date with four digits of year");
//! assert_eq!(value, "Mon, 01 Mar 2027 00:00:00 GMT");
//! assert_eq!(Sunset::parse(&value, now), Some(sunset));
//!
//! let link = Link::header("/v2", "successor-version").expect("a valid target");
//! assert_eq!(link, "</v2>; rel=\"successor-version\"");
//! ```
//!
//! | header | written | read |
//! |---|---|---|
//! | `Deprecation` | `@<unix seconds>` (RFC 9745) | that; an HTTP-date; `true` (drafts before the RFC) |
//! | `Sunset` | IMF-fixdate (RFC 8594) | the three forms of an HTTP-date, `UTC` for `GMT` |
//! | `Link` | `<target>; rel="..."` (RFC 8288) | any number of links, parameters in any order |
//!
//! What cannot be read was not sent: nothing here fails or panics on any bytes.

mod deprecation;
mod http_date;
mod link;
mod sunset;

pub use deprecation::Deprecation;
pub use http_date::{format_http_date, parse_http_date};
pub use link::{Link, Links};
pub use sunset::Sunset;

/// The names, ready to be looked up.
pub(crate) static DEPRECATION: http::HeaderName =
    http::HeaderName::from_static(meshwise_api::names::DEPRECATION);
pub(crate) static SUNSET: http::HeaderName =
    http::HeaderName::from_static(meshwise_api::names::SUNSET);
