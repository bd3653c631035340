//! The crate graph and the purity of the domain, as ARCHITECTURE.md promises them. Each failure quotes the invariant.

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use std::fs;
use std::path::{Path, PathBuf};

const TWO_SIDES: &str = "The two sides share only events.";
const PURE: &str = "The domain is pure.";
const LANGUAGE: &str = "Events are the published language, and depend on nothing but its words.";
const PLATFORM: &str = "The platform knows no business word.";
const ONE_LIST: &str = "Several contexts meet only in the registry and the catalogue.";
const ROLES: &str = "A role never depends on another role; the server is the only place where they meet.";
const ONE_ENGINE: &str = "What spans contexts is a workflow.";
const LEAF: &str = "Nothing depends on the server, the tests or the chores.";

/// What a crate is, by where it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Macros,
    Kernel,
    Context,
    Registry,
    Samples,
    Events,
    Catalogue,
    Platform,
    Access,
    Login,
    Mailer,
    EventGateway,
    CommandApi,
    QueryApi,
    Projections,
    Workflow,
    Integrations,
    Server,
    Chores,
}

fn part(folder: &str) -> Option<Part> {
    Some(match folder {
        "domain/kernel-macros" => Part::Macros,
        "domain/kernel" => Part::Kernel,
        "domain/registry" => Part::Registry,
        "domain/samples" => Part::Samples,
        "event-schemas/catalogue" => Part::Catalogue,
        "access" => Part::Access,
        "login" => Part::Login,
        "mailer" => Part::Mailer,
        "event-gateway" => Part::EventGateway,
        "command-api" => Part::CommandApi,
        "query-api" => Part::QueryApi,
        "projections" => Part::Projections,
        "workflow" => Part::Workflow,
        "integrations" => Part::Integrations,
        "server" => Part::Server,
        "tests" | "tests/faults" | "xtask" => Part::Chores,
        _ => match folder.split_once('/')?.0 {
            "domain" => Part::Context,
            "event-schemas" => Part::Events,
            "platform" => Part::Platform,
            _ => return None,
        },
    })
}

/// The context of a context's crate or of its events' crate: `crm` and `crm-events` both belong to `crm`.
fn context(folder: &str) -> &str {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    name.strip_suffix("-events").or(name.strip_suffix("-domain")).unwrap_or(name)
}

/// May the crate in the folder `from` depend on the one in `to`? If not, because of which invariant?
fn edge(from: &str, to: &str) -> Result<(), &'static str> {
    use Part::*;
    let (Some(source), Some(target)) = (part(from), part(to)) else {
        return Err("Every crate lives in a folder that ARCHITECTURE.md describes.");
    };
    // Samples are made for tests, so what is built never depends on them; tests may.
    if matches!(target, Server | Chores | Samples) {
        return if source == Chores { Ok(()) } else { Err(LEAF) };
    }
    let allowed = match source {
        Macros => false,
        Kernel => target == Macros,
        Events => target == Kernel,
        Context => target == Kernel || target == Events && context(from) == context(to),
        Registry => matches!(target, Kernel | Context),
        Samples => matches!(target, Kernel | Registry),
        Catalogue => matches!(target, Kernel | Events),
        Platform => matches!(target, Kernel | Platform),
        // People come in as users or portal users, of the contexts that know them.
        Access => {
            matches!(target, Kernel | Platform) || target == Events && ["identity", "portal"].contains(&context(to))
        }
        Login => {
            matches!(target, Kernel | Platform) || target == Context && ["identity", "portal"].contains(&context(to))
        }
        // It notes what became of an email on the record of whom it is for.
        Mailer => {
            matches!(target, Kernel | Events | Catalogue | Platform)
                || target == Context && ["identity", "portal"].contains(&context(to))
        }
        // Who may read is asked of whoever the server brings along.
        EventGateway => matches!(target, Kernel | Platform),
        CommandApi => matches!(target, Kernel | Registry | Platform),
        Projections | Integrations => matches!(target, Kernel | Events | Catalogue | Platform),
        QueryApi => matches!(target, Kernel | Events | Catalogue | Platform | Projections),
        // The process manager calls every context through the registry and owns the context of its runs.
        Workflow => {
            matches!(target, Kernel | Registry | Catalogue | Platform)
                || matches!(target, Context | Events) && context(to) == "workflow"
        }
        Server | Chores => true,
    };
    let roles = [Access, Login, Mailer, EventGateway, CommandApi, QueryApi, Projections, Workflow, Integrations];
    match source {
        _ if allowed => Ok(()),
        Access | Projections | QueryApi | Integrations if matches!(target, Context | Registry) => Err(TWO_SIDES),
        Context | Registry | Samples if roles.contains(&target) || target == Catalogue => Err(TWO_SIDES),
        Context if matches!(target, Context | Events) => Err(TWO_SIDES),
        Macros | Kernel | Context | Registry => Err(PURE),
        Events | Catalogue => Err(LANGUAGE),
        Platform => Err(PLATFORM),
        _ if roles.contains(&target) => Err(ROLES),
        _ => Err(ONE_LIST),
    }
}

