//! Streams of each kind: as trials of a half-open breaker, with deadlines, through hops, and with readers that stop.

use super::*;
use futures_util::stream::{self, BoxStream};
use meshwise::{GrpcClient, resilience::BreakerLayer};

/// How an answer streams.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Events over HTTP, for ever.
    Events,
    /// Pieces for a minute, over a client whose calls end with their heads.
    UntilHead,
    /// One gRPC message, and nothing for a minute.
    Server,
    /// An answer to each message, for ever.
    Both,
    /// One answer, after a minute of messages.
    Upload,
}

use Kind::{Both, Events, Server, UntilHead, Upload};

const ALL: [Kind; 5] = [Events, UntilHead, Server, Both, Upload];

/// The clients of one peer.
#[derive(Clone)]
struct Streams {
    http: Client,
    grpc: EchoClient<GrpcClient>,
}

impl Streams {
    fn of(
        peer: &Peer,
        mesh: &Mesh,
        guards: impl Fn(PeerConfig) -> PeerConfig + Copy + Send + 'static,
    ) -> Self {
        Self { http: peer.client(mesh, guards), grpc: peer.grpc(mesh, guards) }
    }

    /// Opens a stream, with a deadline if there is one; its items are `false` where it broke.
    async fn open(
        mut self,
        kind: Kind,
        deadline: Option<Duration>,
    ) -> Option<BoxStream<'static, bool>> {
        fn timed<T>(ask: T, deadline: Option<Duration>) -> tonic::Request<T> {
            let mut request = tonic::Request::new(ask);
            deadline.into_iter().for_each(|deadline| request.set_timeout(deadline));
            request
        }
        // One message a second.
        let asks = |count| {
            stream::iter(0..count).then(|at| async move {
                sleep(secs(u64::from(at > 0))).await;
                Ask { text: "x".into(), ..Ask::default() }
            })
        };
        Some(match kind {
            Events | UntilHead => {
                let path = if kind == Events { "/events/500" } else { "/pieces/60/1000" };
                let mut request = self.http.get(path);
                if let Some(deadline) = deadline {
                    request = request.timeout(deadline);
                }
                let body = request.send().await.ok()?.bytes_stream();
                body.map(|piece| piece.is_ok()).boxed()
            }
            Server => {
                let ask = Ask { text: "x".into(), answers: 1, delay_ms: 60_000, ..Ask::default() };
                let answers = self.grpc.server_stream(timed(ask, deadline)).await.ok()?;
                answers.into_inner().map(|answer| answer.is_ok()).boxed()
            }
            Both => {
                let answers = self.grpc.both(timed(asks(100_000), deadline)).await.ok()?;
                answers.into_inner().map(|answer| answer.is_ok()).boxed()
            }
            Upload => {
                let answer = self.grpc.client_stream(timed(asks(60), deadline)).await;
                stream::iter([answer.is_ok()]).boxed()
            }
        })
    }

    /// Opens a stream and reads it; how many good items there were so far, and whether it broke.
    fn read(&self, kind: Kind, deadline: Option<Duration>) -> (JoinHandle<bool>, Arc<AtomicUsize>) {
        let (streams, seen) = (self.clone(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&seen);
        let reader = tokio::spawn(async move {
            let Some(mut items) = streams.open(kind, deadline).await else { return false };
            while let Some(well) = items.next().await {
                if !well {
                    return false;
                }
                count.fetch_add(1, SeqCst);
            }
            true
        });
        (reader, seen)
    }
}

/// Settings for a kind of stream.
fn guards(kind: Kind) -> impl Fn(PeerConfig) -> PeerConfig + Copy {
    move |guards| {
        let guards = guards.with_bulkhead(BulkheadConfig::new().with_limit(4).without_queue());
        if kind == UntilHead { guards.until_head() } else { guards }
    }
}

/// Trials that stream close the breaker, whichever way they stream, once they have begun to; and end well long
/// after that.
#[tokio::test(start_paused = true)]
async fn trials_that_stream_close_the_breaker() {
    let clock = Clock::held();
    for kind in ALL {
        let peer = Peer::start().await;
        let mesh = TestMesh::new("front");
        let _entered = mesh.enter();
        let streams = Streams::of(&peer, &mesh, guards(kind));
        peer.turn(500);
        for _ in 0..20 {
            ask(&streams.http, "/").await;
        }
        peer.turn(0);
        clock.pass(ms(5_600)).await;
        let open: Vec<_> = (0..3).map(|_| streams.read(kind, None)).collect();
        clock.pass(secs(2)).await;
        if kind == Upload {
            // Nothing is known of the peer yet, and that is this side's doing.
            assert_eq!(breaker(&mesh).state, BreakerState::HalfOpen);
            clock.pass_by(ms(100), secs(62)).await;
        }
        assert_eq!(breaker(&mesh).state, BreakerState::Closed, "{kind:?}");
        assert_eq!(ask(&streams.http, "/").await, 200, "{kind:?}");
        clock.pass_by(ms(100), secs(62)).await;
        assert_eq!(changes(&mesh), ["opened", "half-opened", "closed"], "{kind:?}");
        assert_eq!((breaker(&mesh).failed, bulkhead(&mesh).in_use), (0, 0), "{kind:?}");
        for (reader, seen) in open {
            assert!(seen.load(SeqCst) > 0, "{kind:?}");
            let ends = !matches!(kind, Events | Both);
            assert_eq!(reader.is_finished(), ends, "{kind:?}");
            assert!(!ends || reader.await.expect("no panic"), "{kind:?}");
        }
    }
}

