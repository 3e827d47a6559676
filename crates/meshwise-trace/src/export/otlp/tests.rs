use super::*;
use crate::test_util::span_data;
use opentelemetry::{
    Array, KeyValue, SpanId, StringValue, TraceFlags, TraceId, Value,
    trace::{Event, Link, SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_proto::transform::{
    common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope,
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use proptest::{collection::vec, prelude::*};
use prost::Message as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// More than any request has.
const ALL: usize = 1 << 30;

/// Writes one request of all.
fn written(encoder: &mut SpanEncoder, batch: Vec<SpanData>) -> Vec<u8> {
    let (mut encoded, mut out) = (EncodedBatch::default(), Vec::new());
    let spans = batch.len();
    encoder.encode(batch.into_iter().map(|span| Box::new(span.into())).collect(), &mut encoded);
    assert_eq!(encoded.write_request(ALL, &mut out), spans);
    assert_eq!(encoded.write_request(ALL, &mut out), 0);
    out
}

/// What the usual way makes of the same.
fn usual(resource: &Resource, batch: Vec<SpanData>) -> ExportTraceServiceRequest {
    let resource = ResourceAttributesWithSchema::from(resource);
    let resource_spans = group_spans_by_resource_and_scope(batch, &resource);
    ExportTraceServiceRequest { resource_spans }
}

fn text() -> impl Strategy<Value = StringValue> {
    prop_oneof![
        Just(StringValue::from("")),
        Just(StringValue::from("GET")),
        ".{0,20}".prop_map(StringValue::from),
        // Lengths of one, two and three bytes.
        (100_usize..140).prop_map(|n| StringValue::from("ä".repeat(n / 2))),
        (16_000_usize..17_000).prop_map(|n| StringValue::from("x".repeat(n))),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::String),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        Just(Value::F64(f64::NAN)),
        vec(any::<bool>(), 0..4).prop_map(|all| Value::Array(Array::Bool(all))),
        vec(any::<i64>(), 0..200).prop_map(|all| Value::Array(Array::I64(all))),
        vec(any::<f64>(), 0..20).prop_map(|all| Value::Array(Array::F64(all))),
        vec(text(), 0..4).prop_map(|all| Value::Array(Array::String(all))),
    ]
}

fn attributes(most: usize) -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![Just(String::new()), "[a-z.]{1,12}", "[a-z]{110,130}"];
    vec((key, value()).prop_map(|(key, value)| KeyValue::new(key, value)), 0..most)
}

fn context() -> impl Strategy<Value = SpanContext> {
    let states = prop_oneof![
        Just(TraceState::NONE),
        Just("mw=p:1;s:orders,other=x".parse::<TraceState>().unwrap()),
    ];
    (any::<u128>(), any::<u64>(), any::<u8>(), any::<bool>(), states).prop_map(
        |(trace_id, span_id, flags, is_remote, state)| {
            let (trace_id, span_id) = (TraceId::from(trace_id), SpanId::from(span_id));
            SpanContext::new(trace_id, span_id, TraceFlags::new(flags), is_remote, state)
        },
    )
}

fn time() -> impl Strategy<Value = SystemTime> {
    prop_oneof![
        Just(UNIX_EPOCH),
        Just(UNIX_EPOCH - Duration::from_secs(1)),
        (0_u64..1 << 63).prop_map(|nanoseconds| UNIX_EPOCH + Duration::from_nanos(nanoseconds)),
    ]
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    let attributes = [KeyValue::new("a", 1), KeyValue::new("b", "x")];
    prop_oneof![
        Just(InstrumentationScope::default()),
        Just(InstrumentationScope::builder("one").build()),
        Just(InstrumentationScope::builder("one").with_version("1").build()),
        Just(InstrumentationScope::builder("one").with_schema_url("https://schema").build()),
        Just(InstrumentationScope::builder("one").with_attributes(attributes).build()),
    ]
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Unset),
        Just(Status::Ok),
        text().prop_map(|text| Status::error(String::from(text))),
    ]
}

fn kind() -> impl Strategy<Value = SpanKind> {
    prop_oneof![
        Just(SpanKind::Internal),
        Just(SpanKind::Server),
        Just(SpanKind::Client),
        Just(SpanKind::Producer),
        Just(SpanKind::Consumer),
    ]
}

