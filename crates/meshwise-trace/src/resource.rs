//! What describes this process on every span.

mod container;
mod kubernetes;
mod machine;

pub(crate) use machine::Machine;

use crate::names::{OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME};
use meshwise_core::{Env, EnvError, Service};
use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    Resource,
    resource::TelemetryResourceDetector,
    trace::{IdGenerator as _, RandomIdGenerator},
};
use percent_encoding::percent_decode_str;

/// Describes the resource: what code says beats the environment beats what is found.
#[derive(Clone, Debug)]
pub(crate) struct ResourceConfig {
    pub(crate) service: Service,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) detect: bool,
    pub(crate) env: EnvAttributes,
}

/// What the environment says about the resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct EnvAttributes {
    /// `OTEL_RESOURCE_ATTRIBUTES`, then `OTEL_SERVICE_NAME`, which beats it.
    said: Vec<KeyValue>,
    /// Found rather than said: it yields to the above.
    found: Vec<KeyValue>,
}

impl EnvAttributes {
    pub(crate) fn from_env(env: &Env, machine: &Machine) -> Result<Self, EnvError> {
        let mut said = parse_attributes(env)?;
        if let Some(name) = env.get(OTEL_SERVICE_NAME) {
            said.push(KeyValue::new("service.name", name));
        }
        Ok(Self { said, found: kubernetes::detect(env, machine) })
    }
}