/// A deadline that somebody set cuts each kind of stream at its time, blames no one, and frees what it held.
#[tokio::test(start_paused = true)]
async fn a_deadline_cuts_each_kind_of_stream_and_blames_no_one() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    for kind in ALL {
        let mesh = TestMesh::new("front");
        let streams = Streams::of(&peer, &mesh, guards(kind));
        let open: Vec<_> = (0..3).map(|_| streams.read(kind, Some(ms(4_500)))).collect();
        clock.pass(ms(4_400)).await;
        assert!(open.iter().all(|(reader, _)| !reader.is_finished()), "{kind:?}");
        clock.pass(ms(200)).await;
        for (reader, _) in open {
            assert!(reader.is_finished() && !reader.await.expect("no panic"), "{kind:?}");
        }
        let seen = breaker(&mesh);
        assert_eq!((seen.failed, bulkhead(&mesh).in_use), (0, 0), "{kind:?}");
    }
}

/// Readers that take one item and stop hold no place in the bulkhead; when they come back after a deadline, or
/// leave, no one is blamed.
#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_after_one_item_holds_no_place() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    for kind in [Events, UntilHead, Server, Both] {
        for deadline in [None, Some(secs(3))] {
            let mesh = TestMesh::new("front");
            let streams = Streams::of(&peer, &mesh, guards(kind));
            let mut stopped = Vec::new();
            for _ in 0..4 {
                let streams = streams.clone();
                let open = clock.until(streams.open(kind, deadline)).await;
                let mut items = open.expect("a stream");
                let one = async move { (items.next().await, items) };
                let (item, items) = clock.until(one).await;
                assert_eq!(item, Some(true));
                stopped.push(items);
            }
            clock.settle().await;
            assert_eq!(bulkhead(&mesh).in_use, 0, "{kind:?} {deadline:?}");
            clock.pass_by(ms(100), secs(20)).await;
            assert_eq!(ask(&streams.http, "/").await, 200, "{kind:?} {deadline:?}");
            for (at, mut items) in stopped.into_iter().enumerate() {
                if at % 2 == 0 {
                    continue;
                }
                let read = async move { while items.next().await == Some(true) {} };
                drop(tokio::time::timeout(secs(1), tokio::spawn(read)));
                clock.pass(ms(100)).await;
            }
            let seen = breaker(&mesh);
            assert_eq!(
                (seen.state, seen.failed),
                (BreakerState::Closed, 0),
                "{kind:?} {deadline:?}"
            );
        }
    }
}

/// A stream that breaks after its first item has answered; one that breaks before has failed.
#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_counts_by_what_came_before() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    // Messages before the end, its delay, its code, and whether it is a failure of the peer.
    for (answers, delay_ms, code, failed) in [
        (0, 0, 14, 1),
        (0, 200, 13, 1),
        (0, 0, 5, 0),
        // Of a call with one answer the end is still to come; past half a minute it is a stream.
        (1, 200, 14, 1),
        (1, 40_000, 14, 0),
        (3, 200, 14, 0),
        (2, 40_000, 2, 0),
        (0, 200, 8, 0),
    ] {
        let mesh = TestMesh::new("front");
        let mut client = peer.grpc(&mesh, |guards| guards);
        let ask = Ask { text: "x".into(), answers, delay_ms, code };
        let read = async move {
            let mut answers = client.server_stream(ask).await?.into_inner();
            while answers.message().await?.is_some() {}
            Ok::<_, Status>(())
        };
        let ended = clock.until(read).await.expect_err("a status");
        assert_eq!(ended.code(), Code::from(code.cast_signed()));
        let seen = breaker(&mesh);
        assert_eq!(seen.failed, failed, "{answers} {delay_ms} {code}");
    }
}

