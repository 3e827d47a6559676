//! Metrics for services: recorder, call instruments, process and runtime metrics, label guards, Prometheus text.
