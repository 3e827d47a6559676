#![doc = include_str!("catalogue.md")]

/// Stands for every value beyond the bound of its label.
pub const OTHER: &str = "_other";

/// Duration of incoming HTTP calls: histogram, seconds.
pub const HTTP_SERVER_REQUEST_DURATION: &str = "http_server_request_duration_seconds";
/// Incoming HTTP calls being served: gauge.
pub const HTTP_SERVER_ACTIVE_REQUESTS: &str = "http_server_active_requests";
/// Sizes of incoming requests' bodies: histogram, bytes; opt-in.
pub const HTTP_SERVER_REQUEST_BODY_SIZE: &str = "http_server_request_body_size_bytes";
/// Sizes of the bodies they are answered with: histogram, bytes; opt-in.
pub const HTTP_SERVER_RESPONSE_BODY_SIZE: &str = "http_server_response_body_size_bytes";
/// Duration of outgoing HTTP calls: histogram, seconds.
pub const HTTP_CLIENT_REQUEST_DURATION: &str = "http_client_request_duration_seconds";
/// Outgoing HTTP calls in flight: gauge.
pub const HTTP_CLIENT_ACTIVE_REQUESTS: &str = "http_client_active_requests";
/// Sizes of outgoing requests' bodies: histogram, bytes; opt-in.
pub const HTTP_CLIENT_REQUEST_BODY_SIZE: &str = "http_client_request_body_size_bytes";
/// Sizes of the bodies that answer them: histogram, bytes; opt-in.
pub const HTTP_CLIENT_RESPONSE_BODY_SIZE: &str = "http_client_response_body_size_bytes";
/// Duration of incoming gRPC calls: histogram, seconds.
pub const RPC_SERVER_CALL_DURATION: &str = "rpc_server_call_duration_seconds";
/// Duration of outgoing gRPC calls: histogram, seconds.
pub const RPC_CLIENT_CALL_DURATION: &str = "rpc_client_call_duration_seconds";

/// Duration of sending messages: histogram, seconds.
pub const MESSAGING_CLIENT_OPERATION_DURATION: &str = "messaging_client_operation_duration_seconds";
/// Duration of processing messages: histogram, seconds.
pub const MESSAGING_PROCESS_DURATION: &str = "messaging_process_duration_seconds";
/// Messages that producers sent, or tried to: counter.
pub const MESSAGING_CLIENT_SENT_MESSAGES: &str = "messaging_client_sent_messages_total";
/// Messages that came to consumers: counter.
pub const MESSAGING_CLIENT_CONSUMED_MESSAGES: &str = "messaging_client_consumed_messages_total";
/// How many messages a consumer is behind: gauge.
pub const CONSUMER_LAG: &str = "meshwise_consumer_lag_messages";
/// Age of the oldest message that a consumer has in hand: gauge, seconds.
pub const CONSUMER_AGE: &str = "meshwise_consumer_age_seconds";
/// Messages that had been processed before: counter.
pub const MESSAGES_DUPLICATE: &str = "meshwise_messages_duplicate_total";
/// Messages that consumers have settled, by outcome: counter.
pub const MESSAGES_SETTLED: &str = "meshwise_messages_settled_total";

/// Calls of each edge of the service map: counter.
pub const SERVICE_GRAPH_REQUESTS: &str = "traces_service_graph_request_total";
/// Those of them that failed: counter.
pub const SERVICE_GRAPH_FAILED: &str = "traces_service_graph_request_failed_total";
/// How long they lasted: histogram, seconds.
pub const SERVICE_GRAPH_SERVER_SECONDS: &str = "traces_service_graph_request_server_seconds";
/// The same calls under Istio's name: counter; opt-in.
pub const ISTIO_REQUESTS: &str = "istio_requests_total";
/// How long they lasted, under Istio's name: histogram, milliseconds; opt-in.
pub const ISTIO_DURATION: &str = "istio_request_duration_milliseconds";

