//! The lab that stands in for providers.

use super::ROLE_PATIENCE;
use super::plan::Ports;
use crate::command::{Profile, Workspace};
use crate::steps::step;
use anyhow::Result;
use local_servers::{Dirs, Launch, Process, http_get};
use std::fs;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

const READY_PATIENCE: Duration = Duration::from_secs(30);
/// As `integrations/lab` knows us.
const CLIENT: (&str, &str, &str) = ("ubos-lab", "a secret of the lab", "a webhook key of the lab");

/// What the settings say of providers where the lab stands in for them.
pub fn settings(ports: &Ports) -> Vec<(&'static str, toml::Value)> {
    let at = |provider: &str, path: &str| format!("{}/{provider}{path}", url(ports));
    let of = |provider: &str, more: (&str, String)| {
        let (id, secret, key) = CLIENT;
        let pairs = [
            ("client_id", id.to_owned()),
            ("client_secret", secret.to_owned()),
            ("webhook_key", key.to_owned()),
            ("authorise_url", at(provider, "/authorize")),
            ("token_url", at(provider, "/token")),
            more,
        ];
        toml::Value::Table(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    };
    let mut quickbooks = of("quickbooks", ("api_url", at("quickbooks", "")));
    if let toml::Value::Table(table) = &mut quickbooks {
        table.insert("revoke_url".to_owned(), at("quickbooks", "/v2/oauth2/tokens/revoke").into());
    }
    vec![
        ("docusign", of("docusign", ("userinfo_url", at("docusign", "/oauth/userinfo")))),
        ("dropbox_sign", of("dropbox_sign", ("api_url", at("dropbox_sign", "")))),
        ("quickbooks", quickbooks),
        ("xero", of("xero", ("api_url", at("xero", "")))),
    ]
}

/// Where it answers.
pub fn url(ports: &Ports) -> String {
    format!("http://127.0.0.1:{}", ports.lab)
}

/// Builds it, and keeps one that runs the same program.
pub fn ensure(workspace: &Workspace, dirs: &Dirs, ports: &Ports) -> Result<()> {
    let lab = workspace.build("lab", Profile::Debug)?;
    let made = fs::metadata(&lab)?.modified()?.duration_since(UNIX_EPOCH)?;
    let fingerprint = format!("{}-{}", made.as_nanos(), ports.lab);
    step(&format!("the lab of providers on 127.0.0.1:{}", ports.lab), |_| {
        let (log, record) = (dirs.log("lab"), dirs.record("lab"));
        let mut process = match Process::recorded("lab", &record) {
            Some(process) if process.fingerprint() == fingerprint => process,
            old => {
                if let Some(mut old) = old {
                    old.stop("TERM", ROLE_PATIENCE)?;
                }
                let mut command = Command::new(&lab);
                command.arg("--listen").arg(format!("127.0.0.1:{}", ports.lab)).current_dir(&workspace.root);
                // What firms agreed to, and what they had done there, outlives a restart as it does at the real ones.
                command.arg("--memory").arg(dirs.root().join("lab.json"));
                let launch =
                    Launch { name: "lab".to_owned(), log: log.clone(), record, fingerprint: fingerprint.clone() };
                Process::start(&launch, command)?
            }
        };
        process.wait_until(READY_PATIENCE, &log, || http_get(ports.lab, "/").is_ok_and(|(status, _)| status == 200))
    })
}
