//! The clients as programs of their own: the examples of the documentation, and those that attack.

use super::Subscriber;
use super::attempts::Attempt;
use anyhow::{Context, Result, ensure};
use e2e::World;
use local_servers::{nats_node, nats_python};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// What a program is written in.
#[derive(Debug, Clone, Copy)]
pub enum Language {
    Python,
    Node,
}

const SCRIPTS: [(&str, &str); 2] = [
    ("consume.mjs", include_str!("../../../../../docs/examples/consume.mjs")),
    ("attack.mjs", include_str!("attack.mjs")),
];

fn program(world: &World, language: Language, name: &str, subscriber: &Subscriber) -> Result<Command> {
    let mut command = match language {
        Language::Node => {
            let mut command = Command::new("node");
            command.arg(nats_node(&SCRIPTS)?.join(format!("{name}.mjs")));
            command
        }
        Language::Python => {
            let here = Path::new(env!("CARGO_MANIFEST_DIR"));
            let folder =
                if name == "consume" { here.join("../../docs/examples") } else { here.join("tests/world/subscribers") };
            let mut command = Command::new(nats_python()?);
            command.arg(folder.join(format!("{name}.py")));
            command
        }
    };
    command
        .env("UBOS_NATS_URL", format!("nats://127.0.0.1:{}", world.nats.port))
        .env("UBOS_SUBSCRIBER", &subscriber.id)
        .env("UBOS_SECRET", &subscriber.secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

/// An example of the documentation at work, and every event that it said it has handled.
pub struct Reading {
    pub subscriber: Subscriber,
    seen: Arc<Mutex<Vec<Value>>>,
    _child: Child,
}

impl Reading {
    pub fn start(world: &World, language: Language, subscriber: &Subscriber) -> Result<Self> {
        let mut child = program(world, language, "consume", subscriber)?.stderr(Stdio::null()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
        let reading = Self { subscriber: subscriber.clone(), seen: seen.clone(), _child: child };
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
        });
        Ok(reading)
    }

    fn all<T>(&self, of: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(of).collect()
    }

    /// In order; a position that was handled twice is there twice.
    pub fn positions(&self) -> Vec<i64> {
        let mut positions = self.all(|event| event["position"].as_i64());
        positions.sort_unstable();
        positions
    }

    pub fn subjects(&self) -> Vec<String> {
        self.all(|event| event["subject"].as_str().map(str::to_owned))
    }

    pub async fn has_read(&self, positions: &[i64], patience: Duration) -> Result<()> {
        let begun = tokio::time::Instant::now();
        loop {
            let read = self.positions();
            let missing: Vec<_> = positions.iter().filter(|position| !read.contains(position)).collect();
            if missing.is_empty() {
                return Ok(());
            }
            ensure!(begun.elapsed() < patience, "{:?} has not read {missing:?} but {read:?}", self.subscriber);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Tries all of it over one connection; answers what became of each attempt.
pub async fn attack(
    world: &World,
    language: Language,
    subscriber: &Subscriber,
    attempts: &[Attempt],
) -> Result<Vec<String>> {
    let mut child = program(world, language, "attack", subscriber)?.spawn()?;
    let mut input = child.stdin.take().context("its input")?;
    let lines: String = attempts.iter().map(|attempt| format!("{}\n", attempt.line)).collect();
    input.write_all(lines.as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "{language:?} failed");
    let outcome = |line: &str| -> Result<String> {
        let said: Value = serde_json::from_str(line)?;
        Ok(said["outcome"].as_str().context("an outcome")?.to_owned())
    };
    String::from_utf8(output.stdout)?.lines().map(outcome).collect()
}
