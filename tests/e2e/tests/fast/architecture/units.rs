//! What spans contexts is a workflow: nobody else puts commands of several aggregates into one unit.

use super::tree::{files, folder, packages, read, root};

const ONE_ENGINE: &str = "What spans contexts is a workflow.";

/// How a unit of commands that nobody has declared to belong together is made. What a domain declares, its own event store
/// decides: a companion of another context does not compile.
const UNITS: &[&str] = &["execute_unit", "UnitCommand", "Unit::begin", "NamedCommand"];

/// May code in this folder put commands of its own choice into one unit?
fn makes_units(folder: &str, source: &str) -> Result<(), &'static str> {
    let code = source.split("#[cfg(test)]").next().unwrap_or(source);
    let makes = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let makes = makes.flat_map(|line| UNITS.iter().filter(|word| line.contains(**word))).next().is_some();
    if makes && !["workflow-engine", "platform/event-store"].contains(&folder) { Err(ONE_ENGINE) } else { Ok(()) }
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
    for folder in ["command-api", "auth/login", "integrations/email", "server", "domain/crm", "platform/web"] {
        assert_eq!(makes_units(folder, unit), Err(ONE_ENGINE), "{folder}");
    }
    assert_eq!(makes_units("command-api", "let unit = Unit::begin(&store, tenant, id, false);"), Err(ONE_ENGINE));
    for folder in ["workflow-engine", "platform/event-store"] {
        assert_eq!(makes_units(folder, unit), Ok(()), "{folder}");
    }
    assert_eq!(
        makes_units("server", "// execute_unit is for the engine.\n#[cfg(test)]\nfn f() { execute_unit() }"),
        Ok(())
    );
}
