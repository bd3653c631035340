//! The difference between what row types declare and what the migrated tables are, as SQL that ends it.

use crate::column::{Column, Kind};
use crate::group::Group;
use crate::index::{Index, indexes};
use crate::table::Table;
use sqlx::PgPool;

/// A column as the database has it.
#[derive(sqlx::FromRow)]
struct Found {
    name: String,
    sql: String,
    nullable: bool,
}

/// What is missing, table by table; nothing if a group's tables are as its row types say. A line that no statement can mend is a
/// comment. `pool` connects as the owner.
///
/// # Errors
/// When the database cannot be asked.
pub async fn missing(pool: &PgPool, group: &Group) -> sqlx::Result<Vec<String>> {
    let mut sql = vec![];
    let exists: bool =
        sqlx::query_scalar("select to_regnamespace($1) is not null").bind(group.name).fetch_one(pool).await?;
    if !exists {
        sql.push(format!("create schema {};", group.name));
    }
    for table in &group.tables {
        sql.extend(of_table(pool, group, table.as_ref()).await?);
    }
    Ok(sql)
}

/// Indexes that no list of the group's tables needs, as `schema.index`.
///
/// # Errors
/// When the database cannot be asked.
pub async fn unneeded(pool: &PgPool, group: &Group) -> sqlx::Result<Vec<String>> {
    let mut names = vec![];
    for table in &group.tables {
        let needed: Vec<String> = indexes(table.as_ref()).iter().map(Index::definition).collect();
        let found = found_indexes(pool, group, table.as_ref()).await?;
        let unneeded = found.into_iter().filter(|(_, found)| !needed.iter().any(|needed| serves(found, needed)));
        names.extend(unneeded.map(|(name, _)| format!("{}.{name}", group.name)));
    }
    Ok(names)
}

async fn of_table(pool: &PgPool, group: &Group, table: &dyn Table) -> sqlx::Result<Vec<String>> {
    let name = format!("{}.{}", group.name, table.name());
    let found: Vec<Found> = sqlx::query_as(
        "select a.attname::text as name, format_type(a.atttypid, null) as sql, not a.attnotnull as nullable
         from pg_attribute a
         where a.attrelid = to_regclass(format('%I.%I', $1::text, $2::text)) and a.attnum > 0 and not a.attisdropped
           and a.attname not in ('tenant_id', 'position')
         order by a.attnum",
    )
    .bind(group.name)
    .bind(table.name())
    .fetch_all(pool)
    .await?;
    let mut sql = if found.is_empty() { vec![created(&name, table)] } else { altered(&name, table.columns(), &found) };
    let present = found_indexes(pool, group, table).await?;
    for index in indexes(table) {
        let definition = index.definition();
        if !present.iter().any(|(_, found)| serves(found, &definition)) {
            sql.push(index.sql(&name));
        }
    }
    if found.is_empty() {
        sql.push(format!("select projections.register('{name}');"));
    }
    Ok(sql)
}

/// The table's indexes beside its primary key: name and definition, in the words of [`Index::definition`].
async fn found_indexes(pool: &PgPool, group: &Group, table: &dyn Table) -> sqlx::Result<Vec<(String, String)>> {
    let found: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, pg_get_indexdef(i.indexrelid)
         from pg_index i join pg_class c on c.oid = i.indexrelid
         where i.indrelid = to_regclass(format('%I.%I', $1::text, $2::text)) and not i.indisprimary order by c.relname",
    )
    .bind(group.name)
    .bind(table.name())
    .fetch_all(pool)
    .await?;
    let words = |definition: &str| {
        let definition = definition.split_once(" USING ").map_or("", |(_, definition)| definition);
        [("COLLATE", "collate"), ("WHERE", "where"), ("IS NOT NULL", "is not null")]
            .into_iter()
            .fold(definition.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    };
    Ok(found.into_iter().map(|(name, definition)| (name, words(&definition))).collect())
}

/// Does an index do for a list that needs this one? It may say more after the same keys, and have more rows.
fn serves(found: &str, needed: &str) -> bool {
    let parts = |definition: &str| {
        let (keys, only) = definition.split_once(" where ").unwrap_or((definition, ""));
        (keys.trim_end_matches(')').to_owned(), only.to_owned())
    };
    let ((found, found_only), (needed, needed_only)) = (parts(found), parts(needed));
    let rest = found.strip_prefix(&needed);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(", "))
        && (found_only.is_empty() || found_only == needed_only)
}

