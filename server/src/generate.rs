//! `ubos gen`: rewrites every file that is generated from the code.

use crate::output::{Done, Output, say};
use anyhow::{Context, Result};
use serde_json::json;
use std::fs;
use std::path::Path;

/// Writes below `root`; files that would not change are left alone.
pub fn write(root: &Path, out: &Output) -> Result<Done> {
    let mut written = vec![];
    catalogue::write(root).context("event-schemas")?;
    let mut files = vec![
        ("docs/openapi/query.json", pretty(&crate::documents::queries())?),
        ("docs/openapi/command.json", pretty(&crate::documents::commands(&crate::documents::every_command()))?),
        ("docs/reference/roles.md", crate::reference::roles()),
        ("docs/reference/statuses.md", crate::reference::statuses()),
        ("deploy/config.default.toml", runtime::settings::documented_defaults()),
        ("domain/kernel/src/member.rs", registry::member_source()),
        ("workflow-engine/definition.schema.json", pretty(&workflow_engine::definition_schema())?),
    ];
    files.sort_unstable();
    for (path, content) in files {
        let file = root.join(path);
        if fs::read_to_string(&file).is_ok_and(|old| old == content) {
            continue;
        }
        fs::create_dir_all(file.parent().context("a path without a folder")?)?;
        fs::write(&file, content).with_context(|| format!("writing {path}"))?;
        say!(out, "wrote {path}");
        written.push(path);
    }
    Done::with(json!({ "written": written }))
}

fn pretty(value: &serde_json::Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
