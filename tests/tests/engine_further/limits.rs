//! Rate limits, bulkheads and limits that find themselves, with callers of all kinds of patience.

use super::*;
use meshwise::resilience::{AdaptiveConfig, RateConfig, ShedConfig};

/// The clients of one peer.
#[derive(Clone)]
struct Callers {
    http: Client,
    grpc: EchoClient<meshwise::GrpcClient>,
}

impl Callers {
    fn of(peer: &Peer, mesh: &Mesh, guards: fn(PeerConfig) -> PeerConfig) -> Self {
        Self { http: peer.client(mesh, guards), grpc: peer.grpc(mesh, guards) }
    }

    /// Calls with so much time; tells when the answer came, if it did.
    fn call(&self, grpc: bool, time: Duration) -> JoinHandle<Option<Instant>> {
        let Self { http, grpc: mut client } = self.clone();
        tokio::spawn(async move {
            let well = if grpc {
                let mut request = tonic::Request::new(Ask::default());
                request.set_timeout(time);
                client.unary(request).await.is_ok()
            } else {
                let answer = http.get("/").timeout(time).send().await;
                answer.is_ok_and(|answer| answer.status() == 200)
            };
            well.then(Instant::now)
        })
    }
}

/// Of each protocol half, with patience for the whole queue or for none of it.
fn mixed(at: usize) -> (bool, Duration) {
    (at.is_multiple_of(2), if at.is_multiple_of(3) { ms(20) } else { secs(8) })
}

async fn ends(calls: Vec<JoinHandle<Option<Instant>>>) -> Vec<Instant> {
    let mut ends = Vec::new();
    for call in calls {
        ends.extend(call.await.ok().flatten());
    }
    ends.sort_unstable();
    ends
}

/// However many hurried and patient calls of two protocols come together, the limit is kept in any second, the
/// hurried pass only at their turn, and each place is used.
#[tokio::test(start_paused = true)]
async fn a_queue_of_hurried_and_patient_calls_passes_at_the_limit_and_not_above() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    let mesh = TestMesh::new("front");
    let rate = |guards: PeerConfig| {
        guards
            .without_timeout()
            .without_bulkhead()
            .with_rate_limit(RateConfig::new(10, secs(1)).with_burst(1).with_max_wait(secs(10)))
    };
    let callers = Callers::of(&peer, &mesh, rate);
    let began = Instant::now();
    let calls = (0..60).map(mixed).map(|(grpc, time)| callers.call(grpc, time));
    let mut calls: Vec<_> = calls.collect();
    clock.pass(ms(1_000)).await;
    // And some more, into the middle of it; some leave it.
    calls.extend((0..30).map(mixed).map(|(grpc, time)| callers.call(grpc, time)));
    clock.pass(ms(500)).await;
    for call in &calls[20..30] {
        call.abort();
    }
    clock.pass(secs(9)).await;
    let ends = ends(calls).await;
    for second in ends.windows(12) {
        assert!(second[11] - second[0] >= ms(1_000), "{:?}", second[0] - began);
    }
    let patient = ends.len();
    // 60 patient ones, of which 7 were given up; of the hurried those that find a turn just now.
    assert!((53..=56).contains(&patient), "{patient}");
    let last = *ends.last().expect("some") - began;
    assert!((secs(5)..secs(7)).contains(&last), "no place is lost, and none used twice: {last:?}");
    assert_eq!(breaker(&mesh).failed, 0);
    let refused = count(&mesh, "meshwise_calls_refused_total", "reason", "rate_limited");
    assert!(refused > 0.0);
}

/// A limit that is turned while its queue is long holds for the queue; a clock that jumps an hour frees the queue
/// and no more.
#[tokio::test(start_paused = true)]
async fn a_limit_that_is_turned_or_a_clock_that_jumps_lets_no_one_by() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    let mesh = TestMesh::new("front");
    let rate = |guards: PeerConfig| {
        guards
            .with_total(secs(100_000))
            .without_timeout()
            .without_bulkhead()
            .with_rate_limit(RateConfig::new(10, secs(1)).with_burst(1).with_max_wait(secs(10)))
    };
    let callers = Callers::of(&peer, &mesh, rate);
    let handle = mesh.guards().peer("stock").expect("one").rate_limit().expect("one");
    let queued: Vec<_> = (0..40).map(|at| callers.call(at % 2 == 0, secs(90_000))).collect();
    clock.pass(secs(1)).await;
    let slower = RateConfig::new(2, secs(1)).with_burst(1).with_max_wait(secs(30));
    handle.set_config(Some(slower)).expect("a limit");
    let hurried: Vec<_> = (0..10).map(|at| callers.call(at % 2 == 0, ms(20))).collect();
    let before = peer.asked();
    clock.pass(secs(5)).await;
    let passed = peer.asked() - before;
    assert!((9..=12).contains(&passed), "{passed}");
    assert!(ends(hurried).await.len() <= 1);
    // All turns of the queue are over.
    let before = peer.asked();
    let waiting = queued.iter().filter(|call| !call.is_finished()).count();
    clock.pass_by(secs(3_600), secs(3_600)).await;
    let fresh: Vec<_> = (0..10).map(|at| callers.call(at % 2 == 0, ms(20))).collect();
    clock.pass(ms(100)).await;
    let passed = peer.asked() - before;
    assert!(passed <= waiting + 2, "{passed} of {waiting} that waited");
    assert!(ends(fresh).await.len() <= 1);
    assert_eq!(breaker(&mesh).failed, 0);
}

