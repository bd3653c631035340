//! A mail server from npm that delivers nothing and shows everything, for development.

use crate::dirs::Dirs;
use crate::net::http_get;
use crate::npm;
use crate::process::{Launch, Process};
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

const NAME: &str = "maildev";
const START_PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const FILES: [(&str, &str); 1] = [("package.json", include_str!("maildev/package.json"))];

/// A mail server whose emails are read in a browser.
#[derive(Debug)]
pub struct Maildev {
    /// Where emails are handed in.
    pub smtp_url: String,
    /// Where they are read.
    pub url: String,
    _process: Process,
}

impl Maildev {
    /// Installs it if it is not there, and starts it, or takes over the one that an earlier run started in the same folder.
    pub fn start(dirs: &Dirs, smtp: u16, web: u16) -> Result<Self> {
        let fingerprint = format!("{:016x}", crate::dirs::fnv1a(format!("{FILES:?} {smtp} {web}").as_bytes()));
        let process = match Process::recorded(NAME, &dirs.record(NAME)) {
            Some(process) if process.fingerprint() == fingerprint => process,
            other => {
                if let Some(mut other) = other {
                    other.stop("TERM", STOP_PATIENCE)?;
                }
                launch(dirs, smtp, web, fingerprint)?
            }
        };
        let (smtp_url, url) = (format!("smtp://127.0.0.1:{smtp}"), format!("http://127.0.0.1:{web}"));
        Ok(Self { smtp_url, url, _process: process })
    }
}

fn launch(dirs: &Dirs, smtp: u16, web: u16, fingerprint: String) -> Result<Process> {
    let folder = npm::installed(NAME, &FILES)?;
    let mut command = Command::new("node");
    command.arg("node_modules/.bin/maildev").current_dir(folder);
    // It would listen on every address otherwise.
    command.args([
        "--ip",
        "127.0.0.1",
        "--smtp",
        &smtp.to_string(),
        "--web-ip",
        "127.0.0.1",
        "--web",
        &web.to_string(),
    ]);
    command.arg("--mail-directory").arg(dirs.data(NAME)?);
    let log = dirs.log(NAME);
    let launch =
        Launch { name: "the mail server".to_owned(), log: log.clone(), record: dirs.record(NAME), fingerprint };
    let mut process = Process::start(&launch, command)?;
    process.wait_until(START_PATIENCE, &log, || http_get(web, "/api/email").is_ok_and(|(status, _)| status == 200))?;
    Ok(process)
}
