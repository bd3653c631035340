//! `docs/schema.sql`: the database as all migrations together leave it, so that nobody has to add them up.

use crate::command::capture;
use anyhow::{Context, Result};
use local_servers::{Dirs, Postgres, PostgresMode, ensure_installed, free_port, sweep_leftovers};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

const FILE: &str = "docs/schema.sql";
const DATABASE: &str = "ubos";
/// Whose everything is of which nothing else is said.
const OWNER: &str = "ubos_owner";
const ROLES: [&str; 4] = [OWNER, "ubos_command", "ubos_query", "ubos_worker"];

/// Has `ubos` migrate a database of its own, and writes below `root` what PostgreSQL says is in it then.
pub fn write(ubos: &Path, root: &Path) -> Result<()> {
    sweep_leftovers();
    let programs = ensure_installed(&mut |message| eprintln!("{message}"))?;
    let dirs = Dirs::throwaway()?;
    let postgres = Postgres::start(&programs, &dirs, free_port()?, PostgresMode::Throwaway)?;
    migrate(ubos, &dirs, &postgres)?;
    let ask = |tool: &str, arguments: &[&str]| {
        let mut command = Command::new(postgres.bin.join(tool));
        command.args(arguments).args(["--dbname", &postgres.url]);
        capture(command)
    };
    let roles = ask("pg_dumpall", &["--roles-only", "--no-role-passwords"])?;
    let of_ours = postgres.url.strip_suffix("postgres").context("the superuser's database")?.to_owned() + DATABASE;
    let mut dump = Command::new(postgres.bin.join("pg_dump"));
    dump.args(["--schema-only", "--create", "--dbname", &of_ours]);
    let text = header(&root.join("migrations"))? + &readable(&roles, &capture(dump)?);
    let file = root.join(FILE);
    if fs::read_to_string(&file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(&file, text).with_context(|| format!("writing {FILE}"))?;
    println!("wrote {FILE}");
    Ok(())
}

/// With the program itself: the file says what an installation has.
fn migrate(ubos: &Path, dirs: &Dirs, postgres: &Postgres) -> Result<()> {
    let mut command = Command::new(ubos);
    command.args(["migrate", "--json"]).env_remove("UBOS_CONFIG").env("UBOS__ENVIRONMENT", "development");
    command.env("UBOS__DATABASE__ADMIN_URL", &postgres.url);
    // What has no default, though nobody comes in here.
    for setting in ["JWKS", "ISSUER", "AUDIENCE"] {
        command.env(format!("UBOS__AUTH__{setting}"), "none");
    }
    for role in ROLES {
        let url = format!("postgres://{role}:{}@127.0.0.1:{}/{DATABASE}", dirs.password(role)?, postgres.port);
        command.env(role.replace("ubos_", "UBOS__DATABASE__").to_uppercase() + "_URL", url);
    }
    capture(command).map(drop)
}

fn header(migrations: &Path) -> Result<String> {
    let names = fs::read_dir(migrations)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let last = names.collect::<Result<Vec<_>>>()?.into_iter().max().context("no migrations")?;
    Ok(format!(
        "-- The database as the migrations leave it, up to {last}: to be read, not run.
--
-- Written by `cargo xtask gen` from what pg_dump says; do not edit, write a migration. After the roles, each schema has its
-- tables with all that belongs to them, then its functions. Everything is owned by {OWNER} unless it says otherwise.
-- Partitions are not here: there are as many as the log needs.
"
    ))
}

/// One thing of a dump, and the comment over it.
struct Entry<'d> {
    name: &'d str,
    kind: &'d str,
    schema: &'d str,
    statements: String,
}

/// Where an entry stands: schema, what kind of thing it belongs to, which thing.
type Place = (String, u8, String);

/// The dump in an order for readers, without what differs from day to day and from one version of PostgreSQL to the next.
fn readable(roles: &str, dump: &str) -> String {
    let entries: Vec<Entry> = dump.split("\n-- Name: ").skip(1).filter_map(entry).collect();
    let named = |kinds: &[&str]| -> BTreeSet<String> {
        let chosen = entries.iter().filter(|entry| kinds.contains(&entry.kind));
        chosen.map(|entry| format!("{}.{}", entry.schema, entry.name)).collect()
    };
    let (tables, partitions) = (named(&["TABLE", "VIEW"]), named(&["TABLE ATTACH"]));
    let mut things: BTreeMap<Place, Vec<&str>> = BTreeMap::new();
    for entry in &entries {
        let place = entry.place(&tables);
        let of_partition = partitions.contains(&format!("{}.{}", place.0, place.2)) || entry.kind.ends_with(" ATTACH");
        // How a database is made is for whoever makes it to say.
        if !of_partition && !["DATABASE", "DATABASE PROPERTIES"].contains(&entry.kind) {
            things.entry(place).or_default().push(&entry.statements);
        }
    }
    let ours = |line: &&str| ROLES.iter().any(|role| line.contains(&format!("ROLE {role}")));
    let mut text = format!("\n-- roles\n\n{}\n", roles.lines().filter(ours).collect::<Vec<_>>().join("\n"));
    let mut section = String::new();
    for ((schema, ..), statements) in things {
        if section != schema {
            text += &format!("\n-- {schema}\n");
            section = schema;
        }
        text += &format!("\n{}\n", statements.join("\n"));
    }
    text
}

