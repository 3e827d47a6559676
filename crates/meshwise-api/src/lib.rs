//! API versions as data.

mod canonical;
#[cfg(feature = "tower")]
mod client;
mod check;
mod date;
mod declaration;
mod declared;
mod diagnostic;
mod dictionary;
mod document;
mod finding;
#[cfg(feature = "tower")]
pub mod headers;
mod lock;
pub mod names;
mod policy;
mod reader;
#[cfg(feature = "tower")]
mod runtime;
mod schema;
mod scheme;
#[cfg(feature = "tower")]
mod serve;
mod state;
mod text;
mod timestamp;

pub use canonical::{CanonicalError, Digest, DigestError};
pub use check::{Check, Report, Requirement, Verdict};
pub use date::{Date, DateError};
pub use declaration::{Declaration, Provides, Release, Requires, Service, Transport};
pub use declared::{Declared, ProvidedApi, ProvidedVersion, RequiredApi};
pub use diagnostic::{Diagnostic, Diagnostics, Location};
pub use dictionary::{Dictionary, Edge, Found, Offer, Usage};
pub use document::{ChainError, Document, DocumentError, Draft};
pub use finding::{Finding, Level, LevelError};
pub use lock::{Answer, Lock, LockSource, Locked, Resolved};
pub use policy::Policy;
pub use schema::json_schema;
pub use scheme::{ApiId, ApiIdError, Scheme, SchemeError, Version, VersionError};
pub use state::{State, StateError};
pub use timestamp::{Timestamp, TimestampError};
#[cfg(feature = "tower")]
pub use {
    client::{
        ApiClientBuilder, ApiClientFuture, ApiClientLayer, ApiClientService, Undeclared,
        UndeclaredCall,
    },
    runtime::routes::{ApiRoutes, RequestHead},
    serve::{
        AfterSunset, ApiBody, ApiConfigError, ApiPages, ApiServerBuilder, ApiServerFuture,
        ApiServerLayer, ApiServerService,
    },
};
