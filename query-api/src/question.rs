//! Questions that are not the list of one read table: totals, what several tables say together, what only one caller may know.

use crate::api::Api;
use crate::parameters::as_tenant;
use crate::reply::{fault, unreadable};
use ::web::{Caller, Problem};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryAs;
use sqlx::{FromRow, Postgres};

/// What whoever asks must be allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needs<'q> {
    /// This permission.
    Permission(&'q str),
    /// No single one; a sentence says what instead.
    Otherwise(&'static str),
}

/// A question, declared once: what the route, the documentation and the statement say of it.
pub(crate) trait Question {
    /// Where it is asked: `/v1/identity/me`.
    const PATH: &'static str;
    /// What the API's documentation calls it: `identity.me.read`.
    const ID: &'static str;
    /// What whoever asks must be allowed.
    const READ: Needs<'static>;
    /// One sentence for the API's documentation.
    const ABOUT: &'static str;
    /// The statement, which is read [`as_tenant`]: it compares `tenant_id` with `t.tenant::uuid`, and its own arguments begin with $2.
    /// What depends on how it was asked stands in it as `{name}`.
    const SQL: &'static str;
    /// What a row of the answer says.
    type Row: for<'r> FromRow<'r, PgRow> + Send + Unpin;
}

/// A statement whose arguments are being given.
pub(crate) type Asked<'q, R> = QueryAs<'q, Postgres, R, PgArguments>;

/// Asks a question as the caller's firm; `with` gives the arguments.
pub(crate) async fn ask<Q: Question>(
    api: &Api,
    caller: &Caller,
    with: impl for<'q> FnOnce(Asked<'q, Q::Row>) -> Asked<'q, Q::Row>,
) -> Result<Vec<Q::Row>, Problem> {
    read(api, caller, Q::SQL, with).await
}

/// Reads what a statement finds as the caller's firm.
pub(crate) async fn read<R: for<'r> FromRow<'r, PgRow> + Send + Unpin>(
    api: &Api,
    caller: &Caller,
    sql: &str,
    with: impl for<'q> FnOnce(Asked<'q, R>) -> Asked<'q, R>,
) -> Result<Vec<R>, Problem> {
    let sql = as_tenant(sql);
    let asked = with(sqlx::query_as(&sql).bind(caller.tenant.0));
    asked.fetch_all(api.pool()).await.map_err(|error| match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            unreadable(&error)
        }
        other => fault(&other),
    })
}
