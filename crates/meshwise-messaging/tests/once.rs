//! Taking effect once: inboxes and the outbox over clients that are made up. The real databases are in
//! `cargo xtask interop messaging`.

mod support;

use meshwise_messaging::{
    Begun, Dialect, OutboxMessage, OutboxStore as _, Reason, Redis, RedisInbox, RedisReply, Relay,
    RelayConfig, RetryConfig, Sql, SqlInbox, SqlOutbox, SqlValue, System,
};
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::outbox::Table;
use tokio::time::Instant;
use tracing_subscriber::layer::SubscriberExt as _;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut lines = self.0.lock().unwrap();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            lines.push_str(&format!("{field}={value:?}\n"));
        });
    }
}

/// Notes statements, and has one row for each key.
#[derive(Default)]
struct FakeSql {
    keys: Vec<Vec<SqlValue>>,
    said: Vec<String>,
}

impl Sql for FakeSql {
    type Error = Infallible;

    async fn execute(&mut self, text: &str, values: &[SqlValue]) -> Result<u64, Infallible> {
        self.said.push(text.to_owned());
        let new = !self.keys.iter().any(|known| known == values);
        if new {
            self.keys.push(values.to_vec());
        }
        Ok(u64::from(new))
    }

    async fn query(
        &mut self,
        text: &str,
        _: &[SqlValue],
    ) -> Result<Vec<Vec<SqlValue>>, Infallible> {
        self.said.push(text.to_owned());
        let row = |id| {
            vec![
                SqlValue::Integer(id),
                SqlValue::Null,
                SqlValue::Text("mails".into()),
                SqlValue::Text("a\tb\\tc\n".into()),
                SqlValue::Bytes(vec![1]),
                SqlValue::Integer(2),
            ]
        };
        let texts = vec![
            SqlValue::Text("4".into()),
            SqlValue::Bytes(b"bob".to_vec()),
            SqlValue::Bytes(b"mails".to_vec()),
            SqlValue::Bytes(b"a\tb\\tc\n".to_vec()),
            SqlValue::Text("hi".into()),
            SqlValue::Bytes(b"2".to_vec()),
        ];
        // A row that is none of ours must not hold up the others.
        Ok(vec![row(1), vec![SqlValue::Integer(2)], row(3), texts])
    }
}

#[tokio::test]
async fn a_row_for_each_consumer_and_key_says_what_is_new() {
    let mut sql = FakeSql::default();
    let (mailer, billing) = (
        SqlInbox::new(Dialect::PostgreSql, "mailer"),
        SqlInbox::new(Dialect::PostgreSql, "billing"),
    );
    assert_eq!(mailer.begin(&mut sql, "order-7").await, Ok(Begun::New(())));
    assert_eq!(mailer.begin(&mut sql, "order-7").await, Ok(Begun::Done));
    assert_eq!(billing.begin(&mut sql, "order-7").await, Ok(Begun::New(())));
    let insert = &sql.said[0];
    assert!(insert.contains("VALUES ($1, $2, CAST(") && insert.ends_with("ON CONFLICT DO NOTHING"));
    for (dialect, begins) in
        [(Dialect::Sqlite, "INSERT OR IGNORE"), (Dialect::MySql, "INSERT IGNORE")]
    {
        let mut sql = FakeSql::default();
        let inbox = SqlInbox::new(dialect, "mailer").with_table("shop.inbox").unwrap();
        let _new = inbox.begin(&mut sql, "k").await;
        assert!(sql.said[0].starts_with(begins) && sql.said[0].contains("shop.inbox"));
        assert!(inbox.schema().contains("PRIMARY KEY (consumer, message_key)"));
        inbox.forget(&mut sql, 60).await.unwrap();
        assert!(sql.said[1].starts_with("DELETE FROM shop.inbox WHERE consumer = ?"));
    }
    assert!(mailer.with_table("a; DROP TABLE b").is_err());
}

/// Does what Redis does for the commands that are used. Leases end when they are told to.
#[derive(Clone, Default)]
struct FakeRedis(Arc<Mutex<HashMap<String, String>>>);

impl Redis for FakeRedis {
    type Error = Infallible;

