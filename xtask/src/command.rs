//! Runs cargo and our own binary, and ends them properly when we are interrupted.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long an interrupted command may take to end.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(10);

/// The checkout.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its root folder.
    pub root: PathBuf,
}

/// How the binary is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build.
    Debug,
    /// Quick to run.
    Release,
}

impl Workspace {
    /// Cargo says where we are.
    pub fn find() -> Result<Self> {
        let here = std::env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
        let root = Path::new(&here).parent().context("xtask has no parent folder")?.to_owned();
        Ok(Self { root })
    }

    /// `cargo`, in the root of the workspace.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(arguments).current_dir(&self.root);
        // Set for us by `cargo run`; cargo and build scripts below would take them for their own.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_BIN_") {
                cargo.env_remove(name);
            }
        }
        cargo
    }

    /// What cargo knows about the packages and their dependencies.
    pub fn metadata(&self) -> Result<Value> {
        let output = self.cargo(&["metadata", "--format-version", "1"]).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            bail!("cargo metadata failed");
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Builds a binary and says where it is.
    ///
    /// The whole workspace is selected, so that features come out as `cargo test --workspace` has them and nothing is
    /// built twice; only what the binary needs is compiled.
    pub fn build(&self, binary: &str, profile: Profile) -> Result<PathBuf> {
        self.build_with(binary, profile, &[])
    }

    /// The same with more arguments for cargo.
    pub fn build_with(&self, binary: &str, profile: Profile, more: &[&str]) -> Result<PathBuf> {
        self.build_target("--bin", binary, profile, more)
    }

    /// The same of an example: a program of developers that is no part of what is shipped.
    pub fn build_example(&self, example: &str) -> Result<PathBuf> {
        self.build_target("--example", example, Profile::Debug, &[])
    }

    fn build_target(&self, kind: &str, binary: &str, profile: Profile, more: &[&str]) -> Result<PathBuf> {
        let mut cargo = self.cargo(&["build", "--workspace", kind, binary]);
        cargo.args(more);
        cargo.arg("--message-format=json-render-diagnostics");
        if profile == Profile::Release {
            cargo.arg("--release");
        }
        let output = capture(cargo).with_context(|| format!("building {binary}"))?;
        for line in output.lines() {
            let message: Value = serde_json::from_str(line)?;
            if message["reason"] == "compiler-artifact"
                && message["target"]["name"] == binary
                && let Some(file) = message["executable"].as_str()
            {
                return Ok(PathBuf::from(file));
            }
        }
        bail!("cargo built no binary {binary}")
    }
}

/// Notes Ctrl-C, SIGTERM and a closed terminal instead of ending at once, so that servers are stopped first.
pub fn watch_for_interrupts() {
    std::thread::spawn(|| -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut hang_up = signal(SignalKind::hangup())?;
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
                INTERRUPTED.store(true, Ordering::SeqCst);
            }
        })
    });
}

/// Whether somebody wants us to end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// An error if somebody wants us to end.
pub fn stop_if_interrupted() -> Result<()> {
    if interrupted() {
        bail!("interrupted");
    }
    Ok(())
}

/// Runs a command to its end, with its output on ours.
pub fn run(command: Command) -> Result<ExitStatus> {
    let mut command = command;
    wait(start(&mut command)?)
}

/// Runs a command and fails unless it succeeds.
pub fn run_ok(command: Command) -> Result<()> {
    let words = words(&command);
    let status = run(command)?;
    if !status.success() {
        bail!("`{words}` failed ({status})");
    }
    Ok(())
}

/// Runs a command that must succeed, and returns what it printed.
pub fn capture(command: Command) -> Result<String> {
    let mut command = command;
    let words = words(&command);
    command.stdout(Stdio::piped());
    let mut child = start(&mut command)?;
    let mut output = child.stdout.take().context("no output to read")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut output, &mut text).map(|_| text)
    });
    let status = wait(child)?;
    if !status.success() {
        bail!("`{words}` failed ({status})");
    }
    Ok(reader.join().map_err(|_| anyhow::anyhow!("reading the output failed"))??)
}

/// The exit code that says the same to whoever called us.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// In a process group of its own: Ctrl-C reaches us alone, and we end the command with everything it started.
fn start(command: &mut Command) -> Result<Child> {
    stop_if_interrupted()?;
    command.stdin(Stdio::null()).process_group(0);
    command.spawn().with_context(|| format!("starting {:?}", command.get_program()))
}

fn wait(mut child: Child) -> Result<ExitStatus> {
    let mut deadline: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            stop_if_interrupted()?;
            return Ok(status);
        }
        match deadline {
            None if interrupted() => {
                signal_group("TERM", &child);
                deadline = Some(Instant::now() + INTERRUPT_PATIENCE);
            }
            Some(deadline) if Instant::now() > deadline => signal_group("KILL", &child),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal_group(signal: &str, leader: &Child) {
    let kill = format!("kill -{signal} -- -{}", leader.id());
    Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status().ok();
}

fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy());
    words.collect::<Vec<_>>().join(" ")
}
