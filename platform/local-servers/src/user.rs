//! The unprivileged user that PostgreSQL insists on.

use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// An account of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Whom PostgreSQL runs as: nobody else unless we are root, otherwise the account that Debian's package makes.
    pub(crate) fn for_postgres() -> Result<Option<Self>> {
        if !is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        let find = |name: &str| {
            let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
        };
        let user = find("postgres").or_else(|| find("nobody"));
        user.map(Some).context("PostgreSQL does not run as root, and this machine has no user \"postgres\"")
    }

    /// Makes `command` run as this user. The standard library also drops root's groups. Not `runuser`, whose process
    /// would stand between us and the postmaster, so that its number were not the one we started.
    pub(crate) fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a folder to this user alone.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid)).with_context(|| format!("giving {} away", path.display()))?;
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
    }
}

/// Whether we are root. The owner of our own entry in /proc is our effective user.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// Whether any user may pass through every folder down to `path`.
pub(crate) fn can_pass(path: &Path) -> bool {
    path.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o001 != 0))
}
