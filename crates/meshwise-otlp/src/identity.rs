//! Who exports: the same for all signals.

use meshwise_core::{Resource, ResourceValue};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource as ProtoResource,
};

/// Turns the resource into OTLP's.
#[must_use]
pub fn proto_resource(resource: &Resource) -> ProtoResource {
    let attributes = resource.iter().map(|(key, value)| {
        let value = match value {
            ResourceValue::Int(int) => Value::IntValue(*int),
            text => Value::StringValue(text.to_string()),
        };
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            key_strindex: 0,
        }
    });
    ProtoResource { attributes: attributes.collect(), ..ProtoResource::default() }
}

/// Names what records come from: that of meshwise's own tracer.
#[must_use]
pub fn proto_scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "meshwise".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
