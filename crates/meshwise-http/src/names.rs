//! Names of headers, attributes and log fields, once each.
//!
//! Attributes follow OpenTelemetry's semantic conventions for HTTP and RPC, in the version of
//! `meshwise_trace`'s `SCHEMA_URL`; `cargo xtask semconv` holds them to it.

use http::HeaderName;

/// `x-request-id`, the header that request ids travel in by default.
pub const X_REQUEST_ID: &str = "x-request-id";
/// `x-request-timeout-ms`, the header that an HTTP call's remaining time travels in by default.
pub const X_REQUEST_TIMEOUT_MS: &str = "x-request-timeout-ms";
/// `grpc-timeout`, the header that a gRPC call's remaining time travels in.
pub const GRPC_TIMEOUT: &str = "grpc-timeout";
/// `grpc-previous-rpc-attempts`, the header that a gRPC call's number of earlier tries travels in.
pub const GRPC_PREVIOUS_RPC_ATTEMPTS: &str = "grpc-previous-rpc-attempts";

pub(crate) static TIMEOUT_OF_GRPC: HeaderName = HeaderName::from_static(GRPC_TIMEOUT);
pub(crate) static ATTEMPTS_OF_GRPC: HeaderName =
    HeaderName::from_static(GRPC_PREVIOUS_RPC_ATTEMPTS);
pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static(X_REQUEST_ID);
pub(crate) static REQUEST_TIMEOUT: HeaderName = HeaderName::from_static(X_REQUEST_TIMEOUT_MS);

/// The target of access-log events.
pub const ACCESS_TARGET: &str = "meshwise::access";

pub(crate) const CLIENT_ADDRESS: &str = "client.address";
pub(crate) const CLIENT_SERVICE_NAME: &str = "client.service.name";
/// Elastic's name, for lines; OpenTelemetry wants no such attribute.
pub(crate) const ECS_ERROR_MESSAGE: &str = "error.message";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const HTTP_REQUEST_METHOD: &str = "http.request.method";
pub(crate) const HTTP_REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
pub(crate) const HTTP_REQUEST_BODY_SIZE: &str = "http.request.body.size";
pub(crate) const HTTP_REQUEST_RESEND_COUNT: &str = "http.request.resend_count";
pub(crate) const HTTP_RESPONSE_BODY_SIZE: &str = "http.response.body.size";
pub(crate) const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
pub(crate) const HTTP_ROUTE: &str = "http.route";
pub(crate) const MESHWISE_ENDED_BY: &str = "meshwise.ended_by";
pub(crate) const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
pub(crate) const RPC_METHOD: &str = "rpc.method";
pub(crate) const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
// The conventions have no names for what flowed; these count whole messages and their bytes.
pub(crate) const RPC_REQUEST_BYTES: &str = "meshwise.rpc.request.bytes";
pub(crate) const RPC_REQUEST_MESSAGES: &str = "meshwise.rpc.request.messages";
pub(crate) const RPC_RESPONSE_BYTES: &str = "meshwise.rpc.response.bytes";
pub(crate) const RPC_RESPONSE_MESSAGES: &str = "meshwise.rpc.response.messages";
pub(crate) const RPC_STATUS_CODE: &str = "rpc.status_code";
pub(crate) const RPC_SYSTEM_NAME: &str = "rpc.system.name";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const SERVER_SERVICE_NAME: &str = "server.service.name";
pub(crate) const URL_FULL: &str = "url.full";
pub(crate) const URL_PATH: &str = "url.path";
pub(crate) const URL_QUERY: &str = "url.query";
pub(crate) const URL_SCHEME: &str = "url.scheme";
pub(crate) const URL_TEMPLATE: &str = "url.template";
pub(crate) const USER_AGENT_ORIGINAL: &str = "user_agent.original";
