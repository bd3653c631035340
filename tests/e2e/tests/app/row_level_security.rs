//! Tenant isolation as the database's own catalogue tells it, over every table, view and function there is.

use sqlx::{PgPool, Row};
use std::collections::BTreeSet;
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
    ("reactions.checkpoints", "how far each reaction has read"),
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

/// Schemas of ours.
const SCHEMAS: &str = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%'";

/// Definer functions by which query-api writes, each with its reason; otherwise what it may call only reads.
const QUERY_WRITES: &[(&str, &str)] = &[("note_api_key_uses", "keys are used for questions too")];

/// Unique keys of tenants' tables that do not begin with the tenant, each with its reason: two tenants never meet in them.
const KEYS_WITHOUT_TENANT: &[(&str, &str)] = &[
    ("eventstore.events", "a position is the log's, and nobody chooses one"),
    ("eventstore.dead_letters", "the same"),
    ("eventstore.repairs", "the same"),
    ("reactions.jobs", "a number is the table's, and nobody chooses one"),
    ("vault.destroyed_keys", "a serial is the list's, and nobody chooses one"),
];

#[tokio::test]
async fn roles_have_no_power_that_the_catalogue_does_not_bind() {
    let database = TestDatabase::create().await;
    let pool = database.superuser().await;
    let attributes = "select rolname::text from pg_roles where rolname like 'ubos%'
        and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)";
    assert_eq!(names(&pool, attributes).await, NONE, "no role may more than log in");
    let members = "select m.rolname || ' in ' || r.rolname from pg_auth_members a
        join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
        where m.rolname in ('ubos_command', 'ubos_query', 'ubos_worker')";
    assert_eq!(names(&pool, members).await, NONE, "no service acts as another role");
    let defaults = "select defaclobjtype::text from pg_default_acl";
    assert_eq!(names(&pool, defaults).await, NONE, "what a migration makes is nobody's until it says whose");
    for service in SERVICES {
        let create = format!(
            "select n.nspname::text from pg_namespace n where {SCHEMAS}
             and (has_schema_privilege('{service}', n.oid, 'create') or pg_get_userbyid(n.nspowner) = '{service}')"
        );
        assert_eq!(names(&pool, &create).await, NONE, "{service} makes nothing that others would call");
        let create = format!(
            "select datname::text from pg_database where datname = current_database()
                              and has_database_privilege('{service}', oid, 'create')"
        );
        assert_eq!(names(&pool, &create).await, NONE, "{service} makes no schema");
        let owned =
            format!("select p.oid::regprocedure::text from pg_proc p where pg_get_userbyid(p.proowner) = '{service}'");
        assert_eq!(names(&pool, &owned).await, NONE, "{service} owns no function");
        let powers = format!(
            "and c.relkind in ('r', 'p', 'v') and has_table_privilege('{service}', c.oid, 'truncate, references, trigger')"
        );
        assert_eq!(
            relations(&pool, &powers).await,
            NONE,
            "{service} may neither truncate nor hang anything on a table"
        );
        let counters = format!(
            "and case c.relkind when 'S' then has_sequence_privilege('{service}', c.oid, 'select, update') else false end"
        );
        assert_eq!(relations(&pool, &counters).await, NONE, "{service} sees how far others have counted");
    }
}

#[tokio::test]
async fn services_make_nothing_that_no_policy_binds() {
    let database = TestDatabase::create().await;
    let pools = [database.command().await, database.query().await, database.worker().await];
    for (service, pool) in SERVICES.iter().zip(pools) {
        for statement in [
            "create temporary table mine (n integer)",
            "create temporary view mine as select 1",
            "create temporary sequence mine",
            "select lo_creat(-1)",
            "select lo_create(0)",
            "select lo_from_bytea(0, 'x')",
        ] {
            let refused = sqlx::query(statement).execute(&pool).await.expect_err(statement);
            let code = refused.into_database_error().expect("an answer of PostgreSQL").code().map(|c| c.into_owned());
            assert_eq!(code.as_deref(), Some("42501"), "{service}: {statement}");
        }
    }
}

