//! An inbox and an outbox over rusqlite: what a service of its own copies.

use meshwise_messaging::{Sql, SqlValue};
use rusqlite::{
    ToSql,
    types::{ToSqlOutput, Value, ValueRef},
};

/// Runs statements on a connection, on which a transaction may have begun (`BEGIN IMMEDIATE`: two that
/// begin together and write later would both fail).
#[derive(Debug)]
pub struct Connection<'c>(pub &'c mut rusqlite::Connection);

struct Bound<'v>(&'v SqlValue);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            SqlValue::Null => ValueRef::Null,
            SqlValue::Integer(number) => ValueRef::Integer(*number),
            SqlValue::Text(text) => ValueRef::Text(text.as_bytes()),
            SqlValue::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn read(value: Value) -> SqlValue {
    match value {
        Value::Integer(number) => SqlValue::Integer(number),
        Value::Text(text) => SqlValue::Text(text),
        Value::Blob(bytes) => SqlValue::Bytes(bytes),
        Value::Null | Value::Real(_) => SqlValue::Null,
    }
}

impl Sql for Connection<'_> {
    type Error = rusqlite::Error;

    async fn execute(&mut self, text: &str, values: &[SqlValue]) -> rusqlite::Result<u64> {
        let values = rusqlite::params_from_iter(values.iter().map(Bound));
        Ok(self.0.execute(text, values)? as u64)
    }

    async fn query(
        &mut self,
        text: &str,
        values: &[SqlValue],
    ) -> rusqlite::Result<Vec<Vec<SqlValue>>> {
        let mut statement = self.0.prepare(text)?;
        let columns = statement.column_count();
        let values = rusqlite::params_from_iter(values.iter().map(Bound));
        let rows = statement
            .query_map(values, |row| (0..columns).map(|at| row.get(at).map(read)).collect())?;
        rows.collect()
    }
}
