//! The guards of peers, and of their routes.

use crate::settings::{
    forms::{
        BOOL, CALLS, CALLS_OR_NONE, COUNT, GRPC_METHODS, HEADER_VALUE, LIMIT, POSITIVE, RATE,
        SHARE, URLS, WAIT,
    },
    kind::{Range, SettingKind},
    part::{Map, Spec, section},
    units::Size,
    value::Setting,
};
use std::time::Duration;

section! {
    /// How calls to a peer are made and guarded.
    PeerSettings {
        /// Where the peer is: scheme, host, port, and over HTTP a path that goes before every
        /// request's. For gRPC, several instances with commas between. `http://{peer}` unless set.
        url: Setting<String> = Spec::of(URLS);
        /// The limit for a whole call, retries included.
        deadline: DeadlineSettings;
        /// The limit for one attempt.
        timeout: TimeoutSettings;
        /// When calls are tried again.
        retry: RetrySettings;
        /// When the peer is not called for a while.
        breaker: BreakerSettings;
        /// How many calls may be in flight.
        bulkhead: BulkheadSettings;
        /// How many attempts may be made in a time.
        rate: RateSettings;
        /// Which responses stream.
        streaming: StreamingSettings;
        /// Faults made on purpose, in the place of the peer.
        fault: FaultSettings;
        /// What is different for a route: `GET /items/{id}`, `/files/{*path}` (any method),
        /// `package.Service/Method` or `package.Service/*`.
        routes: Map<RouteSettings>;
    }
}

section! {
    /// What is different for a route of a peer; a breaker, bulkhead or rate limit that is enabled is
    /// the route's own.
    RouteSettings {
        /// The limit for a whole call.
        deadline: RouteDeadlineSettings;
        /// The limit for one attempt.
        timeout: RouteTimeoutSettings;
        /// When calls are tried again.
        retry: RouteRetrySettings;
        /// A circuit breaker of its own.
        breaker: BreakerSettings;
        /// A bulkhead of its own.
        bulkhead: BulkheadSettings;
        /// A rate limit of its own.
        rate: RateSettings;
        /// Whether its responses stream.
        streaming: Setting<bool> = Spec::of(BOOL);
    }
}

section! {
    /// The limit for a whole call on a route.
    RouteDeadlineSettings {
        /// The longest that a call may take, retries included.
        total: Setting<Duration> = Spec::of(LIMIT);
    }
}

section! {
    /// The limit for one attempt on a route.
    RouteTimeoutSettings {
        /// The longest that an attempt may take.
        limit: Setting<Duration> = Spec::of(LIMIT);
    }
}

section! {
    /// When calls on a route are tried again.
    RouteRetrySettings {
        /// Attempts in all; 1 turns retries off.
        attempts: Setting<u32> = Spec::of(SettingKind::Whole(1, 10));
    }
}

section! {
    /// The limit for a whole call.
    DeadlineSettings {
        /// Whether there is one; deadlines of requests and incoming calls hold in any case.
        enabled: Setting<bool> = Spec::of(BOOL).or("true");
        /// The longest that a call may take, retries and body included; once set it holds for
        /// responses that stream, too.
        total: Setting<Duration> = Spec::of(LIMIT).or("10s");
    }
}

section! {
    /// The limit for one attempt.
    TimeoutSettings {
        /// Whether there is one.
        enabled: Setting<bool> = Spec::of(BOOL).or("true");
        /// The longest that an attempt may take.
        limit: Setting<Duration> = Spec::of(LIMIT).or("3s");
    }
}

section! {
    /// When and how often calls are tried again.
    RetrySettings {
        /// Whether they are.
        enabled: Setting<bool> = Spec::of(BOOL).or("true");
        /// Attempts in all, the first included.
        attempts: Setting<u32> = Spec::of(SettingKind::Whole(1, 10)).or("3");
        /// The waits between attempts.
        backoff: BackoffSettings;
        /// How many retries all calls to the peer share.
        budget: BudgetSettings;
        /// The longest wait that the peer can ask for.
        longest_asked: Setting<Duration> = Spec::of(WAIT).or("10s");
        /// How much of a request's body is kept; a longer one is sent once.
        body_limit: Setting<Size> = Spec::of(SettingKind::Size(0, 1 << 30)).or("64KiB");
        /// gRPC methods that may be repeated: `package.Service/Method`.
        idempotent_methods: Setting<Vec<String>> = Spec::of(GRPC_METHODS).or("none");
    }
}

