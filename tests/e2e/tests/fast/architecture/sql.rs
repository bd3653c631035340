//! No domain's SQL names another domain's schema: "The two sides share only events" holds between domains too.
//!
//! Every migration and every string literal of every Rust file is tokenised, bodies of functions included.

use super::tree::{code, domains, files, read, relative, root};
use proc_macro2::{TokenStream, TokenTree};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Schemas that belong to one domain each.
static DOMAINS: LazyLock<BTreeSet<String>> = LazyLock::new(domains);

/// The names of streams, which code that belongs to no domain may say. They are no tables', but where there is one record of a
/// kind, such as a firm's settings, its table is called as its stream: `revenue.billing_settings`.
static STREAMS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let schemas = files(&root().join("event-schemas"), ".rs");
    schemas.iter().flat_map(|path| streams(&read(path))).collect()
});

/// The domain a schema belongs to; a replay builds `crm_next` and leaves `crm_previous`.
fn domain(schema: &str) -> Option<&'static str> {
    let name = schema.strip_suffix("_next").or(schema.strip_suffix("_previous")).unwrap_or(schema);
    DOMAINS.get(name).map(String::as_str)
}

/// First words of what we take for SQL.
const STATEMENTS: &[&str] = &[
    "select", "insert", "update", "delete", "with", "create", "alter", "drop", "truncate", "copy", "grant", "revoke",
    "lock", "refresh", "comment", "do", "call", "begin", "declare", "merge", "table", "vacuum", "analyze", "from",
    "join", "where", "union",
];

/// Whose schemas a file may name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owner {
    /// This one domain's.
    Domain(&'static str),
    /// None: technical code, which knows no business word.
    Nobody,
    /// Any: tests look at everything.
    Anybody,
}

fn owner(path: &str) -> Owner {
    let words = || path.split(['/', '.', '_']);
    if let Some(name) = path.strip_prefix("migrations/") {
        return name.split('_').nth(1).and_then(domain).map_or(Owner::Nobody, Owner::Domain);
    }
    // The macros name tables in examples only.
    if path.starts_with("domain/kernel-macros/")
        || path.starts_with("tests/")
        || path.starts_with("xtask/")
        || path.contains("/tests/")
        || path.contains("/benches/")
    {
        return Owner::Anybody;
    }
    // `projections/src/crm/clients.rs` and `query-api/src/crm.rs` belong to crm.
    let reads = path.starts_with("projections/src/") || path.starts_with("query-api/src/");
    words().skip(1).find_map(domain).filter(|_| reads).map_or(Owner::Nobody, Owner::Domain)
}

/// What a text names of the domains' schemas, as `schema` or `schema.table`.
type Mentions = BTreeSet<(String, String)>;

/// Everything a SQL text names, in quoted bodies too. `tables` are the qualified names that migrations create.
fn mentions(sql: &str, tables: &BTreeSet<String>) -> Mentions {
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else {
        // A fragment, for example with an open quote: fall back on words.
        return words(sql, tables);
    };
    let tokens: Vec<&Token> = tokens.iter().filter(|t| !matches!(t, Token::Whitespace(_))).collect();
    let word = |index: usize| match tokens.get(index) {
        Some(Token::Word(word)) => Some(word.value.to_lowercase()),
        _ => None,
    };
    let mut found = Mentions::new();
    let comma_next = |index: usize| matches!(tokens.get(index + 1), Some(Token::Comma));
    // After `schema` or `search_path` come bare names, a comma between them.
    let mut naming_schemas = false;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Word(_) => {
                let name = word(index).unwrap_or_default();
                let domain = domain(&name).is_some();
                naming_schemas = match name.as_str() {
                    "search_path" => true,
                    // With a comma it is a column of that name.
                    "schema" => !comma_next(index),
                    "if" | "not" | "exists" | "to" => naming_schemas,
                    _ if naming_schemas => {
                        if domain {
                            found.insert((name.clone(), "*".to_owned()));
                        }
                        comma_next(index)
                    }
                    _ => false,
                };
                let qualified = !matches!(index.checked_sub(1).map(|i| tokens[i]), Some(Token::Period));
                if qualified && domain && matches!(tokens.get(index + 1), Some(Token::Period)) {
                    found.insert((name, word(index + 2).unwrap_or_else(|| "*".to_owned())));
                }
            }
            Token::DollarQuotedString(body) => found.extend(mentions(&body.value, tables)),
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => {
                if naming_schemas {
                    let names = text.split(',').map(str::trim).filter(|name| domain(name).is_some());
                    found.extend(names.map(|name| (name.to_owned(), "*".to_owned())));
                }
                // `set_config('search_path', 'crm', true)`
                naming_schemas = text == "search_path" || naming_schemas && comma_next(index);
                found.extend(literal(text, tables));
            }
            _ => {}
        }
    }
    found
}

