//! `mesh.serve_grpc`, HTTP beside gRPC, and how they end.

use super::{ask, client};
use axum::{Router, routing::get};
use meshwise::{ServeBuilder, ShutdownReport, client::reqwest, opentelemetry::trace::SpanKind};
use meshwise_testing::TestMesh;
use meshwise_tests::{
    PATIENCE,
    echo::{Ask, DESCRIPTORS, Echo, EchoServer},
    eventually, serve,
};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};
use tokio_stream::StreamExt;
use tonic::{Code, service::Routes, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

struct Up {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<ShutdownReport>,
}

async fn up(mesh: &TestMesh, http: Router, drain: Duration) -> Up {
    let ops = mesh.grpc_ops().with_reflection(DESCRIPTORS).build().expect("routes");
    let grpc = ops.add_service(EchoServer::new(Echo));
    let (stop, stopped) = oneshot::channel();
    let server: ServeBuilder = mesh
        .server()
        .with_grpc(grpc)
        .with_drain_timeout(drain)
        .with_shutdown(async { drop(stopped.await) });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move { server.serve(listener, http).await.expect("a report") });
    Up { address, stop, task }
}

impl Up {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn channel(&self) -> tonic::transport::Channel {
        let endpoint = Endpoint::from_shared(self.url("")).expect("an endpoint");
        endpoint.connect().await.expect("connected")
    }

    async fn ended(self) -> ShutdownReport {
        let _ = self.stop.send(());
        timeout(PATIENCE, self.task).await.expect("in time").expect("no panic")
    }
}

fn hello() -> Router {
    Router::new().route("/hello", get(|| async { "hello" }))
}

/// Calls a method that no service has.
async fn call_nothing(address: SocketAddr) -> tonic::Status {
    let channel = Endpoint::from_shared(format!("http://{address}")).expect("an endpoint");
    let mut health = tonic::client::Grpc::new(channel.connect().await.expect("connected"));
    health.ready().await.expect("ready");
    let path = http::uri::PathAndQuery::from_static("/no.Such/Method");
    let codec = tonic_prost::ProstCodec::<Ask, Ask>::default();
    health.unary(tonic::Request::new(ask("x")), path, codec).await.expect_err("there is none")
}

#[tokio::test]
async fn each_protocol_answers_for_what_is_not_there() {
    for mine in [false, true] {
        let mesh = TestMesh::new("both");
        let http = if mine { hello().fallback(|| async { "mine" }) } else { hello() };
        let up = up(&mesh, http, Duration::ZERO).await;
        let answer = reqwest::get(up.url("/helo")).await.expect("an answer");
        assert_eq!(answer.status(), if mine { 200 } else { 404 });
        assert!(!answer.headers().contains_key("grpc-status"));
        assert_eq!(answer.text().await.expect("a body"), if mine { "mine" } else { "" });
        let answer = reqwest::get(up.url("/hello")).await.expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "hello");
        assert_eq!(call_nothing(up.address).await.code(), Code::Unimplemented);
        client(&mesh, up.address).unary(ask("x")).await.expect("an answer");

        eventually("all calls end", || mesh.spans().data().len() == 5).await;
        mesh.spans().named("GET /hello").one();
        mesh.metric("http_server_request_duration_seconds_count")
            .label("http_route", "")
            .assert_value(1.0);
        for (code, count) in [("OK", 1.0), ("UNIMPLEMENTED", 1.0)] {
            mesh.metric("rpc_server_call_duration_seconds_count")
                .label("rpc_status_code", code)
                .assert_value(count);
        }
    }
}

/// axum mounts a service under a wildcard, which says less than the method.
#[tokio::test]
async fn the_route_of_a_call_in_flight_is_its_method_s_path() {
    let mesh = TestMesh::new("both");
    let up = up(&mesh, hello(), Duration::ZERO).await;
    let mut health = HealthClient::new(up.channel().await);
    let mut watch =
        health.watch(HealthCheckRequest::default()).await.expect("a watch").into_inner();
    timeout(PATIENCE, watch.next()).await.expect("in time").expect("told").expect("a good one");
    let ops = mesh.ops_addr().expect("ops routes");
    let page = reqwest::get(format!("http://{ops}/debug/calls")).await.expect("an answer");
    let page: serde_json::Value =
        serde_json::from_slice(&page.bytes().await.expect("a body")).expect("JSON");
    let call = &page["in_flight"][0];
    assert_eq!(call["route"], "/grpc.health.v1.Health/Watch", "{page}");
    assert_eq!(call["rpc_method"], "grpc.health.v1.Health/Watch", "{page}");
    assert!(!page.to_string().contains("{*"), "{page}");
    drop(watch);
    up.ended().await;
}

