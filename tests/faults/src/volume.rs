//! Disks of a size that can be filled: an ext4 file system in a file, or a tmpfs where there are no loop devices.

use anyhow::{Context, Result, bail};
use local_servers::Dirs;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BALLAST: &str = ".ballast";

/// A mounted file system of limited size. Unmounted with its value, which therefore must go after its server.
#[derive(Debug)]
pub struct Volume {
    /// What it is, for the report.
    pub kind: &'static str,
    mounted: PathBuf,
    image: Option<PathBuf>,
    // Its folder goes with its last user, and can only go when nothing is mounted in it any more.
    _dirs: Dirs,
}

impl Volume {
    /// Mounts one where the server `name` of `dirs` will keep its data. `None` where we may not mount.
    ///
    /// A loop device is the better one: its data is on the real disk, so that a sync costs what it costs.
    pub fn mount(dirs: &Dirs, name: &str, loop_gib: u64, tmpfs_gib: u64) -> Result<Option<Self>> {
        let mounted = dirs.root().join(name);
        let image = dirs.root().join(format!("{name}.img"));
        fs::create_dir_all(&mounted)?;
        let made = fs::File::create(&image)?.set_len(loop_gib << 30).is_ok()
            && run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image)).is_ok()
            && run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mounted)).is_ok();
        if made {
            // PostgreSQL takes no folder that has anything in it.
            fs::remove_dir(mounted.join("lost+found")).ok();
            return Ok(Some(Self { kind: "ext4 in a file", mounted, image: Some(image), _dirs: dirs.clone() }));
        }
        fs::remove_file(&image).ok();
        let size = format!("size={tmpfs_gib}g");
        if run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&mounted)).is_ok() {
            return Ok(Some(Self { kind: "tmpfs", mounted, image: None, _dirs: dirs.clone() }));
        }
        Ok(None)
    }

    /// Takes all the space that is left.
    pub fn fill(&self) -> Result<u64> {
        let ballast = self.mounted.join(BALLAST);
        fs::File::create(&ballast)?;
        // In steps, because a request for more than there is gets nothing.
        for step in ["1G", "100M", "10M", "1M", "64K", "4K"] {
            loop {
                let size = fs::metadata(&ballast)?.len();
                let mut grow = Command::new("fallocate");
                grow.args(["--offset", &size.to_string(), "--length", step]).arg(&ballast);
                if run(&mut grow).is_err() {
                    break;
                }
            }
        }
        Ok(fs::metadata(&ballast)?.len())
    }

    /// Gives it back.
    pub fn free(&self) -> Result<()> {
        match fs::remove_file(self.mounted.join(BALLAST)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        unmount(&self.mounted);
        if let Some(image) = &self.image {
            fs::remove_file(image).ok();
        }
    }
}

/// Unmounts what runs left that were killed before they could.
pub fn sweep() {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    for mounted in mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new) {
        let owner = mounted.iter().filter_map(|part| part.to_str()?.strip_prefix("ubos-throwaway-")).next();
        let Some(pid) = owner.and_then(|owner| owner.split('-').next()) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            unmount(mounted);
        }
    }
}

/// Lazily: a process that is about to be swept may still have a file open.
fn unmount(mounted: &Path) {
    run(Command::new("umount").args(["-l"]).arg(mounted)).ok();
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("running {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