impl ResourceConfig {
    pub(crate) fn build(self, machine: &Machine) -> Resource {
        // Later ones replace earlier ones of the same name.
        let mut attributes = vec![
            KeyValue::new("service.name", Machine::default_service_name()),
            KeyValue::new("service.instance.id", random_uuid()),
            KeyValue::new("telemetry.distro.name", "meshwise"),
            KeyValue::new("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
        ];
        if self.detect {
            attributes.extend(machine.describe());
            attributes.extend(self.env.found);
        }
        attributes.extend(self.env.said);
        let service = &self.service;
        let said_in_code = [
            ("service.name", Some(service.name()).filter(|name| !name.is_empty())),
            ("service.version", Some(service.version()).filter(|version| !version.is_empty())),
            ("service.namespace", service.namespace()),
            ("service.instance.id", service.instance()),
        ];
        attributes.extend(
            said_in_code
                .into_iter()
                .filter_map(|(key, value)| Some(KeyValue::new(key, value?.to_owned()))),
        );
        attributes.extend(self.attributes);
        Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attributes(attributes)
            .build()
    }
}

/// Parses `name=value,...`, values percent-encoded (as W3C baggage has it).
fn parse_attributes(env: &Env) -> Result<Vec<KeyValue>, EnvError> {
    let allowed = "name=value pairs with commas between, values percent-encoded";
    let parsed = env.parse_with(OTEL_RESOURCE_ATTRIBUTES, allowed, |text| {
        let entries = text.split(',').filter(|entry| !entry.trim().is_empty());
        entries.map(parse_attribute).collect::<Option<Vec<_>>>()
    })?;
    Ok(parsed.unwrap_or_default())
}

fn parse_attribute(entry: &str) -> Option<KeyValue> {
    let (key, value) = entry.split_once('=')?;
    let key = percent_decode_str(key.trim()).decode_utf8().ok()?;
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
    (!key.is_empty()).then(|| KeyValue::new(key.into_owned(), value.into_owned()))
}

/// Makes a UUID, version 4 (RFC 9562 section 5.4).
fn random_uuid() -> String {
    let random = u128::from_be_bytes(RandomIdGenerator::default().new_trace_id().to_bytes());
    let bits = random & !(0xf000 << 64) & !(0xc << 60) | (0x4000 << 64) | (0x8 << 60);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::Key;

    fn resource(service: Service, pairs: &[(&str, &str)], machine: &Machine) -> Resource {
        let env = Env::from_pairs(pairs.iter().copied());
        let env = EnvAttributes::from_env(&env, machine).unwrap();
        ResourceConfig { service, attributes: Vec::new(), detect: true, env }.build(machine)
    }

    fn get(resource: &Resource, key: &'static str) -> Option<String> {
        resource.get(&Key::from_static_str(key)).map(|value| value.to_string())
    }

    #[test]
    fn code_beats_service_name_beats_attributes_beats_what_is_found() {
        let machine = Machine::fake([("/proc/sys/kernel/hostname", "box-1\n")]);
        let pairs = [
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=attr,service.namespace=shop,host.name=said"),
            ("OTEL_SERVICE_NAME", "env"),
        ];
        let code = resource(Service::new("code", "1.0"), &pairs, &machine);
        assert_eq!(get(&code, "service.name").as_deref(), Some("code"));
        assert_eq!(get(&code, "service.version").as_deref(), Some("1.0"));
        assert_eq!(get(&code, "service.namespace").as_deref(), Some("shop"));
        assert_eq!(get(&code, "host.name").as_deref(), Some("said"));

        let unnamed = resource(Service::new("", ""), &pairs, &machine);
        assert_eq!(get(&unnamed, "service.name").as_deref(), Some("env"));
        assert_eq!(get(&unnamed, "service.version"), None);
        let attr = resource(Service::new("", ""), &pairs[..1], &machine);
        assert_eq!(get(&attr, "service.name").as_deref(), Some("attr"));
        let nothing = resource(Service::new("", ""), &[], &machine);
        assert!(get(&nothing, "service.name").unwrap().starts_with("unknown_service:"));
        assert_eq!(get(&nothing, "host.name").as_deref(), Some("box-1"));
    }

    #[test]
    fn the_sdk_and_this_library_name_themselves() {
        let resource = resource(Service::new("a", "1"), &[], &Machine::fake([]));
        assert_eq!(get(&resource, "telemetry.sdk.language").as_deref(), Some("rust"));
        assert_eq!(get(&resource, "telemetry.sdk.name").as_deref(), Some("opentelemetry"));
        assert!(get(&resource, "telemetry.sdk.version").is_some());
        assert_eq!(get(&resource, "telemetry.distro.name").as_deref(), Some("meshwise"));
    }

    #[test]
    fn attributes_are_percent_decoded() {
        let env =
            Env::from_pairs([(OTEL_RESOURCE_ATTRIBUTES, " a = b%20c ,d%2Ce=%C3%A4=1,, empty=")]);
        let parsed = parse_attributes(&env).unwrap();
        let pairs: Vec<_> =
            parsed.iter().map(|kv| (kv.key.as_str(), kv.value.to_string())).collect();
        let wanted = [("a", "b c"), ("d,e", "ä=1"), ("empty", "")];
        assert_eq!(pairs, wanted.map(|(k, v)| (k, v.to_owned())));
    }

    #[test]
    fn malformed_attributes_are_an_error_that_names_them() {
        for bad in ["a", "=1", "a=%ff", "a=1,b"] {
            let env = Env::from_pairs([(OTEL_RESOURCE_ATTRIBUTES, bad)]);
            let error = parse_attributes(&env).unwrap_err();
            assert_eq!(error.variable(), OTEL_RESOURCE_ATTRIBUTES, "{bad}");
        }
    }

    #[test]
    fn the_instance_is_random_unless_it_is_said() {
        let uuid = random_uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4', "{uuid}");
        assert!(matches!(uuid.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{uuid}");
        assert_ne!(uuid, random_uuid());

        let machine = Machine::fake([]);
        let one = resource(Service::new("a", "1"), &[], &machine);
        let two = resource(Service::new("a", "1"), &[], &machine);
        assert_ne!(get(&one, "service.instance.id"), get(&two, "service.instance.id"));
        let said = resource(Service::new("a", "1").with_instance("i-1"), &[], &machine);
        assert_eq!(get(&said, "service.instance.id").as_deref(), Some("i-1"));
    }
}
