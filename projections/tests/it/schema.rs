//! The migrated tables are what the row types declare, and where they are not it is said how they become so.

use projections::{Group, group, groups, indexes, missing, unneeded};
use sqlx::{Executor, PgPool};
use testing::TestDatabase;

/// Indexes that serve no list, and whom they serve.
const OTHERS: &[(&str, &str)] = &[];

#[tokio::test]
async fn every_column_filter_and_order_that_a_row_type_declares_is_in_its_table() {
    let database = TestDatabase::create().await;
    let owner = database.owner().await;
    for group in groups() {
        let missing = missing(&owner, group).await.unwrap();
        assert!(missing.is_empty(), "run `cargo xtask migration {}`: {missing:#?}", group.name);
    }
}

#[tokio::test]
async fn every_index_of_a_read_table_serves_a_list_or_somebody_who_is_named() {
    let database = TestDatabase::create().await;
    let owner = database.owner().await;
    let mut found = vec![];
    for group in groups() {
        found.extend(unneeded(&owner, group).await.unwrap());
    }
    found.sort();
    let named: Vec<&str> = OTHERS.iter().map(|(index, _)| *index).collect();
    assert_eq!(found, named);
}

/// What is missing once somebody has done this, and that the SQL which was printed mends it.
async fn mended(group: &'static Group, damage: &str) -> Vec<String> {
    let database = TestDatabase::create().await;
    let owner: PgPool = database.owner().await;
    owner.execute(damage).await.unwrap();
    let printed = missing(&owner, group).await.unwrap();
    owner.execute(printed.join("\n").as_str()).await.unwrap_or_else(|error| panic!("{printed:#?}: {error}"));
    assert_eq!(missing(&owner, group).await.unwrap(), Vec::<String>::new(), "{printed:#?}");
    printed
}

#[tokio::test]
async fn an_index_that_a_list_needs_is_missed() {
    let crm = group("crm").unwrap();
    let printed = mended(crm, "drop index crm.clients_name; drop index crm.clients_status").await;
    assert_eq!(
        printed,
        [
            "create index clients_name on crm.clients (tenant_id, name, id);",
            "create index clients_status on crm.clients (tenant_id, status, created_at, id);",
        ]
    );
}

#[tokio::test]
async fn a_column_that_a_row_type_has_is_missed_and_one_that_it_has_not_is_dropped() {
    let crm = group("crm").unwrap();
    let damage = "alter table crm.clients drop column notes; alter table crm.deals drop column archived;
                  alter table crm.contacts add column nickname text; alter table crm.contacts alter column email set not null";
    let printed = mended(crm, damage).await;
    assert_eq!(
        printed,
        [
            "alter table crm.clients add column notes text;",
            "alter table crm.contacts drop column nickname;",
            "alter table crm.contacts alter column email drop not null;",
            "alter table crm.deals add column archived boolean not null default false;",
        ]
    );
}

#[tokio::test]
async fn a_column_in_the_middle_that_went_comes_back_at_the_end_and_is_told_of() {
    let database = TestDatabase::create().await;
    let owner = database.owner().await;
    owner.execute("alter table crm.clients drop column kind").await.unwrap();
    let printed = missing(&owner, group("crm").unwrap()).await.unwrap();
    assert_eq!(
        printed,
        [
            "alter table crm.clients add column kind text collate \"C\" not null default 'organisation';",
            "-- crm.clients: the fields of the row type are to stand in the order of the columns.",
            "create index clients_kind on crm.clients (tenant_id, kind, created_at, id);",
        ]
    );
}

#[tokio::test]
async fn a_table_and_a_whole_context_can_be_made_from_what_is_printed() {
    for group in groups() {
        let damage =
            format!("drop schema {0} cascade; delete from projections.tables where group_name = '{0}'", group.name);
        let printed = mended(group, &damage).await;
        let tables = printed.iter().filter(|sql| sql.starts_with("create table"));
        assert_eq!(tables.count(), group.tables.len());
        let needed: usize = group.tables.iter().map(|table| indexes(table.as_ref()).len()).sum();
        assert_eq!(printed.len(), 1 + 2 * group.tables.len() + needed, "{printed:#?}");
    }
}
