//! An outbox in a table.

use super::{
    message::{OutboxMessage, headers_of_text, headers_to_text},
    relay::OutboxStore,
};
use crate::sql::{Dialect, Sql, SqlValue, TableNameError, table_name};
use std::collections::BTreeSet;

/// Keeps messages in a table until they are sent. A message that is put there in a transaction is sent
/// if that is committed, and not otherwise.
///
/// ```
/// use meshwise_messaging::{Dialect, SqlOutbox};
/// let outbox = SqlOutbox::new(Dialect::Sqlite);
/// assert!(outbox.schema().starts_with("CREATE TABLE IF NOT EXISTS meshwise_outbox"));
/// ```
#[derive(Clone, Debug)]
pub struct SqlOutbox {
    dialect: Dialect,
    table: String,
}

impl SqlOutbox {
    /// Uses the table `meshwise_outbox`.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, table: "meshwise_outbox".to_owned() }
    }

    /// Uses a table of another name.
    ///
    /// # Errors
    /// If the name is not 1 to 60 of a-z, 0-9, `_` and `.`, a letter first.
    pub fn with_table(mut self, table: &str) -> Result<Self, TableNameError> {
        self.table = table_name(table)?;
        Ok(self)
    }

    /// Returns the statement that makes the table, for a migration.
    #[must_use]
    pub fn schema(&self) -> String {
        let (id, bytes) = match self.dialect {
            Dialect::PostgreSql => ("BIGSERIAL PRIMARY KEY", "BYTEA"),
            Dialect::Sqlite => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB"),
            Dialect::MySql => ("BIGINT AUTO_INCREMENT PRIMARY KEY", "LONGBLOB"),
        };
        format!(
            "CREATE TABLE IF NOT EXISTS {} (id {id}, message_key VARCHAR(300), \
             destination VARCHAR(300) NOT NULL, headers TEXT NOT NULL, body {bytes} NOT NULL, \
             attempts BIGINT NOT NULL, put_at BIGINT NOT NULL){}",
            self.table,
            self.dialect.table_end()
        )
    }

    /// Puts a message there, in a transaction of the caller's.
    ///
    /// # Errors
    /// The client's own.
    pub async fn put<S: Sql>(
        &self,
        transaction: &mut S,
        message: &OutboxMessage,
    ) -> Result<(), S::Error> {
        let (table, now) = (&self.table, self.dialect.now());
        let text = format!(
            "INSERT INTO {table} (message_key, destination, headers, body, attempts, put_at) \
             VALUES (?, ?, ?, ?, 0, {now})"
        );
        let values = [
            SqlValue::optional(message.key.as_deref()),
            SqlValue::text(&*message.destination),
            SqlValue::text(headers_to_text(&message.headers)),
            SqlValue::Bytes(message.body.clone()),
        ];
        transaction.execute(&self.dialect.statement(&text), &values).await.map(drop)
    }

    /// Gives the messages to a [`Relay`](crate::Relay), which reads them on this connection.
    pub fn store<S: Sql>(&self, sql: S) -> SqlOutboxStore<S> {
        SqlOutboxStore { outbox: self.clone(), sql, told: BTreeSet::new() }
    }
}

/// Reads an outbox's table on a connection of its own.
#[derive(Debug)]
pub struct SqlOutboxStore<S> {
    outbox: SqlOutbox,
    sql: S,
    /// Rows that cannot be read, and were told of.
    told: BTreeSet<Option<i64>>,
}

/// How many rows are told of; and how many keys a statement leaves out: databases take so many values.
const MAX_TOLD: usize = 100;
const MAX_LEFT_OUT: usize = 500;

impl<S: Sql> OutboxStore for SqlOutboxStore<S> {
    type Error = S::Error;

    async fn waiting(
        &mut self,
        mut after: i64,
        without: &[String],
        limit: u32,
    ) -> Result<Vec<OutboxMessage>, S::Error> {
        let without = &without[..without.len().min(MAX_LEFT_OUT)];
        let left_out = match without.len() {
            0 => String::new(),
            more => {
                let marks = vec!["?"; more].join(", ");
                format!(" AND (message_key IS NULL OR message_key NOT IN ({marks}))")
            }
        };
        let text = format!(
            "SELECT id, message_key, destination, headers, body, attempts FROM {} \
             WHERE id > ?{left_out} ORDER BY id LIMIT {limit}",
            self.outbox.table
        );
        let text = self.outbox.dialect.statement(&text);
        loop {
            let keys = without.iter().map(SqlValue::text);
            let values: Vec<_> = [SqlValue::Integer(after)].into_iter().chain(keys).collect();
            let rows = self.sql.query(&text, &values).await?;
            let last = rows.iter().filter_map(|row| integer(row.first()?)).max();
            let messages: Vec<_> = rows.into_iter().filter_map(|row| self.read(row)).collect();
            match last.filter(|last| messages.is_empty() && *last > after) {
                // None of these can be read, and there may be more behind them.
                Some(last) => after = last,
                None => return Ok(messages),
            }
        }
    }

    async fn sent(&mut self, id: i64) -> Result<(), S::Error> {
        let text = format!("DELETE FROM {} WHERE id = ?", self.outbox.table);
        let text = self.outbox.dialect.statement(&text);
        self.sql.execute(&text, &[SqlValue::Integer(id)]).await.map(drop)
    }

    async fn failed(&mut self, id: i64) -> Result<(), S::Error> {
        let text = format!("UPDATE {} SET attempts = attempts + 1 WHERE id = ?", self.outbox.table);
        let text = self.outbox.dialect.statement(&text);
        self.sql.execute(&text, &[SqlValue::Integer(id)]).await.map(drop)
    }
}

impl<S> SqlOutboxStore<S> {
    /// Reads a row. One that cannot be read is never sent, so it is told of, once.
    fn read(&mut self, row: Vec<SqlValue>) -> Option<OutboxMessage> {
        let id = row.first().and_then(integer);
        let read = message(row);
        if read.is_none() && self.told.len() < MAX_TOLD && self.told.insert(id) {
            let table = self.outbox.table.as_str();
            tracing::error!(target: "meshwise", table, id, "a row of the outbox cannot be read and is not sent");
        }
        read
    }
}

/// Reads a row; `None` if it is none of ours.
///
/// Some clients tell texts, bytes and numbers apart by their columns, others read all as one of them.
fn message(row: Vec<SqlValue>) -> Option<OutboxMessage> {
    let mut row = row.into_iter();
    let (id, key, destination) = (row.next()?, row.next()?, row.next()?);
    let (headers, body, attempts) = (row.next()?, row.next()?, row.next()?);
    let key = match key {
        SqlValue::Null => None,
        key => Some(text(key)?),
    };
    let body = match body {
        SqlValue::Bytes(body) => body,
        SqlValue::Text(body) => body.into_bytes(),
        _ => return None,
    };
    Some(OutboxMessage {
        id: integer(&id)?,
        key,
        destination: text(destination)?,
        headers: headers_of_text(&text(headers)?),
        body,
        attempts: u32::try_from(integer(&attempts)?).unwrap_or(u32::MAX),
    })
}

fn text(value: SqlValue) -> Option<String> {
    match value {
        SqlValue::Text(text) => Some(text),
        SqlValue::Bytes(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn integer(value: &SqlValue) -> Option<i64> {
    match value {
        SqlValue::Integer(number) => Some(*number),
        SqlValue::Text(text) => text.parse().ok(),
        SqlValue::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        SqlValue::Null => None,
    }
}
