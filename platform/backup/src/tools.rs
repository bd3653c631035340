//! PostgreSQL's own programs, and the account they run as.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Where the programs are, and who runs a server.
#[derive(Debug, Clone)]
pub struct Tools {
    bin: PathBuf,
    /// Only for root, as which PostgreSQL does not run.
    account: Option<(u32, u32)>,
}

impl Tools {
    /// The programs in `bin`, or the newest of this machine. Root names the account that servers run as.
    pub fn find(bin: Option<PathBuf>, account: &str) -> Result<Self> {
        let bin = bin.or_else(newest).context("PostgreSQL's programs are not on this machine; name their folder")?;
        for program in ["pg_basebackup", "pg_verifybackup", "pg_archivecleanup"] {
            ensure!(bin.join(program).is_file(), "{program} is not in {}", bin.display());
        }
        let account = if is_root() { Some(ids(account)?) } else { None };
        Ok(Self { bin, account })
    }

    /// A program as ourselves.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        // Messages are read, so they must not be translated; a role's settings are no tool's business.
        command.env("LC_ALL", "C").env_remove("PGDATA").env_remove("PGPORT").env_remove("PGHOST").current_dir("/");
        command
    }

    /// A program as the account that servers run as.
    pub(crate) fn command_as_account(&self, program: &str) -> Command {
        let mut command = self.command(program);
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives a file or folder to that account.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        let Some((uid, gid)) = self.account else { return Ok(()) };
        chown(path, Some(uid), Some(gid)).with_context(|| format!("giving {} to the server", path.display()))
    }

    /// Whether that account may read a folder.
    pub(crate) async fn can_read(&self, folder: &Path) -> bool {
        let mut list = Command::new("ls");
        if let Some((uid, gid)) = self.account {
            list.uid(uid).gid(gid);
        }
        let output = list.arg(folder).current_dir("/").output().await;
        output.is_ok_and(|output| output.status.success())
    }

    /// First part of the programs' version: 15.
    pub(crate) async fn major(&self) -> Result<String> {
        let text = run(self.command("postgres").arg("--version")).await?;
        let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        Ok(number.and_then(|number| number.split('.').next()).unwrap_or_default().to_owned())
    }
}

/// Do we run as root?
pub(crate) fn is_root() -> bool {
    // The owner of our own entry in /proc is our effective user.
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// Runs a command to its end; its complaint if it fails.
pub(crate) async fn run(command: &mut Command) -> Result<String> {
    let program = Path::new(command.as_std().get_program()).file_name().map(OsStr::to_owned).unwrap_or_default();
    let program = program.to_string_lossy().into_owned();
    let output = command.output().await.with_context(|| format!("running {program}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{program}: {}", text.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Debian keeps server programs off the PATH, one folder per version.
fn newest() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("pg_basebackup").is_file())
        .collect();
    versions.sort();
    let packaged = versions.pop().map(|(_, bin)| bin);
    let path = std::env::var_os("PATH")?;
    packaged.or_else(|| std::env::split_paths(&path).find(|folder| folder.join("pg_basebackup").is_file()))
}

fn ids(account: &str) -> Result<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd")?;
    let line = accounts.lines().find(|line| line.split(':').next() == Some(account));
    let mut fields =
        line.with_context(|| format!("there is no user {account:?} to run PostgreSQL as"))?.split(':').skip(2);
    let mut id = || fields.next().and_then(|field| field.parse().ok()).context("/etc/passwd");
    Ok((id()?, id()?))
}
