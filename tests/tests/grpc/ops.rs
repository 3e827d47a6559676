//! Health, reflection, and grpc-web.

use super::{TonicServer, ask, client};
use axum::http::StatusCode;
use meshwise_testing::TestMesh;
use meshwise_tests::{
    PATIENCE,
    echo::{DESCRIPTORS, Echo, EchoServer},
    eventually, serve,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic::{Code, service::Routes, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

fn named(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

async fn plain(server: &TonicServer) -> tonic::transport::Channel {
    let url = format!("http://{}", server.address);
    Endpoint::from_shared(url).expect("an endpoint").connect().await.expect("connected")
}

#[tokio::test]
async fn health_is_what_readyz_says() {
    let mesh = TestMesh::new("server");
    let up = Arc::new(AtomicBool::new(true));
    mesh.health().add_check("stock", {
        let up = Arc::clone(&up);
        move || {
            let up = up.load(SeqCst);
            async move { if up { Ok(()) } else { Err("no route to host".to_owned()) } }
        }
    });
    let routes = mesh.grpc_ops().with_services(["meshwise.test.v1.Echo"]).build().expect("routes");
    let server = TonicServer::start(&mesh, routes).await;
    let mut health = HealthClient::new(plain(&server).await);
    for (ready, status) in [(true, ServingStatus::Serving), (false, ServingStatus::NotServing)] {
        up.store(ready, SeqCst);
        for service in ["", "meshwise.test.v1.Echo"] {
            let answer = health.check(named(service)).await.expect("an answer");
            assert_eq!(answer.into_inner().status(), status);
        }
    }
    let status = health.check(named("who.Knows")).await.expect_err("not here");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn a_watch_is_told_each_change_and_ends_with_the_service() {
    let mesh = TestMesh::new("server");
    let up = Arc::new(AtomicBool::new(false));
    mesh.health().add_check("stock", {
        let up = Arc::clone(&up);
        move || {
            let up = up.load(SeqCst);
            async move { if up { Ok(()) } else { Err("down".to_owned()) } }
        }
    });
    let service = meshwise::grpc::HealthService::new(mesh.health().clone())
        .with_interval(Duration::from_millis(1));
    let server = TonicServer::start(&mesh, Routes::new(service.into_server())).await;
    let mut health = HealthClient::new(plain(&server).await);
    let mut watch = health.watch(named("")).await.expect("a watch").into_inner();
    let mut next = async || {
        let told = timeout(PATIENCE, watch.next()).await.expect("in time");
        told.map(|answer| answer.expect("a good one").status())
    };
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    up.store(true, SeqCst);
    assert_eq!(next().await, Some(ServingStatus::Serving));
    mesh.health().drain();
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    assert_eq!(next().await, None, "it does not hold up the server's end");

    let mut watch = health.watch(named("who.Knows")).await.expect("a watch").into_inner();
    let told = timeout(PATIENCE, watch.next()).await.expect("in time").expect("told");
    assert_eq!(told.expect("a good one").status(), ServingStatus::ServiceUnknown);
    // The service is shutting down already.
    let end = timeout(PATIENCE, watch.next()).await.expect("in time");
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn watches_end_with_the_service_whatever_they_watch() {
    let mesh = TestMesh::new("server");
    // An interval that never comes, and a check that never ends, must not matter.
    let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let health = mesh.health().clone();
    let service = meshwise::grpc::HealthService::new(health.clone())
        .with_services(["meshwise.test.v1.Echo"])
        .with_interval(Duration::from_secs(1_000_000));
    let routes = Routes::new(service.into_server());
    let server = TonicServer::start(&mesh, routes).await;
    let mut client = HealthClient::new(plain(&server).await);
    let mut watches = Vec::new();
    for (service, first) in [
        ("", ServingStatus::Serving),
        ("meshwise.test.v1.Echo", ServingStatus::Serving),
        ("who.Knows", ServingStatus::ServiceUnknown),
    ] {
        let mut watch = client.watch(named(service)).await.expect("a watch").into_inner();
        let told = timeout(PATIENCE, watch.next()).await.expect("in time").expect("told");
        assert_eq!(told.expect("a good one").status(), first, "{service:?}");
        watches.push((service, watch));
    }
    health.add_check_within(PATIENCE * 10, "hangs", move || {
        let _ = begun.send(());
        std::future::pending()
    });
    let hanging = client.watch(named("")).await.expect("a watch").into_inner();
    timeout(PATIENCE, has_begun.recv()).await.expect("in time").expect("begun");
    watches.push(("while a check runs", hanging));
    health.drain();
    for (service, mut watch) in watches {
        let mut told = Vec::new();
        while let Some(answer) = timeout(PATIENCE, watch.next()).await.expect("in time") {
            told.push(answer.expect("a good one").status());
        }
        let expected: &[_] =
            if service == "who.Knows" { &[] } else { &[ServingStatus::NotServing] };
        assert_eq!(told, expected, "{service:?}");
    }
}

#[tokio::test]
async fn however_many_watch_the_checks_run_once_an_interval() {
    let mesh = TestMesh::new("server");
    let runs = Arc::new(AtomicUsize::new(0));
    mesh.health().add_check("stock", {
        let runs = Arc::clone(&runs);
        move || {
            runs.fetch_add(1, SeqCst);
            async { Ok(()) }
        }
    });
    let service = meshwise::grpc::HealthService::new(mesh.health().clone())
        .with_interval(Duration::from_secs(1_000_000));
    let server = TonicServer::start(&mesh, Routes::new(service.into_server())).await;
    let mut health = HealthClient::new(plain(&server).await);
    let mut watches = Vec::new();
    for _ in 0..50 {
        let mut watch = health.watch(named("")).await.expect("a watch").into_inner();
        timeout(PATIENCE, watch.next()).await.expect("in time").expect("told").expect("good");
        watches.push(watch);
    }
    assert_eq!(runs.load(SeqCst), 1);
}

#[tokio::test]
async fn both_versions_of_reflection_list_the_services() {
    use tonic_reflection::pb::{v1, v1alpha};
    let mesh = TestMesh::new("server");
    let routes = mesh.grpc_ops().with_reflection(DESCRIPTORS).build().expect("routes");
    let server = TonicServer::start(&mesh, routes).await;
    let channel = plain(&server).await;

    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let answers = v1::server_reflection_client::ServerReflectionClient::new(channel.clone())
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .expect("an answer")
        .into_inner();
    let answers: Vec<_> = answers.collect().await;
    assert!(format!("{answers:?}").contains("meshwise.test.v1.Echo"), "{answers:?}");

    let list = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let request =
        v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let answers = v1alpha::server_reflection_client::ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .expect("an answer")
        .into_inner();
    let answers: Vec<_> = answers.collect().await;
    assert!(format!("{answers:?}").contains("grpc.health.v1.Health"), "{answers:?}");
}

#[tokio::test]
async fn descriptors_that_do_not_decode_are_an_error() {
    let mesh = TestMesh::new("server");
    let error = mesh.grpc_ops().with_reflection(b"\xff\xff").build().expect_err("no descriptors");
    assert!(error.to_string().contains("FileDescriptorSet"), "{error}");
}

#[tokio::test]
async fn grpc_web_passes_through_the_layers_on_either_side() {
    let message = [0, 0, 0, 0, 3, 0x0a, 1, b'x'];
    for outside in [true, false] {
        let mesh = TestMesh::new("server");
        let router = Routes::new(EchoServer::new(Echo)).into_axum_router();
        let web = tonic_web::GrpcWebLayer::new();
        let app = match outside {
            true => router.layer(web).layer(mesh.server_layer()),
            false => router.layer(mesh.server_layer()).layer(web),
        };
        let served = serve(app).await;
        let answer = meshwise::client::reqwest::Client::new()
            .post(served.url("/meshwise.test.v1.Echo/Unary"))
            .header("content-type", "application/grpc-web+proto")
            .body(message.to_vec())
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.bytes().await.expect("a body");
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("grpc-status:0"), "{text:?}");
        eventually("the call ends", || mesh.spans().data().len() == 1).await;
        // Outside, its status stands in a body that only grpc-web reads: it is HTTP there.
        let metric = match outside {
            true => "http_server_request_duration_seconds_count",
            false => "rpc_server_call_duration_seconds_count",
        };
        mesh.metric(metric).assert_value(1.0);
    }
}

#[tokio::test]
async fn a_message_too_large_is_refused_as_grpc_has_it() {
    let mesh = TestMesh::new("both");
    let small = EchoServer::new(Echo).max_decoding_message_size(100);
    let server = TonicServer::start(&mesh, Routes::new(small)).await;
    let mut client = client(&mesh, server.address);
    let status = client.unary(ask(&"x".repeat(1000))).await.expect_err("too large");
    assert_eq!(status.code(), Code::OutOfRange);
    eventually("both ends finish", || mesh.spans().data().len() == 2).await;
    mesh.metric("rpc_server_call_duration_seconds_count")
        .label("rpc_status_code", "OUT_OF_RANGE")
        .assert_value(1.0);
}
