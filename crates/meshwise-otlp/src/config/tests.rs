use super::*;
use meshwise_core::Env;

fn config(pairs: &[(&str, &str)]) -> OtlpConfig {
    OtlpConfig::from_env(&Env::from_pairs(pairs.iter().copied()), Signal::Traces).unwrap()
}

/// What is told, which is an error too if it is asked for.
fn told(pairs: &[(&str, &str)]) -> String {
    let env = Env::from_pairs(pairs.iter().copied());
    let _ignored = OtlpConfig::from_env(&env, Signal::Traces).unwrap();
    let strict = pairs.iter().copied().chain([("MESHWISE_STRICT", "true")]);
    let error = OtlpConfig::from_env(&Env::from_pairs(strict), Signal::Traces).unwrap_err();
    let findings: Vec<String> = env.findings().iter().map(ToString::to_string).collect();
    assert_eq!(findings, [error.to_string()]);
    error.to_string()
}

#[cfg(all(feature = "gzip", feature = "otlp-grpc", feature = "otlp-http-json"))]
#[test]
fn traces_beat_all_signals() {
    let config = config(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "HTTP/JSON"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "Gzip"),
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
    assert_eq!(headers, [("api-key", "a b="), ("empty", ""), ("x-t", "1=2")]);
}

#[test]
fn mistakes_name_variable_value_and_what_is_allowed() {
    #[cfg(all(feature = "otlp-grpc", feature = "otlp-http-json"))]
    assert_eq!(
        told(&[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http")]),
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is `http`; allowed: one of \"grpc\", \"http/protobuf\", \
         \"http/json\""
    );
    let compression = told(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "br")]);
    assert!(compression.starts_with("OTEL_EXPORTER_OTLP_COMPRESSION is `br`; allowed: "));
    for value in ["-1", "10s"] {
        assert!(told(&[("OTEL_EXPORTER_OTLP_TIMEOUT", value)]).contains("milliseconds"));
    }
    assert!(told(&[("OTEL_EXPORTER_OTLP_INSECURE", "yes")]).contains("true or false"));
    assert!(told(&[("OTEL_EXPORTER_OTLP_CLIENT_KEY", "k.pem")]).contains("both or none"));
}

#[test]
fn a_timeout_of_nothing_is_without_limit() {
    let config = config(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "0")]);
    assert!(config.timeout > Some(Duration::from_secs(86_400)), "{:?}", config.timeout);
}

#[test]
fn a_bad_value_for_traces_leaves_that_for_all_signals() {
    let config = config(&[
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "7"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,nonsense,b=2"),
    ]);
    assert_eq!(config.timeout, Some(Duration::from_millis(7)));
    let names: Vec<_> = config.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b"], "the others stay");
}

#[test]
fn headers_that_the_sender_sets_itself_are_refused() {
    let said = "content-length=5,api-key=k,Transfer-Encoding=chunked,content-type=a/b";
    let config = config(&[("OTEL_EXPORTER_OTLP_HEADERS", said)]);
    let names: Vec<_> = config.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["api-key", "content-type"]);
    let text = told(&[("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k,Content-Length=5")]);
    assert!(text.contains("entry 2") && text.contains("content-length"), "{text}");
}

#[cfg(feature = "_otlp")]
#[test]
fn nor_may_code_set_them() {
    let given = |name: &str| endpoint::headers(&[(name.to_owned(), "1".to_owned())]);
    for name in ["Content-Length", "te", "content-encoding", "connection"] {
        let error = given(name).expect_err(name).to_string();
        assert!(error.contains(name), "{error}");
    }
    assert!(given("host").is_ok_and(|headers| headers.len() == 1));
}

#[test]
fn credentials_never_show() {
    let config = OtlpConfig::new()
        .with_header("authorization", "Bearer s3cret")
        .with_endpoint("http://me:s3cret@host:4318/path");
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    let text = told(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=1,Bearer s3cret")]);
    assert!(!text.contains("s3cret") && text.contains("entry 2"), "{text}");
    assert_eq!(redact("http://host/a@b"), "http://host/a@b");
}

#[test]
fn the_environment_beats_code() {
    let config = config(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://theirs"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=theirs,b=2"),
    ]);
    let code = OtlpConfig::new().with_header("A", "mine").with_header("c", "3");
    let config = config.or(code.with_endpoint("http://mine").with_timeout(Duration::ZERO));
    assert_eq!(config.endpoint.unwrap().text, "http://theirs");
    assert_eq!(config.timeout, Some(Duration::ZERO));
    let headers: Vec<_> = config.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(headers, [("c", "3"), ("a", "theirs"), ("b", "2")]);
}

