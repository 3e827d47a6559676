//! What an inbox and an outbox promise, asked of a real database.

use anyhow::{bail, ensure};
use meshwise_messaging::{
    Begun, Dialect, OutboxMessage, OutboxStore as _, Relay, RelayConfig, Sql, SqlInbox, SqlOutbox,
    SqlValue,
};
use messages::{rusqlite as lite, sqlx as server};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use std::time::Duration;

/// How long the second of two transactions is seen to wait for the first.
const WAITS: Duration = Duration::from_millis(300);

/// A connection that transactions can be begun on.
trait Session: Send + 'static {
    fn sql(&mut self) -> impl Sql + '_;
    fn plain(&mut self, text: &str) -> impl Future<Output = anyhow::Result<()>> + Send;
}

macro_rules! sessions {
    ($($connection:ty)*) => {$(
        impl Session for $connection {
            fn sql(&mut self) -> impl Sql + '_ {
                server::Connection(self)
            }
            async fn plain(&mut self, text: &str) -> anyhow::Result<()> {
                self.execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned()))).await?;
                Ok(())
            }
        }
    )*};
}

sessions!(sqlx::PgConnection sqlx::MySqlConnection);

impl Session for rusqlite::Connection {
    fn sql(&mut self) -> impl Sql + '_ {
        lite::Connection(self)
    }
    async fn plain(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.execute_batch(if text == "BEGIN" { "BEGIN IMMEDIATE" } else { text })?)
    }
}

/// Asks all of it of the database that a URL names.
pub(crate) async fn exercise(url: &str) -> anyhow::Result<()> {
    let scheme = url.split("://").next().unwrap_or_default();
    match scheme {
        "postgres" => {
            let [one, two] = [(); 2].map(|()| sqlx::PgConnection::connect(url));
            all(Dialect::PostgreSql, one.await?, two.await?).await?;
        }
        "mysql" => {
            let [one, two] = [(); 2].map(|()| sqlx::MySqlConnection::connect(url));
            all(Dialect::MySql, one.await?, two.await?).await?;
        }
        "sqlite" => {
            let open = || rusqlite::Connection::open(url.trim_start_matches("sqlite://"));
            let (one, two) = (open()?, open()?);
            two.busy_timeout(Duration::from_secs(10))?;
            all(Dialect::Sqlite, one, two).await?;
        }
        other => bail!("no database is known by `{other}`; allowed: postgres, mysql, sqlite"),
    }
    println!("{}", serde_json::json!({ "exercised": scheme }));
    Ok(())
}

async fn all<S: Session>(dialect: Dialect, mut one: S, two: S) -> anyhow::Result<()> {
    inbox(dialect, &mut one).await?;
    race(dialect, &mut one, two).await?;
    outbox(dialect, &mut one).await
}

async fn begin<S: Session>(inbox: &SqlInbox, on: &mut S, key: &str) -> anyhow::Result<Begun<()>> {
    Ok(inbox.begin(&mut on.sql(), key).await?)
}

async fn inbox<S: Session>(dialect: Dialect, one: &mut S) -> anyhow::Result<()> {
    let mailer = SqlInbox::new(dialect, "mailer").with_table("party_inbox")?;
    one.plain("DROP TABLE IF EXISTS party_inbox").await?;
    for _ in 0..2 {
        one.plain(&mailer.schema()).await?;
    }
    one.plain("BEGIN").await?;
    ensure!(begin(&mailer, one, "order-7").await? == Begun::New(()), "it is new");
    one.plain("ROLLBACK").await?;
    one.plain("BEGIN").await?;
    ensure!(begin(&mailer, one, "order-7").await? == Begun::New(()), "nothing was committed");
    one.plain("COMMIT").await?;
    ensure!(begin(&mailer, one, "order-7").await? == Begun::Done, "it was committed");
    // Keys and consumers are told apart as they are written.
    let longest = "x".repeat(256);
    for key in ["Order-7", "order-7/1", "%", "'; DROP TABLE party_inbox; --", &longest] {
        ensure!(begin(&mailer, one, key).await? == Begun::New(()), "{key} is another key");
        ensure!(begin(&mailer, one, key).await? == Begun::Done, "{key} was handled");
    }
    for consumer in ["billing", "Mailer", "m\u{e4}iler"] {
        let other = SqlInbox::new(dialect, consumer).with_table("party_inbox")?;
        ensure!(begin(&other, one, "order-7").await? == Begun::New(()), "{consumer} is another");
    }
    ensure!(mailer.forget(&mut one.sql(), 3600).await? == 0, "none is an hour old");
    one.plain("UPDATE party_inbox SET handled_at = handled_at - 7200").await?;
    ensure!(mailer.forget(&mut one.sql(), 3600).await? == 6, "those of the mailer are");
    ensure!(begin(&mailer, one, "order-7").await? == Begun::New(()), "it was forgotten");
    Ok(())
}

