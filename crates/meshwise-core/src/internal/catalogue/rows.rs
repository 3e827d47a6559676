//! The table itself, in the order of `/metrics`' documentation.

use super::{Kind, Metric, Unit};

/// Writes each row as a constant, and all of them as [`ALL`].
macro_rules! rows {
    ($($name:ident = $family:literal, $kind:ident, $unit:ident, [$($label:literal),*], $source:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $name: Metric = Metric {
                name: $family,
                kind: Kind::$kind,
                unit: Unit::$unit,
                labels: &[$($label),*],
                source: $source,
                help: $help,
            };
        )*

        /// Holds all metrics of the family. The labels of `target_info` are the resource's attributes.
        pub const ALL: &[&Metric] = &[$(&$name),*];
    };
}

rows! {
    // Calls over HTTP and gRPC.
    HTTP_SERVER_REQUEST_DURATION = "http_server_request_duration_seconds", Histogram, Seconds,
        ["http_request_method", "http_route", "url_scheme", "http_response_status_code", "error_type"],
        "meshwise-metrics",
        "Duration of HTTP server requests.";
    HTTP_SERVER_ACTIVE_REQUESTS = "http_server_active_requests", Gauge, Count,
        ["http_request_method", "url_scheme"],
        "meshwise-metrics",
        "Number of active HTTP server requests.";
    HTTP_SERVER_REQUEST_BODY_SIZE = "http_server_request_body_size_bytes", Histogram, Bytes,
        ["http_request_method", "http_route", "url_scheme", "http_response_status_code", "error_type"],
        "meshwise-metrics",
        "Size of HTTP server request bodies.";
    HTTP_SERVER_RESPONSE_BODY_SIZE = "http_server_response_body_size_bytes", Histogram, Bytes,
        ["http_request_method", "http_route", "url_scheme", "http_response_status_code", "error_type"],
        "meshwise-metrics",
        "Size of HTTP server response bodies.";
    HTTP_CLIENT_REQUEST_DURATION = "http_client_request_duration_seconds", Histogram, Seconds,
        ["http_request_method", "server_address", "server_port", "server_service_name", "http_response_status_code", "error_type"],
        "meshwise-metrics",
        "Duration of HTTP client requests.";
    HTTP_CLIENT_ACTIVE_REQUESTS = "http_client_active_requests", Gauge, Count,
        ["server_address", "server_port", "server_service_name"],
        "meshwise-metrics",
        "Number of active HTTP client requests.";
    HTTP_CLIENT_REQUEST_BODY_SIZE = "http_client_request_body_size_bytes", Histogram, Bytes,
        ["http_request_method", "server_address", "server_port", "server_service_name", "http_response_status_code", "error_type"],
        "meshwise-metrics",
        "Size of HTTP client request bodies.";
    HTTP_CLIENT_RESPONSE_BODY_SIZE = "http_client_response_body_size_bytes", Histogram, Bytes,
        ["http_request_method", "server_address", "server_port", "server_service_name", "http_response_status_code", "error_type"],
        "meshwise-metrics",
        "Size of HTTP client response bodies.";
    RPC_SERVER_CALL_DURATION = "rpc_server_call_duration_seconds", Histogram, Seconds,
        ["rpc_system_name", "rpc_method", "rpc_status_code", "error_type"],
        "meshwise-metrics",
        "Duration of incoming remote procedure calls.";
    RPC_CLIENT_CALL_DURATION = "rpc_client_call_duration_seconds", Histogram, Seconds,
        ["rpc_system_name", "rpc_method", "rpc_status_code", "error_type", "server_service_name"],
        "meshwise-metrics",
        "Duration of outgoing remote procedure calls.";
    // The map.
    SERVICE_GRAPH_REQUESTS = "traces_service_graph_request_total", Counter, Count,
        ["client", "server", "connection_type"],
        "meshwise-metrics",
        "Calls of an edge of the service map, by both ends.";
    SERVICE_GRAPH_FAILED = "traces_service_graph_request_failed_total", Counter, Count,
        ["client", "server", "connection_type"],
        "meshwise-metrics",
        "Calls of an edge of the service map that failed.";
    SERVICE_GRAPH_SERVER_SECONDS = "traces_service_graph_request_server_seconds", Histogram, Seconds,
        ["client", "server", "connection_type"],
        "meshwise-metrics",
        "Duration of the calls of an edge of the service map, as the counting side saw it.";
    ISTIO_REQUESTS = "istio_requests_total", Counter, Count,
        ["reporter", "source_workload_namespace", "source_workload", "source_canonical_service", "source_canonical_revision", "destination_service_namespace", "destination_service", "destination_service_name", "destination_workload_namespace", "destination_workload", "destination_canonical_service", "destination_canonical_revision", "request_protocol", "response_code", "grpc_response_status", "response_flags"],
        "meshwise-metrics",
        "Calls of an edge of the service map, under the names of Istio.";
    ISTIO_DURATION = "istio_request_duration_milliseconds", Histogram, Milliseconds,
        ["reporter", "source_workload_namespace", "source_workload", "source_canonical_service", "source_canonical_revision", "destination_service_namespace", "destination_service", "destination_service_name", "destination_workload_namespace", "destination_workload", "destination_canonical_service", "destination_canonical_revision", "request_protocol", "response_code", "grpc_response_status", "response_flags"],
        "meshwise-metrics",
        "Duration of the calls of an edge of the service map, under the names of Istio.";
    // Guards.
    BREAKER_STATE = "meshwise_breaker_state", Gauge, None,
        ["peer"],
        "meshwise-resilience",
        "State of a circuit breaker: 0 closed, 1 half-open, 2 open.";
    BREAKER_TRANSITIONS = "meshwise_breaker_transitions_total", Counter, Count,
        ["peer", "to"],
        "meshwise-resilience",
        "Changes of a circuit breaker's state, by the new one.";
    CALLS_REFUSED = "meshwise_calls_refused_total", Counter, Count,
        ["peer", "reason"],
        "meshwise-resilience",
        "Calls that a guard refused or broke off, by its rule.";
    RETRIES = "meshwise_retries_total", Counter, Count,
        ["peer", "result"],
        "meshwise-resilience",
        "Calls that were, or were not, tried again, by how that went.";
    HEDGES = "meshwise_hedges_total", Counter, Count,
        ["peer", "result"],
        "meshwise-resilience",
        "Second attempts beside slow ones, by which answered first.";
    BULKHEAD_IN_USE = "meshwise_bulkhead_in_use", Gauge, Count,
        ["peer"],
        "meshwise-resilience",
        "Calls to a peer that are in flight.";
    INSTANCES = "meshwise_instances", Gauge, Count,
        ["peer", "state"],
        "meshwise-discovery",
        "Instances of a peer, by state: ready, ejected or slow start.";
    EJECTIONS = "meshwise_ejections_total", Counter, Count,
        ["peer", "cause"],
        "meshwise-discovery",
        "Instances that were taken out of balancing, by cause.";
    // Versions of APIs.
    API_CALLS = "meshwise_api_calls_total", Counter, Count,
        ["api", "version", "state", "caller", "caller_verified"],
        "meshwise-api-http",
        "Calls by API, version, its state on the day, calling service, and whether its name was proved.";
    API_COUNTING_SINCE = "meshwise_api_counting_since_seconds", Gauge, Seconds,
        ["api", "version"],
        "meshwise-api-http",
        "Unix time since which this process has seen every call of the version.";
    API_UNROUTED = "meshwise_api_unrouted_requests_total", Counter, Count,
        ["caller", "caller_verified"],
        "meshwise-api-http",
        "Requests that a handler answered and that are for no version which could be told.";
    API_DEPRECATED_RESPONSES = "meshwise_api_deprecated_responses_total", Counter, Count,
        ["peer", "api", "version"],
        "meshwise-api-http",
        "Answers by which a peer said that a version of its API is deprecated.";
    API_UNDECLARED_CALLS = "meshwise_api_undeclared_calls_total", Counter, Count,
        ["peer", "api"],
        "meshwise-api-http",
        "Calls to APIs that api.toml does not require.";
    API_UNDECLARED_CALLERS = "meshwise_api_undeclared_callers_total", Counter, Count,
        ["api", "version", "caller", "caller_verified"],
        "meshwise-api-http",
        "Calls of services that have not declared that they make them.";
    API_SUNSET = "meshwise_api_sunset_seconds", Gauge, Seconds,
        ["api", "version"],
        "meshwise-api-http",
        "Unix time after which the version may stop working.";
    // Messages.
    MESSAGING_CLIENT_OPERATION_DURATION = "messaging_client_operation_duration_seconds", Histogram, Seconds,
        ["messaging_system_name", "messaging_destination_name", "messaging_operation_name", "messaging_operation_type", "messaging_consumer_group_name", "error_type"],
        "meshwise-metrics",
        "Duration of messaging operation initiated by a producer or consumer client.";
    MESSAGING_PROCESS_DURATION = "messaging_process_duration_seconds", Histogram, Seconds,
        ["messaging_system_name", "messaging_destination_name", "messaging_operation_name", "messaging_operation_type", "messaging_consumer_group_name", "error_type"],
        "meshwise-metrics",
        "Duration of processing operation.";
    MESSAGING_CLIENT_SENT_MESSAGES = "messaging_client_sent_messages_total", Counter, Count,
        ["messaging_system_name", "messaging_destination_name", "messaging_operation_name", "messaging_operation_type", "messaging_consumer_group_name", "error_type"],
        "meshwise-metrics",
        "Number of messages producer attempted to send to the broker.";
    MESSAGING_CLIENT_CONSUMED_MESSAGES = "messaging_client_consumed_messages_total", Counter, Count,
        ["messaging_system_name", "messaging_destination_name", "messaging_operation_name", "messaging_operation_type", "messaging_consumer_group_name", "error_type"],
        "meshwise-metrics",
        "Number of messages that were delivered to the application.";
    CONSUMER_LAG = "meshwise_consumer_lag_messages", Gauge, Count,
        ["messaging_system_name", "messaging_destination_name", "messaging_consumer_group_name", "messaging_destination_partition_id"],
        "meshwise-metrics",
        "Messages that a consumer has still to be given, as the broker counts them.";
    CONSUMER_AGE = "meshwise_consumer_age_seconds", Gauge, Seconds,
        ["messaging_system_name", "messaging_destination_name", "messaging_consumer_group_name"],
        "meshwise-metrics",
        "Age of the oldest message that a consumer has in hand; 0 if there is none.";
    MESSAGES_DUPLICATE = "meshwise_messages_duplicate_total", Counter, Count,
        ["messaging_system_name", "messaging_destination_name", "messaging_consumer_group_name"],
        "meshwise-metrics",
        "Messages that had been processed before.";
    MESSAGES_SETTLED = "meshwise_messages_settled_total", Counter, Count,
        ["messaging_system_name", "messaging_destination_name", "messaging_consumer_group_name", "outcome"],
        "meshwise-metrics",
        "Messages that a consumer has settled, by outcome.";
    // meshwise itself.
    TELEMETRY_DROPPED = "meshwise_telemetry_dropped_total", Counter, Count,
        ["signal", "reason"],
        "meshwise-metrics",
        "Telemetry records lost, by signal and reason.";
    TELEMETRY_EXPORTED = "meshwise_telemetry_exported_total", Counter, Count,
        ["signal"],
        "meshwise-metrics",
        "Telemetry records that reached their destination, by signal.";
    LABEL_OVERFLOW = "meshwise_label_overflow_total", Counter, Count,
        ["metric", "label"],
        "meshwise-metrics",
        "Uses of a label value or label set beyond its bound; they are recorded as _other.";
    SCRAPE_HOOK_PANICS = "meshwise_scrape_hook_panics_total", Counter, Count,
        [],
        "meshwise-metrics",
        "Calls of scrape hooks that panicked; what they would show is missing.";
    BUILD_INFO = "meshwise_build_info", Gauge, None,
        ["service_name", "service_namespace", "service_version", "version"],
        "meshwise-metrics",
        "The service and the version of meshwise in it, as labels.";
    TARGET_INFO = "target_info", Gauge, None,
        [],
        "meshwise-metrics",
        "Target metadata";
    // The process and its cgroup.
    PROCESS_CPU = "process_cpu_seconds_total", Counter, Seconds,
        [],
        "meshwise-metrics",
        "Total user and system CPU time spent in seconds.";
    PROCESS_RESIDENT_MEMORY = "process_resident_memory_bytes", Gauge, Bytes,
        [],
        "meshwise-metrics",
        "Resident memory size in bytes.";
    PROCESS_VIRTUAL_MEMORY = "process_virtual_memory_bytes", Gauge, Bytes,
        [],
        "meshwise-metrics",
        "Virtual memory size in bytes.";
    PROCESS_OPEN_FDS = "process_open_fds", Gauge, Count,
        [],
        "meshwise-metrics",
        "Number of open file descriptors.";
    PROCESS_MAX_FDS = "process_max_fds", Gauge, Count,
        [],
        "meshwise-metrics",
        "Maximum number of open file descriptors.";
    PROCESS_START_TIME = "process_start_time_seconds", Gauge, Seconds,
        [],
        "meshwise-metrics",
        "Start time of the process since unix epoch in seconds.";
    PROCESS_THREADS = "process_threads", Gauge, Count,
        [],
        "meshwise-metrics",
        "Number of threads in the process.";
    CGROUP_CPU_PERIODS = "cgroup_cpu_periods_total", Counter, Count,
        [],
        "meshwise-metrics",
        "Periods in which the cgroup used a processor while it had a CPU limit.";
    CGROUP_CPU_THROTTLED_PERIODS = "cgroup_cpu_throttled_periods_total", Counter, Count,
        [],
        "meshwise-metrics",
        "Periods in which the cgroup ran into its CPU limit.";
    CGROUP_CPU_THROTTLED = "cgroup_cpu_throttled_seconds_total", Counter, Seconds,
        [],
        "meshwise-metrics",
        "Time that threads of the cgroup waited because of its CPU limit.";
    CGROUP_CPU_LIMIT = "cgroup_cpu_limit_cores", Gauge, None,
        [],
        "meshwise-metrics",
        "How many processors' time the cgroup may take.";
    CGROUP_MEMORY_USAGE = "cgroup_memory_usage_bytes", Gauge, Bytes,
        [],
        "meshwise-metrics",
        "Memory of the cgroup, caches included.";
    CGROUP_MEMORY_WORKING_SET = "cgroup_memory_working_set_bytes", Gauge, Bytes,
        [],
        "meshwise-metrics",
        "Memory of the cgroup without inactive file pages.";
    CGROUP_MEMORY_LIMIT = "cgroup_memory_limit_bytes", Gauge, Bytes,
        [],
        "meshwise-metrics",
        "How much memory the cgroup may use.";
    CGROUP_OOM_EVENTS = "cgroup_memory_oom_events_total", Counter, Count,
        [],
        "meshwise-metrics",
        "Times that the cgroup ran out of memory.";
    CGROUP_OOM_KILLS = "cgroup_memory_oom_kills_total", Counter, Count,
        [],
        "meshwise-metrics",
        "Processes of the cgroup that were killed because it ran out of memory.";
    // The tokio runtime.
    TOKIO_WORKERS = "tokio_workers", Gauge, Count,
        [],
        "meshwise-metrics",
        "Worker threads of the tokio runtime.";
    TOKIO_ALIVE_TASKS = "tokio_alive_tasks", Gauge, Count,
        [],
        "meshwise-metrics",
        "Tasks that have not ended.";
    TOKIO_GLOBAL_QUEUE_DEPTH = "tokio_global_queue_depth", Gauge, Count,
        [],
        "meshwise-metrics",
        "Tasks that wait in the queue of the whole runtime.";
    TOKIO_WORKER_BUSY = "tokio_worker_busy_seconds_total", Counter, Seconds,
        ["worker"],
        "meshwise-metrics",
        "Time that a worker spent working.";
    TOKIO_WORKER_PARKS = "tokio_worker_parks_total", Counter, Count,
        ["worker"],
        "meshwise-metrics",
        "Times that a worker had nothing to do and went to sleep.";
    // Capacity.
    ROUTE_BUSY = "meshwise_route_busy_seconds_total", Counter, Seconds,
        ["route"],
        "meshwise-metrics",
        "Time that the code of a route's calls was polled.";
    ROUTE_CPU = "meshwise_route_cpu_seconds_total", Counter, Seconds,
        ["route"],
        "meshwise-metrics",
        "Processor time of polling the code of a route's calls; sampled.";
    CAPACITY_HEADROOM = "meshwise_capacity_headroom_ratio", Gauge, None,
        [],
        "meshwise-metrics",
        "Share of the processors' and workers' time, whichever is scarcer, that is not used.";
}
