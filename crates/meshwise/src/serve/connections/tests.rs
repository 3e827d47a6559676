use super::*;
use axum::routing::get;
use std::{
    collections::VecDeque,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Fails as it is told, then accepts.
struct Failing {
    errors: VecDeque<io::Error>,
    listener: TcpListener,
    asked: Arc<AtomicUsize>,
}

impl Accept for Failing {
    async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.asked.fetch_add(1, SeqCst);
        match self.errors.pop_front() {
            Some(error) => Err(error),
            None => self.listener.accept().await,
        }
    }
}

fn connections() -> Connections {
    Connections::new(Cut::default(), Dispatch::none())
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn errors_of_accepting_end_nothing() {
    let listener = listener().await;
    let address = listener.local_addr().unwrap();
    // EMFILE, ENFILE, ENOMEM, and one that only its connection is to blame for.
    let errors = [24, 23, 12].map(io::Error::from_raw_os_error).into_iter();
    let errors = errors.chain([io::ErrorKind::ConnectionAborted.into()]).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let from = Failing { errors, listener, asked: Arc::clone(&asked) };
    let connections = connections();
    let app = Router::new().route("/", get(|| async { "here" }));
    let serve = connections.accept(from, app, pending());
    let ask = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
    };
    tokio::select! {
        () = serve => unreachable!("it never ends"),
        () = ask => {}
    }
    assert!(asked.load(SeqCst) >= 5);
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_to_a_second_and_are_ended_by_the_stop() {
    let mut trouble = Trouble::default();
    let pauses: Vec<u128> = (0..10).map(|_| trouble.pause().as_millis()).collect();
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000]);

    let errors = (0..1000).map(|_| io::Error::from_raw_os_error(24)).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let from = Failing { errors, listener: listener().await, asked: Arc::clone(&asked) };
    let until = tokio::time::sleep(Duration::from_secs(10));
    connections().accept(from, Router::new(), until).await;
    let asked = asked.load(SeqCst);
    assert!((10..=20).contains(&asked), "asked {asked} times in 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let listener = listener().await;
    let address = listener.local_addr().unwrap();
    let connections = connections();
    let began = tokio::time::Instant::now();
    tokio::select! {
        () = connections.accept(listener, Router::new(), pending()) => unreachable!(),
        () = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.is_empty());
        } => {}
    }
    assert!(began.elapsed() >= HEADER_READ_TIMEOUT, "{:?}", began.elapsed());
}
