//! Retries, hedges and their budgets, what peers ask for, and defaults where calls are few.

use super::*;
use meshwise::resilience::{
    HedgeConfig, HedgeLayer, HttpRetries, RetryBudget, RetryConfig, RetryLayer,
};
use std::pin::pin;

/// An answer to each request, by its number; and when each came.
struct Script {
    served: Served,
    came: Arc<Mutex<Vec<Instant>>>,
}

type Headers = Vec<(&'static str, String)>;

impl Script {
    async fn start<F, Answer>(answer: F) -> Self
    where
        F: Fn(usize) -> Answer + Clone + Send + Sync + 'static,
        Answer: Future<Output = (u16, Headers)> + Send + 'static,
    {
        let came = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&came);
        let app = Router::new().fallback(move || {
            let number = {
                let mut seen = seen.lock().expect("no panic");
                seen.push(Instant::now());
                seen.len() - 1
            };
            let answer = answer(number);
            async move {
                let (status, headers) = answer.await;
                let mut answer = StatusCode::from_u16(status).expect("a status").into_response();
                for (name, value) in headers {
                    let name: http::HeaderName = name.parse().expect("a name");
                    answer.headers_mut().insert(name, value.parse().expect("a value"));
                }
                answer
            }
        });
        Self { served: serve(app).await, came }
    }

    /// The waits between what came.
    fn waits(&self) -> Vec<Duration> {
        let came = self.came.lock().expect("no panic");
        came.windows(2).map(|two| two[1] - two[0]).collect()
    }

    fn count(&self) -> usize {
        self.came.lock().expect("no panic").len()
    }
}

/// What an answer to a gRPC call says without a message.
fn status_of(code: u32, pushback: Option<&str>) -> Headers {
    let mut headers =
        vec![("content-type", "application/grpc".to_owned()), ("grpc-status", code.to_string())];
    headers.extend(pushback.map(|value| ("grpc-retry-pushback-ms", value.to_owned())));
    headers
}

const UNARY: &str = "meshwise.test.v1.Echo/Unary";

/// Tokens are what A6 says: taken by what is retried, whether this attempt is or not, and by each pushback that says
/// no, whatever it comes with.
#[tokio::test(start_paused = true)]
async fn tokens_are_taken_by_what_a6_counts_and_nothing_else() {
    let clock = Clock::held();
    // Code, pushback, attempts allowed; attempts made in 3 calls, and tokens above half of 20 then.
    for (code, pushback, allowed, made, left) in [
        (14, None, 1, 3, 7),
        (14, None, 3, 9, 1),
        (14, Some("-1"), 3, 3, 7),
        (14, Some("soon"), 3, 3, 7),
        (14, Some("0"), 2, 6, 4),
        (8, None, 3, 3, 10),
        (8, Some("5"), 3, 9, 1),
        (8, Some("-5"), 3, 3, 7),
        (3, None, 3, 3, 10),
        (3, Some("-1"), 3, 3, 7),
        (3, Some("100"), 3, 3, 10),
        (13, Some("-1"), 3, 3, 7),
    ] {
        let pushback = pushback.map(str::to_owned);
        let said = pushback.clone();
        let script = Script::start(move |_| {
            let answer = status_of(code, said.as_deref());
            async move { (200, answer) }
        })
        .await;
        let mesh = TestMesh::new("front");
        let budget = RetryBudget::tokens(20, 0.1).expect("a budget");
        let retry = RetryConfig::new().with_attempts(allowed).with_budget(budget.clone());
        let client = mesh.grpc_client("stock").with_endpoint(script.served.url(""));
        let client = client.with_guards(|guards| {
            let methods = HttpRetries::new().with_idempotent_method(UNARY);
            guards.without_breaker().with_retry(retry).with_retries(methods)
        });
        let mut client = EchoClient::new(client.build().expect("a client"));
        clock
            .until(async move {
                for _ in 0..3 {
                    client.unary(Ask::default()).await.expect_err("a status");
                }
            })
            .await;
        let seen = (script.count(), budget.available());
        assert_eq!(seen, (made, left), "{code} {pushback:?} of {allowed}");
    }
}

