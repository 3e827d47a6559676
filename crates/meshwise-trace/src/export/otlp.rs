//! Spans as OTLP messages.

mod span;
#[cfg(test)]
mod tests;

use super::sink::{SpanSink, Terms};
use crate::spare::{self, SpanBox, has_texts_of};
use futures_util::future::BoxFuture;
use meshwise_core::internal::wire::{self, BYTES, tag};
use meshwise_otlp::internal::{
    Destination, Encode, EncodedBatch, Exported, Exporter, Sink, write_late_attribute,
};
use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::Resource;

/// The tags of a `Resource` and of an `InstrumentationScope`.
const RESOURCE_ATTRIBUTES: u8 = tag(1, BYTES);
const SCOPE_NAME: u8 = tag(1, BYTES);
const SCOPE_VERSION: u8 = tag(2, BYTES);
const SCOPE_ATTRIBUTES: u8 = tag(3, BYTES);

/// Writes spans by scope.
#[derive(Debug, Default)]
pub(super) struct SpanEncoder {
    /// The fields of `Resource`.
    resource: Vec<u8>,
    schema_url: String,
    /// Knows what the SDK's, which is told once, cannot.
    own: Option<meshwise_core::Resource>,
}

impl SpanEncoder {
    pub(super) fn new(own: Option<meshwise_core::Resource>) -> Self {
        Self { own, ..Self::default() }
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource.clear();
        for (key, value) in resource {
            span::attribute(&mut self.resource, RESOURCE_ATTRIBUTES, key, value);
        }
        self.schema_url = resource.schema_url().unwrap_or_default().to_owned();
    }
}

impl Encode for SpanEncoder {
    type Batch = Vec<SpanBox>;
    type Request = ExportTraceServiceRequest;

    fn encode(&mut self, batch: Vec<SpanBox>, into: &mut EncodedBatch) {
        let resource = |out: &mut Vec<u8>| {
            out.extend_from_slice(&self.resource);
            self.own.iter().for_each(|own| write_late_attribute(out, own));
        };
        into.begin(resource, &self.schema_url);
        let mut scopes: Vec<(&InstrumentationScope, usize)> = Vec::new();
        for span in &batch {
            let own = &span.instrumentation_scope;
            // Most are of the scope of the one before them.
            let known = scopes.iter().rev().find(|(scope, _)| is_same(scope, own));
            let number = match known {
                Some((_, number)) => *number,
                None => {
                    let number =
                        into.add_scope(|out| scope(out, own), own.schema_url().unwrap_or_default());
                    scopes.push((own, number));
                    number
                }
            };
            into.add(number, |out| span::write(out, span));
        }
        drop(scopes);
        spare::put_back(batch);
    }
}

/// Looks first at where the texts are.
fn is_same(one: &InstrumentationScope, other: &InstrumentationScope) -> bool {
    has_texts_of(one, other) || one == other
}

fn scope(out: &mut Vec<u8>, scope: &InstrumentationScope) {
    wire::text(out, SCOPE_NAME, scope.name());
    wire::text(out, SCOPE_VERSION, scope.version().unwrap_or_default());
    span::attributes(out, SCOPE_ATTRIBUTES, scope.attributes());
}

impl SpanSink for Exporter<SpanEncoder> {
    fn destination(&self) -> Option<Destination> {
        Sink::destination(self)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.encode_mut().set_resource(resource);
    }

    fn export<'a>(&'a mut self, batch: Vec<SpanBox>, terms: Terms<'a>) -> BoxFuture<'a, Exported> {
        Sink::export(self, batch, terms)
    }
}
