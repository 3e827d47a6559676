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
        attribute(key, value)
    });
    let attributes = attributes.chain(late_attribute(resource)).collect();
    ProtoResource { attributes, ..ProtoResource::default() }
}

/// Returns what is known of this process only since it serves.
#[must_use]
pub fn late_attribute(resource: &Resource) -> Option<KeyValue> {
    let (key, value) = resource.late_attribute()?;
    Some(attribute(key, Value::StringValue(value)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
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

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::Service;

    #[test]
    fn where_ops_pages_are_is_told_once_it_is_known() {
        let resource = Resource::from(Service::new("orders", "1"));
        let told = |resource: &Resource| {
            let attributes = proto_resource(resource).attributes;
            let found = attributes.into_iter().find(|found| found.key == "meshwise.ops.address");
            found.and_then(|found| found.value?.value)
        };
        assert_eq!(told(&resource), None);
        resource.clone().serve_ops_at("127.0.0.1:9464".parse().unwrap());
        assert_eq!(told(&resource), Some(Value::StringValue("127.0.0.1:9464".to_owned())));
    }
}