    async fn command(&self, parts: &[&str]) -> Result<RedisReply, Infallible> {
        let mut keys = self.0.lock().unwrap();
        Ok(match parts {
            ["SET", key, token, "NX", "PX", lease] => {
                assert!(lease.parse::<u64>().unwrap() > 0);
                if keys.contains_key(*key) {
                    return Ok(RedisReply::Nil);
                }
                keys.insert((*key).to_owned(), (*token).to_owned());
                RedisReply::Text("OK".to_owned())
            }
            ["GET", key] => keys.get(*key).cloned().map_or(RedisReply::Nil, RedisReply::Text),
            ["EVAL", script, "1", key, token, _] => {
                let ours = keys.get(*key).is_some_and(|there| there == token);
                if ours && script.contains("'set'") {
                    keys.insert((*key).to_owned(), "done".to_owned());
                } else if ours && script.contains("'del'") {
                    keys.remove(*key);
                }
                RedisReply::Integer(i64::from(ours))
            }
            other => panic!("{other:?}"),
        })
    }
}

#[tokio::test]
async fn a_lease_is_held_by_one_and_ends_in_done() {
    let redis = FakeRedis::default();
    let inbox = RedisInbox::new(redis.clone(), "mailer");
    let Begun::New(first) = inbox.begin("order-7").await.unwrap() else { panic!("it is new") };
    assert!(matches!(inbox.begin("order-7").await.unwrap(), Begun::InFlight));
    assert!(first.renew().await.unwrap());
    assert!(first.release().await.unwrap());
    let Begun::New(second) = inbox.begin("order-7").await.unwrap() else { panic!("released") };
    // Its lease runs out, and another takes over.
    redis.0.lock().unwrap().clear();
    let Begun::New(third) = inbox.begin("order-7").await.unwrap() else { panic!("run out") };
    assert!(!second.renew().await.unwrap());
    assert!(!second.done().await.unwrap(), "what is another's is not ours to end");
    assert!(third.done().await.unwrap());
    assert!(matches!(inbox.begin("order-7").await.unwrap(), Begun::Done));
}

#[tokio::test]
async fn a_key_that_fails_holds_its_own_messages_and_no_others() {
    let table = Table::default();
    for (id, key) in [(1, Some("a")), (2, Some("b")), (3, Some("a")), (4, None), (5, Some("b"))] {
        table.put(id, key);
    }
    let broken = Arc::new(Mutex::new(Some(1)));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let publish = {
        let (broken, sent) = (Arc::clone(&broken), Arc::clone(&sent));
        move |message: OutboxMessage| {
            let fails = *broken.lock().unwrap() == Some(message.id);
            if !fails {
                sent.lock().unwrap().push(message.id);
            }
            async move { if fails { Err("no broker") } else { Ok(()) } }
        }
    };
    let mut relay = Relay::new(table.clone(), publish, RelayConfig::default());
    assert_eq!(relay.pass().await, Ok(3));
    assert_eq!(*sent.lock().unwrap(), [2, 4, 5]);
    assert_eq!((table.ids(), table.0.lock().unwrap()[0].attempts), (vec![1, 3], 1));
    *broken.lock().unwrap() = None;
    assert_eq!(relay.pass().await, Ok(2));
    assert_eq!(*sent.lock().unwrap(), [2, 4, 5, 1, 3]);
    assert!(table.ids().is_empty());
}

#[tokio::test]
async fn however_much_waits_for_one_key_the_others_go_on() {
    for key in [Some("poison"), None] {
        let table = Table::default();
        // Behind a message that no broker takes there wait more of its key than are ever read at once.
        let waiting = if key.is_some() { 20_000 } else { 150 };
        for id in 0..waiting {
            table.put(id, key);
        }
        table.put(waiting, Some("ada"));
        let tried = Arc::new(Mutex::new(Vec::new()));
        let publish = {
            let tried = Arc::clone(&tried);
            move |message: OutboxMessage| {
                let fails = message.key.as_deref() != Some("ada");
                tried.lock().unwrap().push(message.id);
                async move { if fails { Err("no such subject") } else { Ok(()) } }
            }
        };
        let config = RelayConfig::default().with_retry(
            RetryConfig::default().with_backoff(Duration::ZERO, Duration::from_millis(1)),
        );
        let run = Relay::new(table.clone(), publish, config.clone()).run();
        let sent = async {
            while table.ids().last() == Some(&waiting) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = run => {}
            () = sent => {}
        }
        // One that fails is tried once a pass, and those of its key not at all.
        let first = tried.lock().unwrap().iter().take_while(|id| **id != waiting).count();
        assert!(first <= if key.is_some() { 1 } else { 300 }, "{first}");
    }
}

/// An outbox that never runs dry while its first 50,000 messages are sent: each that is sent puts another
/// there. The first of the key «ada» fails once, and an id below the first that was read is committed late.
struct Inflow {
    table: Table,
    tried: Arc<Mutex<Vec<i64>>>,
}

impl Inflow {
    const LATE: i64 = 5;
    const ADA: [i64; 2] = [10, 11];