/// What a string names: SQL if it reads like SQL, else only the full names of known tables.
fn literal(text: &str, tables: &BTreeSet<String>) -> Mentions {
    let first = text.trim_start().split(|c: char| !c.is_alphanumeric()).next().unwrap_or("").to_lowercase();
    if STATEMENTS.contains(&first.as_str()) && text.trim().contains(char::is_whitespace) {
        return mentions(text, tables);
    }
    words(text, tables)
}

fn words(text: &str, tables: &BTreeSet<String>) -> Mentions {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
    let known = words.filter(|word| tables.contains(*word)).filter_map(|word| word.split_once('.'));
    known.map(|(schema, table)| (schema.to_owned(), table.to_owned())).collect()
}

/// The tables and views of the domains' schemas that a migration creates.
fn created(sql: &str) -> BTreeSet<String> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().unwrap_or_default();
    let words: Vec<String> = tokens
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word.value.to_lowercase()),
            Token::Period => Some(".".to_owned()),
            _ => None,
        })
        .collect();
    let mut tables = BTreeSet::new();
    for (index, _) in words.iter().enumerate().filter(|(_, w)| ["table", "view"].contains(&w.as_str())) {
        let rest = words[index + 1..].iter().filter(|w| !["if", "not", "exists"].contains(&w.as_str()));
        if let [schema, dot, name] = rest.take(3).collect::<Vec<_>>().as_slice()
            && *dot == "."
            && domain(schema).is_some()
        {
            tables.insert(format!("{schema}.{name}"));
        }
    }
    tables
}

/// Every string literal of a Rust file, doc comments and `#[cfg(test)]` items aside.
fn strings(source: &str) -> Vec<String> {
    let mut found = vec![];
    collect(code(source), &mut found);
    found
}

fn collect(tokens: TokenStream, found: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => collect(group.stream(), found),
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    found.push(text.value());
                }
            }
            _ => {}
        }
    }
}

