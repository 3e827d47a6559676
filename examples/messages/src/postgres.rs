//! An inbox and an outbox over sqlx and `PostgreSQL`: what a service of its own copies.

use meshwise_messaging::{Sql, SqlValue};
use sqlx::{
    AssertSqlSafe, Column, PgConnection, Postgres, Row, TypeInfo, postgres::PgArguments,
    query::Query,
};

/// Runs statements on a connection, or in a transaction (`&mut *transaction`).
#[derive(Debug)]
pub struct Connection<'c>(pub &'c mut PgConnection);

fn bound<'q>(text: &str, values: &[SqlValue]) -> Query<'q, Postgres, PgArguments> {
    let query = sqlx::query(AssertSqlSafe(text.to_owned()));
    values.iter().fold(query, |query, value| match value {
        SqlValue::Null => query.bind(None::<String>),
        SqlValue::Integer(number) => query.bind(*number),
        SqlValue::Text(text) => query.bind(text.clone()),
        SqlValue::Bytes(bytes) => query.bind(bytes.clone()),
    })
}

impl Sql for Connection<'_> {
    type Error = sqlx::Error;

    async fn execute(&mut self, text: &str, values: &[SqlValue]) -> Result<u64, sqlx::Error> {
        Ok(bound(text, values).execute(&mut *self.0).await?.rows_affected())
    }

    async fn query(
        &mut self,
        text: &str,
        values: &[SqlValue],
    ) -> Result<Vec<Vec<SqlValue>>, sqlx::Error> {
        let rows = bound(text, values).fetch_all(&mut *self.0).await?;
        let value = |row: &sqlx::postgres::PgRow, at: usize| {
            Ok(match row.column(at).type_info().name() {
                "INT8" => row.try_get::<Option<i64>, _>(at)?.map(SqlValue::Integer),
                "BYTEA" => row.try_get::<Option<Vec<u8>>, _>(at)?.map(SqlValue::Bytes),
                _ => row.try_get::<Option<String>, _>(at)?.map(SqlValue::Text),
            }
            .unwrap_or(SqlValue::Null))
        };
        rows.iter().map(|row| (0..row.len()).map(|at| value(row, at)).collect()).collect()
    }
}
