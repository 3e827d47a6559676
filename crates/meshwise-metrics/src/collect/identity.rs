//! Who this is: the service, and the meshwise that watches it.

use super::Sink;
use crate::{handles::label, names};
use meshwise_core::Service;
use metrics::Label;
use std::sync::Arc;

pub(crate) fn collect(service: &Service, sink: &Sink<'_>) {
    let mut labels = vec![
        text(names::LABEL_SERVICE_NAME, service.name()),
        text(names::LABEL_SERVICE_VERSION, service.version()),
    ];
    if let Some(namespace) = service.namespace() {
        labels.push(text(names::LABEL_SERVICE_NAMESPACE, namespace));
    }
    let mut build = labels.clone();
    build.push(label(names::LABEL_VERSION, env!("CARGO_PKG_VERSION")));
    sink.gauge(names::BUILD_INFO, build, 1.0);
    if let Some(instance) = service.instance() {
        labels.push(text(names::LABEL_SERVICE_INSTANCE_ID, instance));
    }
    sink.gauge(names::TARGET_INFO, labels, 1.0);
}

fn text(name: &'static str, value: &str) -> Label {
    label(name, Arc::<str>::from(value))
}