/// Telemetry records lost, by signal and reason: counter.
pub const TELEMETRY_DROPPED: &str = "meshwise_telemetry_dropped_total";
/// Telemetry records that reached their destination, by signal: counter.
pub const TELEMETRY_EXPORTED: &str = "meshwise_telemetry_exported_total";
/// Uses of a label value or label set beyond its bound, by metric and label: counter.
pub const LABEL_OVERFLOW: &str = "meshwise_label_overflow_total";

/// The service and the meshwise in it, as labels; always 1: gauge.
pub const BUILD_INFO: &str = "meshwise_build_info";
/// The service's OpenTelemetry resource, as labels; always 1: gauge.
pub const TARGET_INFO: &str = "target_info";
/// Calls of scrape hooks that panicked: counter.
pub const SCRAPE_HOOK_PANICS: &str = "meshwise_scrape_hook_panics_total";

/// Time that the process spent on processors: counter, seconds.
pub const PROCESS_CPU: &str = "process_cpu_seconds_total";
/// Memory of the process that is in RAM: gauge, bytes.
pub const PROCESS_RESIDENT_MEMORY: &str = "process_resident_memory_bytes";
/// Address space of the process: gauge, bytes.
pub const PROCESS_VIRTUAL_MEMORY: &str = "process_virtual_memory_bytes";
/// Open files of the process: gauge.
pub const PROCESS_OPEN_FDS: &str = "process_open_fds";
/// How many files it may open: gauge.
pub const PROCESS_MAX_FDS: &str = "process_max_fds";
/// When the process was started, since 1970: gauge, seconds.
pub const PROCESS_START_TIME: &str = "process_start_time_seconds";
/// Threads of the process: gauge.
pub const PROCESS_THREADS: &str = "process_threads";

/// Periods in which the cgroup used a processor while it had a limit: counter.
pub const CGROUP_CPU_PERIODS: &str = "cgroup_cpu_periods_total";
/// Those of them in which it ran into the limit: counter.
pub const CGROUP_CPU_THROTTLED_PERIODS: &str = "cgroup_cpu_throttled_periods_total";
/// Time that its threads had to wait for that: counter, seconds.
pub const CGROUP_CPU_THROTTLED: &str = "cgroup_cpu_throttled_seconds_total";
/// How many processors' time the cgroup may take: gauge.
pub const CGROUP_CPU_LIMIT: &str = "cgroup_cpu_limit_cores";
/// Memory of the cgroup, caches included: gauge, bytes.
pub const CGROUP_MEMORY_USAGE: &str = "cgroup_memory_usage_bytes";
/// The same without inactive file pages, which is what limits act on: gauge, bytes.
pub const CGROUP_MEMORY_WORKING_SET: &str = "cgroup_memory_working_set_bytes";
/// How much memory it may use: gauge, bytes.
pub const CGROUP_MEMORY_LIMIT: &str = "cgroup_memory_limit_bytes";
/// Times that the cgroup ran out of memory: counter.
pub const CGROUP_OOM_EVENTS: &str = "cgroup_memory_oom_events_total";
/// Processes that were killed for that: counter.
pub const CGROUP_OOM_KILLS: &str = "cgroup_memory_oom_kills_total";

/// Worker threads of the tokio runtime: gauge.
pub const TOKIO_WORKERS: &str = "tokio_workers";
/// Tasks that have not ended: gauge.
pub const TOKIO_ALIVE_TASKS: &str = "tokio_alive_tasks";
/// Tasks that wait in the queue of the whole runtime: gauge.
pub const TOKIO_GLOBAL_QUEUE_DEPTH: &str = "tokio_global_queue_depth";
/// Time that a worker spent working, by worker: counter, seconds.
pub const TOKIO_WORKER_BUSY: &str = "tokio_worker_busy_seconds_total";
/// Times that a worker had nothing to do and went to sleep, by worker: counter.
pub const TOKIO_WORKER_PARKS: &str = "tokio_worker_parks_total";

