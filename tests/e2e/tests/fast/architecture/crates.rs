//! Who may depend on whom.

use super::purity::foreign;
use super::tree::{folder, folders, packages, read};
use cargo_metadata::DependencyKind;

const TWO_SIDES: &str = "The two sides share only events.";
pub const PURE: &str = "The domain is pure.";
const LANGUAGE: &str = "Events are the published language, and depend on nothing but its words.";
const PLATFORM: &str = "The platform knows no business word.";
const ONE_LIST: &str = "Several contexts meet only in the registry and the catalogue.";
const ROLES: &str = "A role never depends on another role; the server is the only place where they meet.";
const LEAF: &str = "Nothing depends on the server, the tests or the chores.";
const MAP: &str = "Every crate lives in a folder that ARCHITECTURE.md describes.";

/// What a crate is, by where it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Macros,
    Kernel,
    Context,
    Registry,
    Samples,
    Events,
    Catalogue,
    Platform,
    /// Does a part of the product's work: a role, or what several of them share. Every crate that is nothing else.
    Work,
    Server,
    Chores,
}

pub fn part(folder: &str) -> Part {
    match folder {
        "domain/kernel-macros" => Part::Macros,
        "domain/kernel" => Part::Kernel,
        "domain/registry" => Part::Registry,
        "domain/samples" => Part::Samples,
        "event-schemas/catalogue" => Part::Catalogue,
        _ => match folder.split('/').next().unwrap_or_default() {
            "domain" => Part::Context,
            "event-schemas" => Part::Events,
            "platform" => Part::Platform,
            "server" => Part::Server,
            "tests" | "xtask" => Part::Chores,
            _ => Part::Work,
        },
    }
}

/// What may be known besides the kernel and the platform by whoever does a part of the work: by crate, the folders. Whoever is not
/// here knows nothing more.
const KNOWN: &[(&str, &[&str])] = &[
    // People come in as users or portal users, of the contexts that know them.
    ("access", &["event-schemas/identity-events", "event-schemas/portal-events"]),
    ("login", &["domain/identity", "domain/portal"]),
    // It notes what became of an email on the record of whom it is for, or on the email's own.
    ("email", &["event-schemas/*", "domain/communications", "domain/identity", "domain/portal"]),
    // It notes what came of going to a provider on the record of the connection.
    ("connect", &["domain/connections", "event-schemas/*"]),
    // It notes on the record of an endpoint how that is.
    ("webhooks", &["domain/connections", "event-schemas/*"]),
    // It sets a contract as a paper, notes on its record what becomes of it outside, and keeps the signed one as a file.
    ("signatures", &["domain/agreements", "domain/files", "integrations/papers"]),
    // It notes on the records of invoices, bills and payments what the ledger says of them.
    ("books", &["domain/revenue"]),
    // It says of an upload what became of it, and reads from the file where its bytes go.
    ("file-store", &["domain/files"]),
    // It keeps what it has set as files, and notes on the record of an invoice where they are.
    ("invoice-papers", &["domain/files", "domain/revenue", "integrations/papers"]),
    // It reads a file, brings the bill in that stands on it, and notes on the file's record what became of it.
    ("bill-files", &["domain/files", "domain/revenue", "integrations/papers"]),
    ("command-api", &["domain/registry"]),
    ("projections", &["event-schemas/catalogue"]),
    ("query-api", &["event-schemas/*", "projections"]),
    // The process manager calls every context through the registry and owns the context of its runs.
    (
        "workflow-engine",
        &["domain/registry", "domain/workflow", "event-schemas/catalogue", "event-schemas/workflow-events"],
    ),
];

fn known(folder: &str) -> &'static [&'static str] {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    KNOWN.iter().find(|(known, _)| *known == name).map_or(&[], |(_, folders)| folders)
}

fn is_among(folder: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(begin) => folder.starts_with(begin),
        None => *pattern == folder,
    })
}

/// The context of a context's crate or of its events' crate: `crm` and `crm-events` both belong to `crm`.
fn context(folder: &str) -> &str {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    name.strip_suffix("-events").unwrap_or(name)
}

