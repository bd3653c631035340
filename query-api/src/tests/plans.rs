//! What PostgreSQL makes of the statements of lists, asked with EXPLAIN.
//!
//! The tables hold enough rows of several firms for the planner to have a choice, and their statistics are fresh, so it chooses as it
//! would at work. To forbid it what is slow (`enable_seqscan = off`) would prove less: every index begins with the tenant, so there
//! always is one that it can walk through from end to end.

use crate::condition::filters_of;
use crate::only::{Rows, Seen};
use crate::parameters::ListQuery;
use kernel::TenantId;
use projections::{Column, Kind, Resource, Table, is_indexed};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use testing::TestDatabase;
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const FIRMS: i32 = 4;
const ROWS_OF_A_FIRM: i32 = 2_000;

/// The plan of a list.
async fn plan(connection: &mut PgConnection, table: &dyn Table, query: &ListQuery) -> String {
    let (sql, arguments) =
        query.sql(&format!("{}.{}", table.group(), table.name()), table, &Seen { rows: Rows::All, within: None });
    let sql = format!("explain (costs off) {sql}");
    let explained = sqlx::query_scalar::<_, String>(&sql).bind(TENANT.0).bind(arguments);
    explained.fetch_all(connection).await.unwrap().join("\n")
}

fn list(table: &dyn Table, pairs: &[(&str, &str)]) -> ListQuery {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ListQuery::parse(table, TENANT, pairs).unwrap()
}

/// What stands in a column of row `n`, in SQL.
fn value_of(column: &Column) -> String {
    match column.kind {
        Kind::Text if column.values.is_empty() => "'n' || n || '@example.com'".to_owned(),
        Kind::Text => {
            let words: Vec<String> = column.values.iter().map(|value| format!("'{value}'")).collect();
            format!("(array[{}])[1 + n % {}]", words.join(", "), words.len())
        }
        Kind::Uuid => "md5(n::text)::uuid".to_owned(),
        Kind::Integer => "n".to_owned(),
        Kind::Boolean => "n % 50 = 0".to_owned(),
        Kind::Time => "timestamptz '2026-01-01T00:00:00Z' + n * interval '1 minute'".to_owned(),
        Kind::Date => "date '2026-01-01' + n".to_owned(),
        Kind::Json => "'[]'::jsonb".to_owned(),
    }
}

/// A value to ask for, of which a firm has few rows, or that splits them evenly.
fn asked(column: &Column, operator: &str) -> String {
    let edge = if operator == "<" { 2 } else { i64::from(ROWS_OF_A_FIRM) - 2 };
    match column.kind {
        Kind::Text if column.values.is_empty() => "n7@example.com".to_owned(),
        Kind::Text => column.values[0].clone(),
        Kind::Uuid => "8f14e45f-ceea-167a-5a36-dedd4bea2543".to_owned(),
        Kind::Integer => "7".to_owned(),
        Kind::Boolean => "true".to_owned(),
        Kind::Time => {
            let begin = chrono::DateTime::from_timestamp(1_767_225_600, 0).unwrap();
            (begin + chrono::TimeDelta::minutes(edge)).to_rfc3339()
        }
        Kind::Date => {
            let begin = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
            (begin + chrono::TimeDelta::days(edge)).to_string()
        }
        Kind::Json => "anything".to_owned(),
    }
}

/// A database whose read tables hold rows.
async fn filled() -> (TestDatabase, PgPool) {
    let database = TestDatabase::create().await;
    let superuser = database.superuser().await;
    for (group, table, _) in projections::resources() {
        let names: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
        let values = table.columns().iter().map(|column| match column.name.as_str() {
            "id" => "gen_random_uuid()".to_owned(),
            _ => value_of(column),
        });
        let sql = format!(
            "insert into {0}.{1} (tenant_id, position, {2})
             select lpad(firm::text, 32, '0')::uuid, n, {3} from generate_series(1, {FIRMS}) firm, generate_series(1, {ROWS_OF_A_FIRM}) n",
            group.name,
            table.name(),
            names.join(", "),
            values.collect::<Vec<_>>().join(", ")
        );
        sqlx::query(&sql).execute(&superuser).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        sqlx::query(&format!("analyze {}.{}", group.name, table.name())).execute(&superuser).await.unwrap();
    }
    let pool = database.query().await;
    (database, pool)
}

