//! A client over a transport of one's own, with an interceptor, in a task.

use crate::{TonicServer, ask};
use http::{Method, Request, Response};
use meshwise::GrpcClient;
use meshwise_testing::TestMesh;
use meshwise_tests::echo::{Echo, EchoClient, EchoServer};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use tonic::{Status, body::Body, service::Routes, transport::Channel};
use tower::{ServiceBuilder, ServiceExt};

#[tokio::test]
async fn a_client_over_a_transport_of_one_s_own_is_guarded_and_observed() {
    let mesh = TestMesh::new("orders");
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    // The service itself, without any connection.
    let routes = Routes::new(EchoServer::new(Echo)).prepare();
    let transport = ServiceBuilder::new()
        .map_request(move |request: Request<Body>| {
            counted.fetch_add(1, SeqCst);
            request
        })
        .map_response(|response: Response<Body>| response)
        .service(routes);
    let client = mesh.grpc_client("echo").build_over(transport).expect("a client");
    let mut echo = EchoClient::with_interceptor(client, Ok::<_, Status>);
    let said = echo.unary(ask("hello")).await.expect("an answer").into_inner();
    assert_eq!((said.text.as_str(), seen.load(SeqCst)), ("hello", 1));
    mesh.spans().one();
}

#[tokio::test]
async fn calls_can_be_made_in_tasks() {
    let mesh = TestMesh::new("orders");
    let server = TonicServer::echo(&TestMesh::new("echo")).await;
    let endpoint = format!("http://{}", server.address);
    let client: GrpcClient<Channel> =
        mesh.grpc_client("echo").with_endpoint(endpoint).build().expect("a client");
    let mut echo = EchoClient::new(client.clone());
    let said = tokio::spawn(async move { echo.unary(ask("hello")).await });
    assert_eq!(said.await.expect("joined").expect("an answer").into_inner().text, "hello");
    // Not a call that the service knows, but one that it answers.
    let request = Request::post("/").body(Body::empty()).expect("a request");
    let answer = tokio::spawn(async move { client.oneshot(request).await });
    assert_eq!(answer.await.expect("joined").expect("an answer").status(), 200);
}

/// As a handler may hand it on.
#[tokio::test]
async fn a_request_without_a_path_leaves_the_client_as_it_is() {
    let mesh = TestMesh::new("orders");
    let server = TonicServer::echo(&TestMesh::new("echo")).await;
    let endpoint = format!("http://{}", server.address);
    let client = mesh.grpc_client("echo").with_endpoint(endpoint).build().expect("a client");
    for (method, asked) in [
        (Method::POST, "other:443"),
        (Method::CONNECT, "other:443"),
        (Method::POST, "http://other"),
        (Method::POST, "http://other/../x"),
        (Method::OPTIONS, "*"),
    ] {
        let request = Request::builder().method(&method).uri(asked).body(Body::empty());
        // How it ends is the server's to say.
        let _answer = client.clone().oneshot(request.expect("a request")).await;
    }
    let said = EchoClient::new(client).unary(ask("hello")).await.expect("an answer");
    assert_eq!(said.into_inner().text, "hello");
}
