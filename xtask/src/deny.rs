//! The part of cargo-deny that needs no network: licences, bans and sources from deny.toml.

use crate::command::{Workspace, capture};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;
use std::fs;

#[derive(Deserialize)]
struct Policy {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
    /// Packages that may depend on it all the same.
    #[serde(default)]
    wrappers: Vec<String>,
}

/// Fails with every package that deny.toml does not allow.
pub fn check(workspace: &Workspace) -> Result<()> {
    let policy: Policy = toml::from_str(&fs::read_to_string(workspace.root.join("deny.toml"))?).context("deny.toml")?;
    let allowed: HashSet<&str> = policy.licenses.allow.iter().map(String::as_str).collect();
    let metadata = workspace.metadata()?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let used = used_packages(workspace)?;
    let (mut count, mut problems, mut registries) = (0, Vec::new(), HashSet::new());
    for package in list(&metadata["packages"]) {
        let name = package["name"].as_str().unwrap_or_default();
        let version = package["version"].as_str().unwrap_or_default();
        if !used.contains(&(name.to_owned(), version.to_owned())) {
            continue;
        }
        count += 1;
        let title = format!("{name} {version}");
        match package["license"].as_str() {
            None => problems.push(format!("{title} names no licence")),
            Some(licence) if !permits(licence, &allowed)? => problems.push(format!("{title} is under {licence}")),
            Some(_) => {}
        }
        if let Some(ban) = policy.bans.deny.iter().find(|ban| ban.name == name)
            && !dependents(workspace, &title)?.iter().all(|dependent| ban.wrappers.contains(dependent))
        {
            problems.push(format!("{title} is banned: {}", ban.reason));
        }
        match package["source"].as_str() {
            Some(source) if source.starts_with("registry+") => drop(registries.insert(source.to_owned())),
            Some(source) => problems.push(format!("{title} comes from {source}")),
            None => {}
        }
    }
    if registries.len() > 1 {
        problems.push(format!("packages come from {} registries", registries.len()));
    }
    if !problems.is_empty() {
        bail!("deny.toml does not allow:\n  {}", problems.join("\n  "));
    }
    println!("{count} packages, every licence allowed, none banned, one source");
    Ok(())
}

/// Who depends on a package, written `name version`, directly and on some platform.
fn dependents(workspace: &Workspace, package: &str) -> Result<Vec<String>> {
    let package = package.replace(' ', "@");
    let tree = [
        "tree",
        "--workspace",
        "--target",
        "all",
        "--invert",
        &package,
        "--depth",
        "1",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let listing = capture(workspace.cargo(&tree))?;
    // The first line is the package itself.
    Ok(listing.lines().skip(1).filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect())
}

/// Name and version of everything that is compiled on some platform.
///
/// The lock file and `cargo metadata` also hold optional packages that nobody switched on (sqlx brings MySQL's, for one);
/// only `cargo tree` resolves features as a build does.
fn used_packages(workspace: &Workspace) -> Result<HashSet<(String, String)>> {
    let tree = ["tree", "--workspace", "--target", "all", "--prefix", "none", "--format", "{p}"];
    let listing = capture(workspace.cargo(&tree))?;
    let package = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    Ok(listing.lines().filter_map(package).collect())
}

/// Whether an SPDX expression can be satisfied with allowed licences only. `/` is the old spelling of OR.
fn permits(expression: &str, allowed: &HashSet<&str>) -> Result<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let permitted = any(&mut rest, allowed)?;
    if !rest.is_empty() {
        bail!("licence expression {expression:?} is not understood at {:?}", rest[0]);
    }
    Ok(permitted)
}

fn any(rest: &mut &[&str], allowed: &HashSet<&str>) -> Result<bool> {
    let mut permitted = all(rest, allowed)?;
    while let ["OR", ..] = rest {
        *rest = &rest[1..];
        permitted |= all(rest, allowed)?;
    }
    Ok(permitted)
}

fn all(rest: &mut &[&str], allowed: &HashSet<&str>) -> Result<bool> {
    let mut permitted = one(rest, allowed)?;
    while let ["AND", ..] = rest {
        *rest = &rest[1..];
        permitted &= one(rest, allowed)?;
    }
    Ok(permitted)
}

fn one(rest: &mut &[&str], allowed: &HashSet<&str>) -> Result<bool> {
    match *rest {
        ["(", ..] => {
            *rest = &rest[1..];
            let permitted = any(rest, allowed)?;
            let [")", ..] = rest else { bail!("a licence expression lacks a closing parenthesis") };
            *rest = &rest[1..];
            Ok(permitted)
        }
        [licence, "WITH", exception, ..] => {
            *rest = &rest[3..];
            Ok(allowed.contains(format!("{licence} WITH {exception}").as_str()))
        }
        [licence, ..] => {
            *rest = &rest[1..];
            Ok(allowed.contains(licence))
        }
        [] => bail!("a licence expression ends too early"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permitted(expression: &str) -> bool {
        permits(expression, &HashSet::from(["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"])).unwrap()
    }

    #[test]
    fn one_allowed_alternative_is_enough() {
        assert!(permitted("GPL-3.0-only OR MIT"));
        assert!(permitted("LGPL-2.1/Apache-2.0"));
        assert!(!permitted("GPL-3.0-only"));
    }

    #[test]
    fn every_part_of_a_conjunction_must_be_allowed() {
        assert!(permitted("(MIT OR GPL-2.0) AND ISC"));
        assert!(!permitted("MIT AND GPL-2.0"));
        assert!(permitted("MIT OR ISC AND GPL-2.0"), "AND binds more closely than OR");
    }

    #[test]
    fn an_exception_is_part_of_the_licence() {
        assert!(permitted("Apache-2.0 WITH LLVM-exception"));
        assert!(!permitted("MIT WITH Some-exception"));
    }

    #[test]
    fn nonsense_is_an_error_and_no_permission() {
        assert!(permits("MIT OR", &HashSet::from(["MIT"])).is_err());
        assert!(permits("(MIT", &HashSet::from(["MIT"])).is_err());
        assert!(permits("MIT MIT", &HashSet::from(["MIT"])).is_err());
    }
}