#[cfg(feature = "_otlp")]
mod endpoints {
    use super::*;
    use endpoint::resolve;

    fn url(protocol: OtlpProtocol, pairs: &[(&str, &str)]) -> String {
        match resolve(config(pairs).endpoint.as_ref(), protocol, true, Signal::Traces) {
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
    fn each_signal_has_its_path_its_method_and_its_variables() {
        let env = Env::from_pairs([
            (ALL, "http://c:1"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://l:1/x"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "7"),
        ]);
        for (signal, http, grpc) in [
            (Signal::Logs, "http://l:1/x", "collector.logs.v1.LogsService"),
            (Signal::Metrics, "http://c:1/v1/metrics", "collector.metrics.v1.MetricsService"),
            (Signal::Traces, "http://c:1/v1/traces", "collector.trace.v1.TraceService"),
        ] {
            let config = OtlpConfig::from_env(&env, signal).unwrap();
            let metrics = signal == Signal::Metrics;
            assert_eq!(config.timeout, metrics.then_some(Duration::from_millis(7)));
            let endpoint = config.endpoint.as_ref();
            let url = resolve(endpoint, OtlpProtocol::HttpJson, true, signal).unwrap();
            assert_eq!(url.to_string(), http);
            let url = resolve(endpoint, OtlpProtocol::Grpc, true, signal).unwrap();
            assert!(url.path().ends_with(&format!("/opentelemetry.proto.{grpc}/Export")), "{url}");
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
             feature `tls`"
        );
    }

    #[test]
    fn grpc_without_a_scheme_is_https_unless_insecure() {
        let config = config(&[(ALL, "c:1")]);
        let resolved = resolve(config.endpoint.as_ref(), OtlpProtocol::Grpc, false, Signal::Traces);
        match resolved {
            Ok(uri) => assert_eq!(uri.scheme_str(), Some("https")),
            Err(error) => assert!(error.to_string().contains("tls"), "{error}"),
        }
    }

    #[test]
    fn what_a_base_url_does_not_use_is_told() {
        for base in ["http://c:1/?key=s3cret", "http://c:1/a?key=s3cret#x", "http://c:1#s3cret"] {
            let text = told(&[(ALL, base)]);
            assert!(text.starts_with(&format!("{ALL} has a query or a fragment")), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
            let hints = OtlpConfig::new().with_endpoint(base).hints(Signal::Logs);
            assert!(hints[0].starts_with("with_endpoint has a query or a fragment"), "{hints:?}");
            assert_eq!(config(&[(ALL, base)]).hints(Signal::Traces), [""; 0], "told once");
        }
        let whole = OtlpConfig::new().with_signal_endpoint("http://c:1/x?key=s3cret");
        assert_eq!(
            whole.clone().with_protocol(OtlpProtocol::HttpProtobuf).hints(Signal::Logs),
            [""; 0]
        );
        #[cfg(feature = "otlp-grpc")]
        assert_eq!(
            whole.with_protocol(OtlpProtocol::Grpc).hints(Signal::Logs),
            ["with_signal_endpoint has a query or a fragment, which gRPC does not send"]
        );
    }

    #[cfg(all(feature = "otlp-grpc", feature = "otlp-http"))]
    #[test]
    fn a_port_of_the_other_kind_is_hinted_at() {
        let hint = |protocol, endpoint| {
            config(&[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), (ALL, endpoint)])
                .hints(Signal::Traces)
                .pop()
        };
        let text = hint("http/protobuf", "http://collector:4317").unwrap();
        assert_eq!(
            text,
            "OTEL_EXPORTER_OTLP_ENDPOINT is `http://collector:4317`: port 4317 is usually gRPC, and \
             spans go there by http/protobuf; set OTEL_EXPORTER_OTLP_PROTOCOL=grpc or use port 4318"
        );
        let text = hint("grpc", "http://collector:4318").unwrap();
        assert!(text.contains("PROTOCOL=http/protobuf or use port 4317"), "{text}");
        assert_eq!(hint("grpc", "http://collector:4317"), None);
        assert_eq!(hint("", "http://collector:4318"), None);
        assert_eq!(hint("", "http://collector"), None);
        assert_eq!(OtlpConfig::new().hints(Signal::Traces), [""; 0]);
    }
}
