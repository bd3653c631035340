//! A child process that outlives us if it should, and is recognised again by its record.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a process is looked at while we wait for it.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A process that we started, now or in an earlier run.
#[derive(Debug)]
pub struct Process {
    name: String,
    record_file: PathBuf,
    record: Record,
    /// Only if this very run started it; then it is ours to reap.
    child: Option<Child>,
}

/// What a process needs besides its command line.
#[derive(Debug, Clone)]
pub struct Launch {
    /// How messages call it.
    pub name: String,
    /// Where its output goes.
    pub log: PathBuf,
    /// Where it is recorded.
    pub record: PathBuf,
    /// Whatever must be the same for a later run to reuse the process, for example the binary's change time.
    pub fingerprint: String,
}

/// How a process went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It had already ended.
    Before,
    /// It followed the signal.
    Politely,
    /// It had to be killed.
    ByForce,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    pid: u32,
    /// Start time in clock ticks since boot. A process number is used again some day; together with its start time it is not.
    started: u64,
    fingerprint: String,
}

impl Process {
    /// Starts `command` in a process group of its own, so that Ctrl-C in our terminal is ours to handle.
    pub fn start(launch: &Launch, mut command: Command) -> Result<Self> {
        let name = &launch.name;
        let log = OpenOptions::new().create(true).append(true).open(&launch.log);
        let log = log.with_context(|| format!("opening the log {}", launch.log.display()))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let mut child = command.spawn().with_context(|| format!("starting {name}: {:?}", command.get_program()))?;
        let Some(stat) = Stat::of(child.id()) else {
            child.kill().ok();
            bail!("{name} ended at once; see {}", launch.log.display());
        };
        let record = Record { pid: child.id(), started: stat.started, fingerprint: launch.fingerprint.clone() };
        let process = Self { name: name.clone(), record_file: launch.record.clone(), record, child: Some(child) };
        // Written beside and renamed, so that a reader never sees half a record.
        let beside = launch.record.with_extension("new");
        fs::write(&beside, serde_json::to_vec(&process.record)?)?;
        fs::rename(&beside, &launch.record)?;
        Ok(process)
    }

    /// The process that an earlier run recorded, if it still runs.
    pub fn recorded(name: &str, record_file: &Path) -> Option<Self> {
        let record: Record = serde_json::from_slice(&fs::read(record_file).ok()?).ok()?;
        let mut process = Self { name: name.to_owned(), record_file: record_file.to_owned(), record, child: None };
        process.is_running().then_some(process)
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.record.pid
    }

    /// How messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was recorded at its start.
    pub fn fingerprint(&self) -> &str {
        &self.record.fingerprint
    }

    /// Whether it runs and is the one that we started.
    pub fn is_running(&mut self) -> bool {
        if let Some(child) = &mut self.child {
            return matches!(child.try_wait(), Ok(None));
        }
        // A zombie waits only for its parent, which may be an init that never reaps.
        Stat::of(self.record.pid).is_some_and(|stat| stat.started == self.record.started && stat.state != 'Z')
    }

    /// Sends a signal by name (`TERM`), unless the process has ended.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        if self.is_running() { send(signal, &[self.record.pid]) } else { Ok(()) }
    }

    /// Sends `signal`, waits, and kills what is left after `patience`.
    pub fn stop(&mut self, signal: &str, patience: Duration) -> Result<Gone> {
        if !self.is_running() {
            self.forget();
            return Ok(Gone::Before);
        }
        self.signal(signal)?;
        if self.wait_gone(patience) {
            self.forget();
            return Ok(Gone::Politely);
        }
        self.kill()?;
        Ok(Gone::ByForce)
    }

    /// Ends it without a chance to tidy up.
    pub fn kill(&mut self) -> Result<()> {
        self.signal("KILL")?;
        if !self.wait_gone(Duration::from_secs(10)) {
            bail!("{} (process {}) survived SIGKILL", self.name, self.record.pid);
        }
        self.forget();
        Ok(())
    }

    /// Waits until it has ended; false if it still runs after `patience`.
    pub fn wait_gone(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.is_running() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        true
    }

    /// Waits until `ready` says yes; an error if the process ends first or `patience` runs out, with the log's last lines.
    pub fn wait_until(&mut self, patience: Duration, log: &Path, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !ready() {
            if !self.is_running() {
                bail!("{} ended while starting; the end of {}:\n{}", self.name, log.display(), tail(log));
            }
            if Instant::now() >= deadline {
                let seconds = patience.as_secs();
                bail!("{} is not ready after {seconds} s; the end of {}:\n{}", self.name, log.display(), tail(log));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn forget(&self) {
        fs::remove_file(&self.record_file).ok();
    }
}

/// The direct children of a process, each with its start time.
pub(crate) fn children(parent: u32) -> Vec<(u32, u64)> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Stat::of(pid).filter(|stat| stat.parent == parent).map(|stat| (pid, stat.started))).collect()
}

/// Kills those that are still the processes they were, and waits until they are gone.
pub(crate) fn kill_all(processes: &[(u32, u64)]) -> Result<()> {
    let alive = || {
        let same = |(pid, started): &&(u32, u64)| {
            Stat::of(*pid).is_some_and(|stat| stat.started == *started && stat.state != 'Z')
        };
        processes.iter().filter(same).map(|(pid, _)| *pid).collect::<Vec<_>>()
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = alive();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("processes {left:?} survived SIGKILL");
        }
        send("KILL", &left).ok();
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// The shell's own `kill`, because the standard library sends only SIGKILL and only to children of this very run.
pub(crate) fn send(signal: &str, pids: &[u32]) -> Result<()> {
    let listed = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let status = Command::new("sh").arg("-c").arg(format!("kill -{signal} {listed}")).stderr(Stdio::null()).status()?;
    if status.success() {
        return Ok(());
    }
    // One that has ended meanwhile makes it fail for all that it says, though the others got theirs.
    let left: Vec<u32> = pids.iter().copied().filter(|pid| Stat::of(*pid).is_some()).collect();
    match left.len() {
        0 => Ok(()),
        some if some < pids.len() => send(signal, &left),
        _ => bail!("signal {signal} could not be sent to {listed}"),
    }
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// The part of `/proc/<pid>/stat` that we use.
struct Stat {
    state: char,
    parent: u32,
    started: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command name is in parentheses and may itself hold spaces and parentheses.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let state = fields.first()?.chars().next()?;
        Some(Self { state, parent: fields.get(1)?.parse().ok()?, started: fields.get(19)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_has_ended_keeps_no_signal_from_the_others() {
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let mut alive = Command::new("sleep").arg("60").spawn().unwrap();
        send("TERM", &[ended.id(), alive.id()]).unwrap();
        assert!(!alive.wait().unwrap().success());
    }
}