fn events() -> impl Strategy<Value = SpanEvents> {
    let event = (text(), time(), attributes(4), any::<u32>()).prop_map(
        |(name, at, attributes, dropped)| Event::new(String::from(name), at, attributes, dropped),
    );
    (vec(event, 0..3), any::<u32>()).prop_map(|(all, dropped_count)| {
        let mut events = SpanEvents::default();
        (events.events, events.dropped_count) = (all, dropped_count);
        events
    })
}

fn links() -> impl Strategy<Value = SpanLinks> {
    let link = (context(), attributes(4), any::<u32>())
        .prop_map(|(context, attributes, dropped)| Link::new(context, attributes, dropped));
    (vec(link, 0..3), any::<u32>()).prop_map(|(all, dropped_count)| {
        let mut links = SpanLinks::default();
        (links.links, links.dropped_count) = (all, dropped_count);
        links
    })
}

fn span() -> impl Strategy<Value = SpanData> {
    let ids = (context(), any::<u64>(), any::<bool>(), kind());
    let own = (text(), time(), time(), attributes(6), any::<u32>());
    (ids, own, events(), links(), status(), scope()).prop_map(
        |(ids, own, events, links, status, instrumentation_scope)| {
            let (span_context, parent, parent_span_is_remote, span_kind) = ids;
            let (name, start_time, end_time, attributes, dropped_attributes_count) = own;
            let name = String::from(name).into();
            let parent_span_id = SpanId::from(parent % 3);
            SpanData {
                span_context,
                parent_span_id,
                parent_span_is_remote,
                span_kind,
                name,
                start_time,
                end_time,
                attributes,
                dropped_attributes_count,
                events,
                links,
                status,
                instrumentation_scope,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Byte for byte, so that nothing is left out and nothing is written in another way.
    #[test]
    fn spans_are_written_as_the_usual_way_has_them(
        batch in vec(span(), 1..5),
        of_process in attributes(4),
    ) {
        let resource = Resource::builder_empty().with_attributes(of_process).build();
        let mut encoder = SpanEncoder::new(None);
        encoder.set_resource(&resource);
        let usual = usual(&resource, batch.clone());
        prop_assert_eq!(written(&mut encoder, batch), usual.encode_to_vec());
    }
}

#[test]
fn what_is_known_late_is_told() {
    let own = meshwise_core::Resource::from(meshwise_core::Service::new("orders", "1"));
    let attributes = [KeyValue::new("service.name", "orders")];
    let resource =
        Resource::builder_empty().with_schema_url(attributes, "https://schemas/1").build();
    let mut encoder = SpanEncoder::new(Some(own.clone()));
    encoder.set_resource(&resource);
    let mut told = || {
        let request = written(&mut encoder, vec![span_data("a")]);
        let request = ExportTraceServiceRequest::decode(&*request).unwrap();
        assert_eq!(request.resource_spans[0].schema_url, "https://schemas/1");
        let attributes = request.resource_spans[0].resource.as_ref().unwrap().attributes.clone();
        attributes.into_iter().map(|attribute| attribute.key).collect::<Vec<_>>()
    };
    assert_eq!(told(), ["service.name"]);
    own.serve_ops_at("127.0.0.1:9464".parse().unwrap());
    assert_eq!(told(), ["service.name", "meshwise.ops.address"]);
}

#[test]
fn each_part_of_a_split_message_has_resource_and_scope() {
    let attributes = [KeyValue::new("service.name", "orders")];
    let mut encoder = SpanEncoder::new(None);
    encoder.set_resource(&Resource::builder_empty().with_attributes(attributes).build());
    let batch = (0..100).map(|i| {
        let mut span = span_data(&format!("{i}"));
        let scope = if i % 3 == 0 { "a" } else { "b" };
        span.instrumentation_scope = InstrumentationScope::builder(scope).build();
        span
    });
    let mut encoded = EncodedBatch::default();
    encoder.encode(batch.map(|span| Box::new(span.into())).collect(), &mut encoded);
    let mut names = Vec::new();
    let mut parts = 0;
    loop {
        let mut request = Vec::new();
        let spans = encoded.write_request(2_000, &mut request);
        if spans == 0 {
            break;
        }
        assert!(request.len() <= 2_000);
        let request = ExportTraceServiceRequest::decode(&*request).unwrap();
        let before = names.len();
        for resource in &request.resource_spans {
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
        assert_eq!(names.len() - before, spans);
        parts += 1;
    }
    assert!(parts > 3, "{parts}");
    names.sort_unstable();
    assert_eq!(names, (0..100).collect::<Vec<_>>());
}
