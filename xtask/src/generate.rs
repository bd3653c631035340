//! `cargo xtask gen`

use crate::command::{Profile, Workspace, run_ok};
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
    let after = files_below(&copy)?;
    let mut different: Vec<String> = Vec::new();
    for (path, content) in &after {
        match before.get(path) {
            None => different.push(format!("{} is missing", path.display())),
            Some(old) if old != content => different.push(format!("{} would change", path.display())),
            Some(_) => {}
        }
    }
    different
        .extend(before.keys().filter(|path| !after.contains_key(*path)).map(|p| format!("{} would go", p.display())));
    if !different.is_empty() {
        bail!("run `cargo xtask gen` and look at the difference:\n  {}", different.join("\n  "));
    }
    Ok(())
}

fn generate(ubos: &Path, root: &Path) -> Result<()> {
    let mut command = Command::new(ubos);
    command.arg("gen").current_dir(root);
    run_ok(command)
}

/// What git would keep: tracked files and new ones that are not ignored.
pub fn files(root: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
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
pub fn files_below(root: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
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
