//! Names of metrics, labels, environment variables and threads, once each.
//!
//! Metrics and labels of calls follow OpenTelemetry's semantic conventions in their Prometheus
//! form: dots become underscores, units and `_total` are suffixes.

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
/// Outgoing HTTP calls under way: gauge.
pub const HTTP_CLIENT_ACTIVE_REQUESTS: &str = "http_client_active_requests";
/// Sizes of outgoing requests' bodies: histogram, bytes; opt-in.
pub const HTTP_CLIENT_REQUEST_BODY_SIZE: &str = "http_client_request_body_size_bytes";
/// Sizes of the bodies that answer them: histogram, bytes; opt-in.
pub const HTTP_CLIENT_RESPONSE_BODY_SIZE: &str = "http_client_response_body_size_bytes";
/// Duration of incoming gRPC calls: histogram, seconds.
pub const RPC_SERVER_CALL_DURATION: &str = "rpc_server_call_duration_seconds";
/// Duration of outgoing gRPC calls: histogram, seconds.
pub const RPC_CLIENT_CALL_DURATION: &str = "rpc_client_call_duration_seconds";

/// Telemetry records lost, by signal and reason: counter.
pub const TELEMETRY_DROPPED: &str = "meshwise_telemetry_dropped_total";
/// Telemetry records that reached their destination, by signal: counter.
pub const TELEMETRY_EXPORTED: &str = "meshwise_telemetry_exported_total";
/// Uses of a label value or label set beyond its bound, by metric and label: counter.
pub const LABEL_OVERFLOW: &str = "meshwise_label_overflow_total";

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

pub(crate) const LABEL_ERROR_TYPE: &str = "error_type";
pub(crate) const LABEL_HTTP_REQUEST_METHOD: &str = "http_request_method";
pub(crate) const LABEL_HTTP_RESPONSE_STATUS_CODE: &str = "http_response_status_code";
pub(crate) const LABEL_HTTP_ROUTE: &str = "http_route";
pub(crate) const LABEL_LABEL: &str = "label";
pub(crate) const LABEL_METRIC: &str = "metric";
pub(crate) const LABEL_REASON: &str = "reason";
pub(crate) const LABEL_RPC_METHOD: &str = "rpc_method";
pub(crate) const LABEL_RPC_RESPONSE_STATUS_CODE: &str = "rpc_response_status_code";
pub(crate) const LABEL_RPC_SYSTEM_NAME: &str = "rpc_system_name";
pub(crate) const LABEL_SERVER_ADDRESS: &str = "server_address";
pub(crate) const LABEL_SERVER_PORT: &str = "server_port";
pub(crate) const LABEL_SERVICE_PEER_NAME: &str = "service_peer_name";
pub(crate) const LABEL_SIGNAL: &str = "signal";
pub(crate) const LABEL_URL_SCHEME: &str = "url_scheme";
pub(crate) const LABEL_WORKER: &str = "worker";

/// The `label` of an overflow that hit a whole label set.
pub(crate) const WHOLE_SET: &str = "*";

/// The thread that drains raw samples.
pub(crate) const UPKEEP_THREAD: &str = "meshwise-upkeep";
