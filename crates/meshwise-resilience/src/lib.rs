//! Tower layers that guard a call, so that a slow neighbour does not take its callers down.

// Grows a module at a time.
mod adaptive;
mod breaker;
mod bulkhead;
mod clock;
mod config_error;
mod count;
mod error;
mod fallback;
#[cfg(feature = "fault")]
mod fault;
mod hedge;
mod names;
mod rate;
mod refusal;
mod registry;
mod retry;
mod shed;
mod stack;
mod sync;
mod timeout;
mod watch;

pub use adaptive::{AdaptiveConfig, LimitAlgorithm};
pub use breaker::{
    BreakerConfig, BreakerFuture, BreakerHandle, BreakerLayer, BreakerMode, BreakerService,
    BreakerSnapshot, BreakerState, BreakerTicket, BreakerWindow,
};
pub use bulkhead::{
    BulkheadConfig, BulkheadFuture, BulkheadHandle, BulkheadLayer, BulkheadLimit, BulkheadService,
    BulkheadSnapshot, BulkheadTicket,
};
pub use config_error::ConfigError;
pub use error::{GuardError, GuardErrorFuture, GuardErrorLayer, GuardErrorService};
pub use fallback::{FallbackFuture, FallbackLayer, FallbackService, FallbackWhen, OnError};
#[cfg(feature = "fault")]
pub use fault::{Abort, FaultConfig, FaultFuture, FaultHandle, FaultLayer, FaultService};
pub use hedge::{HedgeConfig, HedgeFuture, HedgeHandle, HedgeLayer, HedgeService};
pub use meshwise_core::outcome::{Refused, Rule};
pub use rate::{
    OneLimit, PerKey, RateConfig, RateKey, RateLimitFuture, RateLimitHandle, RateLimitLayer,
    RateLimitService,
};
pub use refusal::{
    MaybeRefused, RefusalBody, RefusalFuture, RefusalResponse, RefusalResponseLayer,
    refusal_response,
};
pub use registry::{GuardHandles, Guards, NeighbourSnapshot, RateSnapshot, RetrySnapshot};
pub use retry::{
    AnyRetries, Backoff, HttpRetries, Idempotent, KeptRequest, ReplayBody, RetryBudget,
    RetryConfig, RetryFuture, RetryHandle, RetryJudge, RetryKind, RetryLayer, RetryService,
    RetryVerdict, RetryWait, Withdrawal,
};
pub use shed::{Shed, ShedConfig, ShedFuture, ShedHandle, ShedLayer, ShedSnapshot, ShedTicket};
pub use stack::{
    NeighbourBody, NeighbourConfig, NeighbourFuture, NeighbourHandle, NeighbourLayer,
    NeighbourService,
};
pub use timeout::{
    CoverAny, CoverHttp, Covers, DeadlineConfig, DeadlineFuture, DeadlineLayer, DeadlineService,
    TimeLimitHandle, TimeoutBody, TimeoutConfig, TimeoutFuture, TimeoutLayer, TimeoutService,
    Until, current_deadline,
};
pub use watch::{AnyCalls, CallKind, HttpCalls, Ticket, WatchedBody};
