//! What travels with a call: trace, caller, deadline, attempt, and metadata that is none of ours.

use super::{TonicServer, ask, client, serve_beside_http};
use meshwise::{
    core::{Attempt, Deadline, internal::parse_grpc_timeout},
    http::ServerMode,
    opentelemetry::trace::SpanKind,
};
use meshwise_testing::TestMesh;
use meshwise_tests::{
    echo::{Answer, Ask, EchoClient, EchoServer},
    eventually,
};
use std::time::{Duration, Instant};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataValue, service::Routes};

/// Finds what a header said, among those that the echo service saw.
fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.metadata.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn every_format_travels_in_metadata_and_binary_keys_are_left_alone() {
    let formats = "tracecontext,baggage,b3,b3multi,jaeger,xray,datadog";
    let mesh = TestMesh::with("both", |builder| {
        builder.with_env(meshwise::core::Env::from_pairs([("OTEL_PROPAGATORS", formats)]))
    });
    let server = TonicServer::echo(&mesh).await;
    let mut request = Request::new(ask("x"));
    let bytes = MetadataValue::from_bytes(&[0, 159, 146, 150]);
    request.metadata_mut().insert_bin("thumb-bin", bytes);
    request.metadata_mut().insert("plain", "text".parse().expect("text"));
    let answer = client(&mesh, server.address).unary(request).await.expect("an answer");
    let answer = answer.into_inner();
    for name in [
        "traceparent",
        "tracestate",
        "b3",
        "x-b3-traceid",
        "uber-trace-id",
        "x-amzn-trace-id",
        "x-datadog-trace-id",
    ] {
        assert!(header(&answer, name).is_some(), "{name} is missing: {answer:?}");
    }
    assert_eq!(header(&answer, "plain"), Some("text"));
    assert_eq!(header(&answer, "thumb-bin"), Some(r#"b"\0\x9f\x92\x96""#));
    eventually("both ends finish", || mesh.spans().data().len() == 2).await;
    let client = mesh.spans().of_kind(&SpanKind::Client).one();
    let server = mesh.spans().of_kind(&SpanKind::Server).one();
    server.assert_child_of(&client).assert_attribute("client.service.name", "both");
}

/// Passes a call on to the next service.
struct Relay(EchoClient<meshwise::GrpcClient>);

#[tonic::async_trait]
impl meshwise_tests::echo::EchoService for Relay {
    type ServerStreamStream = tokio_stream::Empty<Result<Answer, Status>>;
    type BothStream = tokio_stream::Empty<Result<Answer, Status>>;

    async fn unary(&self, request: Request<Ask>) -> Result<Response<Answer>, Status> {
        let timeout = request.metadata().get("grpc-timeout").cloned();
        let mut answer = self.0.clone().unary(request.into_inner()).await?;
        if let Some(timeout) = timeout.and_then(|timeout| timeout.to_str().map(str::to_owned).ok())
        {
            answer.get_mut().metadata.push(format!("relay-timeout: {timeout}"));
        }
        Ok(answer)
    }

    async fn server_stream(
        &self,
        _: Request<Ask>,
    ) -> Result<Response<Self::ServerStreamStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn client_stream(&self, _: Request<Streaming<Ask>>) -> Result<Response<Answer>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn both(&self, _: Request<Streaming<Ask>>) -> Result<Response<Self::BothStream>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tokio::test]
async fn a_deadline_shrinks_and_attempts_add_up_hop_by_hop() {
    let (first, second, third) =
        (TestMesh::new("first"), TestMesh::new("second"), TestMesh::new("third"));
    let last = TonicServer::echo(&third).await;
    let relay = EchoServer::new(Relay(client(&second, last.address)));
    let middle = TonicServer::start(&second, Routes::new(relay)).await;

    let mut request = Request::new(ask("x"));
    let allowed = Duration::from_secs(30);
    request.extensions_mut().insert(Deadline::after(Instant::now(), allowed));
    request.extensions_mut().insert(Attempt(2));
    let answer = client(&first, middle.address).unary(request).await.expect("an answer");
    let answer = answer.into_inner();
    let left = |name| {
        let text = header(&answer, name).unwrap_or_else(|| panic!("{name}: {answer:?}"));
        parse_grpc_timeout(text.as_bytes()).expect("a timeout")
    };
    let (at_relay, at_last) = (left("relay-timeout"), left("grpc-timeout"));
    assert!(at_relay <= allowed && at_relay > allowed - Duration::from_secs(10), "{at_relay:?}");
    assert!(at_last < at_relay, "{at_last:?} after {at_relay:?}");
    assert_eq!(header(&answer, "grpc-previous-rpc-attempts"), Some("2"));
}

#[tokio::test]
async fn a_shorter_timeout_in_the_request_stays() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    let mut request = Request::new(ask("x"));
    request.set_timeout(Duration::from_secs(5));
    request.extensions_mut().insert(Deadline::after(Instant::now(), Duration::from_secs(60)));
    let answer = client(&mesh, server.address).unary(request).await.expect("an answer");
    let answer = answer.into_inner();
    let left = header(&answer, "grpc-timeout").and_then(|t| parse_grpc_timeout(t.as_bytes()));
    // Less the time that the call has spent in the guards.
    let (most, least) = (Duration::from_secs(5), Duration::from_secs(4));
    assert!(left.is_some_and(|left| left <= most && left > least), "{left:?}");
}

#[tokio::test]
async fn a_stranger_s_deadline_and_attempts_are_not_taken_over() {
    let (edge, inner) = (TestMesh::new("edge"), TestMesh::new("inner"));
    let last = TonicServer::echo(&inner).await;
    let relay = EchoServer::new(Relay(client(&edge, last.address)));
    let router = Routes::new(relay).into_axum_router();
    let served =
        meshwise_tests::serve(router.layer(edge.server_layer().with_mode(ServerMode::Edge))).await;
    let mut request = Request::new(ask("x"));
    request.set_timeout(Duration::from_secs(5));
    request.metadata_mut().insert("grpc-previous-rpc-attempts", 3.into());
    let channel = tonic::transport::Endpoint::from_shared(served.url("")).expect("an endpoint");
    let mut stranger = EchoClient::new(channel.connect_lazy());
    let answer = stranger.unary(request).await.expect("an answer").into_inner();
    assert_eq!(header(&answer, "grpc-timeout"), None);
    assert_eq!(header(&answer, "grpc-previous-rpc-attempts"), None);
}

#[tokio::test]
async fn http_and_grpc_on_one_port_are_measured_as_what_they_are() {
    let mesh = TestMesh::new("both");
    let served = serve_beside_http(&mesh).await;
    client(&mesh, served.address).unary(ask("x")).await.expect("an answer");
    let http = mesh.client("both").with_base_url(served.url("")).build().expect("a client");
    http.get("/hello").send().await.expect("an answer").bytes().await.expect("a body");
    eventually("all ends finish", || mesh.spans().data().len() == 4).await;
    mesh.metric("rpc_server_call_duration_seconds_count").assert_value(1.0);
    mesh.metric("rpc_client_call_duration_seconds_count").assert_value(1.0);
    mesh.metric("http_server_request_duration_seconds_count").assert_value(1.0);
    mesh.metric("http_client_request_duration_seconds_count").assert_value(1.0);
    mesh.metric("http_server_active_requests").assert_value(0.0);
    mesh.spans()
        .named("meshwise.test.v1.Echo/Unary")
        .of_kind(&SpanKind::Server)
        .one()
        .assert_attribute("meshwise.rpc.request.messages", 1)
        .assert_no_attribute("http.route");
}

#[tokio::test]
async fn methods_that_the_server_has_not_never_become_labels() {
    let mesh = TestMesh::new("both");
    let server = TonicServer::echo(&mesh).await;
    let http = meshwise::client::reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .expect("a client");
    for path in ["/meshwise.test.v1.Echo/Nope", "/made.Up/Name", "/%20/..", "/"] {
        let url = format!("http://{}{path}", server.address);
        let request = http.post(url).header("content-type", "application/grpc").body("");
        request.send().await.expect("an answer").bytes().await.expect("a body");
    }
    eventually("all ends finish", || mesh.spans().data().len() == 4).await;
    mesh.metric("rpc_server_call_duration_seconds_count")
        .label("rpc_method", "_OTHER")
        .label("rpc_status_code", "UNIMPLEMENTED")
        .assert_value(4.0);
    mesh.metric("rpc_server_call_duration_seconds_count").assert_value(4.0);
    mesh.spans()
        .with_attribute("rpc.method_original", "made.Up/Name")
        .one()
        .assert_attribute("rpc.method", "_OTHER");
    mesh.spans().named("_OTHER").assert_count(4);
}

#[tokio::test]
async fn calls_are_balanced_over_the_endpoints() {
    let (mesh, one, two) = (TestMesh::new("client"), TestMesh::new("one"), TestMesh::new("two"));
    let servers = [TonicServer::echo(&one).await, TonicServer::echo(&two).await];
    let urls = servers.each_ref().map(|server| format!("http://{}", server.address));
    let service = mesh.grpc_client("echo").with_endpoints(urls).build().expect("a client");
    let mut client = EchoClient::new(service);
    let mut calls = 0;
    while one.spans().data().is_empty() || two.spans().data().is_empty() {
        client.unary(ask("x")).await.expect("an answer");
        calls += 1;
        assert!(calls < 10_000, "one of the two never gets a call");
    }
}