/// Time that a route's code was polled: counter, seconds.
pub const ROUTE_BUSY: &str = "meshwise_route_busy_seconds_total";
/// The processor's time in it: counter, seconds.
pub const ROUTE_CPU: &str = "meshwise_route_cpu_seconds_total";
/// The share of what this instance can do that is not used: gauge, 0 to 1.
pub const CAPACITY_HEADROOM: &str = "meshwise_capacity_headroom_ratio";

/// Begins the name of every metric about meshwise itself.
pub(crate) const OWN_PREFIX: &str = "meshwise_";

pub(crate) const LABEL_CLIENT: &str = "client";
pub(crate) const LABEL_CONNECTION_TYPE: &str = "connection_type";
pub(crate) const LABEL_SERVER: &str = "server";
pub(crate) const LABEL_REPORTER: &str = "reporter";
pub(crate) const LABEL_SOURCE_WORKLOAD_NAMESPACE: &str = "source_workload_namespace";
pub(crate) const LABEL_SOURCE_WORKLOAD: &str = "source_workload";
pub(crate) const LABEL_SOURCE_CANONICAL_SERVICE: &str = "source_canonical_service";
pub(crate) const LABEL_SOURCE_CANONICAL_REVISION: &str = "source_canonical_revision";
pub(crate) const LABEL_DESTINATION_SERVICE_NAMESPACE: &str = "destination_service_namespace";
pub(crate) const LABEL_DESTINATION_SERVICE: &str = "destination_service";
pub(crate) const LABEL_DESTINATION_SERVICE_NAME: &str = "destination_service_name";
pub(crate) const LABEL_DESTINATION_WORKLOAD_NAMESPACE: &str = "destination_workload_namespace";
pub(crate) const LABEL_DESTINATION_WORKLOAD: &str = "destination_workload";
pub(crate) const LABEL_DESTINATION_CANONICAL_SERVICE: &str = "destination_canonical_service";
pub(crate) const LABEL_DESTINATION_CANONICAL_REVISION: &str = "destination_canonical_revision";
pub(crate) const LABEL_REQUEST_PROTOCOL: &str = "request_protocol";
pub(crate) const LABEL_RESPONSE_CODE: &str = "response_code";
pub(crate) const LABEL_GRPC_RESPONSE_STATUS: &str = "grpc_response_status";
pub(crate) const LABEL_RESPONSE_FLAGS: &str = "response_flags";
pub(crate) const LABEL_ERROR_TYPE: &str = "error_type";
pub(crate) const LABEL_HTTP_REQUEST_METHOD: &str = "http_request_method";
pub(crate) const LABEL_HTTP_RESPONSE_STATUS_CODE: &str = "http_response_status_code";
pub(crate) const LABEL_HTTP_ROUTE: &str = "http_route";
pub(crate) const LABEL_LABEL: &str = "label";
pub(crate) const LABEL_MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging_consumer_group_name";
pub(crate) const LABEL_MESSAGING_DESTINATION_NAME: &str = "messaging_destination_name";
pub(crate) const LABEL_MESSAGING_DESTINATION_PARTITION_ID: &str =
    "messaging_destination_partition_id";
pub(crate) const LABEL_MESSAGING_OPERATION_NAME: &str = "messaging_operation_name";
pub(crate) const LABEL_MESSAGING_OPERATION_TYPE: &str = "messaging_operation_type";
pub(crate) const LABEL_MESSAGING_SYSTEM: &str = "messaging_system_name";
pub(crate) const LABEL_OUTCOME: &str = "outcome";
pub(crate) const LABEL_METRIC: &str = "metric";
pub(crate) const LABEL_REASON: &str = "reason";
pub(crate) const LABEL_RPC_METHOD: &str = "rpc_method";
pub(crate) const LABEL_RPC_STATUS_CODE: &str = "rpc_status_code";
pub(crate) const LABEL_RPC_SYSTEM_NAME: &str = "rpc_system_name";
pub(crate) const LABEL_SERVICE_NAME: &str = "service_name";
pub(crate) const LABEL_SERVICE_NAMESPACE: &str = "service_namespace";
pub(crate) const LABEL_SERVICE_VERSION: &str = "service_version";
pub(crate) const LABEL_SERVER_ADDRESS: &str = "server_address";
pub(crate) const LABEL_SERVER_PORT: &str = "server_port";
pub(crate) const LABEL_SERVER_SERVICE_NAME: &str = "server_service_name";
pub(crate) const LABEL_SIGNAL: &str = "signal";
pub(crate) const LABEL_URL_SCHEME: &str = "url_scheme";
pub(crate) const LABEL_VERSION: &str = "version";
pub(crate) const LABEL_ROUTE: &str = "route";
#[cfg(feature = "tokio")]
pub(crate) const LABEL_WORKER: &str = "worker";

