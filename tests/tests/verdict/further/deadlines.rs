//! Two timers for one moment.

use super::{
    frames::{CANCELLED, outcome, start},
    *,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_says_cancelled_of_the_little_time_it_was_given_is_not_blamed() {
    // tonic's server has a timer for `grpc-timeout`, and says so when that is first.
    for (case, given, expected) in [
        ("no deadline", None, "Cancelled | CANCELLED | 1/1"),
        ("less than 0.4 of an attempt's 3 s", Some(ms(1000)), "Cancelled | CANCELLED | 0/0"),
        ("more", Some(ms(1300)), "Cancelled | CANCELLED | 1/1"),
    ] {
        for how in ["set_timeout", "extension", "x-request-timeout-ms"] {
            let peer = start(&[(CANCELLED, Keep)]).await;
            let mesh = TestMesh::new("orders");
            let client = mesh.grpc_client("stock").with_endpoint(&peer.url);
            let mut client = EchoClient::new(client.build().expect("a client"));
            let mut request = tonic::Request::new(Ask::default());
            match (how, given) {
                (_, None) => {}
                ("set_timeout", Some(given)) => request.set_timeout(given),
                ("extension", Some(given)) => {
                    request.extensions_mut().insert(Deadline::after(Instant::now(), given));
                }
                (name, Some(given)) => {
                    let given = given.as_millis().to_string().parse().expect("text");
                    request.metadata_mut().insert(name, given);
                }
            }
            let caller = outcome(client.unary(request)).await;
            assert_eq!(told(&mesh, &caller, 1).await, expected, "{case}, {how}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_is_one_if_it_is_written_as_grpc_has_it() {
    // An attempt has 700 ms by the settings, and more than 0.4 of that is the peer's doing.
    const IGNORED: &str = "DeadlineExceeded | timeout | 1/1 | 1/1";
    const SHORT: &str = "DeadlineExceeded | timeout | 0/0 | 1/1";
    const SPENT: &str = "DeadlineExceeded |  | 0/0 | 0/0";
    for (header, expected) in [
        ("0m", SPENT),
        ("0H", SPENT),
        ("20m", SHORT),
        ("20000u", SHORT),
        ("20000000n", SHORT),
        ("20", IGNORED),
        ("-1m", IGNORED),
        ("20x", IGNORED),
        ("123456789n", IGNORED),
    ] {
        let peer = start(&[(&[], Keep)]).await;
        let mesh = TestMesh::new("orders");
        let client = mesh.grpc_client("stock").with_endpoint(&peer.url);
        let client = client.with_guards(|guards| guards.with_timeout(ms(700)));
        let mut client = EchoClient::new(client.build().expect("a client"));
        let mut request = tonic::Request::new(Ask::default());
        request.metadata_mut().insert("grpc-timeout", header.parse().expect("text"));
        let caller = outcome(client.unary(request)).await;
        let told = told(&mesh, &caller, usize::from(expected != SPENT)).await;
        assert_eq!(format!("{told} | {}", peer.seen()), expected, "{header}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_what_flows_both_ways() {
    let echo = serve(Routes::new(EchoServer::new(Echo)).into_axum_router()).await;
    for set in ["set_timeout", "x-request-timeout-ms", "extension"] {
        let mesh = TestMesh::new("orders");
        let client = mesh.grpc_client("stock").with_endpoint(echo.url(""));
        let mut client = EchoClient::new(client.build().expect("a client"));
        let asks = tokio_stream::iter([Ask::default()]).chain(tokio_stream::pending());
        let mut request = tonic::Request::new(asks);
        match set {
            "set_timeout" => request.set_timeout(ms(300)),
            "extension" => {
                request.extensions_mut().insert(Deadline::after(Instant::now(), ms(300)));
            }
            name => drop(request.metadata_mut().insert(name, "300".parse().expect("text"))),
        }
        let mut answers = client.both(request).await.expect("a head").into_inner();
        let all = async {
            while answers.message().await?.is_some() {}
            Ok::<_, tonic::Status>(())
        };
        let status = timeout(PATIENCE, all).await.expect("in time").expect_err("its time is up");
        assert_eq!(status.code(), Code::DeadlineExceeded, "{set}");
        assert_eq!(told(&mesh, "", 1).await, " | timeout | 1/0", "{set}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn little_time_blames_no_one_however_it_is_set_unless_it_is_all_that_the_peer_ever_has() {
    let head = "HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nok";
    for (says, set, expected) in [
        ("", "x-request-timeout-ms", "timeout | timeout | 0/0"),
        ("", "extension", "timeout | timeout | 0/0"),
        ("", "a timeout around", "left | cancelled | 0/0"),
        ("", "total", "timeout | timeout | 1/1"),
        (head, "x-request-timeout-ms", "200, broken | timeout | 1/0"),
        (head, "extension", "200, broken | timeout | 1/0"),
        (head, "a timeout around", "left | - | 1/0"),
        (head, "total", "200, broken | timeout | 1/1"),
    ] {
        let turn = Turn { at_once: false, says: says.to_owned(), then: Silent };
        let peer = Raw::start(&[turn]).await;
        let mesh = TestMesh::new("orders");
        let short = ms(300);
        let client = client(&mesh, &peer.url, move |guards| match set {
            "total" => guards.with_total(short),
            _ => guards,
        });
        let mut request = Request::get("/").body("".into()).expect("a request");
        match set {
            "extension" => {
                request.extensions_mut().insert(Deadline::after(Instant::now(), short));
            }
            "x-request-timeout-ms" => {
                request.headers_mut().insert(set, "300".parse().expect("text"));
            }
            _ => {}
        }
        let call = call(&client, None, request, Reader::ReadsAll);
        let caller = match set {
            "a timeout around" => timeout(short, call).await.unwrap_or_else(|_| "left".to_owned()),
            _ => call.await,
        };
        assert_eq!(told(&mesh, &caller, 1).await, expected, "{says:?} {set}");
    }
}
