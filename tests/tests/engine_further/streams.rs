//! Streams of each kind: as trials of a half-open breaker, with deadlines, through hops, and with readers that stop.

use super::*;
use futures_util::stream::{self, BoxStream};
use meshwise::GrpcClient;

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