/// Whatever `Retry-After` says: nothing shorter than it, no wait without backoff, and none past the deadline or all
/// patience.
#[tokio::test(start_paused = true)]
async fn retry_after_is_a_least_and_never_the_whole_of_a_wait() {
    const DATE: &str = "Tue, 02 Jan 2035 10:00:00 GMT";
    let clock = Clock::held();
    // Status, what is said, the deadline; the waits' least and most, none if there is no other attempt.
    for (status, after, deadline, waits) in [
        (503, "0", None, Some((0, 100))),
        (503, DATE, None, Some((0, 100))),
        (503, "Tue, 02 Jan 2035 09:00:00 GMT", None, Some((0, 100))),
        (503, "Tue, 02 Jan 2035 10:00:02 GMT", None, Some((2_000, 2_600))),
        (503, "1", None, Some((1_000, 1_300))),
        (429, "1", None, Some((1_000, 1_300))),
        (429, "never", None, None),
        (429, "-1", None, None),
        (503, "-1", None, Some((0, 100))),
        (503, "3600", None, None),
        (503, "99999999999999999999", None, None),
        (503, "Wed, 02 Jan 2036 10:00:00 GMT", None, None),
        (503, "2", Some(ms(1_500)), None),
        (500, "1", None, None),
    ] {
        let script = Script::start(move |_| async move {
            (status, vec![("retry-after", after.to_owned()), ("date", DATE.to_owned())])
        })
        .await;
        let mesh = TestMesh::new("front");
        let client = mesh.client("stock").with_base_url(script.served.url("")).build();
        let client = client.expect("a client");
        let began = Instant::now();
        let seen = clock
            .until(async move {
                let mut request = client.get("/");
                if let Some(deadline) = deadline {
                    request = request.timeout(deadline);
                }
                request.send().await.expect("an answer").status().as_u16()
            })
            .await;
        assert_eq!(seen, status, "{after}");
        match waits {
            None => assert!(script.count() == 1 && began.elapsed() < ms(50), "{status} {after}"),
            Some((least, most)) => {
                assert_eq!(script.count(), 3, "{status} {after}");
                for wait in script.waits() {
                    assert!((ms(least)..=ms(most)).contains(&wait), "{after} {wait:?}");
                }
            }
        }
    }
}

/// Callers that are all asked to come back in a second do not come as one.
#[tokio::test(start_paused = true)]
async fn those_who_are_shed_together_do_not_come_back_together() {
    let clock = Clock::held();
    let script = Script::start(|number| async move {
        if number < 40 { (503, vec![("retry-after", "1".to_owned())]) } else { (200, Vec::new()) }
    })
    .await;
    let mesh = TestMesh::new("front");
    let client = mesh.client("stock").with_base_url(script.served.url(""));
    let client = client.with_guards(PeerConfig::without_breaker).build().expect("a client");
    let calls: Vec<_> = (0..40)
        .map(|_| client.clone())
        .map(|client| tokio::spawn(async move { ask(&client, "/").await }))
        .collect();
    clock.pass_by(ms(1), ms(1_100)).await;
    for ended in clock.until(futures_util::future::join_all(calls)).await {
        assert_eq!(ended.expect("no panic"), 200);
    }
    let came = script.came.lock().expect("no panic").clone();
    let mut back: Vec<_> = came[40..].iter().map(|at| at.duration_since(came[0])).collect();
    assert!(back.iter().all(|wait| *wait >= ms(1_000)), "{back:?}");
    back.dedup();
    assert!(back.len() >= 12, "{back:?}");
}

/// Hops that all try three times make six calls of one, whichever protocols they speak.
#[tokio::test(start_paused = true)]
async fn attempts_of_hops_of_both_protocols_add_up_and_do_not_multiply() {
    let clock = Clock::held();
    for grpc in [false, true] {
        let script = Script::start(move |_| async move {
            if grpc { (200, status_of(14, None)) } else { (503, Vec::new()) }
        })
        .await;
        let hop = TestMesh::new("hop");
        let methods = |guards: PeerConfig| {
            guards.with_retries(HttpRetries::new().with_idempotent_method(UNARY))
        };
        let url = script.served.url("");
        let http = hop.client("stock").with_base_url(&url).with_guards(methods);
        let client = hop.grpc_client("stock").with_endpoint(url).with_guards(methods);
        let (http, client) = (http.build(), EchoClient::new(client.build().expect("a client")));
        let http = http.expect("a client");
        let relay = move || {
            let (http, mut client) = (http.clone(), client.clone());
            async move {
                let well = match grpc {
                    true => client.unary(Ask::default()).await.is_ok(),
                    false => ask(&http, "/").await == 200,
                };
                if well { StatusCode::OK } else { StatusCode::BAD_GATEWAY }
            }
        };
        let served = serve(Router::new().fallback(relay).layer(hop.server_layer())).await;
        let front = TestMesh::new("front");
        let client = front.client("stock").with_base_url(served.url("")).build();
        let client = client.expect("a client");
        assert_eq!(clock.until(async move { ask(&client, "/").await }).await, 502);
        assert_eq!(script.count(), 3 + 2 + 1, "grpc: {grpc}");
    }
}

