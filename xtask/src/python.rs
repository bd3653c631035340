//! Python programs in environments of their own, with what their `requirements.txt` asks for.

use crate::command;
use crate::steps::step;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python of an environment of this name, with what the file `requirements` asks for installed.
pub fn environment(name: &str, requirements: &Path) -> Result<PathBuf> {
    let environment = local_servers::cache_folder()?.join(name);
    let (python, installed) = (environment.join("bin/python"), environment.join("installed.txt"));
    let wanted = fs::read(requirements)?;
    // Written last: without it an earlier installation was cut off.
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    step(&format!("what {name} needs is installed"), |_| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&environment);
        command::run_ok(venv)?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
        command::run_ok(pip)
    })?;
    fs::write(&installed, wanted)?;
    Ok(python)
}
