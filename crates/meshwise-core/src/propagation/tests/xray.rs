use super::*;

const ROOT: &str = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736";
const PARENT: &str = "Parent=00f067aa0ba902b7";

fn id(value: impl Into<String>) -> [(&'static str, String); 1] {
    [("x-amzn-trace-id", value.into())]
}

#[test]
fn fields_come_in_any_order_among_others() {
    for (value, sampling) in [
        // What opentelemetry-js, -python and the AWS SDKs write.
        (format!("{ROOT};{PARENT};Sampled=1"), Sampling::Sampled),
        (format!("{ROOT};{PARENT};Sampled=0"), Sampling::NotSampled),
        (format!("Sampled=0;{PARENT};{ROOT}"), Sampling::NotSampled),
        (format!("{ROOT};{PARENT};Sampled=?"), Sampling::Deferred),
        (format!("{ROOT};{PARENT}"), Sampling::Deferred),
        (format!("{ROOT};{PARENT};"), Sampling::Deferred),
        (format!("{ROOT};{PARENT};Sampled=yes"), Sampling::Deferred),
        (format!("{ROOT}; {PARENT} ;\tSampled=1"), Sampling::Sampled),
        (
            format!("Self=1-67891234-12456789abcdef012345678;{ROOT};{PARENT};Sampled=1"),
            Sampling::Sampled,
        ),
        (format!("{ROOT};{PARENT};Sampled=1;Lineage=25:a87bd80c:1|68fd508a:5"), Sampling::Sampled),
        (format!("{ROOT};{PARENT};nonsense;=;a=b=c;Sampled=1"), Sampling::Sampled),
    ] {
        reads(Format::XRay, &id(value), sampling);
    }
}

#[test]
fn a_root_alone_is_no_parent() {
    // What a load balancer adds.
    reads_nothing(Format::XRay, &id(ROOT));
    decides(Format::XRay, &id(format!("{ROOT};Sampled=0")), Sampling::NotSampled);
    decides(Format::XRay, &id("Sampled=1"), Sampling::Sampled);
}

#[test]
fn a_malformed_header_is_no_header() {
    for bad in [
        String::new(),
        PARENT.into(),
        format!("Root={TRACE};{PARENT}"),
        format!("Root=2-4bf92f35-77b34da6a3ce929d0e0e4736;{PARENT}"),
        format!("Root=1-4bf92f3577b34da6-a3ce929d0e0e4736;{PARENT}"),
        format!("Root=1-4BF92F35-77b34da6a3ce929d0e0e4736;{PARENT}"),
        format!("Root=1-4bf92f35-77b34da6a3ce929d0e0e4736-;{PARENT}"),
        format!("Root=1-00000000-000000000000000000000000;{PARENT}"),
        format!("Root=1-4bf92f3é-77b34da6a3ce929d0e0e4736;{PARENT}"),
        format!("root=1-4bf92f35-77b34da6a3ce929d0e0e4736;{PARENT}"),
        format!("{ROOT};Parent=0000000000000000"),
        format!("{ROOT};Parent=f067aa0ba902b7"),
        format!("{ROOT};Parent=00F067AA0BA902B7"),
    ] {
        reads_nothing(Format::XRay, &id(bad));
    }
}

#[test]
fn it_is_written_in_three_fields() {
    for (sampling, sampled) in
        [(Sampling::NotSampled, 0), (Sampling::Sampled, 1), (Sampling::Debug, 1)]
    {
        let headers = written(Format::XRay, &outgoing(NO_BAGGAGE, sampling));
        let expected = format!("{ROOT};{PARENT};Sampled={sampled}");
        assert_eq!(listed(&headers), [("x-amzn-trace-id", expected.as_str())]);
    }
}
