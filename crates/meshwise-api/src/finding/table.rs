//! The table of findings.

use super::{Finding, Level};

/// Declares the findings once each: as constants, and all of them in order as `Finding::ALL`.
macro_rules! findings {
    ($($name:ident {
        id: $id:literal, level: $level:ident $(in_ci $ci:ident)?, $kind:ident,
        summary: $summary:literal,
        help: $help:literal,
        reference: $reference:literal $(,)?
    })+) => {
        impl Finding {
            $(
                #[doc = concat!("`", $id, "`: ", $summary)]
                #[doc(hidden)]
                pub const $name: &'static Self = &Self {
                    id: $id,
                    level: Level::$level,
                    ci_level: findings!(@ci $level $($ci)?),
                    configurable: findings!(@kind $kind),
                    summary: $summary,
                    help: $help,
                    reference: $reference,
                };
            )+

            /// Every finding, grouped by what it is about: the declaration's form, what was
            /// published, what is required, the lock file, the run time.
            pub const ALL: &'static [&'static Self] = &[$(Self::$name),+];
        }
    };
    (@ci $level:ident $ci:ident) => { Level::$ci };
    (@ci $level:ident) => { Level::$level };
    (@kind configurable) => { true };
    (@kind fixed) => { false };
}

findings! {
    INVALID_DECLARATION {
        id: "invalid-declaration", level: Deny, fixed,
        summary: "api.toml cannot be read, or says something that has no meaning.",
        help: "Mend what the message points at; `cargo meshwise schema` prints what may be written.",
        reference: "TOML 1.1; the JSON Schema of api.toml",
    }
    UNKNOWN_KEY {
        id: "unknown-key", level: Deny, fixed,
        summary: "api.toml has a key that nothing reads, most likely a misspelt one.",
        help: "Correct the key or remove it: what is not read is not checked.",
        reference: "the JSON Schema of api.toml",
    }
    DUPLICATE_ENTRY {
        id: "duplicate-entry", level: Deny, fixed,
        summary: "An API, a version or a requirement is declared twice.",
        help: "Keep one of the two.",
        reference: "the guide, chapter API versions",
    }
    DATES_OUT_OF_ORDER {
        id: "dates-out-of-order", level: Deny, fixed,
        summary: "A version's dates are not in the order released, deprecated, sunset, or an urgent fix is to be adopted before callers can.",
        help: "A version is released first, then deprecated, then retired; two of them may fall on one day.",
        reference: "RFC 9745 section 4: the sunset must not be earlier than the deprecation",
    }
    UNKNOWN_SUCCESSOR {
        id: "unknown-successor", level: Deny, configurable,
        summary: "A version names a successor that is not declared, or that is retired before it.",
        help: "Declare the successor as a version too, planned if need be, or name another API's version as API@VERSION.",
        reference: "RFC 5829 section 3.5, successor-version",
    }
    SHORT_DEPRECATION {
        id: "short-deprecation", level: Warn, configurable,
        summary: "Callers get less time between a deprecation and its sunset than the policy promises.",
        help: "Move the sunset to a later day, or lower min-deprecation-days in [policy].",
        reference: "policy key min-deprecation-days, 90 by default",
    }
    SUNSET_MOVED_EARLIER {
        id: "sunset-moved-earlier", level: Deny, fixed,
        summary: "A published sunset moves to an earlier day: callers lose time that was promised to them.",
        help: "Keep the published day or a later one. If there is no other way, publish with --force and a reason, which callers are told.",
        reference: "the guide, chapter API versions",
    }
    SHORT_NOTICE {
        id: "short-notice", level: Deny, fixed,
        summary: "Callers of a published version learn of its end later than the organisation's policy allows.",
        help: "Move the sunset to a later day. If there is no other way, publish with --force and a reason, which callers are told.",
        reference: "key min-deprecation-days of the dictionary's policy.toml, 90 by default; a service may only raise it",
    }
    BACKDATED_DEPRECATION {
        id: "backdated-deprecation", level: Warn, configurable,
        summary: "A deprecation is published that is dated before the day of its publication.",
        help: "Write today or a later day: for callers it counts from the day on which it was published.",
        reference: "the guide, chapter API versions",
    }
    API_TAKEN {
        id: "api-taken", level: Deny, fixed,
        summary: "An API is provided by another service, which has not agreed to share it.",
        help: "Choose another name, or let the provider publish your service's name under shared-with.",
        reference: "the guide, chapter API versions",
    }
    PUBLISHED_VERSION_CHANGED {
        id: "published-version-changed", level: Deny, fixed,
        summary: "A version that was published is gone or means something else; only its dates, notes, migration and successor may change.",
        help: "Leave published versions in api.toml for ever, and add a new version for what is new.",
        reference: "the guide, chapter API versions",
    }
    RETIRED_VERSION_REUSED {
        id: "retired-version-reused", level: Deny, fixed,
        summary: "A version whose published sunset has passed comes back to life.",
        help: "Give what you release now a new version; callers were told that this one is gone.",
        reference: "the guide, chapter API versions",
    }
    MISSING_DESCRIPTION {
        id: "missing-description", level: Deny, fixed,
        summary: "api.toml names a description that is not there or cannot be read.",
        help: "Correct the path, which begins at the folder of api.toml, or remove the key.",
        reference: "the guide, chapter API versions",
    }
    BREAKING_IN_COMPATIBLE_VERSION {
        id: "breaking-in-compatible-version", level: Deny, configurable,
        summary: "A version breaks what an earlier one promised, though its scheme says that it can stand in for it.",
        help: "Take the changes back, or give them a version that may break callers.",
        reference: "the guide, chapter API versions, the table of schemes",
    }
    RISKY_IN_COMPATIBLE_VERSION {
        id: "risky-in-compatible-version", level: Warn, configurable,
        summary: "A description changes in a way that hurts some callers and not others.",
        help: "See that no caller relies on it, or give the change a version that may break callers.",
        reference: "the guide, chapter API versions",
    }
    UNCHECKED_DESCRIPTION {
        id: "unchecked-description", level: Warn, configurable,
        summary: "Whether a version keeps what an earlier one promised could not be checked.",
        help: "Use a form that is compared (OpenAPI 3 or proto), or set contract-command.",
        reference: "the guide, chapter API versions",
    }
    UNKNOWN_API {
        id: "unknown-api", level: Deny, configurable,
        summary: "A required API is provided by no service.",
        help: "Correct the name, or ask the provider to publish its api.toml.",
        reference: "the guide, chapter API versions",
    }
    INCOMPATIBLE_VERSION {
        id: "incompatible-version", level: Deny, configurable,
        summary: "No version that is provided satisfies the required one under the provider's scheme.",
        help: "Require a version that is provided, and adapt the code that calls it.",
        reference: "the guide, chapter API versions, the table of schemes",
    }
    RETIRED_VERSION {
        id: "retired-version", level: Deny, configurable,
        summary: "Only a retired version satisfies the requirement.",
        help: "Move to a version that is current; the retired one may be gone already.",
        reference: "RFC 8594",
    }
    SUNSET_PASSED {
        id: "sunset-passed", level: Deny, configurable,
        summary: "The sunset of the locked version has passed since the lock file was written.",
        help: "Move to a version that is current, or run `cargo meshwise lock` if the provider has moved the sunset.",
        reference: "RFC 8594",
    }
    NEW_USE_OF_DEPRECATED {
        id: "new-use-of-deprecated", level: Deny, configurable,
        summary: "A service starts to use a version that is deprecated already.",
        help: "Use the successor. If the use is older than the lock file, say since when: `since = YYYY-MM-DD`.",
        reference: "RFC 9745 section 1: deprecation discourages new use",
    }
    BEHIND_URGENT_FIX {
        id: "behind-urgent-fix", level: Deny, configurable,
        summary: "A requirement names a version for which there is an urgent fix, and the time to move is over.",
        help: "Require the version with the fix, which can stand in for this one.",
        reference: "the keys urgent and adopt-by of a version",
    }
    URGENT_FIX {
        id: "urgent-fix", level: Warn, configurable,
        summary: "A requirement names a version for which there is an urgent fix.",
        help: "Require the version with the fix, which can stand in for this one, before adopt-by.",
        reference: "the keys urgent and adopt-by of a version",
    }
    SUNSET_WITHIN_30_DAYS {
        id: "sunset-within-30-days", level: Warn, configurable,
        summary: "The version in use may stop working within 30 days.",
        help: "Move to the successor before the sunset.",
        reference: "RFC 8594",
    }
    DEPRECATED_VERSION {
        id: "deprecated-version", level: Warn, configurable,
        summary: "The version in use is deprecated.",
        help: "Plan the move to its successor.",
        reference: "RFC 9745",
    }
    ANNOUNCED_END {
        id: "announced-end", level: Warn, configurable,
        summary: "The end of the version in use is announced.",
        help: "Plan the move to its successor.",
        reference: "RFC 9745 section 2.1: a deprecation may lie in the future",
    }
    PLANNED_VERSION {
        id: "planned-version", level: Warn, configurable,
        summary: "The version in use is planned and not released.",
        help: "Do not deploy before its release; until then require the version that is current.",
        reference: "the guide, chapter API versions",
    }
    UNREAD_PROVIDER {
        id: "unread-provider", level: Warn, configurable,
        summary: "A requirement could not be checked: a service that may provide it has a damaged or newer document.",
        help: "Restore the document, or update meshwise if a newer release wrote it.",
        reference: "the guide, chapter API versions",
    }
    INVALID_LOCK {
        id: "invalid-lock", level: Deny, fixed,
        summary: "api.lock cannot be read.",
        help: "Write it anew with `cargo meshwise lock`; it is not edited by hand.",
        reference: "the guide, chapter API versions",
    }
    MISSING_LOCK {
        id: "missing-lock", level: Warn in_ci Deny, configurable,
        summary: "There is nothing to check a requirement against: no api.lock, or none for this requirement.",
        help: "Run `cargo meshwise lock` and commit api.lock.",
        reference: "the guide, chapter API versions",
    }
    STALE_LOCK {
        id: "stale-lock", level: Warn, configurable,
        summary: "api.lock is older than the policy allows, or not what the dictionary and api.toml say.",
        help: "Run `cargo meshwise lock` and commit api.lock.",
        reference: "policy key max-lock-age-days, 30 by default",
    }
    UNDECLARED_CALL {
        id: "undeclared-call", level: Warn, configurable,
        summary: "The running service called an API that is not among its requirements.",
        help: "Add the API and its version to [[requires]]: the provider must know who calls.",
        reference: "the metric meshwise_api_undeclared_calls_total",
    }
}
