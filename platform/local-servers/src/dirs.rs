//! Where servers keep data, logs and process records.

use crate::process::Process;
use crate::user;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What throw-away folders begin with, so that leftovers are found.
const THROWAWAY_PREFIX: &str = "ubos-throwaway-";

/// A folder for servers. A kept one outlives us with its servers; a throw-away one ends with its last user.
#[derive(Debug, Clone)]
pub struct Dirs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    throwaway: bool,
}

impl Dirs {
    /// A folder that stays; its servers run on when we end.
    pub fn kept(root: &Path) -> Result<Self> {
        Self::make(root.to_owned(), false)
    }

    /// A fresh folder that goes with its last server; its servers stop when their value is dropped.
    pub fn throwaway() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let me = std::process::id();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("{THROWAWAY_PREFIX}{me}-{count}"));
        if root.exists() {
            // Left by a process that once had our number.
            fs::remove_dir_all(&root).ok();
        }
        Self::make(root, true)
    }

    fn make(root: PathBuf, throwaway: bool) -> Result<Self> {
        for folder in ["log", "run"] {
            fs::create_dir_all(root.join(folder)).with_context(|| format!("making {}", root.join(folder).display()))?;
        }
        // Others may pass through (PostgreSQL runs as another user when we are root) but not look around.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o711))?;
        let root = root.canonicalize()?;
        Ok(Self(Arc::new(Inner { root, throwaway })))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// The log file of a process.
    pub fn log(&self, name: &str) -> PathBuf {
        self.0.root.join("log").join(format!("{name}.log"))
    }

    /// The process record of a process.
    pub fn record(&self, name: &str) -> PathBuf {
        self.0.root.join("run").join(format!("{name}.json"))
    }

    /// The processes that have a record, running or not.
    pub fn recorded(&self) -> Vec<String> {
        let records = std::fs::read_dir(self.0.root.join("run")).into_iter().flatten().flatten();
        let names = records.filter_map(|record| record.file_name().to_str()?.strip_suffix(".json").map(str::to_owned));
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn is_throwaway(&self) -> bool {
        self.0.throwaway
    }

    /// A data folder of our own user.
    pub(crate) fn data(&self, name: &str) -> Result<PathBuf> {
        let folder = self.0.root.join(name);
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        Ok(folder)
    }

    /// A data folder that `user` owns and can reach.
    ///
    /// A checkout below root's home cannot be reached by an unprivileged user, and opening that home for everybody is not
    /// ours to do. Then the folder is made under /var/lib with a link from where it belongs; /tmp would lose it at a reboot.
    pub(crate) fn data_of(&self, name: &str, user: Option<&user::User>) -> Result<PathBuf> {
        let Some(user) = user else { return self.data(name) };
        let here = self.0.root.join(name);
        if user::can_pass(&self.0.root) {
            fs::create_dir_all(&here)?;
            user.own(&here)?;
            return Ok(here);
        }
        let there = Path::new("/var/lib").join(format!("ubos-{:016x}", fnv1a(here.as_os_str().as_encoded_bytes())));
        if !here.is_symlink() {
            // Without the link nobody knows this data any more: the state folder was removed by hand.
            fs::remove_dir_all(&there).ok();
            fs::create_dir_all(&there)?;
            symlink(&there, &here)?;
        }
        fs::create_dir_all(&there)?;
        user.own(&there)?;
        Ok(there)
    }

    /// A password that stays the same as long as this folder; random, because other users of the machine reach the ports too.
    pub fn password(&self, name: &str) -> Result<String> {
        self.secret(name, || {
            let mut random = [0u8; 16];
            std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut random)?;
            Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
        })
    }

    /// What was made the first time that a secret of this name was asked for.
    pub(crate) fn secret(&self, name: &str, make: impl FnOnce() -> Result<String>) -> Result<String> {
        let file = self.data("secrets")?.join(name);
        if let Ok(secret) = fs::read_to_string(&file) {
            return Ok(secret);
        }
        let secret = make()?;
        fs::write(&file, &secret)?;
        Ok(secret)
    }

    /// Removes the folder with everything that its links point to. Stop the servers first.
    pub fn remove(&self) -> Result<()> {
        remove_with_links(&self.0.root)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.throwaway {
            remove_with_links(&self.root).ok();
        }
    }
}

/// Stops the servers and removes the folders of earlier runs that were killed before they could.
pub fn sweep_leftovers() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(|name| name.strip_prefix(THROWAWAY_PREFIX)) else { continue };
        let pid = owner.split('-').next().unwrap_or_default();
        // A process number that is in use again only delays the sweep.
        if Path::new("/proc").join(pid).exists() {
            continue;
        }
        for record in fs::read_dir(entry.path().join("run")).into_iter().flatten().flatten() {
            let name = record.file_name().to_string_lossy().into_owned();
            if let Some(mut process) = Process::recorded(&name, &record.path()) {
                process.stop("TERM", Duration::from_secs(5)).ok();
            }
        }
        remove_with_links(&entry.path()).ok();
    }
}

fn remove_with_links(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root)?.flatten() {
        if entry.path().is_symlink()
            && let Ok(target) = fs::read_link(entry.path())
        {
            fs::remove_dir_all(target).ok();
        }
    }
    fs::remove_dir_all(root).with_context(|| format!("removing {}", root.display()))
}

/// A short, stable name for something long. Not a defence against anybody.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
