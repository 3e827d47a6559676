//! Structured logging for services: formats, trace correlation, writers that account for every line.
