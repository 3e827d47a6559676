//! What each line says of the service.

use super::log_format::LogFormat;
use meshwise_core::Resource;

/// Lists what each line says of the service: what is the same for all signals, but for an instance id
/// that is random, and would only make lines long.
pub(super) fn identity(format: LogFormat, resource: &Resource) -> Vec<(&'static str, String)> {
    let ecs = format == LogFormat::Ecs;
    let service = resource.service();
    let text = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
    let said = |_: &&str| !resource.is_instance_random();
    let environment = resource.get("deployment.environment.name").map(ToString::to_string);
    let all = [
        ("service.name", Some(service.name().to_owned())),
        ("service.version", text(service.version())),
        ("service.namespace", service.namespace().and_then(text)),
        (
            if ecs { "service.node.name" } else { "service.instance.id" },
            service.instance().filter(said).and_then(text),
        ),
        (
            if ecs { "service.environment" } else { "deployment.environment.name" },
            environment.as_deref().and_then(text),
        ),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