section! {
    /// The waits between attempts: a random part of a time that doubles.
    BackoffSettings {
        /// The longest first wait.
        base: Setting<Duration> = Spec::of(WAIT).or("25ms");
        /// The longest wait.
        max: Setting<Duration> = Spec::of(WAIT).or("1s");
        /// Whether the wait is a random part of that.
        jitter: Setting<bool> = Spec::of(BOOL).or("true");
    }
}

section! {
    /// How many retries all calls to a peer share.
    BudgetSettings {
        /// The share of the calls that went well in the last 10 s.
        share: Setting<f64> = Spec::of(SettingKind::Number(Range {
            least: 0.0, least_in: true, most: 10.0, most_in: true,
        })).or("0.2");
        /// Retries a second besides.
        per_second: Setting<u32> = Spec::of(SettingKind::Whole(0, 100_000)).or("10");
    }
}

section! {
    /// When a circuit breaker opens, for how long, and what closes it again.
    BreakerSettings {
        /// Whether there is one.
        enabled: Setting<bool> = Spec::of(BOOL).or("true");
        /// The calls that are judged.
        window: WindowSettings;
        /// The fewest calls in the window to judge by.
        min_calls: Setting<u32> = Spec::of(POSITIVE).or("20");
        /// The share of failed calls that opens.
        failure_rate: Setting<f64> = Spec::of(RATE).or("0.5");
        /// The time past which a call is slow; none is unless set, and `0s` takes it back.
        slow_call_duration: Setting<Duration> = Spec::of(WAIT).or("0s");
        /// The share of slow calls that opens.
        slow_call_rate: Setting<f64> = Spec::of(RATE).or("0.5");
        /// The failures in a row that open, however few calls there are; 0 leaves it to the rates.
        consecutive_failures: Setting<u32> = Spec::of(COUNT).or("10");
        /// The least time from the first to the last of them.
        consecutive_span: Setting<Duration> = Spec::of(WAIT).or("1s");
        /// How long it stays open the first time.
        open_time: Setting<Duration> = Spec::of(LIMIT).or("5s");
        /// How long it stays open at most.
        open_time_max: Setting<Duration> = Spec::of(LIMIT).or("60s");
        /// The share of the open time that is added at random at most.
        open_jitter: Setting<f64> = Spec::of(SHARE).or("0.1");
        /// Trial calls at a time while half-open.
        trial_limit: Setting<u32> = Spec::of(SettingKind::Whole(1, 100_000)).or("3");
        /// Trial calls that end before the breaker decides.
        trial_calls: Setting<u32> = Spec::of(SettingKind::Whole(1, 100_000)).or("3");
        /// The share of trial calls that may fail.
        trial_failure_rate: Setting<f64> = Spec::of(SettingKind::Number(Range {
            most_in: false, ..Range::SHARE
        })).or("0");
        /// The longest wait for a trial call to succeed.
        half_open_max_wait: Setting<Duration> = Spec::of(LIMIT).or("10s");
    }
}

section! {
    /// The calls that a circuit breaker judges: those of a time, or the last so many.
    WindowSettings {
        /// Those that ended within this time.
        time: Setting<Duration> = Spec::of(SettingKind::Duration(
            Duration::from_millis(10), Duration::from_secs(86_400),
        )).or("10s");
        /// The steps in which they are forgotten.
        buckets: Setting<u32> = Spec::of(SettingKind::Whole(1, 100)).or("10");
        /// The last so many, in the place of a time; 0 is a time.
        calls: Setting<u32> = Spec::of(SettingKind::Whole(0, 100_000)).or("0");
    }
}

