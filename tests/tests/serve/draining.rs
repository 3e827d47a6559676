//! How serving ends: in time, and with an end for each call.

use super::*;
use meshwise::opentelemetry::trace::SpanKind;
use meshwise_tests::serve;

#[tokio::test]
async fn it_is_not_ready_at_once_but_goes_on_taking_calls_for_a_while() {
    let mesh = TestMesh::new("orders");
    let mut up =
        Up::new(&mesh, routes(), |server| server.with_drain_delay(Duration::from_secs(3600))).await;
    let ops = mesh.ops_addr().expect("ops routes");
    assert!(ask(ops, "GET", "/readyz").await.starts_with("HTTP/1.1 200 "));
    up.stop();
    eventually("it drains", || mesh.health().is_draining()).await;
    for _ in 0..3 {
        let ready = ask(ops, "GET", "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
        assert!(ask(up.address, "GET", "/orders/7").await.starts_with("HTTP/1.1 200 "));
    }
    assert!(!up.task.is_finished());
    up.task.abort();
}

#[tokio::test]
async fn draining_ends_by_its_limit_and_each_call_has_its_end() {
    let mesh = TestMesh::new("orders");
    let mut up = Up::new(&mesh, routes(), |server| {
        server.with_drain_delay(Duration::ZERO).with_drain_timeout(Duration::from_millis(300))
    })
    .await;
    let ops = mesh.ops_addr().expect("ops routes");
    let http = reqwest::Client::new();
    let mut events = http.get(up.url("/events")).send().await.expect("a head");
    assert!(events.chunk().await.expect("an event").is_some());
    let hanging = tokio::spawn(http.get(up.url("/hang")).send());
    let idle = TcpStream::connect(up.address).await.expect("a connection");
    eventually("it hangs", || {
        mesh.metrics_text()
            .lines()
            .any(|line| line.starts_with("http_server_active_requests") && line.ends_with(" 2"))
    })
    .await;
    up.stop();
    eventually("it drains", || mesh.health().is_draining()).await;
    // The ops routes outlive the listener.
    eventually("the port is closed", || std::net::TcpStream::connect(up.address).is_err()).await;
    assert!(ask(ops, "GET", "/readyz").await.starts_with("HTTP/1.1 503 "));
    assert!(ask(ops, "GET", "/metrics").await.starts_with("HTTP/1.1 200 "));

    let report = up.ended().await;
    assert_eq!(report.broken_off, 2);
    assert!(report.to_string().ends_with("calls: 2 broken off"), "{report}");
    let hung = hanging.await.expect("no panic").expect("an answer");
    assert_eq!(hung.status(), 503);
    events.chunk().await.expect_err("the stream breaks off");
    drop(idle);
    for (name, status) in [("GET /hang", 503), ("GET /events", 200)] {
        mesh.spans()
            .named(name)
            .one()
            .assert_attribute("http.response.status_code", status)
            .assert_attribute("error.type", "shutdown")
            .assert_attribute("meshwise.ended_by", "shutdown")
            .assert_failed();
    }
    mesh.metric("http_server_active_requests").assert_value(0.0);
    eventually("the ops routes end", || std::net::TcpStream::connect(ops).is_err()).await;
    // What comes later reports the same.
    let again = mesh.shutdown().await;
    assert_eq!(again.to_string(), report.to_string());
}

#[tokio::test]
async fn a_call_that_is_broken_off_breaks_off_those_that_it_makes() {
    let mesh = TestMesh::new("orders");
    let peer = serve(Router::new().route("/", get(async || pending::<&'static str>().await))).await;
    let stock = mesh.client("stock").with_base_url(peer.url("")).build().expect("a client");
    let handler = get(move || {
        let stock = stock.clone();
        async move { stock.get("/").send().await.map_or("no answer", |_| "an answer") }
    });
    let mut up = Up::new(&mesh, Router::new().route("/stock", handler), |server| {
        server.with_drain_timeout(Duration::from_millis(100))
    })
    .await;
    let call = tokio::spawn(reqwest::get(up.url("/stock")));
    eventually("it calls", || {
        mesh.metrics_text()
            .lines()
            .any(|line| line.starts_with("http_client_active_requests") && line.ends_with(" 1"))
    })
    .await;
    up.stop();
    assert_eq!(up.ended().await.broken_off, 1);
    assert_eq!(call.await.expect("no panic").expect("an answer").status(), 503);
    for kind in [SpanKind::Server, SpanKind::Client] {
        mesh.spans()
            .of_kind(&kind)
            .one()
            .assert_attribute("error.type", "shutdown")
            .assert_attribute("meshwise.ended_by", "shutdown")
            .assert_failed();
    }
    mesh.metric("http_client_request_duration_seconds_count")
        .label("error_type", "shutdown")
        .assert_value(1.0);
}

#[tokio::test]
async fn calls_in_flight_finish_and_idle_connections_hold_nothing_up() {
    let mesh = TestMesh::new("orders");
    let (release, released) = oneshot::channel::<()>();
    let slot = std::sync::Mutex::new(Some(released));
    let slow = std::sync::Arc::new(slot);
    let slow = get(move || {
        let released = slow.lock().expect("not poisoned").take();
        async move {
            if let Some(released) = released {
                let _ = released.await;
            }
            "finished"
        }
    });
    let mut up = Up::new(&mesh, Router::new().route("/slow", slow), |server| {
        server.with_drain_timeout(Duration::from_secs(3600))
    })
    .await;
    let http = reqwest::Client::new();
    let call = tokio::spawn(http.get(up.url("/slow")).send());
    eventually("it is in flight", || {
        mesh.metrics_text()
            .lines()
            .any(|line| line.starts_with("http_server_active_requests") && line.ends_with(" 1"))
    })
    .await;
    let mut idle = TcpStream::connect(up.address).await.expect("a connection");
    up.stop();
    let mut nothing = Vec::new();
    let closed = timeout(PATIENCE, idle.read_to_end(&mut nothing)).await.expect("in time");
    assert_eq!(closed.expect("closed"), 0);
    release.send(()).expect("it waits");
    let answer = call.await.expect("no panic").expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), "finished");
    assert_eq!(up.ended().await.broken_off, 0);
}

/// Real time: a connection without a call is waited for one to two seconds.
#[tokio::test]
async fn clients_that_vanished_hold_nothing_up() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mesh = TestMesh::new("orders");
    let slow = get(async || {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        "finished"
    });
    let body = get(async || Bytes::from_static(&[b'x'; 1_000_000]));
    let routes = Router::new().route("/slow", slow).route("/body", body);
    let mut up =
        Up::new(&mesh, routes, |server| server.with_drain_timeout(Duration::from_secs(3600))).await;
    let say = async |bytes: &[u8]| {
        let mut stream = TcpStream::connect(up.address).await.expect("a connection");
        stream.write_all(bytes).await.expect("sent");
        stream
    };
    // In the midst of a head, and one that answers nothing over HTTP/2.
    let silent = [say(b"GET /orders/7 HT").await, say(PREFACE).await];
    // These have calls: one whose answer takes its time, and two that are read slowly.
    let mut late = say(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut read_late = say(b"GET /body HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let stream = TcpStream::connect(up.address).await.expect("a connection");
    let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let request = http::Request::get(up.url("/body")).body(()).expect("a request");
    let (head, _) = client.send_request(request, true).expect("sent");
    // All of it is with the server's side of the connection; the window holds it back.
    let mut unread = head.await.expect("a head").into_body();
    eventually("they are in flight", || {
        let text = mesh.metrics_text();
        text.lines()
            .any(|line| line.starts_with("http_server_active_requests") && !line.ends_with(" 0"))
    })
    .await;
    up.stop();
    let mut answer = Vec::new();
    timeout(PATIENCE, late.read_to_end(&mut answer)).await.expect("in time").expect("an answer");
    assert!(answer.ends_with(b"finished"));
    answer.clear();
    timeout(PATIENCE, read_late.read_to_end(&mut answer))
        .await
        .expect("in time")
        .expect("all of it");
    assert!(answer.len() > 1_000_000 && answer.ends_with(b"x"), "{}", answer.len());
    let mut read = 0;
    while let Some(piece) = unread.data().await {
        let length = piece.expect("all of it").len();
        read += length;
        unread.flow_control().release_capacity(length).expect("a window");
    }
    assert_eq!(read, 1_000_000);
    assert_eq!(up.ended().await.broken_off, 0);
    drop(silent);
}

#[tokio::test]
async fn streams_over_http_2_are_broken_off_too() {
    let mesh = TestMesh::new("orders");
    let mut up =
        Up::new(&mesh, routes(), |server| server.with_drain_timeout(Duration::from_millis(100)))
            .await;
    let http = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let mut events = Vec::new();
    for _ in 0..20 {
        let mut stream = http.get(up.url("/events")).send().await.expect("a head");
        assert!(stream.chunk().await.expect("an event").is_some());
        events.push(stream);
    }
    up.stop();
    assert_eq!(up.ended().await.broken_off, 20);
    for mut stream in events {
        stream.chunk().await.expect_err("the stream breaks off");
    }
    assert_eq!(mesh.spans().named("GET /events").data().len(), 20);
}

/// Nothing can end it, and it is in the account all the same: once, also where it ends later.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_blocks_its_thread_holds_the_end_up_no_longer_than_bounds() {
    let mesh = TestMesh::new("orders");
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Arc::new(std::sync::Mutex::new(released));
    let block = get(move || {
        let released = std::sync::Arc::clone(&released);
        async move {
            let _ = released.lock().expect("not poisoned").recv_timeout(PATIENCE);
            "late"
        }
    });
    let routes = Router::new()
        .route("/block/{id}", block)
        .route("/hang", get(async || pending::<&'static str>().await));
    let mut up =
        Up::new(&mesh, routes, |server| server.with_drain_timeout(Duration::from_millis(50))).await;
    let call = tokio::spawn(reqwest::Client::new().get(up.url("/block/7")).send());
    let hangs = tokio::spawn(reqwest::Client::new().get(up.url("/hang")).send());
    eventually("both are in flight", || {
        mesh.metrics_text()
            .lines()
            .any(|line| line.starts_with("http_server_active_requests") && line.ends_with(" 2"))
    })
    .await;
    up.stop();
    let report = up.ended().await;
    assert_eq!((report.broken_off, report.unfinished), (1, 1), "{report}");
    assert!(report.to_string().ends_with("calls: 1 broken off, 1 unfinished"), "{report}");
    let told = mesh.lines().containing("calls did not end").one();
    told.assert_field("calls", 1);
    let message = "calls did not end, their handlers block their threads: GET /block/{id}";
    assert_eq!(told.json()["message"], message);
    let counted = || {
        mesh.metric("http_server_request_duration_seconds_count")
            .label("http_route", "/block/{id}")
            .label("error_type", "shutdown")
            .assert_value(1.0);
        assert_eq!(mesh.metric("http_server_request_duration_seconds_count").count(), 2);
    };
    counted();
    release.send(()).expect("it still waits");
    let _ = call.await;
    eventually("it ends after all", || {
        mesh.metrics_text()
            .lines()
            .any(|line| line.starts_with("http_server_active_requests") && line.ends_with(" 0"))
    })
    .await;
    counted();
    drop(hangs);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nothing_up() {
    let mesh = TestMesh::new("orders");
    let endless = get(|| async {
        let piece = || Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 65_536]));
        Response::new(Body::from_stream(futures_util::stream::repeat_with(piece)))
    });
    let mut up = Up::new(&mesh, Router::new().route("/endless", endless), |server| {
        server.with_drain_timeout(Duration::from_millis(50))
    })
    .await;
    let mut stream = TcpStream::connect(up.address).await.expect("a connection");
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    stream.read_exact(&mut [0; 1000]).await.expect("a beginning");
    up.stop();
    assert_eq!(up.ended().await.broken_off, 1);
    mesh.spans()
        .named("GET /endless")
        .one()
        .assert_attribute("error.type", "shutdown")
        .assert_attribute("meshwise.ended_by", "shutdown");
}

#[tokio::test]
async fn two_servers_of_one_mesh_end_together() {
    let mesh = TestMesh::new("orders");
    let mut one =
        Up::new(&mesh, routes(), |server| server.with_drain_timeout(Duration::from_millis(10)))
            .await;
    let two = Router::new().route("/two", get(|| async { "two" }));
    let mut two = Up::new(&mesh, two, plain).await;
    one.stop();
    eventually("the first is closed", || std::net::TcpStream::connect(one.address).is_err()).await;
    let (address, ops) = (two.address, mesh.ops_addr().expect("ops routes"));
    assert!(ask(address, "GET", "/two").await.ends_with("two"));
    assert!(ask(ops, "GET", "/livez").await.starts_with("HTTP/1.1 200 "));
    assert!(!one.task.is_finished(), "the last one flushes");
    two.stop();
    assert_eq!(one.ended().await.to_string(), two.ended().await.to_string());
    mesh.spans().named("GET /two").one();
}

#[tokio::test]
async fn a_server_that_is_dropped_ends_its_connections() {
    let mesh = TestMesh::new("orders");
    let up = Up::new(&mesh, routes(), plain).await;
    let mut events = reqwest::get(up.url("/events")).await.expect("a head");
    assert!(events.chunk().await.expect("an event").is_some());
    up.task.abort();
    timeout(PATIENCE, events.chunk()).await.expect("in time").expect_err("it breaks");
    eventually("the call ends", || !mesh.spans().data().is_empty()).await;
}
