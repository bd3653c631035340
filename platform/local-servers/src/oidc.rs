//! A certified OpenID provider from npm, for development and tests.

use crate::dirs::Dirs;
use crate::net::http_get;
use crate::npm;
use crate::process::{Launch, Process};
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

const NAME: &str = "oidc";
const START_PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const FILES: [(&str, &str); 2] =
    [("package.json", include_str!("oidc/package.json")), ("provider.mjs", include_str!("oidc/provider.mjs"))];

/// An OpenID provider of our own, whose login page believes everybody.
#[derive(Debug)]
pub struct Oidc {
    /// Its issuer.
    pub url: String,
    /// The secret of its client `ubos`.
    pub client_secret: String,
    dirs: Dirs,
    process: Process,
}

impl Oidc {
    /// Installs it if it is not there, and starts it, or takes over the one that an earlier run started in the same folder.
    /// It sends browsers back to `redirects` only.
    pub fn start(dirs: &Dirs, port: u16, redirects: &[String]) -> Result<Self> {
        let client_secret = dirs.password(NAME)?;
        let url = format!("http://127.0.0.1:{port}");
        let fingerprint = format!("{:016x}", crate::dirs::fnv1a(format!("{FILES:?} {port} {redirects:?}").as_bytes()));
        let process = match Process::recorded(NAME, &dirs.record(NAME)) {
            Some(process) if process.fingerprint() == fingerprint => process,
            other => {
                if let Some(mut other) = other {
                    other.stop("TERM", STOP_PATIENCE)?;
                }
                launch(dirs, port, &client_secret, redirects, fingerprint)?
            }
        };
        Ok(Self { url, client_secret, dirs: dirs.clone(), process })
    }
}

impl Drop for Oidc {
    fn drop(&mut self) {
        if self.dirs.is_throwaway() {
            self.process.kill().ok();
        }
    }
}

fn launch(dirs: &Dirs, port: u16, secret: &str, redirects: &[String], fingerprint: String) -> Result<Process> {
    let mut command = Command::new("node");
    command
        .arg("provider.mjs")
        .current_dir(npm::installed(NAME, &FILES)?)
        .env("PORT", port.to_string())
        .env("CLIENT_SECRET", secret)
        .env("REDIRECT_URIS", redirects.join(","));
    let log = dirs.log(NAME);
    let launch =
        Launch { name: "the OpenID provider".to_owned(), log: log.clone(), record: dirs.record(NAME), fingerprint };
    let mut process = Process::start(&launch, command)?;
    let ready = || http_get(port, "/.well-known/openid-configuration").is_ok_and(|(status, _)| status == 200);
    process.wait_until(START_PATIENCE, &log, ready)?;
    Ok(process)
}
