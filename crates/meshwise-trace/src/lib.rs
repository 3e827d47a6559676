//! Traces for services: OpenTelemetry pipeline, samplers, exporters, bounded flush, accounted drops.