/// A full bulkhead with a queue of hurried and patient calls: who has no time leaves, the others come in their
/// order, and nothing is held at last.
#[tokio::test(start_paused = true)]
async fn the_hurried_leave_a_bulkheads_queue_and_the_patient_keep_their_order() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    let mesh = TestMesh::new("front");
    let few = |guards: PeerConfig| {
        let bulkhead = BulkheadConfig::new().with_limit(2).with_queue(40, secs(20));
        guards.with_bulkhead(bulkhead).with_timeout(secs(5)).with_total(secs(60))
    };
    let client = peer.client(&mesh, few);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut calls = Vec::new();
    for at in 0..30 {
        let (client, order) = (client.clone(), Arc::clone(&order));
        let time = if at % 3 == 0 { ms(250) } else { secs(30) };
        calls.push(tokio::spawn(async move {
            let answer = client.get("/after/200").timeout(time).send().await;
            if answer.is_ok() {
                order.lock().expect("no panic").push(at);
            }
        }));
        clock.settle().await;
    }
    assert_eq!((bulkhead(&mesh).in_use, bulkhead(&mesh).waiting), (2, 28));
    clock.pass(ms(400)).await;
    assert!(bulkhead(&mesh).waiting < 20, "{:?}", bulkhead(&mesh));
    clock.pass(secs(4)).await;
    let order = order.lock().expect("no panic").clone();
    assert!(order.is_sorted(), "{order:?}");
    assert!(order.iter().filter(|at| **at % 3 != 0).count() == 20, "{order:?}");
    let seen = bulkhead(&mesh);
    assert_eq!((seen.in_use, seen.waiting), (0, 0));
    assert_eq!(breaker(&mesh).failed, 0, "what waits here blames no one");
    mesh.metric("meshwise_bulkhead_in_use").label("peer", "stock").assert_value(0.0);
}

fn adaptive(algorithm: AdaptiveConfig, limits: (u32, u32, u32)) -> AdaptiveConfig {
    algorithm.with_limits(limits.0, limits.1, limits.2).with_samples(ms(200), 10)
}

/// A client whose only guard is a limit that finds itself.
fn measured(peer: &Peer, mesh: &Mesh, adaptive: AdaptiveConfig) -> Client {
    peer.client(mesh, move |guards| {
        let bulkhead = BulkheadConfig::new().with_adaptive_limit(adaptive).without_queue();
        guards.without_retry().without_breaker().with_bulkhead(bulkhead)
    })
}

/// Makes so many calls in each 10 ms, for a while.
async fn load(
    clock: &Clock,
    client: &Client,
    steps: usize,
    calls: impl Fn(usize) -> usize,
    path: impl Fn(usize) -> String,
) {
    let mut number = 0;
    for step in 0..steps {
        for _ in 0..calls(step) {
            let (client, path) = (client.clone(), path(number));
            number += 1;
            tokio::spawn(async move { ask(&client, &path).await });
        }
        clock.pass(ms(10)).await;
    }
}

fn refused(mesh: &TestMesh) -> f64 {
    count(mesh, "meshwise_calls_refused_total", "reason", "bulkhead_full")
}

/// Picks a share of the calls, in no step with anything.
fn picks(number: usize, percent: u64) -> bool {
    let spread = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    spread.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32 < (percent << 32) / 100
}