/// A peer that resets calls with a reason that gRPC knows has answered them: each counts, and those that say that it is
/// in trouble as failures.
#[tokio::test(start_paused = true)]
async fn a_call_that_the_peer_resets_counts_by_the_reason() {
    let clock = Clock::held();
    for (reason, failed) in [
        (h2::Reason::ENHANCE_YOUR_CALM, 0),
        (h2::Reason::INADEQUATE_SECURITY, 0),
        (h2::Reason::INTERNAL_ERROR, 1),
        (h2::Reason::CANCEL, 1),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
            while let Some(Ok((_, mut answer))) = connection.accept().await {
                answer.send_reset(reason);
            }
        });
        let mesh = TestMesh::new("front");
        let client = mesh.grpc_client("stock").with_endpoint(format!("http://{address}"));
        let mut client = EchoClient::new(client.build().expect("a client"));
        let call = async move { client.unary(Ask::default()).await.expect_err("reset").code() };
        let code = clock.until(call).await;
        let seen = breaker(&mesh);
        assert_eq!((seen.calls, seen.failed), (1, failed), "{reason:?} {code:?}");
        task.abort();
    }
}

/// A stream through a hop lasts as long as it likes, though each hop's attempts are short; a deadline that the
/// first caller sets cuts it for all, and no one is blamed for that.
#[tokio::test(start_paused = true)]
async fn a_stream_through_hops_of_both_protocols_lasts_until_somebody_s_deadline() {
    let clock = Clock::held();
    for (kind, deadline) in [
        (Events, None),
        (Server, None),
        (Both, None),
        (Events, Some(secs(4))),
        (Server, Some(secs(4))),
        (Both, Some(secs(4))),
    ] {
        let peer = Peer::start().await;
        let hop = TestMesh::new("hop");
        let streams = Streams::of(&peer, &hop, |guards| guards);
        // Events, whatever they are made of.
        let relay = move || {
            let streams = streams.clone();
            async move {
                let items = streams.open(kind, None).await.expect("a stream");
                Sse::new(items.map(|well| match well {
                    true => Ok(Event::default().data("tick")),
                    false => Err(std::io::Error::other("cut")),
                }))
            }
        };
        let app = Router::new().route("/", get(relay)).layer(hop.server_layer());
        let served = serve(app).await;
        let front = TestMesh::new("front");
        let client = front.client("stock").with_base_url(served.url("")).build().expect("a client");
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let reader = tokio::spawn(async move {
            let mut request = client.get("/");
            if let Some(deadline) = deadline {
                request = request.timeout(deadline);
            }
            let mut answer = request.send().await.expect("a stream");
            while let Ok(Some(_)) = answer.chunk().await {
                count.fetch_add(1, SeqCst);
            }
        });
        clock.pass_by(ms(50), secs(45)).await;
        assert_eq!(reader.is_finished(), deadline.is_some(), "{kind:?} {deadline:?}");
        assert!(seen.load(SeqCst) > 0, "{kind:?} {deadline:?}");
        for mesh in [&front, &hop] {
            let seen = breaker(mesh);
            assert_eq!((seen.state, seen.failed), (BreakerState::Closed, 0), "{kind:?} {seen:?}");
            assert_eq!(bulkhead(mesh).in_use, 0, "{kind:?} {deadline:?}");
        }
    }
}

/// A reader that is busy with an answer's head, or a piece of it, past a limit and leaves then, or comes back: that is
/// its own time, to guards of the client and to one that is stacked around it by hand.
#[tokio::test(start_paused = true)]
async fn a_reader_that_is_busy_past_a_limit_blames_no_one() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    for kind in [UntilHead, Server, Both] {
        for deadline in [None, Some(secs(4))] {
            for (items, leaves) in [(0, true), (0, false), (1, true), (1, false)] {
                let mesh = TestMesh::new("front");
                let short = |guards: PeerConfig| guards.with_total(secs(5));
                let http = peer.client(&mesh, short);
                let around = BreakerLayer::new("around", BreakerConfig::new()).expect("a layer");
                let grpc = peer.grpc(&mesh, short);
                let streams = Streams { http: http.clone(), grpc };
                let read = async move {
                    let mut open = streams.open(kind, deadline).await.expect("a stream");
                    for _ in 0..items {
                        open.next().await;
                    }
                    open
                };
                let mut open = clock.until(read).await;
                let by_hand = http.layer(&around);
                let by_hand = async move {
                    let mut answer = by_hand.get("/pieces/20/10").send().await.expect("a head");
                    for _ in 0..items {
                        answer.chunk().await.expect("a piece");
                    }
                    answer
                };
                let mut answer = clock.until(by_hand).await;
                clock.pass_by(ms(100), secs(8)).await;
                if leaves {
                    drop((open, answer));
                } else {
                    clock
                        .until(async move {
                            while open.next().await == Some(true) {}
                            while let Ok(Some(_)) = answer.chunk().await {}
                        })
                        .await;
                }
                clock.settle().await;
                let said = format!("{kind:?} {deadline:?} {items} {leaves}");
                assert_eq!((breaker(&mesh).failed, bulkhead(&mesh).in_use), (0, 0), "{said}");
                assert_eq!(around.handle().snapshot().failed, 0, "{said}");
            }
        }
    }
}
