//! An outbox in a table.

use super::{
    message::{OutboxMessage, headers_of_text, headers_to_text},
    relay::OutboxStore,
};
use crate::sql::{Dialect, Sql, SqlValue, TableNameError, table_name};

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
        SqlOutboxStore { outbox: self.clone(), sql }
    }
}

/// Reads an outbox's table on a connection of its own.
#[derive(Debug)]
pub struct SqlOutboxStore<S> {
    outbox: SqlOutbox,
    sql: S,
}

impl<S: Sql> OutboxStore for SqlOutboxStore<S> {
    type Error = S::Error;

    async fn waiting(&mut self, limit: u32) -> Result<Vec<OutboxMessage>, S::Error> {
        let text = format!(
            "SELECT id, message_key, destination, headers, body, attempts FROM {} \
             ORDER BY id LIMIT {limit}",
            self.outbox.table
        );
        let rows = self.sql.query(&text, &[]).await?;
        Ok(rows.into_iter().filter_map(message).collect())
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

/// Reads a row; `None` if it is none of ours.
fn message(row: Vec<SqlValue>) -> Option<OutboxMessage> {
    let mut row = row.into_iter();
    let (id, key, destination) = (row.next()?, row.next()?, row.next()?);
    let (headers, body, attempts) = (row.next()?, row.next()?, row.next()?);
    let (SqlValue::Integer(id), SqlValue::Text(destination), SqlValue::Text(headers)) =
        (id, destination, headers)
    else {
        return None;
    };
    let (SqlValue::Bytes(body), SqlValue::Integer(attempts)) = (body, attempts) else {
        return None;
    };
    let key = match key {
        SqlValue::Text(key) => Some(key),
        _ => None,
    };
    let headers = headers_of_text(&headers);
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    Some(OutboxMessage { id, key, destination, headers, body, attempts })
}
