//! Which entries are asked for, and the statement that finds them.

use super::entry::{AuditEntries, AuditEntry, Outcome};
use crate::condition::{self, Condition};
use crate::cursor::{self, Binding};
use crate::given::Given;
use crate::parameters::{as_tenant, foreign_cursor, limit};
use crate::question::Question;
use ::web::Problem;
use chrono::{DateTime, SecondsFormat, Utc};
use kernel::{TenantId, Timestamp};
use projections::{Column, Kind};
use serde_json::json;
use sqlx::PgPool;
use std::sync::LazyLock;
use uuid::Uuid;

/// What entries can be selected by.
pub(super) static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
    let column = |name: &str, kind, values: &[&str]| Column {
        name: name.to_owned(),
        kind,
        nullable: false,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        schema: json!({}),
    };
    vec![
        column("outcome", Kind::Text, &Outcome::NAMES),
        column("permission", Kind::Text, &[]),
        column("actor", Kind::Text, &[]),
        column("api_key_id", Kind::Uuid, &[]),
        column("aggregate_type", Kind::Text, &[]),
        column("aggregate_id", Kind::Uuid, &[]),
        column("correlation_id", Kind::Uuid, &[]),
        column("at", Kind::Time, &[]),
    ]
});

/// Where a page ended: `at` and id of its last entry.
pub(super) type After = (DateTime<Utc>, Uuid);

/// Entries of one firm as they were asked for.
#[derive(Debug, Clone)]
pub struct AuditFilter {
    tenant: TenantId,
    conditions: Vec<Condition>,
    pub(super) limit: usize,
    pub(super) after: Option<After>,
    binding: Binding,
    /// What the same list without its cursor is called, for links.
    pub(super) others: Vec<(String, String)>,
}

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    NewestFirst,
    OldestFirst,
}

impl AuditFilter {
    /// Reads the parameters of a query string.
    ///
    /// # Errors
    /// A problem that names every parameter that is unknown, comes twice or means nothing.
    pub fn parse(tenant: TenantId, pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        Self::take(tenant, pairs, |_| ()).map(|(filter, ())| filter)
    }

    /// The same, where others are read besides.
    pub(super) fn take<T>(
        tenant: TenantId,
        pairs: Vec<(String, String)>,
        others: impl FnOnce(&mut Given) -> T,
    ) -> Result<(Self, T), Problem> {
        let mut given = Given::of(&pairs);
        let besides = others(&mut given);
        let limit = limit(&mut given);
        let cursor = given.once("cursor");
        let conditions: Vec<Condition> =
            COLUMNS.iter().flat_map(|column| condition::take(column, &mut given)).collect();
        given.nothing_else("this list has no such parameter")?;
        let said = conditions.iter().map(Condition::said);
        let mut parts = vec![tenant.to_string(), "timeline/audit-entries".to_owned()];
        parts.extend(said);
        let binding = Binding::new(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        let after = match cursor {
            None => None,
            Some(text) => Some(after(&binding, &text).ok_or_else(foreign_cursor)?),
        };
        let others = pairs.into_iter().filter(|(name, _)| name != "cursor").collect();
        Ok((Self { tenant, conditions, limit, after, binding, others }, besides))
    }

    /// The cursor after this entry.
    pub(super) fn cursor_after(&self, entry: &AuditEntry) -> String {
        let at = entry.at.to_rfc3339_opts(SecondsFormat::Micros, true);
        cursor::encode(&self.binding, vec![at, entry.id.to_string()])
    }

    /// Reads at most so many entries, the ones after `after`.
    pub(super) async fn read(
        &self,
        pool: &PgPool,
        order: Order,
        after: Option<After>,
        max: usize,
    ) -> sqlx::Result<Vec<AuditEntry>> {
        let (sql, arguments) = self.sql(order, after, max);
        sqlx::query_as(&sql).bind(self.tenant.0).bind(arguments).fetch_all(pool).await
    }

    /// The statement, where $1 is the tenant and $2 the array of arguments.
    fn sql(&self, order: Order, after: Option<After>, max: usize) -> (String, Vec<String>) {
        let mut arguments: Vec<String> = vec![];
        let mut bare = |value: &str| {
            arguments.push(value.to_owned());
            format!("($2)[{}]", arguments.len())
        };
        let (mut accepted, mut denied) = (vec![], vec![]);
        let mut outcomes: Option<&[String]> = None;
        for condition in &self.conditions {
            match condition.column.as_str() {
                "outcome" => outcomes = Some(&condition.values),
                "aggregate_id" => {
                    let (argument, several) = condition.argument(&mut bare);
                    let ids = if several { argument } else { format!("array[{argument}]") };
                    accepted.push(format!("r.aggregate_id = any ({ids})"));
                    denied.push(format!("r.aggregate_ids && {ids}"));
                }
                "at" => {
                    let (argument, _) = condition.argument(&mut bare);
                    accepted.push(format!("r.created_at {} {argument}", condition.operator));
                    denied.push(format!("r.at {} {argument}", condition.operator));
                }
                name => {
                    let sql = condition.sql(&format!("r.{name}"), &mut bare);
                    [&mut accepted, &mut denied].into_iter().for_each(|c| c.push(sql.clone()));
                }
            }
        }
        let mut argument = |value: &str, kind: Kind| format!("{}::{}", bare(value), kind.sql());
        let (direction, beyond) = match order {
            Order::NewestFirst => ("desc", "<"),
            Order::OldestFirst => ("asc", ">"),
        };
        if let Some((at, id)) = after {
            let at = argument(&at.to_rfc3339_opts(SecondsFormat::Micros, true), Kind::Time);
            let id = argument(&id.to_string(), Kind::Uuid);
            accepted.push(format!("(r.created_at, r.id) {beyond} ({at}, {id})"));
            denied.push(format!("(r.at, r.id) {beyond} ({at}, {id})"));
        }
        // PostgreSQL leaves out a half of which this is known before it begins.
        let asked = |outcome: &str| outcomes.is_none_or(|outcomes| outcomes.iter().any(|asked| asked == outcome));
        for (outcome, conditions) in [("accepted", &mut accepted), ("denied", &mut denied)] {
            conditions.extend((!asked(outcome)).then(|| "false".to_owned()));
        }
        let all = |conditions: Vec<String>| conditions.iter().map(|c| format!(" and {c}")).collect::<String>();
        let sql = AuditEntries::SQL
            .replace("{accepted}", &all(accepted))
            .replace("{denied}", &all(denied))
            .replace("{order}", direction)
            .replace("{max}", &max.to_string());
        (as_tenant(&sql), arguments)
    }
}

fn after(binding: &Binding, text: &str) -> Option<After> {
    let values = cursor::decode(binding, text)?;
    let [at, id] = values.as_slice() else { return None };
    Some((at.parse::<Timestamp>().ok()?.utc(), id.parse().ok()?))
}
