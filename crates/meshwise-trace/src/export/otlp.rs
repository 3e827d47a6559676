//! Spans as OTLP messages.

use super::sink::{SpanSink, Terms};
use futures_util::future::BoxFuture;
use meshwise_otlp::internal::{Destination, Encode, Exported, Exporter, Sink, late_attribute};
use opentelemetry_proto::{
    tonic::{
        collector::trace::v1::ExportTraceServiceRequest,
        trace::v1::{ResourceSpans, ScopeSpans},
    },
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{Resource, trace::SpanData};

/// Groups spans by resource and scope.
#[derive(Debug, Default)]
pub(super) struct SpanEncoder {
    resource: ResourceAttributesWithSchema,
    /// Knows what the SDK's, which is told once, cannot.
    own: Option<meshwise_core::Resource>,
}

impl SpanEncoder {
    pub(super) fn new(own: Option<meshwise_core::Resource>) -> Self {
        Self { resource: ResourceAttributesWithSchema::default(), own }
    }
}

impl Encode for SpanEncoder {
    type Batch = Vec<SpanData>;
    type Message = ExportTraceServiceRequest;

    fn message(&self, batch: Vec<SpanData>) -> ExportTraceServiceRequest {
        let mut resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        if let Some(late) = self.own.as_ref().and_then(late_attribute) {
            let resources = resource_spans.iter_mut().filter_map(|spans| spans.resource.as_mut());
            resources.for_each(|resource| resource.attributes.push(late.clone()));
        }
        ExportTraceServiceRequest { resource_spans }
    }

    fn count(request: &ExportTraceServiceRequest) -> usize {
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.map(|scope| scope.spans.len()).sum()
    }

    fn split_off(
        request: &mut ExportTraceServiceRequest,
        mut n: usize,
    ) -> ExportTraceServiceRequest {
        let mut rest = Vec::new();
        for resource in &mut request.resource_spans {
            let mut rest_scopes = Vec::new();
            for scope in &mut resource.scope_spans {
                let keep = n.min(scope.spans.len());
                n -= keep;
                let spans = scope.spans.split_off(keep);
                if !spans.is_empty() {
                    rest_scopes.push(ScopeSpans {
                        scope: scope.scope.clone(),
                        schema_url: scope.schema_url.clone(),
                        spans,
                    });
                }
            }
            resource.scope_spans.retain(|scope| !scope.spans.is_empty());
            rest.push(ResourceSpans {
                resource: resource.resource.clone(),
                schema_url: resource.schema_url.clone(),
                scope_spans: rest_scopes,
            });
        }
        ExportTraceServiceRequest { resource_spans: rest }
    }
}

impl SpanSink for Exporter<SpanEncoder> {
    fn destination(&self) -> Option<Destination> {
        Sink::destination(self)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.encode_mut().resource = resource.into();
    }

    fn export<'a>(&'a mut self, batch: Vec<SpanData>, terms: Terms<'a>) -> BoxFuture<'a, Exported> {
        Sink::export(self, batch, terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_util::span_data;
    use opentelemetry::{InstrumentationScope, KeyValue};

    #[test]
    fn each_part_of_a_split_message_has_resource_and_scope() {
        let attributes = [KeyValue::new("service.name", "orders")];
        let resource = &Resource::builder_empty().with_attributes(attributes).build();
        let encoder = SpanEncoder { resource: resource.into(), own: None };
        let batch: Vec<_> = (0..100)
            .map(|i| {
                let mut span = span_data(&format!("{i}"));
                let scope = if i % 3 == 0 { "a" } else { "b" };
                span.instrumentation_scope = InstrumentationScope::builder(scope).build();
                span
            })
            .collect();
        let mut request = encoder.message(batch);
        let rest = SpanEncoder::split_off(&mut request, 50);
        let mut names = Vec::new();
        for part in [&request, &rest] {
            assert_eq!(SpanEncoder::count(part), 50);
            for resource in &part.resource_spans {
                assert_eq!(resource.resource.as_ref().unwrap().attributes.len(), 1);
                for scope in &resource.scope_spans {
                    let wanted = if scope.scope.as_ref().unwrap().name == "a" { 0 } else { 1 };
                    for span in &scope.spans {
                        let number: u32 = span.name.parse().unwrap();
                        assert_eq!(u32::from(!number.is_multiple_of(3)), wanted);
                        names.push(number);
                    }
                }
            }
        }
        names.sort_unstable();
        assert_eq!(names, (0..100).collect::<Vec<_>>());
    }
}
