//! What describes this process, in the SDK's form.

use meshwise_core::{Resource, ResourceValue};
use opentelemetry::{KeyValue, StringValue, Value};
use opentelemetry_sdk::resource::{ResourceDetector as _, TelemetryResourceDetector};

/// Names the OpenTelemetry SDK that spans are made with: `telemetry.sdk.name`, `.language`,
/// `.version`. To be told of every signal, give them to the
/// [`ResourceBuilder`](meshwise_core::ResourceBuilder) too.
#[doc(hidden)]
#[must_use]
pub fn telemetry_sdk() -> Vec<(String, String)> {
    let found = TelemetryResourceDetector.detect();
    found.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Turns the resource into the SDK's.
pub(crate) fn convert(resource: &Resource) -> opentelemetry_sdk::Resource {
    let attributes = resource.iter().map(|(key, value)| {
        let value: Value = match value {
            ResourceValue::Int(int) => (*int).into(),
            text => StringValue::from(text.to_string()).into(),
        };
        KeyValue::new(key.to_owned(), value)
    });
    opentelemetry_sdk::Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::{Machine, Service};
    use opentelemetry::Key;

    #[test]
    fn the_sdk_s_resource_has_all_that_ours_has() {
        let ours = Resource::builder(Service::new("a", "1"))
            .with_machine(Machine::real())
            .with_attribute("shard", 7)
            .build();
        let converted = convert(&ours);
        for (key, value) in ours.iter() {
            let theirs = converted.get(&Key::new(key.to_owned()));
            assert_eq!(theirs.map(|value| value.to_string()), Some(value.to_string()), "{key}");
        }
        let pid = converted.get(&Key::from_static_str("process.pid"));
        assert!(matches!(pid, Some(Value::I64(_))), "{pid:?}");
        for (key, value) in telemetry_sdk() {
            let theirs = converted.get(&Key::new(key.clone()));
            assert_eq!(theirs.map(|value| value.to_string()), Some(value), "{key}");
        }
        assert_eq!(telemetry_sdk().len(), 3);
    }
}