/// May the crate in the folder `from` depend on the one in `to`? If not, because of which invariant?
fn edge(from: &str, to: &str) -> Result<(), &'static str> {
    use Part::*;
    let (source, target) = (part(from), part(to));
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
        // What reacts to events reads them: they are published.
        Work if from.starts_with("integrations/") && matches!(target, Events | Catalogue) => true,
        Work => matches!(target, Kernel | Platform) || is_among(to, known(from)),
        Server | Chores => true,
    };
    // Whoever decides nothing has no business with those who do.
    let decides = known(from).iter().any(|folder| folder.starts_with("domain/"));
    match source {
        _ if allowed => Ok(()),
        Work if matches!(target, Context | Registry) && !decides => Err(TWO_SIDES),
        Context | Registry | Samples if matches!(target, Work | Catalogue) => Err(TWO_SIDES),
        Context if matches!(target, Context | Events) => Err(TWO_SIDES),
        Macros | Kernel | Context | Registry => Err(PURE),
        Events | Catalogue => Err(LANGUAGE),
        Platform => Err(PLATFORM),
        _ if target == Work => Err(ROLES),
        _ => Err(ONE_LIST),
    }
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
        ("workflow-engine", "domain/crm", ONE_LIST),
        ("workflow-engine", "event-schemas/crm-events", ONE_LIST),
        ("command-api", "query-api", ROLES),
        ("workflow-engine", "projections", ROLES),
        ("auth/access", "domain/identity", TWO_SIDES),
        ("auth/access", "event-schemas/crm-events", ONE_LIST),
        ("query-api", "auth/access", ROLES),
        ("projections", "event-schemas/crm-events", ONE_LIST),
        ("workflow-engine", "server", LEAF),
        ("projections", "domain/samples", LEAF),
        ("domain/samples", "domain/crm", ONE_LIST),
        ("domain/samples", "projections", TWO_SIDES),
    ] {
        assert_eq!(edge(from, to), Err(invariant), "{from} → {to}");
    }
    // A crate that nobody has thought of is guarded too.
    assert_eq!(edge("attic/thing", "domain/crm"), Err(TWO_SIDES));
    assert_eq!(edge("attic/thing", "event-schemas/crm-events"), Err(ONE_LIST));
    assert_eq!(edge("attic/thing", "projections"), Err(ROLES));
    assert_eq!(edge("domain/crm", "attic/thing"), Err(TWO_SIDES));
    assert_eq!(edge("platform/web", "attic/thing"), Err(PLATFORM));
}

#[test]
fn the_edges_that_the_design_needs_are_allowed() {
    for (from, to) in [
        ("domain/crm", "event-schemas/crm-events"),
        ("domain/workflow", "event-schemas/workflow-events"),
        ("domain/registry", "domain/crm"),
        ("domain/samples", "domain/registry"),
        ("workflow-engine", "domain/workflow"),
        ("workflow-engine", "event-schemas/workflow-events"),
        ("query-api", "projections"),
        ("projections", "event-schemas/catalogue"),
        ("auth/access", "event-schemas/identity-events"),
        ("integrations/event-gateway", "event-schemas/crm-events"),
        ("server", "workflow-engine"),
        ("tests", "server"),
        ("attic/thing", "platform/event-store"),
    ] {
        assert_eq!(edge(from, to), Ok(()), "{from} → {to}");
    }
}

#[test]
fn whoever_may_know_more_than_others_is_there() {
    let packages = packages();
    let there: Vec<String> = packages.iter().map(folder).collect();
    for (name, patterns) in KNOWN {
        assert!(packages.iter().any(|package| package.name.as_str() == *name), "there is no crate {name}");
        for pattern in *patterns {
            assert!(
                there.iter().any(|folder| is_among(folder, &[pattern])),
                "{name} may know {pattern}, which is not there"
            );
        }
    }
}

#[test]
fn the_events_of_every_context_are_decided_by_somebody() {
    let decided: Vec<String> = folders("domain").iter().map(|name| context(name).to_owned()).collect();
    for events in folders("event-schemas").iter().filter_map(|name| name.strip_suffix("-events")) {
        assert!(decided.iter().any(|context| context == events), "nobody decides {events}");
    }
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
        assert!(map.contains(&format!("`{}", on_map(&folder))), "{folder} is not in ARCHITECTURE.md, but: {MAP}");
    }
}

/// How the map names a folder. What a context is for, its own description says; the map says what every context is made of.
fn on_map(folder: &str) -> &str {
    match part(folder) {
        Part::Context => "domain/<context>`",
        Part::Events => "event-schemas/<context>-events`",
        _ => folder,
    }
}

#[test]
fn the_invariants_that_failures_quote_are_in_the_architecture() {
    let text = read("ARCHITECTURE.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for invariant in [TWO_SIDES, PURE, LANGUAGE, PLATFORM, ONE_LIST, ROLES, LEAF] {
        assert!(text.contains(invariant), "ARCHITECTURE.md does not say: {invariant}");
    }
}
