//! Each role is a process of its own, as in production.

use super::ROLE_PATIENCE;
use crate::command::capture;
use crate::steps::step;
use anyhow::{Context, Result};
use local_servers::{Dirs, Launch, Process, http_get};
use serde::Deserialize;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

const READY_PATIENCE: Duration = Duration::from_secs(60);

/// A role, as `ubos roles` tells it with the settings of a stack.
#[derive(Debug, Deserialize)]
pub struct Role {
    /// The subcommand of `ubos`, and its name everywhere else.
    pub name: String,
    /// Where it answers.
    pub bind: SocketAddr,
    /// Is it set up?
    pub wanted: bool,
}

/// Every role that is set up. Readers before writers, so that the first event already finds everybody.
pub fn wanted(mut ubos: Command) -> Result<Vec<Role>> {
    #[derive(Deserialize)]
    struct Answer {
        data: Vec<Role>,
    }
    let text = capture({
        ubos.args(["roles", "--json"]);
        ubos
    })?;
    let Answer { data } = serde_json::from_str(&text).context("`ubos roles` answers in one envelope")?;
    Ok(data.into_iter().rev().filter(|role| role.wanted).collect())
}

/// Changes when the binary or its settings do.
pub fn fingerprint(ubos: &Path, config: &Path) -> Result<String> {
    let binary = fs::metadata(ubos)?;
    let mut hasher = DefaultHasher::new();
    (binary.len(), binary.modified()?.duration_since(UNIX_EPOCH)?, fs::read(config)?).hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

/// Keeps a role that runs the same binary with the same settings, replaces any other, and waits until it is ready.
pub fn ensure(role: &Role, dirs: &Dirs, fingerprint: &str, command: Command) -> Result<()> {
    let Role { name, bind, .. } = role;
    step(&format!("{name} on {bind}"), |spinner| {
        let (log, record) = (dirs.log(name), dirs.record(name));
        let mut process = match Process::recorded(name, &record) {
            Some(process) if process.fingerprint() == fingerprint => {
                spinner.set_message(format!("{name} on {bind} runs already"));
                process
            }
            old => {
                if let Some(mut old) = old {
                    spinner.set_message(format!("{name} on {bind} is replaced: something new was built"));
                    old.stop("TERM", ROLE_PATIENCE)?;
                }
                let name = name.to_owned();
                Process::start(
                    &Launch { name, log: log.clone(), record, fingerprint: fingerprint.to_owned() },
                    command,
                )?
            }
        };
        process
            .wait_until(READY_PATIENCE, &log, || http_get(bind.port(), "/ready").is_ok_and(|(status, _)| status == 200))
    })
}