#[tokio::test]
async fn what_is_wrapped_can_be_merged_in_either_order() {
    let grpc = || Routes::new(EchoServer::new(Echo));
    for mine in [false, true] {
        for grpc_first in [false, true] {
            let mesh = TestMesh::new("both");
            let http = if mine { hello().fallback(|| async { "mine" }) } else { hello() };
            let (http, grpc) =
                (mesh.wrap(http).expect("layers"), mesh.wrap_grpc(grpc()).expect("layers"));
            let app = if grpc_first { grpc.merge(http) } else { http.merge(grpc) };
            let served = serve(mesh.ops_router().merge(app)).await;
            let answer = reqwest::get(served.url("/helo")).await.expect("an answer");
            assert_eq!(answer.status(), if mine { 200 } else { 404 }, "{mine} {grpc_first}");
            client(&mesh, served.address).unary(ask("x")).await.expect("an answer");
            let code = call_nothing(served.address).await.code();
            // With a fallback of one's own, that one answers.
            assert_eq!(code, if mine { Code::Internal } else { Code::Unimplemented });
            eventually("all calls end", || mesh.spans().data().len() == 4).await;
        }
    }
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_on_a_connection_that_lives() {
    let mesh = TestMesh::new("echo");
    let up = up(&mesh, Router::new(), Duration::ZERO).await;
    let mut client = client(&mesh, up.address);
    let status = client.unary(ask("panic")).await.expect_err("no answer");
    assert_eq!((status.code(), status.message()), (Code::Unknown, "the handler panicked"));
    client.unary(ask("x")).await.expect("an answer");
    eventually("both ends of both calls", || mesh.spans().data().len() == 4).await;
    mesh.metric("rpc_server_call_duration_seconds_count")
        .label("rpc_status_code", "UNKNOWN")
        .label("error_type", "panic")
        .assert_value(1.0);
}

#[tokio::test]
async fn a_drain_breaks_calls_and_streams_off_as_unavailable() {
    let mesh = TestMesh::new("echo");
    let up = up(&mesh, Router::new(), Duration::from_millis(100)).await;
    let mut waiting = client(&mesh, up.address);
    let mut streaming = waiting.clone();
    let slow = |answers| Ask { answers, delay_ms: 3_600_000, ..ask("x") };
    // On one connection, so that the server has taken the first once the second is answered.
    let waited = waiting.unary(slow(0));
    let drained = async {
        let stream = streaming.server_stream(slow(1)).await.expect("a stream");
        let mut stream = stream.into_inner();
        stream.next().await.expect("an answer").expect("a good one");
        tokio::join!(up.ended(), async move { stream.next().await.expect("a status") })
    };
    let (waited, (report, streamed)) = tokio::join!(waited, drained);
    assert_eq!(report.broken_off, 2);
    for status in [waited.expect_err("not OK"), streamed.expect_err("not OK")] {
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "shutting down"));
    }
    mesh.spans()
        .of_kind(&SpanKind::Server)
        .with_attribute("error.type", "UNAVAILABLE")
        .with_attribute("rpc.status_code", "UNAVAILABLE")
        .with_attribute("meshwise.ended_by", "shutdown")
        .assert_count(2);
    for line in mesh.lines().of_target("meshwise::access").json() {
        assert_eq!(line["meshwise.ended_by"], "shutdown", "{line}");
        assert!(line["http.route"].is_null(), "it is a wildcard of the router's: {line}");
    }
}

#[tokio::test]
async fn no_health_watch_holds_the_end_up() {
    for service in ["", "nope.Nope"] {
        let mesh = TestMesh::new("echo");
        let up = up(&mesh, Router::new(), Duration::from_millis(500)).await;
        let mut health = HealthClient::new(up.channel().await);
        let named = HealthCheckRequest { service: service.to_owned() };
        let mut watch = health.watch(named).await.expect("a watch").into_inner();
        watch.next().await.expect("told").expect("a good one");
        let _ = up.ended().await;
        while timeout(PATIENCE, watch.next()).await.expect("it ends").is_some() {}
    }
}

#[tokio::test]
async fn serve_grpc_serves_reflection_and_knows_what_http_is() {
    use tonic_reflection::pb::v1;
    let mesh = TestMesh::new("echo");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let ops = mesh.grpc_ops().with_reflection(DESCRIPTORS).build().expect("routes");
    let serving = meshwise::Mesh::clone(&mesh);
    let task = tokio::spawn(async move { serving.serve_grpc(listener, ops).await });
    let channel = Endpoint::from_shared(format!("http://{address}")).expect("an endpoint");
    let channel = channel.connect().await.expect("connected");
    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let answers = v1::server_reflection_client::ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .expect("an answer")
        .into_inner();
    let answers: Vec<_> = answers.collect().await;
    assert!(format!("{answers:?}").contains("meshwise.test.v1.Echo"), "{answers:?}");
    let answer = reqwest::get(format!("http://{address}/helo")).await.expect("an answer");
    assert_eq!(answer.status(), 404);
    task.abort();
}
