//! The query string of a list: `limit`, `cursor`, `sort` and whitelisted filters; anything else is refused by name.

use crate::cursor::{self, Binding};
use crate::only::Rows;
use crate::row;
use crate::value::checked;
use ::web::{Problem, code};
use kernel::{FieldCode, FieldError, TenantId};
use projections::{Column, Kind, Table};
use std::collections::BTreeMap;

/// Rows of a page unless asked otherwise.
const LIMIT_DEFAULT: usize = 50;
/// Rows of a page at most.
pub(crate) const LIMIT_MAX: usize = 200;

/// A list as it was asked for.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub limit: usize,
    /// Column, operator, value.
    filters: Vec<(String, &'static str, Kind, String)>,
    /// Column and whether it descends; the id comes last.
    order: Vec<(String, bool, Kind)>,
    after: Option<Vec<String>>,
    pub binding: Binding,
    /// What the same list without its cursor is called, for links.
    pub others: Vec<(String, String)>,
}

pub(crate) fn refuse(parameter: &str, message: impl Into<String>) -> Problem {
    let message = message.into();
    let error = FieldError::new("", FieldCode::NotAllowed, message.clone());
    Problem::new(&code::INVALID_PARAMETER, format!("{parameter}: {message}")).with("parameter", parameter).field(error)
}

/// The parameters by name, each once.
pub(crate) fn once(pairs: &[(String, String)]) -> Result<BTreeMap<String, String>, Problem> {
    let mut seen = BTreeMap::new();
    for (name, value) in pairs {
        if seen.insert(name.clone(), value.clone()).is_some() {
            return Err(refuse(name, "expected once"));
        }
    }
    Ok(seen)
}

/// How many rows a page holds, taken out of the parameters.
pub(crate) fn limit(seen: &mut BTreeMap<String, String>) -> Result<usize, Problem> {
    let Some(text) = seen.remove("limit") else { return Ok(LIMIT_DEFAULT) };
    let limit = text.parse().ok().filter(|n| (1..=LIMIT_MAX).contains(n));
    limit.ok_or_else(|| refuse("limit", format!("expected a number from 1 to {LIMIT_MAX}")))
}

/// What a filter parameter of a column is called, and how it compares.
pub(crate) fn filters_of(column: &Column) -> Vec<(String, &'static str)> {
    match column.kind {
        Kind::Time | Kind::Date => {
            vec![(format!("{}_after", column.name), ">"), (format!("{}_before", column.name), "<")]
        }
        _ => vec![(column.name.clone(), "=")],
    }
}

impl ListQuery {
    pub fn parse(table: &dyn Table, tenant: TenantId, pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let resource = table.resource();
        let column = |name: &str| table.columns().iter().find(|column| column.name == name);
        let mut seen = once(&pairs)?;
        let limit = limit(&mut seen)?;
        let cursor = seen.remove("cursor");
        let sort = seen.remove("sort");
        let default = if resource.sort.contains(&"created_at") { "-created_at" } else { "" };
        let sort = sort.as_deref().unwrap_or(default);
        let mut order: Vec<(String, bool, Kind)> = vec![];
        for key in sort.split(',').filter(|_| !sort.is_empty()) {
            let (name, descending) = key.strip_prefix('-').map_or((key, false), |name| (name, true));
            let known = resource.sort.contains(&name).then(|| column(name)).flatten();
            let known =
                known.ok_or_else(|| refuse("sort", format!("expected keys out of {}", resource.sort.join(", "))))?;
            if order.iter().any(|(earlier, ..)| earlier == name) {
                return Err(refuse("sort", format!("expected {name} once")));
            }
            order.push((name.to_owned(), descending, known.kind));
        }
        // The id makes every order total, in the direction of the last key so that an index can serve both.
        let descending = order.last().is_some_and(|(_, descending, _)| *descending);
        order.push(("id".to_owned(), descending, Kind::Uuid));

        let mut filters = vec![];
        let others: Vec<_> = pairs.iter().filter(|(name, _)| name != "cursor").cloned().collect();
        for name in resource.filter {
            let Some(column) = column(name) else { continue };
            for (parameter, operator) in filters_of(column) {
                if let Some(text) = seen.remove(&parameter) {
                    let value = checked(column, &text).map_err(|expected| refuse(&parameter, expected))?;
                    filters.push((column.name.clone(), operator, column.kind, value));
                }
            }
        }
        if let Some(unknown) = seen.keys().next() {
            return Err(refuse(unknown, "this list has no such parameter"));
        }
        let said: Vec<String> =
            filters.iter().map(|(name, operator, _, value)| format!("{name}{operator}{value}")).collect();
        let tenant = tenant.to_string();
        let mut parts = vec![tenant.as_str(), resource.path, sort];
        parts.extend(said.iter().map(String::as_str));
        let binding = Binding::new(&parts);
        let after = match cursor {
            None => None,
            Some(text) => Some(after(table, &order, &binding, &text)?),
        };
        Ok(Self { limit, filters, order, after, binding, others })
    }

