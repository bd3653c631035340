//! Tenant isolation as the database's own catalogue tells it, over every table, view and function there is.

use sqlx::{PgPool, Row};
use testing::TestDatabase;
use uuid::Uuid;

/// Tables that belong to no tenant, each with its reason.
const WITHOUT_TENANT: &[(&str, &str)] = &[
    ("eventstore.head", "the log's last position"),
    ("eventstore.relay", "the relay's lease and cursor"),
    ("eventstore.relay_marks", "when which positions were published"),
    ("eventstore.relay_consumers", "others' durable consumers while the stream is rebuilt"),
    ("eventstore.histories", "the names of the log"),
    ("projections.checkpoints", "how far each group has read"),
    ("projections.tables", "which tables make a group"),
    ("projections.groups", "which groups there are"),
    ("projections.rebuilds", "replays under way"),
    ("engine.checkpoint", "how far the workflow engine has read"),
    ("mail.intake", "how far the mailer has read"),
    ("login.intake", "how far portal users' addresses were taken in"),
    ("public._sqlx_migrations", "which migrations have run"),
];

const SERVICES: [&str; 3] = ["ubos_command", "ubos_query", "ubos_worker"];

/// Every relation of ours.
const OURS: &str = "from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_toast%'";

/// Those of them that hold rows of tenants.
const OF_TENANTS: &str = "and c.relkind in ('r', 'p')
    and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')";

async fn names(pool: &PgPool, sql: &str) -> Vec<String> {
    let rows = sqlx::query(sql).fetch_all(pool).await.expect("the catalogue answers");
    rows.iter().map(|row| row.get::<String, _>(0)).collect()
}

async fn relations(pool: &PgPool, condition: &str) -> Vec<String> {
    names(pool, &format!("select n.nspname || '.' || c.relname {OURS} {condition}")).await
}

const NONE: [&str; 0] = [];

#[tokio::test]
async fn every_tenant_table_is_secured() {
    let database = TestDatabase::create().await;
    let pool = database.superuser().await;
    let all = relations(&pool, "and c.relkind in ('r', 'p')").await;
    let tenant = relations(&pool, OF_TENANTS).await;
    assert!(tenant.len() > 5, "{tenant:?}");
    for table in &all {
        let known = WITHOUT_TENANT.iter().any(|(name, _)| name == table);
        assert!(known || tenant.contains(table), "{table} has no tenant_id and is not a known exception");
    }
    let open = relations(&pool, &format!("{OF_TENANTS} and not (c.relrowsecurity and c.relforcerowsecurity)")).await;
    assert_eq!(open, NONE, "row-level security is enabled and forced");
    // A partition is reached through its parent, whose policies apply; read directly it shows nothing.
    let compares = "pg_get_expr(p.polqual, p.polrelid) like '%ubos.tenant_id%'
        and pg_get_expr(p.polwithcheck, p.polrelid) like '%ubos.tenant_id%'";
    let unprotected = format!(
        "{OF_TENANTS} and not c.relispartition
         and not exists (select from pg_policy p where p.polrelid = c.oid and {compares})"
    );
    assert_eq!(relations(&pool, &unprotected).await, NONE, "a policy compares with the session's tenant");
}

#[tokio::test]
async fn services_own_nothing_and_are_bound_by_the_policies() {
    let database = TestDatabase::create().await;
    let pool = database.superuser().await;
    let owned = "and pg_get_userbyid(c.relowner) in ('ubos_command', 'ubos_query', 'ubos_worker')";
    assert_eq!(relations(&pool, owned).await, NONE);
    let exempt = "select rolname::text from pg_roles where rolname like 'ubos%' and (rolsuper or rolbypassrls)";
    assert_eq!(names(&pool, exempt).await, NONE);
    for service in SERVICES {
        let truncate = format!("and c.relkind in ('r', 'p') and has_table_privilege('{service}', c.oid, 'truncate')");
        assert_eq!(relations(&pool, &truncate).await, NONE, "{service} may truncate: truncation ignores policies");
        let writes = format!(
            "and n.nspname = 'eventstore' and c.relname like 'events%' and c.relkind in ('r', 'p')
             and has_table_privilege('{service}', c.oid, 'insert, update, delete')"
        );
        assert_eq!(relations(&pool, &writes).await, NONE, "{service} writes the log only through its function");
    }
}

#[tokio::test]
async fn views_and_functions_open_no_side_door() {
    let database = TestDatabase::create().await;
    let pool = database.superuser().await;
    let views = "and c.relkind = 'v' and coalesce(c.reloptions::text, '') not like '%security_invoker=true%'";
    assert_eq!(relations(&pool, views).await, NONE, "a view runs with its reader's rights");
    assert_eq!(relations(&pool, "and c.relkind = 'm'").await, NONE, "materialised views know no row-level security");
    let loose = "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')
           and (coalesce(p.proconfig::text, '') not like '%search_path=%'
                or has_function_privilege('public', p.oid, 'execute'))";
    assert_eq!(names(&pool, loose).await, NONE, "a definer function pins its search path and is not for everybody");
}

const ONE_EVENT: &str =
    "select eventstore.append(array[$1]::uuid[], '{crm.client}', array[$1]::uuid[], '{0}', '{1}', '{0}', '{1}', '{1}',
    '{null}', '{null}', array[null]::bytea[],
    array[$1]::uuid[], '{crm.client}', array[$1]::uuid[], '{1}', array['{}'], array[$1]::uuid[], '{client.created}', '{2}',
    array['{\"name\": \"x\", \"kind\": \"organisation\"}'], '{1}', '{true}', '{s}', '{v}', '{}', '{}', '{}', '{}')";

#[tokio::test]
async fn without_a_tenant_there_is_nothing_to_see() {
    let database = TestDatabase::create().await;
    let superuser = database.superuser().await;
    sqlx::query(ONE_EVENT).bind(Uuid::from_u128(1)).execute(&superuser).await.expect("one event");
    for (role, pool) in [("ubos_command", database.command().await), ("ubos_query", database.query().await)] {
        let readable = format!("{OF_TENANTS} and has_table_privilege('{role}', c.oid, 'select')");
        let tables = relations(&superuser, &readable).await;
        assert!(tables.contains(&"eventstore.events".to_owned()), "{role}: {tables:?}");
        for table in tables {
            let count = format!("select count(*) from {table}");
            let seen: i64 = sqlx::query_scalar(&count).fetch_one(&pool).await.expect("readable");
            assert_eq!(seen, 0, "{role} without a tenant reads {table}");
            assert_eq!(as_tenant(&pool, 2, &count).await, 0, "{role} as another tenant reads {table}");
        }
        // The right tenant sees its event, and the setting does not survive the transaction.
        assert_eq!(as_tenant(&pool, 1, "select count(*) from eventstore.events").await, 1);
        let after: i64 =
            sqlx::query_scalar("select count(*) from eventstore.events").fetch_one(&pool).await.expect("readable");
        assert_eq!(after, 0);
    }
}

async fn as_tenant(pool: &PgPool, tenant: u128, count: &str) -> i64 {
    let mut transaction = pool.begin().await.expect("begins");
    let set = sqlx::query("select set_config('ubos.tenant_id', $1, true)").bind(Uuid::from_u128(tenant).to_string());
    set.execute(&mut *transaction).await.expect("set");
    let seen = sqlx::query_scalar(count).fetch_one(&mut *transaction).await.expect("readable");
    transaction.commit().await.expect("commits");
    seen
}
