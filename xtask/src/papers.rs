//! Papers of every kind, judged by the official rules.

use crate::command::{Workspace, run_ok};
use crate::python;
use anyhow::Result;
use std::process::Command;

/// Writes papers and has them judged: XML by its schemas and the Schematron of EN 16931, PDF by QPDF.
pub fn check(workspace: &Workspace) -> Result<()> {
    let judge = workspace.root.join("integrations/papers/judge");
    let python = python::environment("papers-judge", &judge.join("requirements.txt"))?;
    let folder = local_servers::Dirs::throwaway()?;
    let papers = folder.root().join("papers");
    let mut write = workspace.cargo(&["run", "--quiet", "--package", "papers", "--example", "papers", "--"]);
    write.arg(&papers);
    run_ok(write)?;
    let mut command = Command::new(python);
    command.arg(judge.join("judge.py")).arg(&papers);
    run_ok(command)
}