/// Hedges with a budget of their own are paid for by what goes well, and no more is hedged than that; with retries
/// around them, one budget bears both.
#[tokio::test(start_paused = true)]
async fn hedges_pay_in_as_they_pay_out_alone_and_beside_retries() {
    let clock = Clock::held();
    for beside_retries in [false, true] {
        // Each fifth answer is slow, for the first who asks.
        let script = Script::start(|number| async move {
            sleep(ms(if number % 5 == 0 { 400 } else { 10 })).await;
            (200, Vec::new())
        })
        .await;
        let mesh = TestMesh::new("front");
        let _entered = mesh.enter();
        let client = mesh.client("stock").with_base_url(script.served.url(""));
        let client = client.without_guards().build().expect("a client");
        let budget = RetryBudget::ratio(0.1, 0).expect("a budget");
        let hedge = HedgeConfig::new(budget.clone()).with_waits(ms(50), ms(50));
        let client = client.layer(&HedgeLayer::new("stock", hedge).expect("a layer"));
        let calls = 200;
        let calling = async move {
            if beside_retries {
                let retry = RetryConfig::new().with_budget(budget);
                let retry = RetryLayer::new("stock", retry).expect("a layer");
                let client = client.layer(&retry);
                for _ in 0..calls {
                    client.get("/").send().await.expect("an answer").bytes().await.expect("a body");
                }
            } else {
                for _ in 0..calls {
                    client.get("/").send().await.expect("an answer").bytes().await.expect("a body");
                }
            }
        };
        clock.until(calling).await;
        let hedged = script.count() - calls;
        assert!((15..=21).contains(&hedged), "{hedged} with retries: {beside_retries}");
        let won = count(&mesh, "meshwise_hedges_total", "result", "won");
        let lost = count(&mesh, "meshwise_hedges_total", "result", "lost");
        assert!((won + lost - hedged as f64).abs() < 0.5, "{won} {lost}");
    }
}

/// With the defaults a peer that always fails is cut off however seldom it is called, and one that fails now and then
/// or has its callers wait is not.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_called_seldom_is_cut_off_after_ten_failures() {
    let clock = Clock::held();
    let peer = Peer::start().await;
    type Path = fn(usize) -> &'static str;
    // Method, path by number, seconds between; the calls that open it.
    let cases: [(&str, Path, u64, Option<usize>); 9] = [
        ("POST", |_| "/status/500", 60, Some(10)),
        ("POST", |_| "/status/500", 600, Some(10)),
        ("GET", |_| "/status/503", 30, Some(4)),
        ("POST", |_| "/hang", 5, Some(10)),
        ("POST", |_| "/status/429", 60, None),
        ("POST", |_| "/status/404", 60, None),
        ("POST", |at| if at % 10 == 9 { "/" } else { "/status/500" }, 60, None),
        ("POST", |at| if at % 2 == 0 { "/" } else { "/status/500" }, 1, None),
        ("POST", |at| if at % 2 == 0 { "/status/429" } else { "/status/500" }, 20, None),
    ];
    for (at, (method, path, pause, opens)) in cases.into_iter().enumerate() {
        let mesh = TestMesh::new("front");
        let client = peer.client(&mesh, |guards| guards);
        let mut opened = None;
        for number in 0..30 {
            let request = client.request(method.parse().expect("a method"), path(number));
            let mut call = pin!(request.send());
            for _ in 0..2_000 {
                if futures_util::poll!(call.as_mut()).is_ready() {
                    break;
                }
                clock.pass(ms(10)).await;
            }
            if breaker(&mesh).state == BreakerState::Open {
                opened = Some(number + 1);
                break;
            }
            clock.pass_by(secs(1), secs(pause)).await;
        }
        assert_eq!(opened, opens, "{at}: {method} {}", path(0));
    }
}

/// A port where no one listens counts once a call, however often it is tried; and a breaker that opened so closes
/// by three good calls, however seldom they come.
#[tokio::test(start_paused = true)]
async fn seldom_calls_of_an_absent_peer_open_and_seldom_good_ones_close() {
    let clock = Clock::held();
    let address = serve(Router::new()).await.address;
    clock.settle().await;
    let mesh = TestMesh::new("front");
    let _entered = mesh.enter();
    let client = mesh.client("stock").with_base_url(format!("http://{address}")).build();
    let client = client.expect("a client");
    for number in 1..=10 {
        let client = client.clone();
        assert_eq!(clock.until(async move { ask(&client, "/").await }).await, 0);
        let state = if number == 10 { BreakerState::Open } else { BreakerState::Closed };
        assert_eq!(breaker(&mesh).state, state, "{number}");
        clock.pass_by(secs(1), secs(60)).await;
    }
    let listener = tokio::net::TcpListener::bind(address).await.expect("the port");
    let app = Router::new().fallback(async || "here");
    let task = tokio::spawn(async move { axum::serve(listener, app).await });
    for state in [BreakerState::HalfOpen, BreakerState::HalfOpen, BreakerState::Closed] {
        let client = client.clone();
        assert_eq!(clock.until(async move { ask(&client, "/").await }).await, 200);
        assert_eq!(breaker(&mesh).state, state);
        clock.pass_by(secs(1), secs(60)).await;
    }
    assert_eq!(changes(&mesh), ["opened", "half-opened", "closed"]);
    task.abort();
}
