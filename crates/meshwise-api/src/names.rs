//! The names of every metric, label, header and path of this crate.

/// Counts calls: `{api,version,state,caller,caller_verified}`.
pub const API_CALLS: &str = "meshwise_api_calls_total";
/// Says since when, in seconds since 1970, this process has seen every call of a version:
/// `{api,version}`. No calls counted before that moment does not mean that there were none.
pub const API_COUNTING_SINCE: &str = "meshwise_api_counting_since_seconds";
/// Counts requests that a handler answered and that are for no version which could be told:
/// `{caller,caller_verified}`.
pub const API_UNROUTED: &str = "meshwise_api_unrouted_requests_total";
/// Counts calls of services that have not declared that they make them:
/// `{api,version,caller,caller_verified}`.
pub const API_UNDECLARED_CALLERS: &str = "meshwise_api_undeclared_callers_total";
/// Tells such a caller so, in the response.
pub const UNDECLARED: &str = "meshwise-undeclared";
/// Counts answers by which a peer said that a version is deprecated: `{peer,api,version}`.
pub const API_DEPRECATED_RESPONSES: &str = "meshwise_api_deprecated_responses_total";
/// Counts calls that no one declared in `api.toml`: `{peer,api}`.
pub const API_UNDECLARED_CALLS: &str = "meshwise_api_undeclared_calls_total";
/// Counts label values beyond their bound: `{metric,label}`.
pub const LABEL_OVERFLOW: &str = "meshwise_label_overflow_total";

/// The API's name.
pub const LABEL_API: &str = "api";
/// The version of the API.
pub const LABEL_VERSION: &str = "version";
/// Where the version stands: `planned`, `current`, `deprecated`, `retired`; `unknown` for a version
/// that was never declared.
pub const LABEL_STATE: &str = "state";
/// The calling service.
pub const LABEL_CALLER: &str = "caller";
/// Whether the calling service's name was proved: `true` or `false`, where it is a claim.
pub const LABEL_VERIFIED: &str = "caller_verified";
/// The called service.
pub const LABEL_PEER: &str = "peer";
/// The metric whose label overflowed.
pub const LABEL_METRIC: &str = "metric";
/// The label that overflowed.
pub const LABEL_LABEL: &str = "label";

/// Stands in a label for all values beyond its bound.
pub const OTHER: &str = "_other";
/// Stands in a label for a value that no one told.
pub const UNKNOWN: &str = "unknown";

/// Says since when a resource is deprecated (RFC 9745).
pub const DEPRECATION: &str = "deprecation";
/// Says when a resource may stop working (RFC 8594).
pub const SUNSET: &str = "sunset";
/// Links one resource to others (RFC 8288).
pub const LINK: &str = "link";

/// Leads to the version that replaces this one (RFC 5829).
pub const REL_SUCCESSOR_VERSION: &str = "successor-version";
/// Leads to what people should read about the deprecation (RFC 9745, section 3).
pub const REL_DEPRECATION: &str = "deprecation";
/// Leads to what people should read about the end of service (RFC 8594, section 6).
pub const REL_SUNSET: &str = "sunset";
/// Leads to a catalogue of APIs (RFC 9727, section 3).
pub const REL_API_CATALOG: &str = "api-catalog";

/// Where a service lists its APIs.
pub const PATH_APIS: &str = "/apis";
/// Where a service shows its catalogue of APIs (RFC 9727).
pub const PATH_API_CATALOG: &str = "/.well-known/api-catalog";