#[cfg(not(feature = "_otlp"))]
pub(crate) const OTEL_METRICS_EXPORTER: &str = "OTEL_METRICS_EXPORTER";

/// The `label` of an overflow that hit a whole label set.
pub(crate) const WHOLE_SET: &str = "*";

/// The thread that looks after a recorder that needs it.
pub(crate) const UPKEEP_THREAD: &str = "meshwise-upkeep";

/// Names as the conventions have them, for OTLP.
#[cfg(feature = "_otlp")]
pub(crate) mod otel {
    pub(crate) const HTTP_SERVER_REQUEST_DURATION: &str = "http.server.request.duration";
    pub(crate) const HTTP_SERVER_ACTIVE_REQUESTS: &str = "http.server.active_requests";
    pub(crate) const HTTP_SERVER_REQUEST_BODY_SIZE: &str = "http.server.request.body.size";
    pub(crate) const HTTP_SERVER_RESPONSE_BODY_SIZE: &str = "http.server.response.body.size";
    pub(crate) const HTTP_CLIENT_REQUEST_DURATION: &str = "http.client.request.duration";
    pub(crate) const HTTP_CLIENT_ACTIVE_REQUESTS: &str = "http.client.active_requests";
    pub(crate) const HTTP_CLIENT_REQUEST_BODY_SIZE: &str = "http.client.request.body.size";
    pub(crate) const HTTP_CLIENT_RESPONSE_BODY_SIZE: &str = "http.client.response.body.size";
    pub(crate) const RPC_SERVER_CALL_DURATION: &str = "rpc.server.call.duration";
    pub(crate) const RPC_CLIENT_CALL_DURATION: &str = "rpc.client.call.duration";
    pub(crate) const MESSAGING_CLIENT_OPERATION_DURATION: &str =
        "messaging.client.operation.duration";
    pub(crate) const MESSAGING_PROCESS_DURATION: &str = "messaging.process.duration";
    pub(crate) const MESSAGING_CLIENT_SENT_MESSAGES: &str = "messaging.client.sent.messages";
    pub(crate) const MESSAGING_CLIENT_CONSUMED_MESSAGES: &str =
        "messaging.client.consumed.messages";

    pub(crate) const ERROR_TYPE: &str = "error.type";
    pub(crate) const HTTP_REQUEST_METHOD: &str = "http.request.method";
    pub(crate) const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
    pub(crate) const HTTP_ROUTE: &str = "http.route";
    pub(crate) const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
    pub(crate) const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
    pub(crate) const MESSAGING_DESTINATION_PARTITION_ID: &str =
        "messaging.destination.partition.id";
    pub(crate) const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
    pub(crate) const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
    pub(crate) const MESSAGING_SYSTEM_NAME: &str = "messaging.system.name";
    pub(crate) const RPC_METHOD: &str = "rpc.method";
    pub(crate) const RPC_STATUS_CODE: &str = "rpc.status_code";
    pub(crate) const RPC_SYSTEM_NAME: &str = "rpc.system.name";
    pub(crate) const SERVER_ADDRESS: &str = "server.address";
    pub(crate) const SERVER_PORT: &str = "server.port";
    pub(crate) const SERVER_SERVICE_NAME: &str = "server.service.name";
    pub(crate) const SERVICE_NAME: &str = "service.name";
    pub(crate) const URL_SCHEME: &str = "url.scheme";
}
