//! An inbox and an outbox over sqlx, for `PostgreSQL` and `MySQL`: what a service of its own copies.

use meshwise_messaging::{Sql, SqlValue};
use sqlx::{AssertSqlSafe, Column, Database, Row, TypeInfo, query::Query};

/// Runs statements on a connection, or in a transaction (`&mut *transaction`).
#[derive(Debug)]
pub struct Connection<'c, C>(pub &'c mut C);

/// Does so for the connections of one database.
macro_rules! connections {
    ($($database:ty, $connection:ty, $row:ty;)*) => {$(
        const _: () = {
            type Bound = Query<'static, $database, <$database as Database>::Arguments>;

            fn bound(text: &str, values: &[SqlValue]) -> Bound {
                let query = sqlx::query(AssertSqlSafe(text.to_owned()));
                values.iter().fold(query, |query, value| match value {
                    SqlValue::Null => query.bind(None::<String>),
                    SqlValue::Integer(number) => query.bind(*number),
                    SqlValue::Text(text) => query.bind(text.clone()),
                    SqlValue::Bytes(bytes) => query.bind(bytes.clone()),
                })
            }

            fn value(row: &$row, at: usize) -> Result<SqlValue, sqlx::Error> {
                let value = match row.column(at).type_info().name() {
                    "INT8" | "BIGINT" => row.try_get::<Option<_>, _>(at)?.map(SqlValue::Integer),
                    // MySQL calls a text that is compared by its bytes a blob, too.
                    _ => match row.try_get::<Option<_>, _>(at) {
                        Ok(text) => text.map(SqlValue::Text),
                        Err(_) => row.try_get::<Option<_>, _>(at)?.map(SqlValue::Bytes),
                    },
                };
                Ok(value.unwrap_or(SqlValue::Null))
            }

            impl Sql for Connection<'_, $connection> {
                type Error = sqlx::Error;

                async fn execute(
                    &mut self,
                    text: &str,
                    values: &[SqlValue],
                ) -> Result<u64, sqlx::Error> {
                    Ok(bound(text, values).execute(&mut *self.0).await?.rows_affected())
                }

                async fn query(
                    &mut self,
                    text: &str,
                    values: &[SqlValue],
                ) -> Result<Vec<Vec<SqlValue>>, sqlx::Error> {
                    let rows = bound(text, values).fetch_all(&mut *self.0).await?;
                    let values = |row| (0..Row::len(row)).map(|at| value(row, at)).collect();
                    rows.iter().map(values).collect()
                }
            }
        };
    )*};
}

connections! {
    sqlx::Postgres, sqlx::PgConnection, sqlx::postgres::PgRow;
    sqlx::MySql, sqlx::MySqlConnection, sqlx::mysql::MySqlRow;
}
