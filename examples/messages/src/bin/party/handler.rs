//! What is done with a message, whatever brought it.

use anyhow::Context as _;
use meshwise_core::Deadline;
use meshwise_messaging::{
    Begun, CarrierMut, Consumer, Delivery, MemoryInbox, Processing, RedisInbox, Sending, System,
    message_key,
};
use meshwise_metrics::Metrics;
use messages::{Recorded, redis::Client};
use serde_json::json;
use std::{
    fmt,
    time::{Duration, Instant},
};

/// Sends numbered orders.
pub(crate) struct Sender {
    recorded: Recorded,
    next: u64,
    count: u64,
    deadline: Option<Duration>,
    pause: Duration,
}

impl Sender {
    pub(crate) fn new(
        count: u64,
        deadline: Option<Duration>,
        pause: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self { recorded: Recorded::new("orders")?, next: 0, count, deadline, pause })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.next >= self.count
    }

    /// Begins to send the next order; returns its key.
    pub(crate) fn begin(
        &self,
        system: System,
        destination: &str,
        headers: &mut impl CarrierMut,
    ) -> (Sending, String) {
        let key = format!("order-{}", self.next);
        let mut sending = self.recorded.messaging.producer(system, destination).send();
        if let Some(deadline) = self.deadline {
            sending = sending.with_deadline(Deadline::after(Instant::now(), deadline));
        }
        headers.add("x-idempotency-key", &key);
        sending.inject(headers);
        (sending, key)
    }

    /// The broker has the order.
    pub(crate) async fn confirmed(&mut self, sending: Sending) {
        sending.confirmed();
        self.next += 1;
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause).await;
        }
        if self.next.is_multiple_of(1000) {
            self.recorded.spans.clear();
        }
    }

    pub(crate) fn tell(&self) {
        for span in self.recorded.spans.spans() {
            let ids = &span.span_context;
            let ids = [ids.trace_id().to_string(), ids.span_id().to_string()];
            println!("{}", json!({ "sent": span.name, "trace": ids[0], "span": ids[1] }));
        }
        metrics(&self.recorded);
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("next", &self.next).finish_non_exhaustive()
    }
}

enum Store {
    Memory(MemoryInbox),
    Redis(RedisInbox<Client>),
    Postgres(Box<sqlx::PgConnection>, meshwise_messaging::SqlInbox),
}

/// Handles orders, each of which takes effect once.
pub(crate) struct Handler {
    pub(crate) recorded: Recorded,
    store: Store,
    count: u64,
    new: u64,
    step: bool,
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").field("new", &self.new).finish_non_exhaustive()
    }
}

impl Handler {
    pub(crate) async fn new(
        count: u64,
        step: bool,
        postgres: Option<&str>,
        redis: Option<&str>,
    ) -> anyhow::Result<Self> {
        let store = match (postgres, redis) {
            (Some(url), _) => {
                use meshwise_messaging::{Dialect, Sql as _, SqlInbox};
                use sqlx::Connection as _;
                let mut connection = sqlx::PgConnection::connect(url).await?;
                let inbox = SqlInbox::new(Dialect::PostgreSql, "mailer");
                let mut sql = messages::sqlx::Connection(&mut connection);
                // Two at once may both find the table missing; the second need not make it.
                let _there = sql.execute(&inbox.schema(), &[]).await;
                Store::Postgres(Box::new(connection), inbox)
            }
            (None, Some(address)) => {
                Store::Redis(RedisInbox::new(Client::connect(address).await?, "mailer"))
            }
            (None, None) => Store::Memory(MemoryInbox::new(1_000_000)),
        };
        Ok(Self { recorded: Recorded::new("mailer")?, store, count, new: 0, step })
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.recorded.metrics.clone()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.count > 0 && self.new >= self.count
    }

    /// Handles one message; it is to be acknowledged if this returns its `Processing`.
    pub(crate) async fn handle(
        &mut self,
        consumer: &Consumer,
        message: &impl Delivery,
    ) -> anyhow::Result<Option<Processing>> {
        let processing = consumer.receive(message);
        let key = message_key(message).context("a message without a key")?;
        let begun = match &mut self.store {
            Store::Memory(inbox) => match inbox.begin(&key) {
                Begun::New(guard) => {
                    guard.done();
                    Begun::New(())
                }
                Begun::Done => Begun::Done,
                Begun::InFlight => Begun::InFlight,
            },
            Store::Redis(inbox) => match inbox.begin(&key).await? {
                Begun::New(guard) => {
                    guard.done().await?;
                    Begun::New(())
                }
                Begun::Done => Begun::Done,
                Begun::InFlight => Begun::InFlight,
            },
            Store::Postgres(connection, inbox) => {
                use sqlx::Connection as _;
                let mut transaction = connection.begin().await?;
                let begun =
                    inbox.begin(&mut messages::sqlx::Connection(&mut *transaction), &key).await?;
                if let Begun::New(()) = begun {
                    sqlx::query("INSERT INTO effects (message_key) VALUES ($1)")
                        .bind(key.clone())
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await?;
                begun
            }
        };
        let what = match begun {
            Begun::New(()) => {
                self.new += 1;
                "new"
            }
            Begun::Done => {
                consumer.count_duplicate();
                "done"
            }
            Begun::InFlight => "in flight",
        };
        Self::say(what, &key, &processing);
        if self.step {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line)?;
        }
        if self.new.is_multiple_of(1000) {
            self.recorded.spans.clear();
        }
        Ok((what != "in flight").then_some(processing))
    }

    fn say(what: &str, key: &str, processing: &Processing) {
        use opentelemetry::trace::TraceContextExt as _;
        let cx = processing.context();
        let span = cx.span();
        let ids = span.span_context();
        let left = processing.deadline().map(|deadline| {
            deadline.remaining(Instant::now()).unwrap_or_default().as_millis().to_string()
        });
        println!(
            "{}",
            json!({
                "what": what,
                "key": key,
                "trace": ids.trace_id().to_string(),
                "span": ids.span_id().to_string(),
                "caller": processing.caller().map(ToString::to_string),
                "tier": processing.baggage().get("tier"),
                "left": left,
                "attempts": processing.attempts_before(),
            })
        );
    }

    pub(crate) fn tell(&self) {
        for span in self.recorded.spans.spans() {
            let (ids, parent) = (&span.span_context, span.parent_span_id.to_string());
            let ids = [ids.trace_id().to_string(), ids.span_id().to_string()];
            println!("{}", json!({ "processed": span.name, "trace": ids[0], "parent": parent }));
        }
        metrics(&self.recorded);
    }
}

/// Prints what the gauges show, again and again.
pub(crate) async fn watch(metrics: Metrics) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        for line in metrics.render_text().lines() {
            if line.starts_with("meshwise_consumer") {
                println!("{}", json!({ "gauge": line }));
            }
        }
    }
}

/// Prints what was counted of messages.
fn metrics(recorded: &Recorded) {
    for line in recorded.metrics.render_text().lines() {
        let (name, _) = line.split_once(['{', ' ']).unwrap_or((line, ""));
        let wanted = name.starts_with("messaging_client") && name.ends_with("_total")
            || name.starts_with("meshwise_messages")
            || name.starts_with("meshwise_consumer");
        if wanted && !line.starts_with('#') {
            println!("{}", json!({ "metric": line }));
        }
    }
}