/// Whatever share of its answers says that a peer has too much to do: few do not cost it calls, many take the limit
/// to its floor, and it comes back.
#[tokio::test(start_paused = true)]
async fn a_limit_falls_by_the_share_of_drops_and_comes_back() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    for algorithm in [AdaptiveConfig::gradient2, AdaptiveConfig::vegas] {
        for (percent, falls) in [(0, false), (1, false), (5, false), (30, true), (100, true)] {
            let mesh = TestMesh::new("front");
            let client = measured(&peer, &mesh, adaptive(algorithm(), (40, 8, 200)));
            let path = |number| match picks(number, percent) {
                true => "/status/503".to_owned(),
                false => "/after/300".to_owned(),
            };
            load(&clock, &client, 600, |_| 1, path).await;
            let (limit, out) = (bulkhead(&mesh).limit, refused(&mesh));
            match falls {
                true => assert!(limit <= 18, "{percent} % {limit}"),
                false => assert!(limit >= 38 && out < 1.0, "{percent} % {limit} {out}"),
            }
            load(&clock, &client, 900, |_| 1, |_| "/after/300".to_owned()).await;
            assert!(bulkhead(&mesh).limit >= 30, "{percent} % {:?}", bulkhead(&mesh));
            clock.pass(secs(1)).await;
            assert_eq!(bulkhead(&mesh).in_use, 0);
        }
    }
}

/// The slow part of a mix gets slower, while most calls are quick, and first in each window: the limit falls.
#[tokio::test(start_paused = true)]
async fn a_limit_sees_the_slow_part_of_a_mix() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    // Vegas is for time that is steady: it finds such a mix queueing from the start.
    for (algorithm, stays) in
        [(AdaptiveConfig::gradient2(), true), (AdaptiveConfig::vegas(), false)]
    {
        let mesh = TestMesh::new("front");
        let client = measured(&peer, &mesh, adaptive(algorithm, (30, 10, 200)));
        let mix = |slow: &'static str| {
            move |number| if picks(number, 30) { slow } else { "/after/20" }.to_owned()
        };
        load(&clock, &client, 600, |_| 1, mix("/after/300")).await;
        let before = bulkhead(&mesh).limit;
        assert!(!stays || (before >= 28 && refused(&mesh) < 1.0), "{before}");
        load(&clock, &client, 1000, |_| 1, mix("/after/1500")).await;
        assert!(bulkhead(&mesh).limit <= 14, "{:?}", bulkhead(&mesh));
    }
}

/// Bursts with nothing between them, a minute of silence, and load that climbs: none of these is a peer in trouble.
#[tokio::test(start_paused = true)]
async fn bursts_gaps_and_ramps_cost_a_well_peer_no_call() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    for algorithm in [AdaptiveConfig::gradient2, AdaptiveConfig::vegas] {
        let mesh = TestMesh::new("front");
        let client = measured(&peer, &mesh, adaptive(algorithm(), (60, 5, 200)));
        let burst = |step| if step % 100 == 0 { 50 } else { 0 };
        for _ in 0..2 {
            load(&clock, &client, 500, burst, |_| "/after/50".to_owned()).await;
            clock.pass_by(secs(1), secs(60)).await;
        }
        assert!(refused(&mesh) < 1.0 && bulkhead(&mesh).limit >= 54, "{:?}", bulkhead(&mesh));

        let mesh = TestMesh::new("front");
        let client = measured(&peer, &mesh, adaptive(algorithm(), (20, 5, 200)));
        // From 50 to 300 a second.
        let ramp = |step: usize| (step * 3 / 1000) + usize::from(step.is_multiple_of(2));
        load(&clock, &client, 1000, ramp, |_| "/after/100".to_owned()).await;
        assert!(refused(&mesh) < 1.0, "{} {:?}", refused(&mesh), bulkhead(&mesh));
    }
}

/// What a server answers on account of its own dependencies says nothing of its load, whatever share it is.
#[tokio::test(start_paused = true)]
async fn a_server_sheds_no_one_for_the_outage_of_what_it_calls() {
    let clock = Clock::held();
    for (percent, algorithm) in [(1, AdaptiveConfig::gradient2()), (60, AdaptiveConfig::vegas())] {
        let server = TestMesh::new("server");
        let limit = ShedConfig::new().with_adaptive_limit(adaptive(algorithm, (40, 8, 200)));
        let shed = server.shed_layer(limit).expect("a limit");
        let app =
            Router::new().route("/status/{code}", any(status)).route("/after/{ms}", any(after));
        let served = serve(app.layer(shed).layer(server.server_layer())).await;
        let mesh = TestMesh::new("front");
        let client = mesh.client("stock").with_base_url(served.url("")).without_guards();
        let client = client.build().expect("a client");
        let path = |number| match picks(number, percent) {
            true => ["/status/503", "/status/429", "/status/504"][number % 3].to_owned(),
            false => "/after/300".to_owned(),
        };
        load(&clock, &client, 600, |_| 1, path).await;
        let seen = server.guards().server().expect("a limit").snapshot();
        assert!(seen.limit >= 38, "{percent} % {seen:?}");
        let shed = server.metric("meshwise_calls_refused_total").label("reason", "overloaded");
        assert!(shed.value().unwrap_or_default() < 1.0, "{percent} %");
    }
}