section! {
    /// How many calls may be in flight, and how many may wait.
    BulkheadSettings {
        /// Whether there is a limit.
        enabled: Setting<bool> = Spec::of(BOOL).or("true");
        /// Calls in flight.
        limit: Setting<u32> = Spec::of(CALLS).or("100");
        /// A limit that finds itself, in the place of the fixed one.
        adaptive: AdaptiveSettings;
        /// Calls that wait; beyond it they are refused at once.
        queue: Setting<u32> = Spec::of(CALLS_OR_NONE).or("50");
        /// How long a call waits at most.
        max_wait: Setting<Duration> = Spec::of(WAIT).or("250ms");
    }
}

section! {
    /// A limit that finds itself by the time that calls take.
    AdaptiveSettings {
        /// Whether it takes the place of the fixed one.
        enabled: Setting<bool> = Spec::of(BOOL).or("false");
        /// How it follows the time that calls take.
        algorithm: Setting<String> =
            Spec::of(SettingKind::Word(&["gradient2", "vegas"])).or("gradient2");
        /// The limit to begin with.
        initial: Setting<u32> = Spec::of(CALLS).or("20");
        /// It never goes below this.
        floor: Setting<u32> = Spec::of(CALLS).or("20");
        /// It never goes above this.
        ceiling: Setting<u32> = Spec::of(CALLS).or("1000");
        /// The time that one sample sums up.
        sample_window: Setting<Duration> = Spec::of(SettingKind::Duration(
            Duration::from_millis(10), Duration::from_secs(365 * 86_400),
        )).or("1s");
        /// The fewest calls that make a sample.
        min_samples: Setting<u32> = Spec::of(SettingKind::Whole(1, 256)).or("10");
    }
}

section! {
    /// How many attempts may be made in a time.
    RateSettings {
        /// Whether there is a limit.
        enabled: Setting<bool> = Spec::of(BOOL).or("false");
        /// Attempts that may be made.
        calls: Setting<u32> = Spec::of(CALLS).or("100");
        /// The time in which they may.
        per: Setting<Duration> = Spec::of(LIMIT).or("1s");
        /// Attempts at once; as many as in the whole time unless set.
        burst: Setting<u32> = Spec::of(CALLS);
        /// How long an attempt waits for its turn before it is refused.
        max_wait: Setting<Duration> = Spec::of(WAIT).or("0s");
    }
}

section! {
    /// Which responses stream: guards let go of them at their head.
    StreamingSettings {
        /// Whether all do.
        all: Setting<bool> = Spec::of(BOOL).or("false");
        /// gRPC methods that do: `package.Service/Method`, or `package.Service/*`.
        methods: Setting<Vec<String>> = Spec::of(GRPC_METHODS).or("none");
    }
}

section! {
    /// Faults made on purpose, to prove the guards.
    FaultSettings {
        /// Whether any are made.
        enabled: Setting<bool> = Spec::of(BOOL).or("false");
        /// Requests that are delayed.
        delay: FaultDelaySettings;
        /// Requests that are answered with an error.
        abort: FaultAbortSettings;
        /// Only requests with these headers meet them; `*` stands for any value.
        headers: Map<Setting<String>> = Spec::of(HEADER_VALUE);
    }
}

section! {
    /// Requests that are delayed on purpose.
    FaultDelaySettings {
        /// Their share.
        share: Setting<f64> = Spec::of(SHARE).or("0");
        /// How long they are delayed.
        time: Setting<Duration> = Spec::of(WAIT).or("0s");
    }
}

section! {
    /// Requests that are answered with an error on purpose.
    FaultAbortSettings {
        /// Their share.
        share: Setting<f64> = Spec::of(SHARE).or("0");
        /// The status they get.
        status: Setting<u32> = Spec::of(SettingKind::Whole(200, 599)).or("503");
        /// The gRPC code that gRPC calls among them get, in the place of the status; 0 is the status.
        grpc_code: Setting<u32> = Spec::of(SettingKind::Whole(0, 16)).or("0");
    }
}
