//! Which indexes a read table needs, from what its row type says that lists can do.
//!
//! Every index begins with the tenant, because every question is one tenant's. After it stands the column, and after that what a page
//! needs to begin after the page before: the id, which makes every order total, or for a column that many rows share the moment
//! they were added and the id, which is the order of a list that asks for no other.

use crate::column::{Column, Kind};
use crate::table::Table;

/// An index that a list needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// What it is called: `clients_status`.
    pub name: String,
    /// What it is sorted by, after the tenant.
    pub keys: Vec<String>,
    /// Rows without this column are not in it.
    pub of_known: Option<String>,
}

impl Index {
    /// As PostgreSQL writes what comes after `using`.
    pub(crate) fn definition(&self) -> String {
        let only = self.of_known.as_ref().map_or(String::new(), |column| format!(" where ({column} is not null)"));
        format!("btree (tenant_id, {}){only}", self.keys.join(", "))
    }

    /// The statement that makes it on a table: `crm.clients`.
    pub(crate) fn sql(&self, table: &str) -> String {
        let only = self.of_known.as_ref().map_or(String::new(), |column| format!(" where {column} is not null"));
        format!("create index {} on {table} (tenant_id, {}){only};", self.name, self.keys.join(", "))
    }
}

/// The indexes that the table's lists need, beside its primary key.
pub fn indexes(table: &dyn Table) -> Vec<Index> {
    let resource = table.resource();
    let of = |column: &Column| {
        let name = column.name.as_str();
        of_column(table.name(), column, resource.filter.contains(&name), resource.sort.contains(&name))
    };
    table.columns().iter().flat_map(of).collect()
}

fn of_column(table: &str, column: &Column, filter: bool, sort: bool) -> Vec<Index> {
    let name = column.name.as_str();
    let index = |end: &str, keys: &[&str]| Index {
        name: format!("{table}_{}{end}", name.trim_end_matches("_at").trim_end_matches("_id")),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        of_known: column.nullable.then(|| name.to_owned()),
    };
    let mut indexes = vec![];
    if sort || filter && matches!(column.kind, Kind::Time | Kind::Date) {
        indexes.push(index("", &[name, "id"]));
    } else if filter && !column.is_name() && is_indexed(column) {
        indexes.push(index("", &[name, "created_at", "id"]));
    }
    if filter && column.is_name() {
        indexes.push(index("_folded", &[&format!("{name} collate shared.folded")]));
    }
    indexes
}

/// Under row-level security PostgreSQL finds rows by an index only where the comparison leaks nothing of rows that it must not show,
/// and the one that looks into a list is not declared so (docs/adr/0039). Such a filter goes through the tenant's rows in the order
/// of the page.
pub fn is_indexed(column: &Column) -> bool {
    column.kind != Kind::Json
}