    fn new() -> Self {
        let table = Table::default();
        Self::ADA.iter().for_each(|id| table.put(*id, Some("ada")));
        table.put(12, None);
        Self { table, tried: Arc::default() }
    }

    fn relay(
        &self,
        config: RelayConfig,
    ) -> Relay<Table, impl FnMut(OutboxMessage) -> Published + Send + use<>> {
        let (table, tried) = (self.table.clone(), Arc::clone(&self.tried));
        let publish = move |message: OutboxMessage| {
            let mut tried = tried.lock().unwrap();
            tried.push(message.id);
            let count = tried.len() as i64;
            if count == 20 {
                table.put(Self::LATE, None);
            }
            if count < 50_000 {
                table.put(100 + count, None);
            }
            std::future::ready(if message.id == 10 && message.attempts == 0 {
                Err("no broker")
            } else {
                Ok(())
            })
        };
        Relay::new(self.table.clone(), publish, config)
    }
}

type Published = std::future::Ready<Result<(), &'static str>>;

#[tokio::test]
async fn a_pass_ends_however_much_comes_in() {
    let inflow = Inflow::new();
    let mut relay = inflow.relay(RelayConfig::default());
    assert_eq!(relay.pass().await, Ok(10_000));
    assert!(!inflow.tried.lock().unwrap().contains(&Inflow::LATE));
    // What was committed late, and what failed, comes first then.
    assert_eq!(relay.pass().await, Ok(10_000));
    let tried = inflow.tried.lock().unwrap();
    assert_eq!(tried[10_001..10_004], [Inflow::LATE, Inflow::ADA[0], Inflow::ADA[1]]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_and_what_was_committed_late_are_sent_while_more_comes_in() {
    let inflow = Inflow::new();
    let hour = Duration::from_secs(3600);
    let config = RelayConfig::default()
        .with_every(hour)
        .with_retry(RetryConfig::default().with_backoff(hour, hour));
    let run = inflow.relay(config).run();
    let dry = Duration::from_secs(1);
    assert!(tokio::time::timeout(dry, run).await.is_err(), "a relay never ends");
    // All in a second, so it went on at once where there was more.
    assert!(inflow.table.ids().is_empty());
    let tried = inflow.tried.lock().unwrap();
    for id in [Inflow::LATE, Inflow::ADA[0], Inflow::ADA[1]] {
        let last = tried.iter().rposition(|tried| *tried == id).unwrap();
        assert!(last < 10_010, "{id} was sent as number {last}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_relay_runs_until_it_is_dropped_and_waits_after_failures() {
    let table = Table::default();
    table.put(1, None);
    let tries = Arc::new(Mutex::new(Vec::new()));
    let publish = {
        let tries = Arc::clone(&tries);
        move |_: OutboxMessage| {
            let mut tries = tries.lock().unwrap();
            tries.push(Instant::now());
            let fails = tries.len() < 4;
            async move { if fails { Err("no broker") } else { Ok(()) } }
        }
    };
    let retry = RetryConfig::default().with_backoff(Duration::from_secs(1), Duration::from_secs(2));
    let config = RelayConfig::default().with_every(Duration::from_millis(100)).with_retry(retry);
    let run = Relay::new(table.clone(), publish, config).run();
    assert!(tokio::time::timeout(Duration::from_secs(60), run).await.is_err());
    assert_eq!((tries.lock().unwrap().len(), table.ids()), (4, vec![]));
}

#[tokio::test]
async fn an_outbox_s_rows_are_messages_again_and_carry_the_trace() {
    let outbox = SqlOutbox::new(Dialect::Sqlite).with_table("outbox").unwrap();
    let mesh = support::Mesh::new("orders");
    let mut message = OutboxMessage::new("mails", b"hello".to_vec()).with_key("ada");
    let sending = mesh.messaging.producer(System::KAFKA, "mails").send();
    sending.inject(&mut message);
    sending.unconfirmed();
    let mut sql = FakeSql::default();
    outbox.put(&mut sql, &message).await.unwrap();
    let SqlValue::Text(headers) = &sql.keys[0][2] else { panic!("{:?}", sql.keys) };
    assert!(headers.starts_with("traceparent\t00-"), "{headers}");

    let mut store = outbox.store(sql);
    let lines = Lines::default();
    let logged = tracing_subscriber::registry().with(lines.clone());
    let _logged = tracing::subscriber::set_default(logged);
    for _ in 0..2 {
        let messages = store.waiting(0, &["ada".to_owned()], 10).await.unwrap();
        let ids = messages.iter().map(|message| message.id).collect::<Vec<_>>();
        assert_eq!(ids, [1, 3, 4]);
        assert_eq!(messages[0].headers, [("a".to_owned(), "b\tc".to_owned())]);
        assert_eq!((messages[0].attempts, messages[0].key.as_deref()), (2, None));
        // A client that reads numbers and bytes as texts, and texts as bytes.
        assert_eq!(messages[2].headers, messages[0].headers);
        assert_eq!((messages[2].body.as_slice(), messages[2].attempts), (&b"hi"[..], 2));
        assert_eq!(messages[2].key.as_deref(), Some("bob"));
    }
    // What is never sent is told of, once.
    let told = lines.0.lock().unwrap();
    assert_eq!(told.matches("cannot be read and is not sent").count(), 1, "{told}");
}

#[test]
fn a_message_that_is_set_aside_says_why_and_how_often_it_was_tried() {
    let mesh = support::Mesh::new("mailer");
    let consumer = mesh.messaging.consumer(System::KAFKA, "orders");
    let mut headers = vec![
        ("X-Attempt".to_owned(), "2".to_owned()),
        ("x-dead-letter-reason".to_owned(), "old".to_owned()),
    ];
    let processing = consumer.receive(&headers.clone());
    let secret = "card declined\npassword=hunter2 \u{e9}";
    processing.mark_dead_letter(&mut headers, &secret);
    let find = |wanted: &str| {
        let found: Vec<_> =
            headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(wanted)).collect();
        assert_eq!(found.len(), 1, "{headers:?}");
        found[0].1.clone()
    };
    assert_eq!(find("x-attempt"), "3");
    let reason = find("x-dead-letter-reason");
    assert!(reason.starts_with("card declined?password=") && reason.ends_with("?"), "{reason}");
    assert!(!reason.contains("hunter2"), "{reason}");
    processing.mark_dead_letter(&mut headers, &"x".repeat(100_000));
    assert_eq!(headers.iter().map(|(_, value)| value.len()).max(), Some(512));
    processing.dead_letter(&Reason::new("poison"));
}

#[tokio::test(start_paused = true)]
async fn lag_is_asked_for_by_a_task_and_a_broker_that_hangs_holds_up_nothing() {
    use meshwise_messaging::{Lag, LagProbe, ProbeError};
    struct Broker(Mutex<u32>);
    impl LagProbe for Broker {
        async fn probe(&self, _: Duration) -> Result<Vec<Lag>, ProbeError> {
            let asked = {
                let mut asked = self.0.lock().unwrap();
                *asked += 1;
                *asked
            };
            match asked {
                1 => Ok(vec![Lag::new(Some(0), 7), Lag::new(Some(1), 5)]),
                2 => std::future::pending().await,
                3 => Err(ProbeError::new("no broker")),
                _ => Ok(vec![Lag::new(Some(1), 2)]),
            }
        }
    }
    let mesh = support::Mesh::new("mailer");
    let consumer = mesh.messaging.consumer(System::KAFKA, "orders").with_group("mailer");
    let shown = || {
        let text = mesh.metrics.render_text();
        let of = |partition: &str| {
            let label = format!(r#"messaging_destination_partition_id="{partition}""#);
            support::value(&text, "meshwise_consumer_lag_messages", &[&label])
        };
        (of("0"), of("1"))
    };
    let task = consumer.watch_lag(Duration::from_secs(1), Broker(Mutex::new(0)));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(shown(), (7.0, 5.0));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(shown(), (7.0, 5.0), "what is not told keeps its last value");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(shown(), (0.0, 2.0), "a partition that is gone is 0");
    drop(task);
    tokio::task::yield_now().await;
    assert_eq!(shown(), (0.0, 0.0), "no one asks any more");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_has_failed_and_is_asked_again() {
    use meshwise_messaging::{Lag, LagProbe, ProbeError};
    struct Panics(Mutex<u32>);
    impl LagProbe for Panics {
        async fn probe(&self, _: Duration) -> Result<Vec<Lag>, ProbeError> {
            let asked = {
                let mut asked = self.0.lock().unwrap();
                *asked += 1;
                *asked
            };
            assert_ne!(asked, 1, "on purpose");
            Ok(vec![Lag::new(None, 3)])
        }
    }
    let mesh = support::Mesh::new("mailer");
    let consumer = mesh.messaging.consumer(System::KAFKA, "orders");
    let _task = consumer.watch_lag(Duration::from_secs(1), Panics(Mutex::new(0)));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let text = mesh.metrics.render_text();
    assert_eq!(support::value(&text, "meshwise_consumer_lag_messages", &[]), 3.0);
}
