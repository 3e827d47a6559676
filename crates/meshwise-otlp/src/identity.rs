//! Who exports: the same for all signals.

use meshwise_core::{
    Resource, ResourceValue,
    internal::wire::{self, AnyValue, BYTES, tag},
};

/// The tag of a `Resource`'s attributes.
const ATTRIBUTES: u8 = tag(1, BYTES);
/// The tags of an `InstrumentationScope`.
const NAME: u8 = tag(1, BYTES);
const VERSION: u8 = tag(2, BYTES);

/// Writes the fields of OTLP's `Resource`.
pub fn write_resource(out: &mut Vec<u8>, resource: &Resource) {
    for (key, value) in resource.iter() {
        match value {
            ResourceValue::Int(int) => attribute(out, key, AnyValue::Whole(*int)),
            text => attribute(out, key, AnyValue::Text(&text.to_string())),
        }
    }
    write_late_attribute(out, resource);
}

/// Writes what is known of this process only since it serves, as `Resource` has it.
pub fn write_late_attribute(out: &mut Vec<u8>, resource: &Resource) {
    if let Some((key, value)) = resource.late_attribute() {
        attribute(out, key, AnyValue::Text(&value));
    }
}

fn attribute(out: &mut Vec<u8>, key: &str, value: AnyValue<'_>) {
    wire::attribute(out, ATTRIBUTES, key, value);
}

/// Writes the fields of the `InstrumentationScope` of meshwise's own records: that of its tracer.
pub fn write_scope(out: &mut Vec<u8>) {
    wire::text(out, NAME, "meshwise");
    wire::text(out, VERSION, env!("CARGO_PKG_VERSION"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::Service;
    use opentelemetry_proto::tonic::{
        common::v1::{InstrumentationScope, any_value::Value},
        resource::v1::Resource as ProtoResource,
    };
    use prost::Message as _;

    #[test]
    fn where_ops_pages_are_is_told_once_it_is_known() {
        let resource = Resource::from(Service::new("orders", "1"));
        let told = |resource: &Resource, name: &str| {
            let mut out = Vec::new();
            write_resource(&mut out, resource);
            let attributes = ProtoResource::decode(&*out).unwrap().attributes;
            let found = attributes.into_iter().find(|found| found.key == name);
            found.and_then(|found| found.value?.value)
        };
        let text = |text: &str| Some(Value::StringValue(text.to_owned()));
        assert_eq!(told(&resource, "meshwise.ops.address"), None);
        resource.clone().serve_ops_at("127.0.0.1:9464".parse().unwrap());
        assert_eq!(told(&resource, "meshwise.ops.address"), text("127.0.0.1:9464"));
        assert_eq!(told(&resource, "service.name"), text("orders"));
    }

    #[test]
    fn the_scope_is_that_of_the_tracer() {
        let mut out = Vec::new();
        write_scope(&mut out);
        let scope = InstrumentationScope::decode(&*out).unwrap();
        assert_eq!((&*scope.name, &*scope.version), ("meshwise", env!("CARGO_PKG_VERSION")));
    }
}
