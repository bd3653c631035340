//! `ubos completions` and `ubos man`: what shells and `man` want to know of our verbs, made from the verbs themselves.

use crate::output::{Done, Output, say};
use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;
use std::io::Write;
use std::path::Path;

/// `ubos completions`
///
/// # Errors
/// None that is known of.
pub fn completions(command: &mut Command, shell: Shell, out: &Output) -> Result<Done> {
    let mut script = vec![];
    clap_complete::generate(shell, command, "ubos", &mut script);
    let script = String::from_utf8(script).context("a script that is not text")?;
    if !out.is_json() {
        drop(std::io::stdout().lock().write_all(script.as_bytes()));
    }
    Done::with(json!({ "shell": shell.to_string(), "script": script }))
}

/// `ubos man`
///
/// # Errors
/// When the folder cannot be written.
pub fn pages(mut command: Command, to: Option<&Path>, out: &Output) -> Result<Done> {
    command.build();
    let Some(folder) = to else {
        let page = page(&command)?;
        if !out.is_json() {
            drop(std::io::stdout().lock().write_all(page.as_bytes()));
        }
        return Done::with(json!({ "page": page }));
    };
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut written = vec![];
    write(&command, folder, &mut written)?;
    written.iter().for_each(|file| say!(out, "wrote {file}"));
    Done::with(json!({ "written": written }))
}

fn page(command: &Command) -> Result<String> {
    let mut page = vec![];
    Man::new(command.clone()).render(&mut page)?;
    String::from_utf8(page).context("a page that is not text")
}

/// `ubos.1`, `ubos-relay.1`, `ubos-relay-status.1` and so on.
fn write(command: &Command, folder: &Path, written: &mut Vec<String>) -> Result<()> {
    let file = folder.join(format!("{}.1", command.get_display_name().unwrap_or_else(|| command.get_name())));
    std::fs::write(&file, page(command)?).with_context(|| format!("writing {}", file.display()))?;
    written.push(file.display().to_string());
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        write(verb, folder, written)?;
    }
    Ok(())
}
