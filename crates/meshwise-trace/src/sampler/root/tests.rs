use super::*;
use crate::SamplerConfig;
use opentelemetry::trace::{SpanId, TraceFlags, TraceState, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

fn sampler(config: &SamplerConfig) -> MeshSampler {
    config.build(true).unwrap().0
}

fn id(low: u64) -> OtelTraceId {
    OtelTraceId::from((7_u128 << 64) | u128::from(low))
}

fn decide(sampler: &MeshSampler, parent: Option<&Context>, low: u64) -> SamplingDecision {
    sampler.should_sample(parent, id(low), "", &SpanKind::Server, &[], &[]).decision
}

fn remote(sampled: bool) -> Context {
    let flags = TraceFlags::default().with_sampled(sampled);
    let state = TraceState::from_key_value([("a", "1")]).unwrap();
    Context::new().with_remote_span_context(SpanContext::new(
        id(1),
        SpanId::from(1),
        flags,
        true,
        state,
    ))
}

/// A context with a local span that the SDK recorded, or did not.
fn local(decision: Sampler) -> Context {
    let provider = SdkTracerProvider::builder().with_sampler(decision).build();
    Context::new().with_span(provider.tracer("t").start("parent"))
}

use SamplingDecision::{Drop, RecordAndSample as Sample, RecordOnly};

#[test]
fn parent_based_does_as_the_parent_does() {
    let always_on = SamplerConfig::always_on();
    let on = sampler(&SamplerConfig::parent_based(always_on));
    let off = sampler(&SamplerConfig::parent_based(SamplerConfig::always_off()));
    for (parent, with_on, with_off) in [
        (None, Sample, Drop),
        (Some(remote(true)), Sample, Sample),
        (Some(remote(false)), Drop, Drop),
        (Some(local(Sampler::AlwaysOn)), Sample, Sample),
        (Some(local(Sampler::AlwaysOff)), Drop, Drop),
        // A context without a valid span is no parent.
        (Some(Context::new()), Sample, Drop),
    ] {
        assert_eq!(decide(&on, parent.as_ref(), 1), with_on, "{parent:?}");
        assert_eq!(decide(&off, parent.as_ref(), 1), with_off, "{parent:?}");
    }
}

#[test]
fn the_rest_asks_no_remote_parent() {
    for parent in [None, Some(remote(true)), Some(remote(false)), Some(local(Sampler::AlwaysOff))] {
        let parent = parent.as_ref();
        assert_eq!(decide(&sampler(&SamplerConfig::always_on()), parent, 1), Sample);
        assert_eq!(decide(&sampler(&SamplerConfig::always_off()), parent, 1), Drop);
        assert_eq!(decide(&sampler(&SamplerConfig::ratio(1.0)), parent, 1), Sample);
        assert_eq!(decide(&sampler(&SamplerConfig::ratio(0.0)), parent, 1), Drop);
    }
}

#[test]
fn the_ratio_is_the_sdk_s() {
    for ratio in [0.0, 1e-9, 0.1, 0.5, 0.999_999, 1.0] {
        let ours = sampler(&SamplerConfig::ratio(ratio));
        let theirs = Sampler::TraceIdRatioBased(ratio);
        for i in 0..2_000_u64 {
            let low = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let wanted =
                theirs.should_sample(None, id(low), "", &SpanKind::Server, &[], &[]).decision;
            assert_eq!(decide(&ours, None, low), wanted, "{ratio} {low:x}");
        }
    }
}

#[test]
fn the_root_s_decision_can_be_asked_for_alone() {
    let decide = |config: SamplerConfig, low: u64| {
        sampler(&SamplerConfig::parent_based(config)).decide_root(TraceId::from_int(low.into()))
    };
    assert!(decide(SamplerConfig::always_on(), 1));
    assert!(!decide(SamplerConfig::always_off(), 1));
    assert!(decide(SamplerConfig::ratio(0.5), 1));
    assert!(!decide(SamplerConfig::ratio(0.5), u64::MAX));
    assert!(decide(SamplerConfig::custom(Sampler::AlwaysOn), 1));
    assert!(!decide(SamplerConfig::custom(Sampler::AlwaysOff), 1));
    assert!(!decide(SamplerConfig::keep_errors(SamplerConfig::always_off()), 1));

    let limited = sampler(&SamplerConfig::rate_limited(2.0));
    let taken = (0..10).filter(|_| limited.decide_root(TraceId::from_int(1))).count();
    assert_eq!(taken, 2, "a burst is one second's worth");
}

#[test]
fn a_rate_limit_counts_traces_not_spans() {
    let limited = sampler(&SamplerConfig::rate_limited(1.0));
    assert_eq!(decide(&limited, None, 1), Sample);
    assert_eq!(decide(&limited, None, 2), Drop);
    // Spans below a local one take no token, whichever way it went.
    let (on, off) = (local(Sampler::AlwaysOn), local(Sampler::AlwaysOff));
    for _ in 0..10 {
        assert_eq!(decide(&limited, Some(&on), 1), Sample);
        assert_eq!(decide(&limited, Some(&off), 1), Drop);
    }
    // A remote parent decides only under `parentbased_`.
    assert_eq!(decide(&limited, Some(&remote(true)), 3), Drop);
    let parent_based = sampler(&SamplerConfig::parent_based(SamplerConfig::rate_limited(1.0)));
    for _ in 0..10 {
        assert_eq!(decide(&parent_based, Some(&remote(true)), 3), Sample);
    }
}

#[test]
fn keep_errors_records_what_is_not_sampled() {
    let keep = SamplerConfig::keep_errors(SamplerConfig::ratio(0.5));
    let parent_based = sampler(&SamplerConfig::parent_based(keep.clone()));
    let keep = sampler(&keep);
    for (low, decision) in [(1, Sample), (u64::MAX, RecordOnly)] {
        assert_eq!(decide(&keep, None, low), decision);
        assert_eq!(decide(&parent_based, None, low), decision);
        assert_eq!(decide(&keep, Some(&remote(true)), low), decision);
    }
    assert_eq!(decide(&parent_based, Some(&remote(true)), u64::MAX), Sample);
    assert_eq!(decide(&parent_based, Some(&remote(false)), 1), RecordOnly);
    assert_eq!(decide(&parent_based, Some(&local(Sampler::AlwaysOff)), 1), Drop);

    // Below a local span that records without being sampled, spans do the same.
    let provider = SdkTracerProvider::builder().with_sampler(parent_based.clone()).build();
    let tracer = provider.tracer("t");
    let recording = tracer.start_with_context("parent", &remote(false));
    let recording = Context::new().with_span(recording);
    assert_eq!(decide(&parent_based, Some(&recording), 1), RecordOnly);
    recording.span().end();
    assert_eq!(decide(&parent_based, Some(&recording), 1), Drop, "the parent has ended");
}

#[test]
fn tracestate_is_handed_on() {
    for config in [
        SamplerConfig::default(),
        SamplerConfig::always_on(),
        SamplerConfig::keep_errors(SamplerConfig::always_off()),
    ] {
        let result = sampler(&config).should_sample(
            Some(&remote(true)),
            id(1),
            "",
            &SpanKind::Server,
            &[],
            &[],
        );
        assert_eq!(result.trace_state.header(), "a=1");
        let result = sampler(&config).should_sample(None, id(1), "", &SpanKind::Server, &[], &[]);
        assert_eq!(result.trace_state, TraceState::NONE);
    }
}

#[test]
fn numbers_out_of_range_are_named() {
    for ratio in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let error = SamplerConfig::ratio(ratio).build(true).unwrap_err().to_string();
        assert!(error.contains("allowed: a number from 0 to 1"), "{error}");
    }
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = SamplerConfig::rate_limited(rate).build(true).unwrap_err().to_string();
        assert!(error.contains("allowed: a positive number"), "{error}");
    }
}