/// What pure code may build on: data types, tables of Unicode and of telephone numbers, text formats and `cqrs-es`, whose traits the kernel adapts.
const PURE_CRATES: &[&str] = &[
    "async-trait",
    "chrono",
    "chrono-tz",
    "cqrs-es",
    "icu_casemap",
    "icu_normalizer",
    "icu_properties",
    "idna",
    "iso3166-static",
    "iso_currency",
    "phonenumber",
    "proc-macro2",
    "quote",
    "regex",
    "schemars",
    "secrecy",
    "serde",
    "serde_json",
    "serde_path_to_error",
    "sha2",
    "syn",
    "thiserror",
    "uuid",
];

/// What its tests may add; tokio drives `cqrs-es`'s test framework.
const PURE_TEST_CRATES: &[&str] = &["proptest", "tokio", "trybuild", "jsonschema", "serde-saphyr"];

fn is_pure(part: Part) -> bool {
    matches!(part, Part::Macros | Part::Kernel | Part::Context | Part::Registry | Part::Events)
}

/// May a pure crate use this crate of the world's?
fn foreign(from: &str, name: &str, kind: DependencyKind) -> Result<(), &'static str> {
    let test = kind == DependencyKind::Development && PURE_TEST_CRATES.contains(&name);
    match part(from) {
        Some(part) if is_pure(part) && !test && !PURE_CRATES.contains(&name) => Err(PURE),
        _ => Ok(()),
    }
}

/// What no line of the domain may say. Clippy refuses the same calls; this list also sees what has no path.
const IMPURE: &[&str] = &[
    "Utc::now",
    "Local::now",
    "SystemTime",
    "Instant::now",
    "Uuid::now_v7",
    "Uuid::new_v4",
    "rand::",
    "thread_rng",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "tokio::",
    "sqlx::",
    "tracing::",
    "log::",
    "println!",
    "eprintln!",
    "dbg!",
    "async fn",
    // The day it is in UTC is no firm's and no host's: `Timestamp::date_in`.
    "date_naive",
    "naive_utc",
];

/// The impure words of a source text, its comments and its tests aside.
fn impurities(source: &str) -> Vec<&'static str> {
    let code =
        source.split("#[cfg(test)]").next().unwrap_or(source).lines().filter(|l| !l.trim_start().starts_with("//"));
    let code: Vec<&str> = code.collect();
    IMPURE.iter().copied().filter(|word| code.iter().any(|line| line.contains(word))).collect()
}

/// How a unit of commands that nobody has declared to belong together is made. What a domain declares, its own event store
/// decides: a companion of another context does not compile.
const UNITS: &[&str] = &["execute_unit", "UnitCommand", "Unit::begin", "NamedCommand"];

/// May code in this folder put commands of its own choice into one unit?
fn makes_units(folder: &str, source: &str) -> Result<(), &'static str> {
    let code = source.split("#[cfg(test)]").next().unwrap_or(source);
    let makes = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let makes = makes.flat_map(|line| UNITS.iter().filter(|word| line.contains(**word))).next().is_some();
    if makes && !["workflow", "platform/event-store"].contains(&folder) { Err(ONE_ENGINE) } else { Ok(()) }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace's root")
}

fn packages() -> Vec<Package> {
    let manifest = root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata").packages
}

fn folder(package: &Package) -> String {
    let folder = package.manifest_path.parent().expect("a manifest lives in a folder");
    let relative = folder.as_std_path().strip_prefix(root()).expect("a crate lives in the workspace");
    relative.to_string_lossy().replace('\\', "/")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every file below a folder whose name ends so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for child in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = child.path();
        let name = child.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found
}

