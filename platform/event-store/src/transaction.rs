//! Transactions of this and the other crates that work on the log.

use sqlx::{PgPool, Postgres, Transaction};

/// Begins a transaction. Whoever gives up meanwhile leaves none open behind.
///
/// `sqlx::Pool::begin` does, in 0.8 and 0.9: a connection whose `BEGIN` was on its way when its future was dropped goes back
/// into the pool with a transaction that nobody ends, and what the next borrower writes is never committed
/// (transact-rs/sqlx#4393). Here it is begun in a task of its own, and what nobody fetches is rolled back.
///
/// # Errors
/// When no connection is to be had, or the server is gone.
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    begin_with(pool, "begin").await
}

/// The same with a statement of one's own: `begin isolation level repeatable read`.
///
/// # Errors
/// As [`begin`].
pub async fn begin_with(pool: &PgPool, statement: &'static str) -> sqlx::Result<Transaction<'static, Postgres>> {
    let pool = pool.clone();
    #[expect(clippy::disallowed_methods, reason = "this is the task of its own")]
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    match begun.await {
        Ok(begun) => begun,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends.
        Err(_) => Err(sqlx::Error::WorkerCrashed),
    }
}