fn created(name: &str, table: &dyn Table) -> String {
    let common = ["tenant_id uuid not null".to_owned(), "position bigint not null".to_owned()];
    let columns = common.into_iter().chain(table.columns().iter().map(declared));
    let lines: Vec<String> = columns.map(|column| format!("    {column},\n")).collect();
    // Room for the next versions of a row on the page where it stands.
    let fill = if table.append_only() { "" } else { " with (fillfactor = 85)" };
    format!("create table {name}\n(\n{}    primary key (tenant_id, id)\n){fill};", lines.concat())
}

fn altered(name: &str, columns: &[Column], found: &[Found]) -> Vec<String> {
    let mut sql = vec![];
    let is_there = |column: &&Column| found.iter().any(|found| found.name == column.name);
    for gone in found.iter().filter(|found| columns.iter().all(|column| column.name != found.name)) {
        sql.push(format!("alter table {name} drop column {};", gone.name));
    }
    for column in columns.iter().filter(|column| !is_there(column)) {
        let default = default(column).map_or(String::new(), |default| format!(" default {default}"));
        sql.push(format!("alter table {name} add column {}{default};", declared(column)));
    }
    for (column, found) in columns.iter().filter_map(|c| Some((c, found.iter().find(|found| found.name == c.name)?))) {
        if sql_name(column.kind) != found.sql {
            let (kind, column) = (column.kind.sql(), &column.name);
            sql.push(format!("alter table {name} alter column {column} type {kind} using {column}::{kind};"));
        }
        if column.nullable != found.nullable {
            let verb = if column.nullable { "drop" } else { "set" };
            sql.push(format!("alter table {name} alter column {} {verb} not null;", column.name));
        }
    }
    let stay = found.iter().map(|found| found.name.as_str()).filter(|n| columns.iter().any(|column| column.name == *n));
    let after = stay.chain(columns.iter().filter(|c| !is_there(c)).map(|column| column.name.as_str()));
    if !after.eq(columns.iter().map(|column| column.name.as_str())) {
        sql.push(format!("-- {name}: the fields of the row type are to stand in the order of the columns."));
    }
    sql
}

/// As `create table` says it.
fn declared(column: &Column) -> String {
    let collation = match column.kind {
        Kind::Text if column.is_name() => " collate shared.by_name",
        // The words of a status or a kind are compared and never read out in order.
        Kind::Text if !column.values.is_empty() => " collate \"C\"",
        _ => "",
    };
    let known = if column.nullable { "" } else { " not null" };
    format!("{} {}{collation}{known}", column.name, column.kind.sql())
}

/// What the rows of before have until the group is replayed; none where PostgreSQL needs none or there is no such value.
fn default(column: &Column) -> Option<String> {
    if column.nullable {
        return None;
    }
    match column.kind {
        Kind::Text => Some(format!("'{}'", column.values.first().map_or("", String::as_str))),
        Kind::Integer => Some("0".to_owned()),
        Kind::Boolean => Some("false".to_owned()),
        Kind::Time | Kind::Date => Some("'epoch'".to_owned()),
        Kind::Json => Some("'[]'".to_owned()),
        Kind::Uuid => Some("'00000000-0000-0000-0000-000000000000'".to_owned()),
    }
}

/// As `format_type` writes it.
fn sql_name(kind: Kind) -> &'static str {
    if kind == Kind::Time { "timestamp with time zone" } else { kind.sql() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_serves_who_needs_its_first_keys_of_all_its_rows() {
        let status = "btree (tenant_id, status, created_at, id)";
        assert!(serves(status, status));
        assert!(serves(status, "btree (tenant_id, status)"));
        assert!(serves(status, "btree (tenant_id, status) where (status is not null)"));
        assert!(serves(
            "btree (tenant_id, a, id) where (a is not null)",
            "btree (tenant_id, a, id) where (a is not null)"
        ));
        for other in [
            "btree (tenant_id, status_before, created_at, id)",
            "btree (tenant_id, status, id)",
            "gin (tenant_id, status, created_at, id)",
            "btree (tenant_id, status, created_at, id) where (status = 'open'::text)",
            "btree (tenant_id, status collate shared.folded)",
        ] {
            assert!(!serves(other, status), "{other}");
        }
    }
}