/// Reads `clients; Type: TABLE; Schema: crm; Owner: ubos_owner`, and the statements below it.
fn entry(text: &str) -> Option<Entry<'_>> {
    let (title, body) = text.split_once('\n')?;
    let (name, rest) = title.split_once("; Type: ")?;
    let (kind, rest) = rest.split_once("; Schema: ")?;
    let schema = rest.split_once("; Owner").map_or(rest, |(schema, _)| schema);
    let of_owner = format!(" OWNER TO {OWNER};");
    let is_noise = |line: &&str| {
        line.starts_with("--") || line.starts_with('\\') || line.starts_with("SET ") || line.ends_with(&of_owner)
    };
    let mut statements: Vec<&str> = body.lines().filter(|line| !is_noise(line)).collect();
    // Only what is inside of a function keeps its empty lines; pg_dump leaves two after each statement.
    if kind != "FUNCTION" {
        statements.retain(|line| !line.is_empty());
    }
    let statements = statements.join("\n").replace("\n\n\n", "\n").trim().to_owned();
    Some(Entry { name, kind, schema, statements })
}

impl Entry<'_> {
    /// An index, a policy or a right stands with its table, which its statement names first.
    fn place(&self, tables: &BTreeSet<String>) -> Place {
        let of_function = self.kind == "FUNCTION" || self.name.starts_with("FUNCTION ");
        let words = || self.statements.split(|c: char| c.is_whitespace() || ";(),".contains(c));
        let table = words().find(|word| tables.contains(*word)).and_then(|word| word.split_once('.'));
        let plain = self.name.trim_start_matches("FUNCTION ").trim_start_matches("SCHEMA ");
        match (self.schema, table) {
            // A schema itself, what may be done in it, what may be done in the database.
            ("-", _) => (plain.split(' ').next().unwrap_or(plain).to_lowercase(), 0, String::new()),
            // A right names a function's arguments, where its comment has their types only.
            (schema, _) if of_function => (schema.to_owned(), 3, plain.split('(').next().unwrap_or(plain).to_owned()),
            (schema, Some((_, table))) => (schema.to_owned(), 2, table.to_owned()),
            (schema, None) => (schema.to_owned(), 1, plain.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As pg_dump writes it, in its order.
    const DUMP: &str = "--
-- PostgreSQL database dump
--

\\restrict rAnDoM

-- Dumped from database version 15.18
-- Dumped by pg_dump version 15.18

SET statement_timeout = 0;

--
-- Name: ubos; Type: DATABASE; Schema: -; Owner: ubos_owner
--

CREATE DATABASE ubos WITH TEMPLATE = template0 ENCODING = 'UTF8';


ALTER DATABASE ubos OWNER TO ubos_owner;

\\connect ubos

SET statement_timeout = 0;

--
-- Name: shared; Type: SCHEMA; Schema: -; Owner: ubos_owner
--

CREATE SCHEMA shared;


ALTER SCHEMA shared OWNER TO ubos_owner;

--
-- Name: crm; Type: SCHEMA; Schema: -; Owner: ubos_owner
--

CREATE SCHEMA crm;


ALTER SCHEMA crm OWNER TO ubos_owner;

--
-- Name: note(uuid); Type: FUNCTION; Schema: crm; Owner: ubos_owner
--

CREATE FUNCTION crm.note(id uuid) RETURNS void
    LANGUAGE sql
    AS $$

    insert into crm.clients values (id)
$$;


ALTER FUNCTION crm.note(id uuid) OWNER TO postgres;

SET default_table_access_method = heap;

--
-- Name: clients; Type: TABLE; Schema: crm; Owner: ubos_owner
--

CREATE TABLE crm.clients (
    id uuid NOT NULL
);

ALTER TABLE ONLY crm.clients FORCE ROW LEVEL SECURITY;


ALTER TABLE crm.clients OWNER TO ubos_owner;

--
-- Name: events; Type: TABLE; Schema: crm; Owner: ubos_owner
--

CREATE TABLE crm.events (
    id uuid NOT NULL
)
PARTITION BY RANGE (id);


ALTER TABLE crm.events OWNER TO ubos_owner;

--
-- Name: events_0000; Type: TABLE; Schema: crm; Owner: ubos_owner
--

CREATE TABLE crm.events_0000 (
    id uuid NOT NULL
);


ALTER TABLE crm.events_0000 OWNER TO ubos_owner;

--
-- Name: events_0000; Type: TABLE ATTACH; Schema: crm; Owner: ubos_owner
--

ALTER TABLE ONLY crm.events ATTACH PARTITION crm.events_0000 FOR VALUES FROM ('1') TO ('2');


--
-- Name: events_0000 events_0000_pkey; Type: CONSTRAINT; Schema: crm; Owner: ubos_owner
--

ALTER TABLE ONLY crm.events_0000
    ADD CONSTRAINT events_0000_pkey PRIMARY KEY (id);


--
-- Name: clients_id; Type: INDEX; Schema: crm; Owner: ubos_owner
--

CREATE INDEX clients_id ON crm.clients USING btree (id);


--
-- Name: events_0000_pkey; Type: INDEX ATTACH; Schema: crm; Owner: ubos_owner
--

ALTER INDEX crm.events_pkey ATTACH PARTITION crm.events_0000_pkey;


--
-- Name: clients firm; Type: POLICY; Schema: crm; Owner: ubos_owner
--

CREATE POLICY firm ON crm.clients USING (true);


--
-- Name: DATABASE ubos; Type: ACL; Schema: -; Owner: ubos_owner
--

REVOKE CONNECT,TEMPORARY ON DATABASE ubos FROM PUBLIC;


--
-- Name: SCHEMA crm; Type: ACL; Schema: -; Owner: ubos_owner
--

GRANT USAGE ON SCHEMA crm TO ubos_query;


--
-- Name: FUNCTION note(id uuid); Type: ACL; Schema: crm; Owner: postgres
--

REVOKE ALL ON FUNCTION crm.note(id uuid) FROM PUBLIC;


--
-- Name: TABLE clients; Type: ACL; Schema: crm; Owner: ubos_owner
--

GRANT SELECT ON TABLE crm.clients TO ubos_query;


--
-- PostgreSQL database dump complete
--

\\unrestrict rAnDoM

";

    const READABLE: &str = "
-- roles

CREATE ROLE ubos_query;
ALTER ROLE ubos_query WITH NOSUPERUSER LOGIN;

-- crm

CREATE SCHEMA crm;
GRANT USAGE ON SCHEMA crm TO ubos_query;

CREATE TABLE crm.clients (
    id uuid NOT NULL
);
ALTER TABLE ONLY crm.clients FORCE ROW LEVEL SECURITY;
CREATE INDEX clients_id ON crm.clients USING btree (id);
CREATE POLICY firm ON crm.clients USING (true);
GRANT SELECT ON TABLE crm.clients TO ubos_query;

CREATE TABLE crm.events (
    id uuid NOT NULL
)
PARTITION BY RANGE (id);

CREATE FUNCTION crm.note(id uuid) RETURNS void
    LANGUAGE sql
    AS $$

    insert into crm.clients values (id)
$$;
ALTER FUNCTION crm.note(id uuid) OWNER TO postgres;
REVOKE ALL ON FUNCTION crm.note(id uuid) FROM PUBLIC;

-- database

REVOKE CONNECT,TEMPORARY ON DATABASE ubos FROM PUBLIC;

-- shared

CREATE SCHEMA shared;
";

    const ROLES_ONLY: &str =
        "CREATE ROLE postgres;\nCREATE ROLE ubos_query;\nALTER ROLE ubos_query WITH NOSUPERUSER LOGIN;\n";

    #[test]
    fn a_dump_is_put_in_order_and_loses_what_changes_by_itself() {
        assert_eq!(readable(ROLES_ONLY, DUMP), READABLE);
    }

    #[test]
    fn what_the_database_allows_is_not_lost() {
        let without = DUMP.replace("CREATE POLICY firm ON crm.clients USING (true);", "");
        assert_ne!(readable(ROLES_ONLY, &without), READABLE, "a policy that is gone");
        let other = DUMP.replace("GRANT SELECT ON TABLE crm.clients", "GRANT SELECT,DELETE ON TABLE crm.clients");
        assert_ne!(readable(ROLES_ONLY, &other), READABLE, "a right more");
        let bypassing = ROLES_ONLY.replace("WITH NOSUPERUSER", "WITH NOSUPERUSER BYPASSRLS");
        assert_ne!(readable(&bypassing, DUMP), READABLE, "a role that may do more");
    }
}