fn filters(table: &dyn Table, resource: &Resource) -> Vec<Column> {
    let is_filter = |column: &&Column| resource.filter.contains(&column.name.as_str());
    table.columns().iter().filter(is_filter).cloned().collect()
}

#[tokio::test]
async fn every_filter_of_every_list_is_looked_up_in_an_index() {
    let (_database, pool) = filled().await;
    let mut connection = pool.acquire().await.unwrap();
    let (mut wrong, mut met) = (vec![], 0);
    for (_, table, resource) in projections::resources() {
        for column in filters(table, &resource) {
            for (parameter, operator) in filters_of(&column) {
                let mut query = vec![(parameter.as_str(), asked(&column, operator))];
                if table.away().is_some() {
                    query.push(("archived", "any".to_owned()));
                }
                let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let plan = plan(&mut connection, table, &list(table, &query)).await;
                let found = plan.lines().any(|line| line.contains("Index Cond") && line.contains(&column.name));
                met += 1;
                if plan.contains("Seq Scan") || found != is_indexed(&column) {
                    wrong.push(format!("{}?{query:?}:\n{plan}", resource.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {met}:\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(met > 100, "{met}");
}

#[tokio::test]
async fn every_order_of_every_list_is_read_from_an_index_on_every_page() {
    let (_database, pool) = filled().await;
    let mut connection = pool.acquire().await.unwrap();
    let (mut wrong, mut met) = (vec![], 0);
    for (_, table, resource) in projections::resources() {
        for column in table.columns().iter().filter(|column| resource.sort.contains(&column.name.as_str())) {
            for sort in [column.name.clone(), format!("-{}", column.name)] {
                let first = list(table, &[("sort", &sort)]);
                let value = if column.is_name() { "Ångström 2".to_owned() } else { asked(column, ">=") };
                let row: Value = json!({ column.name.as_str(): value, "id": Uuid::from_u128(7) });
                let cursor = first.cursor_after(&row);
                let next = list(table, &[("sort", &sort), ("cursor", &cursor)]);
                for (page, query) in [("first", first), ("next", next)] {
                    let plan = plan(&mut connection, table, &query).await;
                    met += 1;
                    // The page begins where the one before ended, without reading what came before.
                    let begins = plan.lines().any(|line| line.contains("Index Cond") && line.contains("ROW("));
                    if plan.contains("Sort") || plan.contains("Seq Scan") || begins != (page == "next") {
                        wrong.push(format!("{} by {sort}, {page} page:\n{plan}", resource.path));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {met}:\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(met > 100, "{met}");
}

#[tokio::test]
async fn a_status_is_found_in_the_order_of_the_page() {
    let (_database, pool) = filled().await;
    let mut connection = pool.acquire().await.unwrap();
    let mut met = 0;
    for (_, table, resource) in projections::resources() {
        for column in filters(table, &resource).iter().filter(|column| !column.values.is_empty()) {
            met += 1;
            let query = list(table, &[(&column.name, &column.values[0])]);
            let plan = plan(&mut connection, table, &query).await;
            assert!(!plan.contains("Sort"), "{} by {}:\n{plan}", resource.path, column.name);
        }
    }
    assert!(met > 10, "{met}");
}

#[tokio::test]
async fn a_name_is_found_in_any_spelling_by_an_index() {
    let (_database, pool) = filled().await;
    let (_, table, _) = projections::resources().find(|(_, _, resource)| resource.path == "crm/clients").unwrap();
    let mut connection = pool.acquire().await.unwrap();
    for pairs in [&[("name", "N1711@example.com")][..], &[("name", "N1@Example.com"), ("name", "n2@EXAMPLE.com")]] {
        let plan = plan(&mut connection, table, &list(table, pairs)).await;
        assert!(plan.contains("clients_name_folded"), "{plan}");
    }
}
