//! gRPC over TLS.

use super::{TonicServer, ask};
use meshwise_testing::TestMesh;
use meshwise_tests::echo::{Echo, EchoClient, EchoServer};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;
use tonic::{
    service::Routes,
    transport::{Certificate, ClientTlsConfig, Identity, Server, ServerTlsConfig},
};

#[tokio::test]
async fn a_client_speaks_tls_where_the_endpoint_says_https() {
    // No cryptography provider is installed: all of this build have one and the same.
    let mesh = TestMesh::new("both");
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let identity = Identity::from_pem(cert.pem(), signing_key.serialize_pem());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))
        .expect("a TLS server")
        .layer(mesh.server_layer())
        .add_routes(Routes::new(EchoServer::new(Echo)));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let task = tokio::spawn(async move {
        server.serve_with_incoming(incoming).await.expect("serving");
    });
    let _server = TonicServer { address, task };

    let endpoint = format!("https://localhost:{}", address.port());
    let client = |trusted: bool| {
        let ca = Certificate::from_pem(cert.pem());
        let builder = mesh.grpc_client("echo").without_guards().with_endpoint(&endpoint);
        let builder = builder.with_endpoint_settings(move |endpoint| match trusted {
            true => endpoint.tls_config(ClientTlsConfig::new().ca_certificate(ca.clone())),
            false => Ok(endpoint),
        });
        EchoClient::new(builder.build().expect("a client"))
    };
    let answer = client(true).unary(ask("x")).await.expect("an answer");
    assert_eq!(answer.into_inner().text, "x");
    let status = client(false).unary(ask("x")).await.expect_err("nobody vouches for it");
    assert_eq!(status.code(), tonic::Code::Unavailable);
}
