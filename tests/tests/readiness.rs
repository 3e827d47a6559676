//! `/readyz` of a whole service, over sockets, with checks that behave badly.

use axum::{Router, extract::Request, routing::get};
use meshwise::{
    client::reqwest::{self, StatusCode},
    log::{LogLines, LogOutput, Redaction},
};
use meshwise_testing::TestMesh;
use meshwise_tests::{PATIENCE, Served, serve};
use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::timeout};
use tower::util::MapRequestLayer;

/// Holds a thread until it is let go.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn block(&self) {
        let (open, changed) = &*self.0;
        let guard = open.lock().expect("not poisoned");
        drop(changed.wait_timeout_while(guard, PATIENCE * 3, |open| !*open).expect("not poisoned"));
    }

    fn open(&self) {
        *self.0.0.lock().expect("not poisoned") = true;
        self.0.1.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

async fn served(mesh: &TestMesh) -> Served {
    let routes = Router::new().route("/hello", get(|| async { "hello" }));
    serve(mesh.ops_router().merge(routes.layer(mesh.server_layer()))).await
}

async fn probe(served: &Served) -> (StatusCode, String) {
    let answer = reqwest::get(served.url("/readyz")).await.expect("an answer");
    (answer.status(), answer.text().await.expect("a body"))
}

#[tokio::test]
async fn what_the_service_hides_is_hidden_in_what_its_checks_say() {
    let private = LogOutput::memory(&LogLines::new());
    let mesh = TestMesh::with("orders", |builder| {
        let own = Redaction::off().with_values(true).with_prefix("acme_");
        builder.with_redaction(own).logs(|logs| logs.with_private(["email"], private))
    });
    mesh.health().add_check("stock", || async {
        Err("key acme_4f7c2a91d0 of email=ada@acme.example at http://me:s3cret@db?token=abcdef"
            .into())
    });
    let (status, body) = probe(&served(&mesh).await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    for secret in ["acme_4f7c2a91d0", "ada@", "s3cret", "abcdef"] {
        assert!(!body.contains(secret), "{secret}: {body}");
    }
    assert!(body.contains("key ") && body.contains("@db"), "{body}");
}

/// Two workers and three checks that block: polled on the workers, not even `/livez` would answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_that_block_fail_in_time_and_hold_up_nothing() {
    let mesh = TestMesh::new("orders");
    let gate = Gate::default();
    let runs = Arc::new(AtomicUsize::new(0));
    for name in ["db", "cache", "queue"] {
        let (gate, runs) = (gate.clone(), Arc::clone(&runs));
        mesh.health().add_check_within(Duration::from_millis(100), name, move || {
            let (gate, runs) = (gate.clone(), Arc::clone(&runs));
            async move {
                runs.fetch_add(1, SeqCst);
                gate.block();
                Ok(())
            }
        });
    }
    let served = served(&mesh).await;
    let asked = Instant::now();
    for _ in 0..20 {
        let (status, body) = timeout(PATIENCE, probe(&served)).await.expect("in time");
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
        assert_eq!(body.matches("no answer within 100 ms").count(), 3, "{body}");
        for path in ["/livez", "/hello", "/metrics"] {
            let answer = timeout(PATIENCE, reqwest::get(served.url(path))).await.expect("in time");
            assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
        }
    }
    assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());
    assert_eq!(runs.load(SeqCst), 3, "each is started once");
    // When they answer again the service is ready again.
    gate.open();
    timeout(PATIENCE, async { while probe(&served).await.0 != StatusCode::OK {} })
        .await
        .expect("ready again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_probes_at_once_run_a_check_once() {
    let mesh = TestMesh::new("orders");
    let gate = Gate::default();
    let runs = Arc::new(AtomicUsize::new(0));
    mesh.health().add_check_within(PATIENCE * 2, "db", {
        let (gate, runs) = (gate.clone(), Arc::clone(&runs));
        move || {
            runs.fetch_add(1, SeqCst);
            gate.block();
            async { Ok(()) }
        }
    });
    let come = Arc::new(AtomicUsize::new(0));
    let count = MapRequestLayer::new({
        let come = Arc::clone(&come);
        move |request: Request| {
            come.fetch_add(1, SeqCst);
            request
        }
    });
    let served = Arc::new(serve(mesh.ops_router::<()>().layer(count)).await);
    let mut probes = JoinSet::new();
    for _ in 0..200 {
        let served = Arc::clone(&served);
        probes.spawn(async move { probe(&served).await.0 });
    }
    timeout(PATIENCE, async {
        while come.load(SeqCst) < 200 || runs.load(SeqCst) < 1 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("all have come");
    assert_eq!(runs.load(SeqCst), 1);
    gate.open();
    let answers = timeout(PATIENCE, probes.join_all()).await.expect("in time");
    assert!(answers.iter().all(|status| *status == StatusCode::OK));
    // The last to come may have been about to ask when the answer was there.
    assert!(runs.load(SeqCst) <= 2);
}

#[tokio::test]
async fn what_a_check_says_tells_no_secret_and_has_a_bound() {
    let mesh = TestMesh::new("orders");
    let error = "no answer from postgres://app:s3cret@db/orders (password=s3cret)";
    let checks = [("db", error.to_owned()), ("cache", "ü".repeat(1 << 20))];
    for (name, error) in checks {
        mesh.health().add_check(name, move || std::future::ready(Err(error.clone())));
    }
    let served = served(&mesh).await;
    let (status, body) = probe(&served).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("no answer from postgres://app:[redacted]@db/orders"), "{body}");
    assert!(!body.contains("s3cret") && body.len() < 10_000, "{} bytes", body.len());
}
