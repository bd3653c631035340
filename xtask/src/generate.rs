//! `cargo xtask gen`

use crate::command::{Profile, Workspace, run_ok};
use crate::schema;
use crate::steps::heading;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Rewrites every generated file.
pub fn rewrite(workspace: &Workspace) -> Result<ExitCode> {
    heading("building ubos");
    let ubos = workspace.build("ubos", Profile::Debug)?;
    generate(&ubos, &workspace.root)?;
    Ok(ExitCode::SUCCESS)
}

/// Fails if a generated file is not what would be generated now.
pub fn check(workspace: &Workspace) -> Result<ExitCode> {
    heading("building ubos");
    let ubos = workspace.build("ubos", Profile::Debug)?;
    compare(workspace, &ubos)?;
    println!("generated files are up to date");
    Ok(ExitCode::SUCCESS)
}

/// Generates into a copy of the checkout: a check must not touch files that somebody may be editing.
pub fn compare(workspace: &Workspace, ubos: &Path) -> Result<()> {
    let copy = local_servers::Dirs::throwaway()?;
    let copy = copy.root().join("checkout");
    let before = files(&workspace.root)?;
    for (path, content) in &before {
        let file = copy.join(path);
        fs::create_dir_all(file.parent().context("a file without a folder")?)?;
        fs::write(file, content)?;
    }
    generate(ubos, &copy)?;
    let different = differences(&before, &files_below(&copy)?);
    if !different.is_empty() {
        bail!("run `cargo xtask gen` and look at the difference:\n  {}", different.join("\n  "));
    }
    Ok(())
}

/// Files by their paths, with their contents.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

fn differences(before: &Files, after: &Files) -> Vec<String> {
    let mut different = Vec::new();
    for (path, content) in after {
        match before.get(path) {
            None => different.push(format!("{} is missing", path.display())),
            Some(old) if old != content => different.push(format!("{} would change", path.display())),
            Some(_) => {}
        }
    }
    different
        .extend(before.keys().filter(|path| !after.contains_key(*path)).map(|p| format!("{} would go", p.display())));
    different
}

fn generate(ubos: &Path, root: &Path) -> Result<()> {
    let mut command = Command::new(ubos);
    command.arg("gen").current_dir(root);
    run_ok(command)?;
    schema::write(ubos, root)
}

/// What git would keep: tracked files and new ones that are not ignored.
pub fn files(root: &Path) -> Result<Files> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("running git")?;
    if !listing.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&listing.stderr));
    }
    let names = String::from_utf8(listing.stdout)?;
    let paths = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    // A file that was deleted but not yet committed is still listed.
    let present = paths.filter(|path| root.join(path).is_file());
    present.map(|path| Ok((path.clone(), fs::read(root.join(path))?))).collect()
}

/// Every file in a folder, with its path from there.
pub fn files_below(root: &Path) -> Result<Files> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root)?.to_owned(), fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_stale_missing_or_left_over_is_noticed() {
        let files = |list: &[(&str, &str)]| -> Files {
            list.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect()
        };
        let now = files(&[("docs/schema.sql", "create table crm.clients ();"), ("docs/openapi/query.json", "{}")]);
        assert_eq!(differences(&now, &now), [""; 0]);
        let before = files(&[("docs/schema.sql", "create table crm.persons ();"), ("docs/old.json", "{}")]);
        assert_eq!(
            differences(&before, &now),
            ["docs/openapi/query.json is missing", "docs/schema.sql would change", "docs/old.json would go"]
        );
    }
}
