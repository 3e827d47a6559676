//! Who this is: the service, and the meshwise that watches it.

use super::Sink;
use crate::{key::label, names, registry::name};
use meshwise_core::Resource;
use metrics::Label;
use std::{collections::BTreeMap, sync::Arc};

pub(crate) fn collect(resource: &Resource, sink: &Sink<'_>) {
    let service = resource.service();
    let mut build = vec![text(names::LABEL_SERVICE_NAME, service.name())];
    if !service.version().is_empty() {
        build.push(text(names::LABEL_SERVICE_VERSION, service.version()));
    }
    if let Some(namespace) = service.namespace() {
        build.push(text(names::LABEL_SERVICE_NAMESPACE, namespace));
    }
    build.push(label(names::LABEL_VERSION, env!("CARGO_PKG_VERSION")));
    sink.gauge(names::BUILD_INFO, build, 1.0);
    sink.gauge(names::TARGET_INFO, target(resource), 1.0);
}

/// Turns the whole resource into labels, as OpenTelemetry's compatibility rules for Prometheus have
/// it: of two attributes whose names come to the same label, both values are shown, with `;` between.
fn target(resource: &Resource) -> Vec<Label> {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in resource.iter() {
        let value = value.to_string();
        labels
            .entry(name::label(key))
            .and_modify(|joined| *joined += &format!(";{value}"))
            .or_insert(value);
    }
    labels.into_iter().map(|(name, value)| Label::new(name, value)).collect()
}

fn text(name: &'static str, value: &str) -> Label {
    label(name, Arc::<str>::from(value))
}
