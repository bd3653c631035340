//! Each role is a process of its own, as in production.

use super::ROLE_PATIENCE;
use super::plan::{Ports, Role};
use crate::steps::step;
use anyhow::Result;
use local_servers::{Dirs, Launch, Process, http_get};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

const READY_PATIENCE: Duration = Duration::from_secs(60);

/// Changes when the binary or its settings do.
pub fn fingerprint(ubos: &Path, config: &Path) -> Result<String> {
    let binary = fs::metadata(ubos)?;
    let mut hasher = DefaultHasher::new();
    (binary.len(), binary.modified()?.duration_since(UNIX_EPOCH)?, fs::read(config)?).hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

/// Keeps a role that runs the same binary with the same settings, replaces any other, and waits until it is ready.
pub fn ensure(role: &Role, dirs: &Dirs, ports: &Ports, fingerprint: &str, command: Command) -> Result<()> {
    let port = ports.of(role);
    step(&format!("{} on 127.0.0.1:{port}", role.name), |spinner| {
        let (log, record) = (dirs.log(role.name), dirs.record(role.name));
        let mut process = match Process::recorded(role.name, &record) {
            Some(process) if process.fingerprint() == fingerprint => {
                spinner.set_message(format!("{} on 127.0.0.1:{port} runs already", role.name));
                process
            }
            old => {
                if let Some(mut old) = old {
                    spinner
                        .set_message(format!("{} on 127.0.0.1:{port} is replaced: something new was built", role.name));
                    old.stop("TERM", ROLE_PATIENCE)?;
                }
                let name = role.name.to_owned();
                Process::start(
                    &Launch { name, log: log.clone(), record, fingerprint: fingerprint.to_owned() },
                    command,
                )?
            }
        };
        process.wait_until(READY_PATIENCE, &log, || http_get(port, "/ready").is_ok_and(|(status, _)| status == 200))
    })
}
