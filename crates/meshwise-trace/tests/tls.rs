//! https:// endpoints, with certificates made on the spot.

mod support;

use meshwise_core::{DropReason, Env, Service};
use meshwise_trace::{OtlpConfig, OtlpProtocol, SpanExport, TraceConfig};
use rcgen::{CertificateParams, Issuer, KeyPair};
use std::{fs, path::Path, sync::Arc, time::Duration};
use support::{end_spans, http, names, numbered, quick, shutdown, tracing, wait};
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

const PROTOCOLS: [OtlpProtocol; 2] = [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf];

/// A certificate authority, a server's certificate for `localhost`, and a client's, as PEM files.
struct Certificates {
    folder: tempfile::TempDir,
    server: ServerConfig,
}

impl Certificates {
    fn new(ask_client: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca_key = KeyPair::generate().unwrap();
        let mut ca_params = CertificateParams::new(Vec::new()).unwrap();
        ca_params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = ca_params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca_params, ca_key);
        let issue = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            (params.signed_by(&key, &issuer).unwrap(), key)
        };
        let (client, client_key) = issue("orders");
        for (name, text) in [
            ("ca.pem", ca.pem()),
            ("client.pem", client.pem()),
            ("client.key", client_key.serialize_pem()),
            ("empty.pem", String::new()),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }

        let (certificate, key) = issue("localhost");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if ask_client {
            let mut roots = RootCertStore::empty();
            roots.add(ca.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut server = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { folder, server }
    }

    fn path(&self, name: &str) -> String {
        Path::new(self.folder.path()).join(name).to_str().unwrap().to_owned()
    }

    /// Starts a collector for both protocols.
    fn collector(&self) -> http::Collector {
        http::Collector::secure(self.server.clone(), |_| http::Reply::Accept(Vec::new()))
    }
}

#[test]
fn spans_arrive_over_tls_with_a_certificate_of_one_s_own() {
    let certificates = Certificates::new(false);
    for protocol in PROTOCOLS {
        let collector = certificates.collector();
        let config = OtlpConfig::new()
            .with_endpoint(&collector.url)
            .with_protocol(protocol)
            .with_certificate(certificates.path("ca.pem"));
        let tracing = tracing(SpanExport::otlp(config), quick());
        end_spans(&tracing, 100);
        assert_eq!(shutdown(&tracing).delivered, 100, "{protocol:?}");
        assert_eq!(names(&collector.requests), numbered(100));
    }
}

#[test]
fn a_certificate_no_one_vouches_for_is_refused() {
    let (trusted, other) = (Certificates::new(false), Certificates::new(false));
    for protocol in PROTOCOLS {
        let collector = other.collector();
        let config = OtlpConfig::new()
            .with_endpoint(&collector.url)
            .with_protocol(protocol)
            .with_certificate(trusted.path("ca.pem"));
        let batch = quick().with_export_timeout(Duration::from_millis(500));
        let tracing = tracing(SpanExport::otlp(config), batch);
        end_spans(&tracing, 10);
        let report = wait(tracing.flush(support::LONG)).unwrap();
        assert_eq!(report.dropped_because(DropReason::ExportFailed), 10, "{protocol:?} {report}");
        assert_eq!(names(&collector.requests), [""; 0]);
    }
}

#[test]
fn a_client_shows_its_certificate() {
    let certificates = Certificates::new(true);
    let collector = certificates.collector();
    let env = Env::from_pairs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone()),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", certificates.path("ca.pem")),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificates.path("client.pem")),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", certificates.path("client.key")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
    ]);
    let service = Service::new("orders", "1");
    let tracing = TraceConfig::new(service).with_env(&env).unwrap().build().unwrap();
    end_spans(&tracing, 10);
    assert_eq!(shutdown(&tracing).delivered, 10);
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let certificates = Certificates::new(false);
    for (file, variable) in [
        ("missing.pem", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        ("empty.pem", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"),
        ("client.key", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
    ] {
        let built = |strict: &str| {
            let env = Env::from_pairs([
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:1".to_owned()),
                (variable, certificates.path(file)),
                ("MESHWISE_STRICT", strict.to_owned()),
            ]);
            let config = TraceConfig::new(Service::new("orders", "1")).with_env(&env).unwrap();
            (config.build(), env.findings())
        };
        // What the platform sets for all services stops no service; nothing is sent in another's trust.
        let (tracing, told) = built("false");
        end_spans(&tracing.unwrap(), 1);
        let told = told[0].to_string();
        assert!(told.starts_with(variable) && told.contains(file), "{told}");
        assert!(told.ends_with("no spans are exported"), "{told}");
        let (error, _) = built("true");
        assert_eq!(error.unwrap_err().to_string(), told);
    }
}
