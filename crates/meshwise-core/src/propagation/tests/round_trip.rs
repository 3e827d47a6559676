use super::*;
use proptest::{collection, prelude::*};
use std::collections::BTreeMap;

fn sampling() -> impl Strategy<Value = Sampling> {
    prop_oneof![Just(Sampling::NotSampled), Just(Sampling::Sampled), Just(Sampling::Debug)]
}

/// Makes up to 32 entries of a `tracestate`, with keys that differ.
fn foreign() -> impl Strategy<Value = BTreeMap<String, String>> {
    collection::btree_map("[a-z0-9][a-z0-9_*/@-]{0,20}", "[ -+\\--<>-~]{0,19}[!-+\\--<>-~]", 0..=32)
        .prop_map(|mut map| {
            map.remove(crate::propagation::mw::KEY);
            map
        })
}

fn members() -> impl Strategy<Value = Vec<(String, String, String)>> {
    let member =
        ("[!#$%&'*+.^_`|~A-Za-z0-9-]{1,12}", "\\PC{0,20}", "([a-z]{1,5}(=[!#-+0-9]{0,5})?)?");
    collection::vec(member, 0..12)
}

fn joined(entries: &BTreeMap<String, String>) -> String {
    entries.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

proptest! {
    #[test]
    fn ids_and_decisions_pass_through_every_format(
        trace in 1_u128.., span in 1_u64.., sampling in sampling(), i in 0..Format::ALL.len(),
    ) {
        let format = Format::ALL[i];
        let call = Outgoing {
            trace_id: TraceId::from_int(trace),
            span_id: SpanId::from_int(span),
            ..outgoing(NO_BAGGAGE, sampling)
        };
        let headers = written(format, &call);
        let incoming = Propagators::new([format]).extract(&headers);
        if format == Format::Baggage {
            prop_assert_eq!(incoming.parent, None);
            return Ok(());
        }
        let parent = incoming.parent.expect("a parent");
        prop_assert_eq!((parent.trace_id, parent.span_id), (call.trace_id, call.span_id));
        let without_debug = matches!(format, Format::TraceContext | Format::XRay);
        let expected = match sampling {
            Sampling::Debug if without_debug => Sampling::Sampled,
            other => other,
        };
        prop_assert_eq!((parent.sampling, parent.flags), (expected, expected.flags()));
        prop_assert_eq!(incoming.sampling, expected);
    }

    #[test]
    fn tracestate_and_caller_pass_through_trace_context(
        foreign in foreign(), flags in 0_u8..4,
        service in "\\PC{1,20}", version in proptest::option::of("\\PC{1,10}"), attempt: u32,
    ) {
        let state = joined(&foreign);
        let mut caller = Caller::new(service.as_str()).with_attempt(attempt);
        if let Some(version) = &version {
            caller = caller.with_api_version(version.as_str());
        }
        let call = Outgoing {
            flags: TraceFlags::from_bits(flags),
            state: &state,
            caller: Some(caller),
            ..outgoing(NO_BAGGAGE, Sampling::Sampled)
        };
        let headers = written(Format::TraceContext, &call);
        let incoming = Propagators::default().extract(&headers);
        let parent = incoming.parent.expect("a parent");
        prop_assert_eq!(parent.flags, call.flags);
        let expected: Vec<_> =
            foreign.iter().map(|(k, v)| (k.as_str(), v.as_str())).take(31).collect();
        prop_assert_eq!(parent.state.iter().collect::<Vec<_>>(), expected);

        let caller = incoming.caller.expect("a caller");
        prop_assert!(!caller.service.is_empty() && service.starts_with(&*caller.service));
        prop_assert_eq!(caller.attempt, attempt);
        let read = caller.api_version.unwrap_or_default();
        let sent = version.unwrap_or_default();
        prop_assert!(sent.starts_with(&*read) && sent.is_empty() == read.is_empty());
    }

    #[test]
    fn baggage_passes_through(members in members()) {
        let mut baggage = Baggage::default();
        for (key, value, properties) in members {
            baggage.insert_with_metadata(key, value, properties);
        }
        prop_assert_eq!(&Baggage::from_header(&baggage.to_header()), &baggage);

        let headers = written(Format::Jaeger, &outgoing(&baggage, Sampling::Sampled));
        let read = Propagators::new([Format::Jaeger]).extract(&headers).baggage;
        for entry in read.iter() {
            let sent = |other: &BaggageEntry| {
                other.key.eq_ignore_ascii_case(&entry.key) && other.value == entry.value
            };
            prop_assert!(baggage.iter().any(sent), "{:?}", entry);
        }
        let lower: std::collections::HashSet<_> =
            baggage.iter().map(|entry| entry.key.to_ascii_lowercase()).collect();
        prop_assert_eq!(read.len(), lower.len());
    }

    #[test]
    fn datadog_s_origin_and_tags_pass_through(
        origin in "[a-z=-]{1,20}",
        tags in collection::btree_map("[a-z.]{1,10}", "[a-z0-9=:-]{1,10}", 0..5),
    ) {
        let mut tags = tags;
        tags.remove("tid");
        let list: Vec<String> = tags.iter().map(|(key, value)| format!("_dd.p.{key}={value}")).collect();
        let came = headers(&[
            ("x-datadog-trace-id", "1".to_owned()),
            ("x-datadog-parent-id", "2".to_owned()),
            ("x-datadog-sampling-priority", "1".to_owned()),
            ("x-datadog-origin", origin),
            ("x-datadog-tags", list.join(",")),
        ]);
        let propagators = Propagators::new([Format::Datadog]);
        let parent = propagators.extract(&came).parent.expect("a parent");
        let call = Outgoing {
            trace_id: parent.trace_id,
            span_id: parent.span_id,
            flags: parent.flags,
            state: parent.state.as_str(),
            caller: None,
            baggage: NO_BAGGAGE,
        };
        let mut sent = HeaderMap::new();
        propagators.inject(&call, &mut sent);
        let mut came = came;
        if list.is_empty() {
            came.remove("x-datadog-tags");
        }
        prop_assert_eq!(listed(&sent), listed(&came));
    }
}
