//! Peers that are no crates: installed by npm into a folder of the bench's own, never into the project.

use crate::record::Sample;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FILES: [(&str, &str); 5] = [
    ("package.json", include_str!("package.json")),
    ("lib.mjs", include_str!("lib.mjs")),
    ("dbos.mjs", include_str!("dbos.mjs")),
    ("express.mjs", include_str!("express.mjs")),
    ("emmett.mjs", include_str!("emmett.mjs")),
];

/// What a peer's program prints as its last line.
#[derive(Deserialize)]
struct Printed {
    rate: f64,
    latencies: Vec<f64>,
    errors: u64,
}

/// Workflow runs of four steps by DBOS.
pub async fn dbos(database: &str, at_once: usize, seconds: u64) -> Result<Sample> {
    run("dbos.mjs", database, &[at_once.to_string(), seconds.to_string()]).await
}

/// Events per second of Emmett's projector, over the events that it appends itself the first time.
pub async fn emmett(database: &str, seconds: u64) -> Result<Sample> {
    run("emmett.mjs", database, &[seconds.to_string()]).await
}

async fn run(program: &'static str, database: &str, arguments: &[String]) -> Result<Sample> {
    let folder = installed()?;
    let mut command = Command::new("node");
    command
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .env("DATABASE_URL", database)
        .env("NODE_ENV", "production");
    let output = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output()).await??;
    let text = String::from_utf8_lossy(&output.stdout);
    let printed = text.lines().rev().find_map(|line| serde_json::from_str::<Printed>(line).ok());
    let printed = printed.with_context(|| format!("{program}: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    Ok(Sample { value: printed.rate, latencies: printed.latencies, errors: printed.errors })
}

/// The same questions answered by Express and pg; killed when dropped.
#[derive(Debug)]
pub struct Express(Child);

impl Express {
    /// Starts it and waits until it answers.
    pub async fn start(address: SocketAddr, database: &str, jwks: &Path) -> Result<Self> {
        let mut command = Command::new("node");
        command.arg("express.mjs").current_dir(installed()?).env("DATABASE_URL", database).env("JWKS", jwks);
        command.env("PORT", address.port().to_string()).env("NODE_ENV", "production").stdin(Stdio::null());
        let started = Self(command.spawn()?);
        let (http, begun) = (reqwest::Client::new(), Instant::now());
        while !http.get(format!("http://{address}/ready")).send().await.is_ok_and(|answer| answer.status() == 200) {
            ensure!(begun.elapsed() < Duration::from_secs(20), "Express does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(started)
    }
}

impl Drop for Express {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The folder with the programs and everything that they need.
fn installed() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let folder = cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("ubos/bench-peers");
    let wanted = folder.join("node_modules/.installed");
    let current = std::fs::read_to_string(&wanted).ok();
    std::fs::create_dir_all(&folder)?;
    for (name, text) in FILES {
        std::fs::write(folder.join(name), text)?;
    }
    let package = FILES[0].1;
    if current.as_deref() != Some(package) {
        eprintln!("  installing the peers into {}", folder.display());
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--silent"]).current_dir(&folder).stdin(Stdio::null());
        ensure!(npm.status().context("the peers need node and npm")?.success(), "npm install failed");
        std::fs::write(wanted, package)?;
    }
    Ok(folder)
}
