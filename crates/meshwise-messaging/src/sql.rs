//! A small view of a SQL database: what an inbox and an outbox need, and no more.

use std::error::Error;

/// Runs statements in a transaction, or on a connection, of the user's own.
///
/// It takes a few lines for any client; `examples/messages` has them for sqlx. Values are bound in
/// order to `$1`, `$2` (`PostgreSQL`) or `?` (the others).
pub trait Sql: Send {
    /// The client's error.
    type Error: Error + Send + Sync + 'static;

    /// Runs a statement; returns how many rows it changed.
    fn execute(
        &mut self,
        text: &str,
        values: &[SqlValue],
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send;

    /// Runs a query; returns its rows.
    fn query(
        &mut self,
        text: &str,
        values: &[SqlValue],
    ) -> impl Future<Output = Result<Vec<Vec<SqlValue>>, Self::Error>> + Send;
}

impl<S: Sql> Sql for &mut S {
    type Error = S::Error;

    fn execute(
        &mut self,
        text: &str,
        values: &[SqlValue],
    ) -> impl Future<Output = Result<u64, S::Error>> + Send {
        (**self).execute(text, values)
    }

    fn query(
        &mut self,
        text: &str,
        values: &[SqlValue],
    ) -> impl Future<Output = Result<Vec<Vec<SqlValue>>, S::Error>> + Send {
        (**self).query(text, values)
    }
}

/// Holds a value that is bound or read (complete: no other types are used).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "complete by nature")]
pub enum SqlValue {
    /// `NULL`.
    Null,
    /// `BIGINT`.
    Integer(i64),
    /// `TEXT` or `VARCHAR`.
    Text(String),
    /// `BYTEA` or `BLOB`.
    Bytes(Vec<u8>),
}

impl SqlValue {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn optional(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }
}

/// Says which SQL is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// `PostgreSQL` 9.5 and later.
    PostgreSql,
    /// `SQLite` 3.35 and later.
    Sqlite,
    /// `MySQL` 8 and later.
    MySql,
}

impl Dialect {
    /// Writes a statement in which each `?` stands for a value.
    pub(crate) fn statement(self, text: &str) -> String {
        if self != Self::PostgreSql {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len() + 8);
        for (at, piece) in text.split('?').enumerate() {
            if at > 0 {
                out.push('$');
                out.push_str(&at.to_string());
            }
            out.push_str(piece);
        }
        out
    }

    /// Returns what ends the statement that makes a table: names are told apart by their bytes, and all
    /// texts fit.
    pub(crate) const fn table_end(self) -> &'static str {
        match self {
            Self::PostgreSql | Self::Sqlite => "",
            // Its default may be a set that has no such letters, or tell no cases apart.
            Self::MySql => " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        }
    }

    /// Returns the expression for seconds since 1970, by the database's clock.
    pub(crate) const fn now(self) -> &'static str {
        match self {
            Self::PostgreSql => "CAST(EXTRACT(EPOCH FROM now()) AS BIGINT)",
            Self::Sqlite => "CAST(strftime('%s', 'now') AS INTEGER)",
            Self::MySql => "UNIX_TIMESTAMP()",
        }
    }
}

/// Takes a table's name, which stands in statements as it is.
///
/// # Errors
/// If it is not 1 to 60 lower-case letters, digits, `_` and `.`, a letter first.
pub(crate) fn table_name(name: &str) -> Result<String, TableNameError> {
    let fits = (1..=60).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_lowercase());
    let plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'));
    if fits && plain { Ok(name.to_owned()) } else { Err(TableNameError(())) }
}

/// Says that a table cannot have this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a table's name; use 1 to 60 of a-z, 0-9, `_` and `.`, a letter first")]
pub struct TableNameError(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_dialect_s_marks() {
        let text = "a = ? AND b = ?";
        assert_eq!(Dialect::PostgreSql.statement(text), "a = $1 AND b = $2");
        assert_eq!(Dialect::Sqlite.statement(text), text);
    }

    #[test]
    fn a_table_s_name_is_no_way_into_the_statement() {
        assert!(table_name("shop.meshwise_inbox").is_ok());
        for bad in ["", "a b", "a;drop", "a\"", "1a", "A", &"x".repeat(61)] {
            assert!(table_name(bad).is_err(), "{bad}");
        }
    }
}