/// Two consumers have one message in hand: the second waits for what the first does.
async fn race<S: Session>(dialect: Dialect, one: &mut S, mut two: S) -> anyhow::Result<()> {
    let inbox = SqlInbox::new(dialect, "mailer").with_table("party_inbox")?;
    for (end, expected) in [("ROLLBACK", Begun::New(())), ("COMMIT", Begun::Done)] {
        one.plain("BEGIN").await?;
        ensure!(begin(&inbox, one, "race").await? == Begun::New(()), "the first has it");
        let mut second = tokio::spawn({
            let inbox = inbox.clone();
            async move {
                two.plain("BEGIN").await?;
                let begun = begin(&inbox, &mut two, "race").await?;
                two.plain("ROLLBACK").await?;
                anyhow::Ok((begun, two))
            }
        });
        ensure!(tokio::time::timeout(WAITS, &mut second).await.is_err(), "the second must wait");
        one.plain(end).await?;
        let (begun, back) = second.await??;
        ensure!(begun == expected, "after {end} the second is told {begun:?}");
        two = back;
    }
    Ok(())
}

async fn outbox<S: Session>(dialect: Dialect, one: &mut S) -> anyhow::Result<()> {
    let outbox = SqlOutbox::new(dialect).with_table("party_outbox")?;
    one.plain("DROP TABLE IF EXISTS party_outbox").await?;
    one.plain(&outbox.schema()).await?;
    let mut odd = OutboxMessage::new("mails", (0..=u8::MAX).collect::<Vec<u8>>()).with_key("ada");
    odd.headers = vec![("note".to_owned(), "a\tb\n\\ \u{1F600} '".to_owned())];
    one.plain("BEGIN").await?;
    outbox.put(&mut one.sql(), &odd).await?;
    one.plain("ROLLBACK").await?;
    ensure!(outbox.store(one.sql()).waiting(0, &[], 10).await?.is_empty(), "it was rolled back");
    one.plain("BEGIN").await?;
    for _ in 0..2 {
        outbox.put(&mut one.sql(), &odd).await?;
    }
    outbox.put(&mut one.sql(), &OutboxMessage::new("mails", b"plain".to_vec())).await?;
    one.plain("COMMIT").await?;

    let mut fails = true;
    let mut sent = Vec::new();
    let publish = |message: OutboxMessage| {
        let failed = message.key.is_some() && std::mem::take(&mut fails);
        if !failed {
            sent.push(message);
        }
        async move { if failed { Err("no broker") } else { Ok(()) } }
    };
    let mut relay = Relay::new(outbox.store(one.sql()), publish, RelayConfig::default());
    ensure!(relay.pass().await? == 1, "its key waits for the first");
    ensure!(relay.pass().await? == 2, "then the others go");
    drop(relay);
    ensure!(outbox.store(one.sql()).waiting(0, &[], 10).await?.is_empty(), "all were sent");
    let [plain, first, second] = sent.as_slice() else { bail!("{sent:?}") };
    ensure!(plain.body == b"plain" && plain.key.is_none(), "{plain:?}");
    ensure!(first.id < second.id && (first.attempts, second.attempts) == (1, 0), "{sent:?}");
    ensure!((&first.headers, &first.body) == (&odd.headers, &odd.body), "{first:?}");
    let rows = one.sql().query("SELECT COUNT(*) FROM party_outbox", &[]).await?;
    ensure!(rows == [[SqlValue::Integer(0)]], "{rows:?}");
    Ok(())
}
