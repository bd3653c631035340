//! Programs from npm, each installed into a folder of its own in the cache, once per version.

use crate::install::cache_folder;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A folder with the programs that `package.json` asks for, each package in the version that `package-lock.json` says.
pub fn npm_tools(name: &str, package: &str, lock: &str) -> Result<PathBuf> {
    installed(name, &[("package.json", package), (LOCK, lock)])
}

const LOCK: &str = "package-lock.json";

/// The folder with these files and the packages that `package.json`, the first of them, asks for.
pub(crate) fn installed(name: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    let folder = cache_folder()?.join(name);
    fs::create_dir_all(&folder)?;
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    let lock = files.iter().find(|(name, _)| *name == LOCK).map(|(_, text)| *text);
    let (done, wanted) = (folder.join("node_modules/.installed"), [files[0].1, lock.unwrap_or_default()].concat());
    if fs::read_to_string(&done).ok().as_deref() != Some(wanted.as_str()) {
        let mut npm = Command::new("npm");
        npm.args([if lock.is_some() { "ci" } else { "install" }, "--no-audit", "--no-fund", "--silent"])
            .current_dir(&folder)
            .stdin(Stdio::null());
        ensure!(
            npm.status().with_context(|| format!("{name} needs Node.js 20 with npm"))?.success(),
            "npm install failed"
        );
        fs::write(&done, wanted)?;
    }
    Ok(folder)
}
