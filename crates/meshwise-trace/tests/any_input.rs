//! Whatever stands in the environment is understood or explained, and does no harm.

use meshwise_core::{Env, Service};
use meshwise_trace::{MemorySpans, SpanExport, TraceConfig};
use opentelemetry::trace::Tracer as _;
use proptest::prelude::*;

const VARIABLES: [&str; 20] = [
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "MESHWISE_TRACES_SLOW",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_INSECURE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "KUBERNETES_SERVICE_HOST",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[-0-9.,a-z=%:/@ ]{0,30}",
        "(https?|unix|)(://)?[a-z0-9.:@\\[\\]]{0,12}(/[a-z]*)*",
        Just("keep_errors".to_owned()),
        Just("18446744073709551615".to_owned()),
        Just("0.1,1s".to_owned()),
    ]
}

proptest! {
    #[test]
    fn the_environment_is_understood_or_explained(
        pairs in proptest::collection::vec((0..VARIABLES.len(), value()), 0..4),
    ) {
        let pairs: Vec<_> = pairs.into_iter().map(|(i, value)| (VARIABLES[i], value)).collect();
        let names: Vec<_> = pairs.iter().map(|(name, _)| *name).collect();
        let spans = MemorySpans::new();
        let config = TraceConfig::new(Service::new("", "")).with_env(&Env::from_pairs(pairs));
        match config {
            Ok(config) => {
                // The environment's exporter is not built: it may be anything.
                let config = config.with_exporter(SpanExport::memory(&spans));
                let tracing = config.build().unwrap();
                drop(tracing.tracer().start("work"));
                prop_assert!(spans.spans().len() <= 1);
            }
            Err(error) => {
                let error = error.to_string();
                let named = names.iter().any(|name| error.contains(name))
                    || error.contains("OTEL_TRACES_SAMPLER_ARG");
                prop_assert!(named && error.contains("allowed"), "{error}");
            }
        }
    }

    #[test]
    fn endpoints_are_understood_or_explained(endpoint in value(), grpc in any::<bool>()) {
        let config = meshwise_trace::OtlpConfig::new().with_endpoint(endpoint);
        let config = config.with_protocol(if grpc {
            meshwise_trace::OtlpProtocol::Grpc
        } else {
            meshwise_trace::OtlpProtocol::HttpProtobuf
        });
        // Nothing is sent, so nothing connects.
        let built = TraceConfig::new(Service::new("orders", "1"))
            .with_exporter(SpanExport::otlp(config))
            .build();
        if let Err(error) = built {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
