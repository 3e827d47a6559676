//! Chains whose hops speak different protocols, and have different limits.

use super::*;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use tonic::metadata::MetadataValue;

/// What a hop calls.
#[derive(Clone)]
enum Stock {
    Http(Client),
    Grpc(EchoClient<meshwise::GrpcClient>),
}

impl Stock {
    fn at(mesh: &Mesh, url: String, grpc: bool, own_limit: Option<Duration>) -> Self {
        let guards = move |guards: PeerConfig| match own_limit {
            Some(limit) => guards.with_timeout(limit),
            None => guards,
        };
        if grpc {
            let client = mesh.grpc_client("stock").with_endpoint(url).with_guards(guards);
            return Self::Grpc(EchoClient::new(client.build().expect("a client")));
        }
        let client = mesh.client("stock").with_base_url(url).with_guards(guards);
        Self::Http(client.build().expect("a client"))
    }

    /// Calls; with a deadline, if there is one.
    async fn call(self, deadline: Option<Duration>) -> bool {
        match self {
            Self::Http(client) => {
                let request = client.get("/");
                let request = match deadline {
                    Some(deadline) => request.timeout(deadline),
                    None => request,
                };
                request.send().await.is_ok_and(|answer| answer.status() == 200)
            }
            Self::Grpc(mut client) => {
                let mut request = tonic::Request::new(Ask::default());
                deadline.into_iter().for_each(|deadline| request.set_timeout(deadline));
                client.unary(request).await.is_ok()
            }
        }
    }
}

/// An empty message and a good end.
fn grpc_ok() -> Response {
    let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), 0.into())]);
    let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)];
    let body = futures_util::stream::iter(frames.map(Ok::<_, Infallible>));
    ([("content-type", "application/grpc")], Body::new(StreamBody::new(body))).into_response()
}

struct Hop {
    mesh: TestMesh,
    served: Served,
}

/// Hops from the last to the first, each with whether it is called by gRPC, and the limit of its own attempts;
/// the last one's peer hangs.
async fn chain(hops: &[(bool, Option<u64>)]) -> Vec<Hop> {
    let hangs = serve(Router::new().fallback(pending::<()>)).await;
    let (mut url, mut next_grpc) = (hangs.url(""), hops[0].0);
    let mut chain = vec![Hop { mesh: TestMesh::new("hangs"), served: hangs }];
    for (at, (grpc, own_limit)) in hops.iter().enumerate() {
        let mesh = TestMesh::new(&format!("hop-{at}"));
        let stock = Stock::at(&mesh, url, next_grpc, own_limit.map(ms));
        // What it can do without the others.
        let without = move |State(stock): State<Stock>, headers: HeaderMap| async move {
            stock.call(None).await;
            match headers["content-type"] == "application/grpc" {
                true => grpc_ok(),
                false => "without".into_response(),
            }
        };
        let typed = |mut request: Request| {
            let plain = http::HeaderValue::from_static("text/plain");
            request.headers_mut().entry("content-type").or_insert(plain);
            request
        };
        let app = Router::new().fallback(without).with_state(stock);
        let app = app.layer(tower::util::MapRequestLayer::new(typed));
        let served = serve(app.layer(mesh.server_layer())).await;
        (url, next_grpc) = (served.url(""), *grpc);
        chain.push(Hop { mesh, served });
    }
    chain
}

/// Makes 25 calls of the first hop at once, and returns how many went well, with the breakers from the front to
/// the one for what hangs.
async fn calls(
    hops: &[(bool, Option<u64>)],
    deadline: Option<Duration>,
) -> (usize, Vec<BreakerSnapshot>) {
    let clock = Clock::held();
    let chain = chain(hops).await;
    let front = TestMesh::new("front");
    let (first, _) = hops.last().expect("a hop");
    let url = chain.last().expect("a hop").served.url("");
    let stock = Stock::at(&front, url, *first, None);
    let calls = futures_util::future::join_all((0..25).map(|_| stock.clone().call(deadline)));
    let well = clock.until(async { calls.await.into_iter().filter(|well| *well).count() }).await;
    clock.settle().await;
    let meshes = chain[1..].iter().rev().map(|hop| &*hop.mesh);
    (well, [&*front].into_iter().chain(meshes).map(breaker).collect())
}

/// Of five services in any mix of protocols only the one before what hangs finds its peer at fault.
#[tokio::test(start_paused = true)]
async fn in_a_chain_of_mixed_protocols_only_the_breaker_for_what_hangs_opens() {
    let (http, grpc) = ((false, None), (true, None));
    for hops in [
        vec![http, grpc],
        vec![grpc, http],
        vec![grpc, http, grpc],
        vec![http, grpc, http, grpc],
        vec![grpc; 4],
    ] {
        let (well, breakers) = calls(&hops, None).await;
        assert_eq!(well, 25, "{hops:?}");
        let (last, others) = breakers.split_last().expect("breakers");
        assert_eq!(last.state, BreakerState::Open, "{hops:?} {last:?}");
        for other in others {
            assert_eq!(
                (other.state, other.failed),
                (BreakerState::Closed, 0),
                "{hops:?} {other:?}"
            );
        }
    }
}

/// A hop whose own limit is far above what its caller gives it ends in time, and judges no one by so little.
#[tokio::test(start_paused = true)]
async fn a_hop_with_a_far_longer_limit_ends_before_its_caller_and_blames_no_one() {
    // Its caller's caller waits for 3 s: 0.8 of 0.8 of that is 0.4 of 4.8 s.
    for (limit, opens) in [(8_000, false), (4_900, false), (4_700, true), (500, true)] {
        for grpc in [false, true] {
            let (well, breakers) = calls(&[(grpc, Some(limit)), (!grpc, None)], None).await;
            assert_eq!(well, 25, "{limit} {grpc}");
            let states: Vec<_> = breakers.iter().map(|it| it.state == BreakerState::Open).collect();
            assert_eq!(states, [false, false, opens], "{limit} {grpc} {breakers:?}");
        }
    }
}

/// Callers with little time learn nothing of any hop, whichever protocols their deadline goes through.
#[tokio::test(start_paused = true)]
async fn a_short_deadline_opens_no_breaker_of_a_mixed_chain() {
    for hops in [[(false, None), (true, None)], [(true, None), (false, None)]] {
        let (_, breakers) = calls(&hops, Some(ms(500))).await;
        for seen in breakers {
            assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 0), "{hops:?} {seen:?}");
        }
    }
}

/// Where a deadline is told in gRPC's way and in HTTP's, the earlier holds, and nothing is blamed for it.
#[tokio::test(start_paused = true)]
async fn of_two_deadlines_of_one_call_the_earlier_holds() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    for (grpc, http, least) in [("300m", "20000", 300), ("20S", "300", 300), ("1S", "700", 700)] {
        let mesh = TestMesh::new("front");
        let mut client = peer.grpc(&mesh, |guards| guards);
        let mut request = tonic::Request::new(Ask { delay_ms: 60_000, ..Ask::default() });
        request.metadata_mut().insert("grpc-timeout", grpc.parse().expect("a value"));
        let value = MetadataValue::try_from(http).expect("a value");
        request.metadata_mut().insert("x-request-timeout-ms", value);
        let began = Instant::now();
        let ended = clock.until(async move { client.unary(request).await }).await;
        assert_eq!(ended.expect_err("late").code(), Code::DeadlineExceeded);
        let took = began.elapsed();
        assert!((ms(least)..ms(least + 60)).contains(&took), "{grpc} {http} {took:?}");
        assert_eq!(breaker(&mesh).failed, 0);
    }
}
