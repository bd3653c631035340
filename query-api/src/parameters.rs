//! The query string of a list: `limit`, `cursor`, `sort` and whitelisted filters; anything else is refused by name.

use crate::condition::{self, Condition};
use crate::cursor::{self, Binding};
use crate::given::Given;
use crate::only::Seen;
use crate::row;
use crate::value::{checked, integer};
use ::web::{Problem, code};
use kernel::{FieldCode, InvalidValue, TenantId};
use projections::{Away, Column, Kind, Resource, Table};

/// Rows of a page unless asked otherwise.
const LIMIT_DEFAULT: usize = 50;
/// Names are the same whatever their case, and however their accents are written.
const FOLDED: &str = " collate shared.folded";
/// Rows of a page at most.
pub(crate) const LIMIT_MAX: usize = 200;

/// A list as it was asked for.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub limit: usize,
    selection: Selection,
    /// Column and whether it descends; the id comes last.
    order: Vec<(String, bool, Kind)>,
    after: Option<Vec<String>>,
    pub binding: Binding,
    /// What the same list without its cursor is called, for links.
    pub others: Vec<(String, String)>,
}

/// Which rows are asked for, of those that the caller may see.
#[derive(Debug)]
pub(crate) struct Selection {
    filters: Vec<Condition>,
    /// Which rows that were put away are shown.
    archived: Archived,
}

impl Selection {
    /// Takes what a table can be filtered by out of what was given.
    pub fn take(table: &dyn Table, given: &mut Given) -> Self {
        let archived = Archived::take(given, table.away());
        let mut filters = vec![];
        for name in ["id"].iter().chain(table.resource().filter) {
            if let Some(column) = table.columns().iter().find(|column| column.name == *name) {
                filters.extend(condition::take(column, given));
            }
        }
        Self { filters, archived }
    }

    /// The conditions on the row `r` of the table, all of which hold; `bare` takes an argument in and answers how it is called.
    pub fn sql(&self, table: &dyn Table, rows: &Seen, bare: &mut impl FnMut(&str) -> String) -> Vec<String> {
        let mut conditions = vec!["r.tenant_id = t.tenant::uuid".to_owned()];
        conditions.extend(rows.sql(&mut *bare));
        conditions.extend(self.archived.sql(table.away()));
        for filter in &self.filters {
            let column = table.columns().iter().find(|column| column.name == filter.column);
            let folded = if column.is_some_and(Column::is_name) { FOLDED } else { "" };
            conditions.push(filter.sql(&format!("r.{}{folded}", filter.column), bare));
        }
        conditions
    }

    /// As a cursor remembers it.
    fn said(&self) -> Vec<String> {
        let archived = format!("{:?}", self.archived);
        self.filters.iter().map(Condition::said).chain([archived]).collect()
    }
}

/// How many rows a page holds.
pub(crate) fn limit(given: &mut Given) -> usize {
    let limit = given.read("limit", |text| integer(text, 1, LIMIT_MAX as i64));
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT_DEFAULT)
}

/// Which rows a list shows of those that can be put away: archived, retired, withdrawn, disbanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Archived {
    Without,
    Only,
    Any,
}

impl Archived {
    pub const NAMES: [&str; 3] = ["false", "true", "any"];

    fn take(given: &mut Given, away: Option<Away>) -> Self {
        if away.is_none() {
            return Self::Any;
        }
        let read = |text: &str| match text {
            "false" => Ok(Self::Without),
            "true" => Ok(Self::Only),
            "any" => Ok(Self::Any),
            other => Err(InvalidValue::not_one_of(other, &Self::NAMES)),
        };
        given.read("archived", read).unwrap_or(Self::Without)
    }

    /// The condition on the row `r`.
    fn sql(self, away: Option<Away>) -> Option<String> {
        let is_away = match away? {
            Away::Column(column) => format!("r.{column}"),
            Away::Status(status) => format!("(r.status = '{status}')"),
            Away::Of { column, table } => format!(
                "exists (select from {table} p where p.tenant_id = r.tenant_id and p.id = r.{column} and p.archived)"
            ),
        };
        match self {
            Self::Any => None,
            Self::Only => Some(is_away),
            Self::Without => Some(format!("not {is_away}")),
        }
    }
}

/// The columns to order by, and whether each descends.
fn order(sort: &str, table: &dyn Table, given: &mut Given) -> Vec<(String, bool, Kind)> {
    let Resource { sort: keys, .. } = table.resource();
    let mut order: Vec<(String, bool, Kind)> = vec![];
    for key in sort.split(',').filter(|_| !sort.is_empty()) {
        let (name, descending) = key.strip_prefix('-').map_or((key, false), |name| (name, true));
        let column = table.columns().iter().find(|column| column.name == name && keys.contains(&name));
        match column {
            None => given.refuse("sort", InvalidValue::not_one_of(name, keys)),
            Some(_) if order.iter().any(|(earlier, ..)| earlier == name) => {
                given.refuse("sort", InvalidValue::new(FieldCode::Duplicate, format!("expected {name} once")));
            }
            Some(column) => order.push((name.to_owned(), descending, column.kind)),
        }
    }
    // The id makes every order total, in the direction of the last key so that an index can serve both.
    let descending = order.last().is_some_and(|(_, descending, _)| *descending);
    order.push(("id".to_owned(), descending, Kind::Uuid));
    order
}

impl ListQuery {
    /// Reads the parameters, and tells at once everything that is wrong with them.
    pub fn parse(table: &dyn Table, tenant: TenantId, pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let resource = table.resource();
        let mut given = Given::of(&pairs);
        let limit = limit(&mut given);
        let cursor = given.once("cursor");
        let sort = given.once("sort");
        let default = if resource.sort.contains(&"created_at") { "-created_at" } else { "" };
        let sort = sort.as_deref().unwrap_or(default);
        let order = order(sort, table, &mut given);
        let selection = Selection::take(table, &mut given);
        given.nothing_else("this list has no such parameter")?;
        let others: Vec<_> = pairs.into_iter().filter(|(name, _)| name != "cursor").collect();
        let said = selection.said();
        let tenant = tenant.to_string();
        let mut parts = vec![tenant.as_str(), resource.path, sort];
        parts.extend(said.iter().map(String::as_str));
        let binding = Binding::new(&parts);
        let after = match cursor {
            None => None,
            Some(text) => Some(after(table, &order, &binding, &text)?),
        };
        Ok(Self { limit, selection, order, after, binding, others })
    }

    /// The statement that is read [`as_tenant`], where $2 is the array of arguments. It asks for one row more than the page
    /// holds, which says whether there is another page.
    pub fn sql(&self, name: &str, table: &dyn Table, rows: &Seen) -> (String, Vec<String>) {
        let mut arguments: Vec<String> = vec![];
        let mut bare = |value: &str| {
            arguments.push(value.to_owned());
            format!("($2)[{}]", arguments.len())
        };
        let mut conditions = self.selection.sql(table, rows, &mut bare);
        let mut argument = |value: &str, kind: Kind| format!("{}::{}", bare(value), kind.sql());
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
            row::selection(table, rows.within),
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
