//! What PostgreSQL makes of the statements of lists, asked with EXPLAIN.

use crate::condition::is_name;
use crate::only::Rows;
use crate::parameters::ListQuery;
use kernel::TenantId;
use projections::Table;
use serde_json::{Value, json};
use sqlx::PgConnection;
use testing::TestDatabase;
use uuid::Uuid;

const SORTING_OR_READING_ALL: [&str; 4] =
    ["enable_sort", "enable_incremental_sort", "enable_seqscan", "enable_bitmapscan"];
const TENANT: TenantId = TenantId(Uuid::from_u128(1));

/// The plan of a list, where the planner does these things only if there is no other way.
async fn plan(connection: &mut PgConnection, table: &dyn Table, query: &ListQuery, without: &[&str]) -> String {
    for setting in without {
        sqlx::query(&format!("set {setting} = off")).execute(&mut *connection).await.unwrap();
    }
    let (sql, arguments) = query.sql(&format!("{}.{}", table.group(), table.name()), table, &Rows::All);
    let sql = format!("explain {sql}");
    let explained = sqlx::query_scalar::<_, String>(&sql).bind(TENANT.0).bind(arguments);
    explained.fetch_all(connection).await.unwrap().join("\n")
}

fn list(table: &dyn Table, pairs: &[(&str, &str)]) -> ListQuery {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ListQuery::parse(table, TENANT, pairs).unwrap()
}

#[tokio::test]
async fn every_list_by_name_is_read_in_the_order_of_an_index_on_every_page() {
    let database = TestDatabase::create().await;
    let pool = database.query().await;
    let mut connection = pool.acquire().await.unwrap();
    let mut lists = 0;
    for (_, table, resource) in projections::resources() {
        let names = table.columns().iter().filter(|column| is_name(column) && resource.sort.contains(&&*column.name));
        for column in names {
            lists += 1;
            for sort in [column.name.clone(), format!("-{}", column.name)] {
                let first = list(table, &[("sort", &sort)]);
                let row: Value = json!({ column.name.as_str(): "Ångström 2", "id": Uuid::from_u128(7) });
                let cursor = first.cursor_after(&row);
                let next = list(table, &[("sort", &sort), ("cursor", &cursor)]);
                for (page, query) in [("first", first), ("next", next)] {
                    let plan = plan(&mut connection, table, &query, &SORTING_OR_READING_ALL).await;
                    assert!(!plan.contains("Sort"), "{} by {sort}, {page} page:\n{plan}", resource.path);
                    // The page begins where the one before ended, without reading what came before.
                    let begins = plan.lines().any(|line| line.contains("Index Cond") && line.contains("ROW("));
                    assert_eq!(begins, page == "next", "{} by {sort}, {page} page:\n{plan}", resource.path);
                }
            }
        }
    }
    assert!(lists > 10, "{lists}");
}

#[tokio::test]
async fn a_name_is_found_in_any_spelling_by_an_index() {
    let database = TestDatabase::create().await;
    let superuser = database.superuser().await;
    let sql = "insert into crm.clients
        select $1, n, gen_random_uuid(), 1, now(), now(), 'Client ' || n, 'organisation', null, null, 'active', null, '[]', null
        from generate_series(1, 5000) n";
    sqlx::query(sql).bind(TENANT.0).execute(&superuser).await.unwrap();
    sqlx::query("analyze crm.clients").execute(&superuser).await.unwrap();
    let (_, table, _) = projections::resources().find(|(_, _, resource)| resource.path == "crm/clients").unwrap();
    let pool = database.query().await;
    let mut connection = pool.acquire().await.unwrap();
    for pairs in [&[("name", "cLIENT 4711")][..], &[("name", "client 1"), ("name", "CLIENT 2")]] {
        let plan = plan(&mut connection, table, &list(table, pairs), &[]).await;
        assert!(plan.contains("clients_name_folded"), "{plan}");
    }
}