/// The streams whose events a Rust file declares.
fn streams(source: &str) -> Vec<String> {
    let events = source.split("#[event(\"").skip(1);
    events.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// The schemas of the tables that a migration registers as read models, and of no domain: nobody would guard them.
fn unguarded(sql: &str) -> Vec<String> {
    let calls = sql.split("projections.register(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('\''));
    let schemas = calls.filter_map(|rest| rest.split(['.', '\'']).next());
    schemas.filter(|schema| domain(schema).is_none()).map(str::to_owned).collect()
}

/// What this file must not say, one sentence each.
fn violations(path: &str, source: &str, tables: &BTreeSet<String>) -> Vec<String> {
    let own = match owner(path) {
        Owner::Anybody => return vec![],
        Owner::Nobody => None,
        Owner::Domain(domain) => Some(domain),
    };
    // Whoever reads tables has no such excuse: there, a name alone becomes a part of SQL.
    let is_stream = |text: &str| own.is_none() && STREAMS.contains(text);
    let mentioned: Mentions = match path.ends_with(".sql") {
        true => mentions(source, tables),
        false => {
            strings(source).iter().filter(|text| !is_stream(text)).flat_map(|text| literal(text, tables)).collect()
        }
    };
    let foreign = mentioned.into_iter().filter(|(schema, _)| own.is_none() || own != domain(schema));
    let whose = own.unwrap_or("no domain");
    foreign.map(|(schema, name)| format!("{path} belongs to {whose} but names {schema}.{name}")).collect()
}

/// What is written from all migrations together, and run by nobody.
const WRITTEN: &str = "docs/schema.sql";

/// Every Rust file and migration: its path from the root, and its text.
fn sources() -> Vec<(String, String)> {
    let found = [".rs", ".sql"].into_iter().flat_map(|ending| files(&root(), ending));
    found.map(|path| (relative(&path), read(&path))).filter(|(path, _)| path != WRITTEN).collect()
}

#[test]
fn no_domains_sql_names_another_domains_schema() {
    let sources = sources();
    let migrations = sources.iter().filter(|(path, _)| path.starts_with("migrations/"));
    let tables: BTreeSet<String> = migrations.flat_map(|(_, sql)| created(sql)).collect();
    let found: Vec<String> = sources.iter().flat_map(|(path, text)| violations(path, text, &tables)).collect();
    assert!(found.is_empty(), "The two sides share only events, domains too: {found:#?}");
}

#[test]
fn every_read_model_belongs_to_a_domain_that_is_guarded() {
    let migrations = files(&root().join("migrations"), ".sql");
    let found: Vec<String> = migrations.iter().flat_map(|path| unguarded(&read(path))).collect();
    assert_eq!(found, [""; 0], "a schema of read models has a folder of its name in projections/src");
    for expected in ["crm", "timeline", "workflow"] {
        assert!(DOMAINS.contains(expected), "{expected} is not found in the tree: {:?}", *DOMAINS);
    }
}

#[test]
fn a_read_model_of_no_domain_is_found() {
    assert_eq!(unguarded("select projections.register('nobodys.tables');"), ["nobodys"]);
    assert_eq!(unguarded("select projections.register( 'crm.clients' );"), [""; 0]);
}

#[test]
fn a_file_belongs_to_the_domain_in_its_name() {
    assert_eq!(owner("migrations/20261123110000_crm_clients.sql"), Owner::Domain("crm"));
    assert_eq!(owner("migrations/20261123100100_eventstore_log.sql"), Owner::Nobody);
    assert_eq!(owner("projections/src/crm/clients.rs"), Owner::Domain("crm"));
    assert_eq!(owner("projections/src/timeline.rs"), Owner::Domain("timeline"));
    assert_eq!(owner("projections/src/replay.rs"), Owner::Nobody);
    assert_eq!(owner("query-api/src/projects.rs"), Owner::Domain("projects"));
    assert_eq!(owner("workflow-engine/src/engine.rs"), Owner::Nobody);
    assert_eq!(owner("platform/event-store/src/append.rs"), Owner::Nobody);
    assert_eq!(owner("projections/tests/it/replay.rs"), Owner::Anybody);
}

fn tables() -> BTreeSet<String> {
    created(
        "create schema crm; create table crm.clients (id uuid); create table if not exists projects.tasks (id uuid);
         create view files.folders as select 1; create table eventstore.events (position bigint);
         create table revenue.billing_settings (id uuid)",
    )
}

#[test]
fn migrations_say_which_tables_there_are() {
    let expected = ["crm.clients", "files.folders", "projects.tasks", "revenue.billing_settings"];
    assert_eq!(tables().into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_migration_that_reaches_into_another_domain_is_found_wherever_it_hides() {
    for sql in [
        "create view crm.busy as select t.id from projects.tasks t",
        "create function crm.f() returns void language plpgsql as $$ begin delete from projects.tasks; end $$",
        "create function crm.f() returns void language plpgsql as $a$ begin execute $b$ delete from projects.tasks $b$; end $a$",
        "do $$ begin execute 'delete from projects.tasks'; end $$",
        "do $$ begin execute format('delete from %I', 'projects.tasks'); end $$",
        "select shared.secure_tenant_table('projects.tasks', '{}', '{}')",
        "alter table crm.clients add foreign key (id) references projects.tasks",
        "select * from \"projects\".\"tasks\"",
        "select * from PROJECTS.tasks",
        "insert into projects_next.tasks select 1",
        "grant usage on schema crm, projects to ubos_query",
        "set search_path = crm, projects",
        "create function crm.f() returns int language sql set search_path to projects return 1",
        "select set_config('search_path', 'crm, projects', true)",
        "create schema if not exists projects",
    ] {
        let found = violations("migrations/20261123110000_crm_clients.sql", sql, &tables());
        assert_eq!(found.len(), 1, "{sql}: {found:?}");
        assert!(
            found[0].starts_with("migrations/20261123110000_crm_clients.sql belongs to crm but names projects"),
            "{found:?}"
        );
    }
}

#[test]
fn a_rust_file_that_reaches_into_another_domain_is_found() {
    for source in [
        r##"fn f() { sqlx::query("select id from projects.tasks where id = $1"); }"##,
        r##"fn f() { sqlx::query(r#"select id from "projects"."tasks""#); }"##,
        r##"fn f() { format!("select {COLUMNS} from projects.tasks"); }"##,
        r##"fn f() { sql.push_str(" join projects.tasks on true"); }"##,
        r##"fn f() { let open = "and name = 'x from projects.tasks"; }"##,
        r##"const TABLE: &str = "projects.tasks";"##,
    ] {
        let found = violations("projections/src/crm/clients.rs", source, &tables());
        assert_eq!(found, ["projections/src/crm/clients.rs belongs to crm but names projects.tasks"], "{source}");
    }
    let technical = violations("platform/event-store/src/load.rs", r#"const T: &str = "crm.clients";"#, &tables());
    assert_eq!(technical, ["platform/event-store/src/load.rs belongs to no domain but names crm.clients"]);
}

#[test]
fn a_stream_that_is_called_as_its_table_is_no_table_where_nobody_reads_any() {
    let name = r##"#[command("revenue.billing_settings", !member)] enum C {}"##;
    let sql = r##"fn f() { sqlx::query("select id from revenue.billing_settings"); }"##;
    let found = |path: &str, source: &str| violations(path, source, &tables()).len();
    assert_eq!(found("domain/revenue/src/billing_settings.rs", name), 0);
    assert_eq!(found("domain/revenue/src/billing_settings.rs", sql), 1);
    assert_eq!(found("projections/src/crm/clients.rs", name), 1);
    assert_eq!(found("domain/revenue/src/invoice.rs", r##"const TABLE: &str = "projects.tasks";"##), 1);
    assert_eq!(streams(r##"#[event("crm.client", upcasters = U)] enum E {}"##), ["crm.client"]);
}

#[test]
fn what_only_looks_like_another_domains_table_is_allowed() {
    for source in [
        r##"const TABLE: &str = "crm.clients";"##,
        r##"const STREAM: &str = "projects.task";"##,
        r##"fn f() { sqlx::query("insert into crm_next.clients select * from crm_previous.clients"); }"##,
        r##"const NAME: &str = "projects.task.completed";"##,
        r##"const FILE: &str = "from projects to tasks";"##,
        r##"fn f() { sqlx::query("select schema, projects from crm.clients order by schema, projects"); }"##,
        r##"fn f() { sqlx::query("select 1 from crm.clients where kind = 'projects.task'"); }"##,
        r##"/** Not `projects.tasks`. */ fn f() {} #[cfg(test)] mod tests { const T: &str = "projects.tasks"; }"##,
    ] {
        assert_eq!(violations("projections/src/crm/clients.rs", source, &tables()), [""; 0], "{source}");
    }
}