#[test]
fn no_crate_depends_on_what_it_must_not_know() {
    let packages = packages();
    let mut found = vec![];
    for package in &packages {
        let from = folder(package);
        for dependency in &package.dependencies {
            let ours = packages.iter().find(|p| p.name.as_str() == dependency.name && dependency.path.is_some());
            let verdict = match ours {
                // Tests may look at anything; only what is built counts.
                Some(_) if dependency.kind == DependencyKind::Development => Ok(()),
                Some(to) => edge(&from, &folder(to)),
                None => foreign(&from, &dependency.name, dependency.kind),
            };
            if let Err(invariant) = verdict {
                found.push(format!("{} depends on {}, but: {invariant}", package.name, dependency.name));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_forbidden_edge_is_found_and_quotes_its_invariant() {
    for (from, to, invariant) in [
        ("projections", "domain/crm", TWO_SIDES),
        ("query-api", "domain/registry", TWO_SIDES),
        ("domain/crm", "domain/projects", TWO_SIDES),
        ("domain/crm", "event-schemas/projects-events", TWO_SIDES),
        ("domain/crm", "projections", TWO_SIDES),
        ("domain/kernel", "platform/event-store", PURE),
        ("domain/crm", "platform/runtime", PURE),
        ("event-schemas/crm-events", "event-schemas/files-events", LANGUAGE),
        ("event-schemas/catalogue", "domain/crm", LANGUAGE),
        ("platform/event-store", "event-schemas/crm-events", PLATFORM),
        ("platform/web", "command-api", PLATFORM),
        ("command-api", "domain/crm", ONE_LIST),
        ("workflow", "domain/crm", ONE_LIST),
        ("workflow", "event-schemas/crm-events", ONE_LIST),
        ("command-api", "query-api", ROLES),
        ("workflow", "projections", ROLES),
        ("access", "domain/identity", TWO_SIDES),
        ("access", "event-schemas/crm-events", ONE_LIST),
        ("query-api", "access", ROLES),
        ("workflow", "server", LEAF),
        ("projections", "domain/samples", LEAF),
        ("domain/samples", "domain/crm", ONE_LIST),
        ("domain/samples", "projections", TWO_SIDES),
    ] {
        assert_eq!(edge(from, to), Err(invariant), "{from} → {to}");
    }
    assert!(edge("attic/thing", "domain/kernel").is_err());
}

#[test]
fn the_edges_that_the_design_needs_are_allowed() {
    for (from, to) in [
        ("domain/crm", "event-schemas/crm-events"),
        ("domain/workflow-domain", "event-schemas/workflow-events"),
        ("domain/registry", "domain/crm"),
        ("domain/samples", "domain/registry"),
        ("workflow", "domain/workflow-domain"),
        ("workflow", "event-schemas/workflow-events"),
        ("query-api", "projections"),
        ("projections", "event-schemas/crm-events"),
        ("access", "event-schemas/identity-events"),
        ("server", "workflow"),
        ("tests", "server"),
    ] {
        assert_eq!(edge(from, to), Ok(()), "{from} → {to}");
    }
}

#[test]
fn a_database_or_a_clock_in_the_domain_is_found() {
    for name in ["sqlx", "tokio", "rand", "tracing", "async-nats", "actix-web"] {
        assert_eq!(foreign("domain/crm", name, DependencyKind::Normal), Err(PURE), "{name}");
    }
    assert_eq!(foreign("domain/crm", "sqlx", DependencyKind::Development), Err(PURE));
    assert_eq!(foreign("domain/crm", "proptest", DependencyKind::Development), Ok(()));
    assert_eq!(foreign("domain/crm", "proptest", DependencyKind::Normal), Err(PURE));
    assert_eq!(foreign("platform/event-store", "sqlx", DependencyKind::Normal), Ok(()));
    assert_eq!(impurities("let now = chrono::Utc::now();"), ["Utc::now"]);
    assert_eq!(impurities("// Utc::now() would be wrong here.\n#[cfg(test)]\nmod tests { use std::fs; }"), [""; 0]);
}

#[test]
fn nobody_but_the_engine_makes_units_across_contexts() {
    let root = root();
    let mut found = vec![];
    for package in packages() {
        let folder = folder(&package);
        for file in files(&root.join(&folder).join("src"), ".rs") {
            let source = read(&file);
            if let Err(invariant) = makes_units(&folder, &source) {
                found.push(format!("{} makes units, but: {invariant}", file.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_unit_that_somebody_else_makes_is_found() {
    let unit = "let done = bus.execute_unit(commands, &request).await?;";
    for folder in ["command-api", "login", "mailer", "server", "domain/crm", "platform/web"] {
        assert_eq!(makes_units(folder, unit), Err(ONE_ENGINE), "{folder}");
    }
    assert_eq!(makes_units("command-api", "let unit = Unit::begin(&store, tenant, id, false);"), Err(ONE_ENGINE));
    for folder in ["workflow", "platform/event-store"] {
        assert_eq!(makes_units(folder, unit), Ok(()), "{folder}");
    }
    assert_eq!(
        makes_units("server", "// execute_unit is for the engine.\n#[cfg(test)]\nfn f() { execute_unit() }"),
        Ok(())
    );
}

#[test]
fn the_domain_asks_no_clock_draws_no_random_number_and_does_no_io() {
    let root = root();
    let mut found = vec![];
    for package in packages().iter().filter(|p| part(&folder(p)).is_some_and(is_pure)) {
        for file in files(&root.join(folder(package)).join("src"), ".rs") {
            let name = file.strip_prefix(&root).expect("below the root").display().to_string();
            // The one place that knows `cqrs-es`, whose traits are asynchronous.
            let words = impurities(&read(&file))
                .into_iter()
                .filter(|w| !(*w == "async fn" && name == "domain/kernel/src/cqrs.rs"));
            found.extend(words.map(|word| format!("{name} says {word}, but: {PURE}")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_crate_is_named_after_its_folder_says_what_it_is_for_and_is_on_the_map() {
    let map = read("ARCHITECTURE.md");
    for package in packages() {
        let folder = folder(&package);
        let description = package.description.as_deref().unwrap_or("");
        assert!(description.ends_with('.'), "{} has no description that is a sentence", package.name);
        let last = folder.rsplit('/').next().unwrap_or(&folder);
        assert!(package.name.as_str() == last || folder == "tests", "{} lives in {folder}", package.name);
        assert!(map.contains(&format!("`{folder}")), "ARCHITECTURE.md does not mention {folder}");
    }
}

#[test]
fn the_invariants_that_failures_quote_are_in_the_architecture() {
    let text = read("ARCHITECTURE.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for invariant in [TWO_SIDES, PURE, LANGUAGE, PLATFORM, ONE_LIST, ROLES, LEAF] {
        assert!(text.contains(invariant), "ARCHITECTURE.md does not say: {invariant}");
    }
}

#[test]
fn what_the_documents_point_at_exists() {
    let root = root();
    let mut dead = vec![];
    let mut documents: Vec<PathBuf> = files(&root.join("docs"), ".md");
    documents.extend(["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root.join(name)));
    for document in documents {
        let text = read(&document);
        let folder = document.parent().expect("a document lives in a folder");
        let name = document.strip_prefix(&root).expect("below the root").display().to_string();
        for target in links(&text) {
            if !folder.join(target).exists() {
                dead.push(format!("{name} links to {target}"));
            }
        }
        for path in paths(&text) {
            if !root.join(path).exists() {
                dead.push(format!("{name} mentions {path}"));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

/// Targets of Markdown links into the repository.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|t| !t.is_empty() && !t.contains("://") && !t.starts_with("mailto:")).collect()
}

/// Words in backticks that are paths of this repository, placeholders aside.
fn paths(text: &str) -> Vec<&str> {
    const FOLDERS: &[&str] = &[
        "domain/",
        "event-schemas/",
        "platform/",
        "access/",
        "login/",
        "mailer/",
        "event-gateway/",
        "command-api/",
        "query-api/",
        "projections/",
        "workflow/",
        "server/",
        "migrations/",
        "deploy/",
        "tests/",
        "xtask/",
        "docs/",
    ];
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .filter(|word| !word.contains(['<', '*', '{', ' ', '…', '\n', '(']))
        .map(|word| word.split(':').next().unwrap_or(word))
        .collect()
}

#[test]
fn a_dead_link_is_found() {
    assert_eq!(links("see [a](docs/a.md#b) and [b](https://example.com)"), ["docs/a.md"]);
    assert_eq!(
        paths("`domain/crm/src/client.rs` but not `domain/<context>` or `crm/clients`"),
        ["domain/crm/src/client.rs"]
    );
}
