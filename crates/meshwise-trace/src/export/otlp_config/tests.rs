use super::*;

fn config(pairs: &[(&str, &str)]) -> OtlpConfig {
    OtlpConfig::from_env(&Env::from_pairs(pairs.iter().copied())).unwrap()
}

fn error(pairs: &[(&str, &str)]) -> String {
    OtlpConfig::from_env(&Env::from_pairs(pairs.iter().copied())).unwrap_err().to_string()
}

#[test]
fn traces_beat_all_signals() {
    let config = config(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "TRUE"),
    ]);
    assert_eq!(config.protocol, Some(OtlpProtocol::HttpJson));
    assert_eq!(config.timeout, Some(Duration::from_millis(2)));
    assert_eq!(config.compression, Some(Compression::Gzip));
    assert_eq!(config.headers, [("b".to_owned(), "2".to_owned())]);
    assert_eq!(config.insecure, Some(true));
}

#[test]
fn headers_are_trimmed_and_decoded() {
    let config = config(&[("OTEL_EXPORTER_OTLP_HEADERS", " api-key = a%20b%3D , x-t=1=2,,empty=")]);
    let headers: Vec<_> = config.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(headers, [("api-key", "a b="), ("x-t", "1=2"), ("empty", "")]);
}

#[test]
fn mistakes_name_variable_value_and_what_is_allowed() {
    assert_eq!(
        error(&[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http")]),
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is `http`; allowed: grpc, http/protobuf or http/json"
    );
    assert_eq!(
        error(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "br")]),
        "OTEL_EXPORTER_OTLP_COMPRESSION is `br`; allowed: gzip or none"
    );
    for value in ["0", "-1", "10s"] {
        assert!(error(&[("OTEL_EXPORTER_OTLP_TIMEOUT", value)]).contains("milliseconds"));
    }
    assert!(error(&[("OTEL_EXPORTER_OTLP_INSECURE", "yes")]).contains("true or false"));
    assert!(error(&[("OTEL_EXPORTER_OTLP_CLIENT_KEY", "k.pem")]).contains("both or none"));
}

#[test]
fn credentials_never_show() {
    let config = OtlpConfig::new()
        .with_header("authorization", "Bearer s3cret")
        .with_endpoint("http://me:s3cret@host:4318/path");
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    let text = error(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=1,Bearer s3cret")]);
    assert!(!text.contains("s3cret") && text.contains("entry 2"), "{text}");
    assert_eq!(redact("http://host/a@b"), "http://host/a@b");
}

#[test]
fn code_beats_environment() {
    let config =
        OtlpConfig::new().with_header("A", "mine").with_endpoint("http://mine").or(config(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=other,b=2"),
        ]));
    assert_eq!(config.endpoint.unwrap().text, "http://mine");
    let headers: Vec<_> = config.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(headers, [("b", "2"), ("A", "mine")]);
}

#[cfg(feature = "_otlp")]
mod endpoints {
    use super::*;
    use endpoint::resolve;

    fn url(protocol: OtlpProtocol, pairs: &[(&str, &str)]) -> String {
        match resolve(config(pairs).endpoint.as_ref(), protocol, true) {
            Ok(uri) => uri.to_string(),
            Err(error) => error.to_string(),
        }
    }

    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const GRPC: &str = "opentelemetry.proto.collector.trace.v1.TraceService/Export";

    #[test]
    fn the_base_gets_the_signal_s_path_and_the_signal_s_own_is_used_as_it_is() {
        let http = OtlpProtocol::HttpProtobuf;
        for (pairs, wanted) in [
            (&[][..], "http://localhost:4318/v1/traces"),
            (&[(ALL, "http://c:1")], "http://c:1/v1/traces"),
            (&[(ALL, "http://c:1/")], "http://c:1/v1/traces"),
            (&[(ALL, "http://c:1/a/b")], "http://c:1/a/b/v1/traces"),
            (&[(TRACES, "http://c:1")], "http://c:1/"),
            (&[(TRACES, "http://c:1/x?y=z")], "http://c:1/x?y=z"),
            (&[(ALL, "http://no:1"), (TRACES, "http://c:1/x")], "http://c:1/x"),
            (&[(ALL, "http://[::1]:4318")], "http://[::1]:4318/v1/traces"),
        ] {
            assert_eq!(url(http, pairs), wanted);
        }
    }

    #[test]
    fn grpc_calls_its_method_wherever_it_is_told() {
        for (given, wanted) in [
            ("http://c:1", "http://c:1/"),
            ("http://c:1/", "http://c:1/"),
            ("c:1", "http://c:1/"),
            ("http://c:1/proxy", "http://c:1/proxy/"),
        ] {
            for name in [ALL, TRACES] {
                assert_eq!(url(OtlpProtocol::Grpc, &[(name, given)]), format!("{wanted}{GRPC}"));
            }
        }
        assert_eq!(url(OtlpProtocol::Grpc, &[]), format!("http://localhost:4317/{GRPC}"));
    }

    #[test]
    fn malformed_endpoints_are_explained() {
        for bad in ["localhost:4318", "ftp://c", "http://", "http:// c", "/v1/traces", "http:///x"]
        {
            assert_eq!(
                url(OtlpProtocol::HttpProtobuf, &[(ALL, bad)]),
                format!("{ALL} is `{bad}`; allowed: a URL that begins with http:// or https://")
            );
        }
        let text = url(OtlpProtocol::Grpc, &[(TRACES, "unix:///run/otel.sock")]);
        assert!(text.contains("allowed: http://host:port"), "{text}");
        let text = url(OtlpProtocol::Grpc, &[(ALL, "http://me:pw@c:1")]);
        assert!(text.contains("`http://***@c:1`") && text.contains("header"), "{text}");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn https_without_tls_names_the_feature() {
        let text = url(OtlpProtocol::Grpc, &[(ALL, "https://c:1")]);
        assert_eq!(
            text,
            "https (OTEL_EXPORTER_OTLP_ENDPOINT is `https://c:1`) is not compiled in; enable the \
             feature `tls` of meshwise-trace"
        );
    }

    #[test]
    fn grpc_without_a_scheme_is_https_unless_insecure() {
        let config = config(&[(ALL, "c:1")]);
        let resolved = resolve(config.endpoint.as_ref(), OtlpProtocol::Grpc, false);
        match resolved {
            Ok(uri) => assert_eq!(uri.scheme_str(), Some("https")),
            Err(error) => assert!(error.to_string().contains("tls"), "{error}"),
        }
    }
}