    /// The statement that is read [`as_tenant`], where $2 is the array of arguments. It asks for one row more than the page
    /// holds, which says whether there is another page.
    pub fn sql(&self, name: &str, table: &dyn Table, rows: &Rows) -> (String, Vec<String>) {
        let mut arguments: Vec<String> = vec![];
        let mut bare = |value: &str| {
            arguments.push(value.to_owned());
            format!("($2)[{}]", arguments.len())
        };
        let mut conditions = vec!["r.tenant_id = t.tenant::uuid".to_owned()];
        conditions.extend(rows.sql(&mut bare));
        let mut argument = |value: &str, kind: Kind| format!("{}::{}", bare(value), kind.sql());
        for (column, operator, kind, value) in &self.filters {
            conditions.push(format!("r.{column} {operator} {}", argument(value, *kind)));
        }
        if let Some(after) = &self.after {
            let keys: Vec<_> =
                self.order.iter().zip(after).map(|((c, d, kind), v)| (c, *d, argument(v, *kind))).collect();
            conditions.push(beyond(&keys));
        }
        let order: Vec<String> = self
            .order
            .iter()
            .map(|(c, descending, _)| format!("r.{c}{}", if *descending { " desc" } else { "" }))
            .collect();
        let sql = as_tenant(&format!(
            "select {} from {name} r where {} order by {} limit {}",
            row::selection(table),
            conditions.join(" and "),
            order.join(", "),
            self.limit + 1
        ));
        (sql, arguments)
    }

    /// The cursor after this row.
    pub fn cursor_after(&self, row: &serde_json::Value) -> String {
        let values = self.order.iter().map(|(column, ..)| match &row[column] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        cursor::encode(&self.binding, values.collect())
    }
}

/// Reads as the tenant in $1, in one statement, so that nothing can run between setting the tenant and reading, and nothing
/// outlives them. `select` compares with `t.tenant::uuid`; because of that it cannot run before the setting is made, and
/// it gives its rows in its own order. A statement like any other, so that PostgreSQL keeps its plan, and takes its
/// snapshot after its locks: a switch of tables is never half seen.
pub(crate) fn as_tenant(select: &str) -> String {
    format!(
        "select found.* from pg_catalog.set_config('ubos.tenant_id', ($1::uuid)::text, true) t(tenant)
         cross join lateral ({select}) found"
    )
}

pub(crate) fn foreign_cursor() -> Problem {
    let detail = "expected the next_cursor of a page of this list, with the same filters and order";
    Problem::new(&code::INVALID_CURSOR, detail).with("parameter", "cursor")
}

fn after(
    table: &dyn Table,
    order: &[(String, bool, Kind)],
    binding: &Binding,
    text: &str,
) -> Result<Vec<String>, Problem> {
    let values = cursor::decode(binding, text).filter(|values| values.len() == order.len());
    let values = values.ok_or_else(foreign_cursor)?;
    let columns = order.iter().map(|(name, ..)| table.columns().iter().find(|column| column.name == *name));
    let values = columns.zip(values).map(|(column, value)| checked(column?, &value).ok());
    values.collect::<Option<_>>().ok_or_else(foreign_cursor)
}

/// Rows that come after these values in the order.
fn beyond(keys: &[(&String, bool, String)]) -> String {
    let columns: Vec<String> = keys.iter().map(|(column, ..)| format!("r.{column}")).collect();
    let values: Vec<&str> = keys.iter().map(|(_, _, value)| value.as_str()).collect();
    if keys.iter().all(|(_, descending, _)| *descending == keys[0].1) {
        let operator = if keys[0].1 { "<" } else { ">" };
        return format!("({}) {operator} ({})", columns.join(", "), values.join(", "));
    }
    let alternatives = keys.iter().enumerate().map(|(n, (column, descending, value))| {
        let mut terms: Vec<String> = (0..n).map(|i| format!("{} = {}", columns[i], values[i])).collect();
        terms.push(format!("r.{column} {} {value}", if *descending { "<" } else { ">" }));
        format!("({})", terms.join(" and "))
    });
    format!("({})", alternatives.collect::<Vec<_>>().join(" or "))
}
