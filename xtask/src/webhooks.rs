//! What we sign, verified by the official library of Standard Webhooks.

use crate::command::{Workspace, run_ok};
use crate::python;
use anyhow::Result;
use std::process::Command;

/// Signs messages and has the library verify them, and refuse what was changed.
pub fn check(workspace: &Workspace) -> Result<()> {
    let judge = workspace.root.join("integrations/webhooks/judge");
    let python = python::environment("webhooks-judge", &judge.join("requirements.txt"))?;
    let folder = local_servers::Dirs::throwaway()?;
    let messages = folder.root().join("messages.json");
    let mut write = workspace.cargo(&["run", "--quiet", "--package", "webhooks", "--example", "messages", "--"]);
    write.arg(&messages);
    run_ok(write)?;
    let mut command = Command::new(python);
    command.arg(judge.join("judge.py")).arg(&messages);
    run_ok(command)
}
