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
