//! What is told of messages that fail, come late, or are many.

#[allow(dead_code, reason = "what holds of any message is checked elsewhere")]
#[path = "support/message.rs"]
mod message;
mod support;

use meshwise_core::Deadline;
use meshwise_messaging::{
    OutboxMessage, Processing, Reason, Redis, RedisInbox, RedisReply, Relay, RelayConfig, System,
    WatchError,
};
use message::Message;
use std::{
    collections::HashSet,
    convert::Infallible,
    error::Error,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Waker},
    time::{Duration, Instant},
};
use support::{Mesh, attribute, outbox::Table, value};

type Headers = Vec<(String, String)>;

/// An error of the application's, of which no one knows.
#[derive(Debug)]
struct Own(Box<dyn Error + Send + Sync>);

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("could not charge")
    }
}

impl Error for Own {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

fn own(error: impl Into<Box<dyn Error + Send + Sync>>) -> Own {
    Own(error.into())
}

fn receive(mesh: &Mesh) -> Processing {
    mesh.messaging.consumer(System::NATS, "orders").receive(&Headers::new())
}

#[tokio::test(start_paused = true)]
async fn an_error_is_known_by_any_error_of_its_chain() {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let second = Duration::from_secs(1);
    let late = tokio::time::timeout(second, std::future::pending::<()>()).await.unwrap_err();
    let boxed: Box<dyn Error + Send + Sync> = Box::new(own(refused()));
    let errors: [(&(dyn Error + 'static), &str); 7] = [
        (&refused(), "connect"),
        (&own(refused()), "connect"),
        (&*boxed, "connect"),
        (&own(own(io::Error::from(io::ErrorKind::ConnectionReset))), "reset"),
        (&own(late), "timeout"),
        (&Reason::new(own(refused())), "connect"),
        (&Reason::new("declined"), "_OTHER"),
    ];
    for (error, word) in errors {
        let mesh = Mesh::new("mailer");
        receive(&mesh).nack(error);
        mesh.messaging.producer(System::NATS, "mails").send().failed(error);
        for span in mesh.spans.spans() {
            assert_eq!(attribute(&span, "error.type"), Some(word.into()), "{error:?}");
        }
        assert_eq!(mesh.spans.spans().len(), 2);
    }
}

#[cfg(feature = "async-nats-0_51")]
#[test]
fn nats_errors_are_known() {
    use async_nats_0_51::{
        ConnectError, ConnectErrorKind, RequestError, RequestErrorKind,
        jetstream::context::{PublishError, PublishErrorKind},
    };
    let errors: [(&(dyn Error + 'static), &str); 4] = [
        (&RequestError::new(RequestErrorKind::TimedOut), "timeout"),
        (&RequestError::new(RequestErrorKind::NoResponders), "connect"),
        (&PublishError::new(PublishErrorKind::TimedOut), "timeout"),
        (&ConnectError::new(ConnectErrorKind::Dns), "connect"),
    ];
    for (error, word) in errors {
        let mesh = Mesh::new("mailer");
        receive(&mesh).nack(error);
        assert_eq!(attribute(&mesh.only_span(), "error.type"), Some(word.into()), "{error:?}");
    }
}

#[test]
fn a_panic_that_was_caught_is_the_message_s() {
    let mesh = Mesh::new("mailer");
    let processing = receive(&mesh);
    {
        let running = pin!(processing.run(async { panic!("on purpose") }));
        let poll = || running.poll(&mut Context::from_waker(Waker::noop())).is_ready();
        catch_unwind(AssertUnwindSafe(poll)).unwrap_err();
    }
    processing.nack(&Reason::new("the handler panicked"));
    assert_eq!(attribute(&mesh.only_span(), "error.type"), Some("panic".into()));
}

#[test]
fn a_batch_is_of_use_as_long_as_one_of_its_messages_is() {
    let mesh = Mesh::new("mailer");
    let consumer = mesh.messaging.consumer(System::KAFKA, "orders");
    let told = |millis: &str| vec![("x-request-timeout-ms".to_owned(), millis.to_owned())];
    let batch = |messages: &[Headers]| {
        let batch = consumer.receive_batch(messages);
        let found = (batch.deadline().is_some(), batch.is_expired());
        batch.ack();
        found
    };
    assert_eq!(batch(&[Headers::new(), told("0"), told("5000")]), (false, false));
    assert_eq!(batch(&[told("0"), told("50000")]), (true, false));
    assert_eq!(batch(&[told("0"), told("0")]), (true, true));
    assert_eq!(batch(&[]), (false, false));
}

#[test]
fn a_count_of_tries_that_is_too_large_is_not_none() {
    let mesh = Mesh::new("mailer");
    let tries = |told: &str| {
        let headers = vec![("x-attempt".to_owned(), told.to_owned())];
        let processing = mesh.messaging.consumer(System::NATS, "orders").receive(&headers);
        let tries = processing.attempts_before();
        processing.ack();
        tries
    };
    let told = ["3", "4294967295", "4294967296", "99999999999999999999", "x", "-1"];
    assert_eq!(told.map(tries), [3, u32::MAX, u32::MAX, u32::MAX, 0, 0]);
}

#[test]
fn of_thousands_of_messages_in_hand_the_oldest_is_told() {
    let mesh = Mesh::new("mailer");
    let consumer = mesh.messaging.consumer(System::NATS, "orders");
    let mut held: Vec<_> = (0..4000).map(|_| consumer.receive(&Headers::new())).collect();
    let hour = Duration::from_secs(3600);
    let old =
        Message { published: Some(std::time::SystemTime::now() - hour), ..Message::default() };
    held.push(consumer.receive(&old));
    let age = || value(&mesh.metrics.render_text(), "meshwise_consumer_age_seconds", &[]);
    assert!(age() >= 3600.0);
    assert_eq!(mesh.messaging.in_hand().len(), 4001);
    held.drain(..1024).for_each(Processing::ack);
    assert!(age() >= 3600.0);
    assert_eq!(mesh.messaging.in_hand().len(), 2977);
    held.into_iter().for_each(Processing::ack);
    assert!(age() == 0.0 && mesh.messaging.in_hand().is_empty());
}

#[tokio::test]
async fn a_request_whose_deadline_is_over_is_not_sent() {
    let mesh = Mesh::new("orders");
    let over = Deadline::after(Instant::now(), Duration::ZERO);
    let request = mesh.messaging.producer(System::NATS, "stock").request().with_deadline(over);
    let sent = AtomicBool::new(false);
    let answer = request
        .watch(async {
            sent.store(true, SeqCst);
            Ok::<_, io::Error>(())
        })
        .await;
    assert!(matches!(answer, Err(WatchError::DeadlineExceeded)) && !sent.load(SeqCst));
    assert_eq!(attribute(&mesh.only_span(), "error.type"), Some("timeout".into()));
}

/// Knows which keys are there.
#[derive(Default)]
struct Keys(Mutex<HashSet<String>>);

impl Redis for Keys {
    type Error = Infallible;

    async fn command(&self, parts: &[&str]) -> Result<RedisReply, Infallible> {
        let new = self.0.lock().unwrap().insert(parts[1].to_owned());
        Ok(if new { RedisReply::Text("OK".to_owned()) } else { RedisReply::Nil })
    }
}

#[tokio::test]
async fn no_two_consumers_share_a_key() {
    let redis = Keys::default();
    for (consumer, key) in
        [("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c"), ("a", "b%3Ac"), ("", "a:b:c")]
    {
        let _begun = RedisInbox::new(&redis, consumer).begin(key).await.unwrap();
    }
    let keys = redis.0.into_inner().unwrap();
    assert_eq!(keys.len(), 5, "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_hangs_holds_up_its_own_key_alone() {
    let table = Table::default();
    for (id, key) in [(1, "hangs"), (2, "a"), (3, "hangs"), (4, "b")] {
        table.put(id, Some(key));
    }
    let publish = |message: OutboxMessage| async move {
        match message.key.as_deref() {
            Some("hangs") => std::future::pending().await,
            _ => Ok::<_, Infallible>(()),
        }
    };
    let config = RelayConfig::default().with_publish_timeout(Duration::from_secs(5));
    let run = Relay::new(table.clone(), publish, config).run();
    assert!(tokio::time::timeout(Duration::from_secs(60), run).await.is_err());
    assert_eq!(table.ids(), [1, 3]);
    assert!(table.0.lock().unwrap()[0].attempts > 1, "it is tried again");
}
