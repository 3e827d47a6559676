//! An inbox in a table, in the user's own transaction.

use super::begun::Begun;
use crate::sql::{Dialect, Sql, SqlValue, TableNameError, table_name};

/// Remembers in a table which messages were handled: the row is written in the transaction that the
/// effect is written in, so that there are both or neither.
///
/// | what happens | what comes of it |
/// |---|---|
/// | the consumer ends before the transaction is committed | neither row nor effect; the broker delivers again, and it is new |
/// | the consumer ends between commit and acknowledgement | the broker delivers again, and it is done |
/// | two consumers have the same message in hand | the second waits at `begin` until the first has committed (done) or rolled back (new) |
///
/// Effects outside of the database (a mail, a call) are not in its transaction: put them into an
/// [`Outbox`](crate::SqlOutbox), or let them be idempotent themselves.
///
/// ```
/// use meshwise_messaging::{Dialect, SqlInbox};
/// let inbox = SqlInbox::new(Dialect::PostgreSql, "mailer");
/// assert!(inbox.schema().starts_with("CREATE TABLE IF NOT EXISTS meshwise_inbox"));
/// ```
#[derive(Clone, Debug)]
pub struct SqlInbox {
    dialect: Dialect,
    consumer: String,
    table: String,
    insert: String,
}

impl SqlInbox {
    /// Keeps the messages of the consumer called `consumer` apart from those of others, in the table
    /// `meshwise_inbox`.
    #[must_use]
    pub fn new(dialect: Dialect, consumer: impl Into<String>) -> Self {
        Self::of_table(dialect, consumer.into(), "meshwise_inbox".to_owned())
    }

    /// Uses a table of another name.
    ///
    /// # Errors
    /// If the name is not 1 to 60 of a-z, 0-9, `_` and `.`, a letter first.
    pub fn with_table(self, table: &str) -> Result<Self, TableNameError> {
        Ok(Self::of_table(self.dialect, self.consumer, table_name(table)?))
    }

    fn of_table(dialect: Dialect, consumer: String, table: String) -> Self {
        let now = dialect.now();
        let into = format!("{table} (consumer, message_key, handled_at) VALUES (?, ?, {now})");
        let insert = match dialect {
            Dialect::PostgreSql => format!("INSERT INTO {into} ON CONFLICT DO NOTHING"),
            Dialect::Sqlite => format!("INSERT OR IGNORE INTO {into}"),
            Dialect::MySql => format!("INSERT IGNORE INTO {into}"),
        };
        Self { insert: dialect.statement(&insert), dialect, consumer, table }
    }

    /// Returns the statement that makes the table, for a migration.
    #[must_use]
    pub fn schema(&self) -> String {
        // A key as long as `message_key` makes them; MySQL's index takes so much.
        let key = match self.dialect {
            Dialect::MySql => "VARCHAR(300) CHARACTER SET ascii COLLATE ascii_bin",
            Dialect::PostgreSql | Dialect::Sqlite => "VARCHAR(300)",
        };
        format!(
            "CREATE TABLE IF NOT EXISTS {} (consumer VARCHAR(100) NOT NULL, \
             message_key {key} NOT NULL, handled_at BIGINT NOT NULL, \
             PRIMARY KEY (consumer, message_key)){}",
            self.table,
            self.dialect.table_end()
        )
    }

    /// Begins to handle the message of this key, in a transaction that the effect is written in too.
    /// To commit it is to have handled the message. A key is what [`message_key`](crate::message_key)
    /// makes: up to 256 bytes of visible ASCII; `MySQL` cuts longer ones without a word.
    ///
    /// # Errors
    /// The client's own.
    pub async fn begin<S: Sql>(
        &self,
        transaction: &mut S,
        key: &str,
    ) -> Result<Begun<()>, S::Error> {
        let values = [SqlValue::text(&*self.consumer), SqlValue::text(key)];
        let new = transaction.execute(&self.insert, &values).await? > 0;
        Ok(if new { Begun::New(()) } else { Begun::Done })
    }

    /// Forgets messages that were handled more than so many seconds ago; returns how many. Keep them
    /// for longer than the broker could deliver them again.
    ///
    /// # Errors
    /// The client's own.
    pub async fn forget<S: Sql>(&self, sql: &mut S, seconds: u32) -> Result<u64, S::Error> {
        let (table, now) = (&self.table, self.dialect.now());
        let text = format!("DELETE FROM {table} WHERE consumer = ? AND handled_at < {now} - ?");
        let values = [SqlValue::text(&*self.consumer), SqlValue::Integer(i64::from(seconds))];
        sql.execute(&self.dialect.statement(&text), &values).await
    }
}
