//! API versions as data: what each service provides and needs, and when that ends.
//!
//! A service declares its APIs in an `api.toml`. A **dictionary** gathers what all services declare;
//! the **build** checks each against it, by an `api.lock` that is committed; the **runtime** counts
//! who still calls what. So a version is deprecated with a date, its callers learn of it at compile
//! time, and it is removed when it is proved that no one is left.
//!
//! ```
//! use meshwise_api::{Check, Declaration, Dictionary, Draft};
//!
//! let auth = Declaration::parse("api.toml", r#"
//! schema = 1
//! service = { name = "auth", owner = "team-login" }
//!
//! [[provides]]
//! api = "auth"
//! scheme = "main-minor"
//! versions = [
//!     { version = "1.1", released = 2024-01-01, deprecated = 2026-06-01, sunset = 2027-03-01, successor = "2.0" },
//!     { version = "2.0", released = 2026-06-01 },
//! ]
//! "#)?;
//! let published = Draft::new(auth, "2026-06-01T08:00:00Z".parse()?, "ci").seal(None)?;
//! let dictionary = Dictionary::from_documents([published])?;
//!
//! let orders = Declaration::parse("api.toml", r#"
//! schema = 1
//! service = { name = "orders", owner = "team-checkout" }
//!
//! [[requires]]
//! api = "auth"
//! version = "1.1"
//! since = 2025-02-01
//! "#)?;
//! let today = "2026-11-21".parse()?;
//! let report = Check::new(&orders, today).with_dictionary(Some(&dictionary)).run();
//! assert_eq!(report.diagnostics[0].to_string(), r#"
//! warning[deprecated-version]: auth 1.1 is deprecated since 2026-06-01, its sunset is 2027-03-01
//!  --> api.toml:7:11
//!   |
//! 7 | version = "1.1"
//!   |           ^^^^^ its successor is 2.0
//!   |
//!   = note: provided by auth
//!   = help: move to its successor: version = "2.0"
//! "#.trim());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | what | where | on bad input |
//! |---|---|---|
//! | `api.toml` | [`Declaration`], [`json_schema`] | every mistake at once, each with its place and what to write instead |
//! | versions | [`Scheme`], [`Version`], [`State`], [`Date`] | an error that names the form that is expected |
//! | what may be found | [`Finding::ALL`], [`Policy`] | |
//! | the judgement | [`Check`], [`Report`], [`Diagnostic`] | what could not be checked is [`Verdict::Unchecked`], never compatible |
//! | what is published | [`Draft`], [`Document`], [`Dictionary`] | a digest or a chain that does not fit is an error |
//! | `api.lock` | [`Lock`] | an error; it is written anew, never mended |
//! | in the program | [`declared!`], [`Declared`] | the compiler's |
//!
//! The model is pure: it reads no file, no clock and no network; text and the day are given to it.
//! `meshwise-build` does so for a build script, `cargo meshwise` for a person and for CI, and
//! `meshwise-api-http` serves and counts at run time.
//!
//! | feature | what it adds |
//! |---|---|
//! | `contract` | for `cargo meshwise`: whether a newer description keeps what an older one promised |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod canonical;
mod check;
#[cfg(feature = "contract")]
#[doc(hidden)]
pub mod contract;
mod date;
mod declaration;
mod declared;
mod diagnostic;
mod dictionary;
mod document;
mod finding;
mod lock;
#[doc(hidden)]
pub mod names;
mod policy;
mod reader;
mod schema;
mod scheme;
mod state;
mod text;
mod timestamp;

pub use date::{Date, DateError};
pub use declared::Declared;
pub use state::State;

// What build script, command and layers share of the model.
#[doc(hidden)]
pub use canonical::{CanonicalError, Digest, DigestError};
#[doc(hidden)]
pub use check::{Check, Report, Requirement, Verdict};
#[doc(hidden)]
pub use declaration::{Declaration, Provides, Release, Requires, Service, Transport};
#[doc(hidden)]
pub use declared::{ProvidedApi, ProvidedVersion, RequiredApi};
#[doc(hidden)]
pub use diagnostic::{Diagnostic, Diagnostics, Location};
#[doc(hidden)]
pub use dictionary::{Dictionary, Edge, Found, Offer, Usage};
#[doc(hidden)]
pub use document::{ChainError, Contract, Document, DocumentError, Draft};
#[doc(hidden)]
pub use finding::{Finding, Level, LevelError};
#[doc(hidden)]
pub use lock::{Answer, Lock, LockSource, Locked, LockedDocument, Resolved};
#[doc(hidden)]
pub use policy::Policy;
#[doc(hidden)]
pub use schema::json_schema;
#[doc(hidden)]
pub use scheme::{ApiId, ApiIdError, Scheme, SchemeError, Version, VersionError};
#[doc(hidden)]
pub use state::StateError;
#[doc(hidden)]
pub use timestamp::{Timestamp, TimestampError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