#[tokio::test]
async fn nothing_is_for_everybody() {
    let database = TestDatabase::create().await;
    let pool = database.superuser().await;
    let public = "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace,
        lateral aclexplode(c.relacl) a where a.grantee = 0 and n.nspname not in ('pg_catalog', 'information_schema')";
    assert_eq!(names(&pool, public).await, NONE, "a relation");
    let columns = "select c.relname || '.' || t.attname from pg_attribute t join pg_class c on c.oid = t.attrelid
        join pg_namespace n on n.oid = c.relnamespace, lateral aclexplode(t.attacl) a
        where a.grantee = 0 and n.nspname not in ('pg_catalog', 'information_schema')";
    assert_eq!(names(&pool, columns).await, NONE, "a column");
    let schemas = format!(
        "select n.nspname::text from pg_namespace n, lateral aclexplode(n.nspacl) a
         where a.grantee = 0 and {SCHEMAS} and (n.nspname <> 'public' or a.privilege_type = 'CREATE')"
    );
    assert_eq!(names(&pool, &schemas).await, NONE, "a schema");
    for (what, sql) in [
        ("a publication sends rows without asking a policy", "select pubname::text from pg_publication"),
        ("a foreign server is a way out", "select srvname::text from pg_foreign_server"),
        ("an event trigger runs for everybody", "select evtname::text from pg_event_trigger"),
        (
            "a rule rewrites what policies see",
            "select rulename::text from pg_rules where schemaname not in ('pg_catalog', 'information_schema')",
        ),
        (
            "an extension brings functions of its own",
            "select extname::text from pg_extension where extname <> 'plpgsql'",
        ),
    ] {
        assert_eq!(names(&pool, sql).await, NONE, "{what}");
    }
}

#[tokio::test]
async fn policies_are_one_for_each_role_and_say_the_tenant_once() {
    let database = TestDatabase::create().await;
    let pool = database.superuser().await;
    let policies =
        "select c.oid::regclass || ' ' || p.polname from pg_policy p join pg_class c on c.oid = p.polrelid where ";
    let to_all = names(&pool, &format!("{policies} p.polroles @> array[0::oid]")).await;
    assert_eq!(to_all, NONE, "a policy for everybody");
    let some = names(&pool, &format!("{policies} p.polcmd <> '*'")).await;
    assert_eq!(some, NONE, "a policy for one kind of statement leaves the others to chance");
    let open = format!(
        "{policies} (pg_get_expr(p.polqual, p.polrelid) = 'true' or pg_get_expr(p.polwithcheck, p.polrelid) = 'true')
         and p.polroles && array(select oid from pg_roles where rolname not in ('ubos_worker', 'ubos_owner'))"
    );
    assert_eq!(names(&pool, &open).await, NONE, "only workers and the owner see every tenant");
    // Permissive policies of one role are alternatives, so a second one opens what the first one closes.
    let alternatives =
        "select p.polrelid::regclass || ' ' || r.rolname from pg_policy p join pg_roles r on r.oid = any (p.polroles)
        where p.polpermissive group by p.polrelid, r.rolname having count(*) > 1";
    assert_eq!(names(&pool, alternatives).await, NONE);
    let per_row = format!(
        "{policies} pg_get_expr(p.polqual, p.polrelid) like '%current_setting%'
        and pg_get_expr(p.polqual, p.polrelid) not like '%SELECT%'"
    );
    assert_eq!(names(&pool, &per_row).await, NONE, "the tenant is read once and not for every row");
    let partitions =
        "and c.relispartition and exists (select from aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
        where r.rolname in ('ubos_command', 'ubos_query', 'ubos_worker'))";
    assert_eq!(relations(&pool, partitions).await, NONE, "a partition is reached through its parent");
}

