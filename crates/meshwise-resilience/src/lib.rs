//! Tower layers that guard a call, so that a slow peer does not take its callers down.
//!
//! Service B is slow; A's workers wait for B; A stops answering; its callers wait for A. Every layer
//! here exists to stop that. Each is useful alone, on any tower service; [`PeerLayer`] puts
//! them together in the order that works.
//!
//! ```
//! use http::{Request, Response};
//! use meshwise_resilience::{BreakerConfig, BreakerLayer, BulkheadConfig, BulkheadLayer};
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let breaker = BreakerLayer::new("stock", BreakerConfig::new())?;
//! let bulkhead = BulkheadLayer::new("stock", BulkheadConfig::new().with_limit(32))?;
//! let handle = breaker.handle();
//!
//! // Any HTTP client whose error is `From<Refused>`, as boxed errors are.
//! let client = service_fn(async |_: Request<()>| Ok::<_, BoxError>(Response::new(String::new())));
//! let stock = ServiceBuilder::new().layer(breaker).layer(bulkhead).service(client);
//! let response = stock.oneshot(Request::new(())).await?;
//! assert_eq!(handle.snapshot().failed, 0);
//! # drop(response); Ok(()) }
//! ```
//!
//! # What each guard does
//!
//! | layer | refuses or acts when | the caller sees | `poll_ready` |
//! |---|---|---|---|
//! | [`DeadlineLayer`] | the whole call takes too long, or came too late | 504, `DEADLINE_EXCEEDED` | the inner service's |
//! | [`RetryLayer`] | a safe call failed, and the budget allows it | the last attempt's answer | the inner service's |
//! | [`TimeoutLayer`] | an attempt takes too long | 504, `DEADLINE_EXCEEDED` | the inner service's |
//! | [`BreakerLayer`] | the peer fails, or is slow, too often | 503, `UNAVAILABLE` | at once while open |
//! | [`BulkheadLayer`] | too many calls are in flight | 503, `RESOURCE_EXHAUSTED` | the inner service's |
//! | [`RateLimitLayer`] | calls come too fast | 429, `RESOURCE_EXHAUSTED` | the inner service's |
//! | [`HedgeLayer`] | a safe call is slower than most | the first good answer | the inner service's |
//! | [`FallbackLayer`] | the call failed | what you answer instead | the inner service's |
//! | [`ShedLayer`], on the server | there is too much to do, or the deadline has passed | 503 or 504 with `Retry-After` | the inner service's |
//!
//! What they share:
//! - A guard that does not let a call through says so with one error, [`Refused`]: for whom, by
//!   which rule, and when to try again. The wrapped service's error is `From<Refused>`
//!   ([`GuardErrorLayer`] makes it so), and stays flat however many guards are stacked.
//!   [`RefusalResponseLayer`] turns it into a response.
//! - A call ends with its body, not its head, and what counts as a failure stands at [`Classifier`](meshwise_core::Classifier).
//!   Dropping a future or a body anywhere releases what it holds.
//! - Each layer has a handle, to read its state and to change its settings at run time; [`Guards`]
//!   holds those of all peers.
//! - A successful call allocates nothing and takes no lock.
//! - Metrics go through the [`metrics`] facade, to the recorder in place when a layer is made;
//!   events through [`tracing`], target `meshwise::resilience`.
//! - Time is tokio's, so that tests can pause it. Where a tick of the kernel (1 to 10 ms) more or
//!   less is no matter, it is read from the kernel's coarse clock.
//!
//! # Features
//!
//! - `fault`: a layer that delays and aborts calls on purpose, to prove the others.
//! - `serde`: `Serialize` for what can be read of the guards.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod adaptive;
mod breaker;
mod bulkhead;
mod clock;
mod config;
mod count;
mod debug;
mod fallback;
#[cfg(feature = "fault")]
mod fault;
mod fronts;
mod guard;
mod handle;
mod hedge;
mod names;
mod peer;
mod rate;
mod refusal;
mod registry;
mod retry;
mod said;
mod shed;
mod sync;
mod timeout;

pub use adaptive::AdaptiveConfig;
pub use breaker::{BreakerConfig, BreakerHandle, BreakerMode, BreakerSnapshot, BreakerState};
pub use bulkhead::{BulkheadConfig, BulkheadHandle, BulkheadSnapshot};
pub use config::ConfigError;
pub use fallback::{FallbackFuture, FallbackLayer, FallbackService};
#[cfg(feature = "fault")]
pub use fault::{Abort, FaultConfig, FaultFuture, FaultHandle, FaultLayer, FaultService};
pub use fronts::{
    BreakerLayer, BulkheadLayer, DeadlineLayer, HedgeLayer, RateLimitLayer, RetryLayer,
    TimeoutLayer,
};
#[doc(hidden)]
pub use guard::{AllGuards, CallKind, Plan, RequestKind};
pub use guard::{AnyCalls, GuardLayer, Guarded, GuardedBody, GuardedFuture, HttpCalls};
pub use handle::Handle;
pub use hedge::{HedgeConfig, HedgeHandle};
pub use meshwise_core::{Backoff, Refused, outcome::Rule};
pub use peer::{PeerBody, PeerConfig, PeerFuture, PeerHandle, PeerLayer, PeerService, RouteConfig};
#[doc(hidden)]
pub use rate::{PerKey, RateKey};
pub use rate::{RateConfig, RateLimitHandle};
#[doc(hidden)]
pub use refusal::MaybeRefused;
pub use refusal::{
    AnsweredFuture, GuardError, GuardErrorLayer, GuardErrorService, RefusalBody, RefusalResponse,
    RefusalResponseLayer, refusal_response,
};
pub use registry::{Guards, PeerSnapshot, RateSnapshot, RetrySnapshot};
pub use retry::{
    AnyRetries, HttpRetries, Idempotent, RetryBudget, RetryConfig, RetryHandle, RetryVerdict,
};
#[doc(hidden)]
pub use retry::{KeptRequest, ReplayBody, Withdrawal};
#[doc(hidden)]
pub use said::contradictions;
pub use shed::{ShedConfig, ShedHandle, ShedLayer};
pub use timeout::{DeadlineConfig, TimeLimitHandle};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
