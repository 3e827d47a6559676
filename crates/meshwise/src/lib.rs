//! Logs, metrics, traces, resilience and API versions for microservices, from inside the process.