#[tokio::test]
async fn keys_begin_with_the_tenant_so_that_no_firm_runs_into_anothers() {
    let database = TestDatabase::create().await;
    let pool = database.superuser().await;
    let unique = format!(
        "{OF_TENANTS} and not c.relispartition and exists (
             select from pg_index i where i.indrelid = c.oid and i.indisunique and not exists (
                 select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnum = any (i.indkey)))"
    );
    let known: BTreeSet<String> = KEYS_WITHOUT_TENANT.iter().map(|(table, _)| (*table).to_owned()).collect();
    let found: BTreeSet<String> = relations(&pool, &unique).await.into_iter().collect();
    let unknown: Vec<&String> = found.difference(&known).collect();
    assert!(unknown.is_empty(), "unique keys, and so errors, that two firms share: {unknown:?}");
    let foreign = "select conrelid::regclass::text from pg_constraint k where contype = 'f' and not exists (
        select from pg_attribute a where a.attrelid = k.conrelid and a.attname = 'tenant_id' and a.attnum = any (k.conkey))";
    assert_eq!(names(&pool, foreign).await, NONE, "references are looked up without a policy");
}

#[tokio::test]
async fn functions_are_called_by_whom_they_are_for_and_read_unless_they_say_so() {
    let database = TestDatabase::create().await;
    let pool = database.superuser().await;
    let writing = "select p.proname::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where p.prosecdef and p.provolatile = 'v' and n.nspname not in ('pg_catalog', 'information_schema')
          and has_function_privilege('ubos_query', p.oid, 'execute')";
    let known: Vec<String> = QUERY_WRITES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&pool, writing).await, known, "what query-api may call with another's rights only reads");
    let strangers = "select p.oid::regprocedure || ' ' || r.rolname from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace, lateral aclexplode(p.proacl) a join pg_roles r on r.oid = a.grantee
        where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')
          and r.rolname not in ('ubos_owner', 'ubos_command', 'ubos_query', 'ubos_worker')";
    assert_eq!(names(&pool, strangers).await, NONE);
    // A definer function runs as the owner, whom policies let see everything: it must not run what it is given.
    let texts = "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')
          and p.prosrc ~* 'execute\\s+[a-z_$0-9]+\\s*(;|using|into)'";
    assert_eq!(names(&pool, texts).await, NONE, "SQL that the caller wrote runs with the caller's rights");
}

#[tokio::test]
async fn nobody_writes_a_row_of_another_tenant() {
    let database = TestDatabase::create().await;
    let superuser = database.superuser().await;
    let mut tried = 0;
    for (role, pool) in [("ubos_command", database.command().await), ("ubos_query", database.query().await)] {
        for table in relations(&superuser, OF_TENANTS).await {
            let mut transaction = event_store::begin(&pool).await.expect("begins");
            let set = sqlx::query("select set_config('ubos.tenant_id', $1, true)").bind(Uuid::from_u128(1).to_string());
            set.execute(&mut *transaction).await.expect("set");
            let insert = format!("insert into {table} (tenant_id) values ($1)");
            let refused = sqlx::query(&insert).bind(Uuid::from_u128(2)).execute(&mut *transaction).await;
            let error = refused.expect_err(&table).into_database_error().expect("an answer of PostgreSQL");
            // No right to write at all, or a policy that refuses; both come before any constraint.
            assert_eq!(error.code().as_deref(), Some("42501"), "{role} {table}: {error}");
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

#[tokio::test]
async fn the_tenant_is_one_initplan_and_an_index_condition() {
    let database = TestDatabase::create().await;
    let pool = database.query().await;
    let mut transaction = event_store::begin(&pool).await.expect("begins");
    sqlx::query("set local enable_seqscan = off").execute(&mut *transaction).await.expect("set");
    let plan: Vec<String> =
        sqlx::query_scalar("explain select * from crm.clients r order by r.created_at desc limit 10")
            .fetch_all(&mut *transaction)
            .await
            .expect("a plan");
    let plan = plan.join("\n");
    assert!(plan.contains("InitPlan") && plan.contains("Index Cond: (tenant_id = "), "{plan}");
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
    let mut transaction = event_store::begin(pool).await.expect("begins");
    let set = sqlx::query("select set_config('ubos.tenant_id', $1, true)").bind(Uuid::from_u128(tenant).to_string());
    set.execute(&mut *transaction).await.expect("set");
    let seen = sqlx::query_scalar(count).fetch_one(&mut *transaction).await.expect("readable");
    transaction.commit().await.expect("commits");
    seen
}
