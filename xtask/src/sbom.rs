//! `cargo xtask sbom`: what the product is made of, as CycloneDX.

use crate::command::{self, Workspace};
use crate::steps::step;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The tool and the version that writes it.
const TOOL: (&str, &str) = ("cargo-cyclonedx", "0.5.9");

/// Where it is written to.
#[derive(Args)]
pub struct SbomArguments {
    /// The file; `target/ubos.cdx.json` unless given.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Writes the bill of materials of the binary `ubos`, and fails if it names anything that the lock file does not.
pub fn write(workspace: &Workspace, arguments: &SbomArguments) -> Result<ExitCode> {
    let folder = local_servers::cache_folder()?.join(format!("{}-{}", TOOL.0, TOOL.1));
    let tool = folder.join("bin").join(TOOL.0);
    if !tool.exists() {
        step("cargo-cyclonedx is installed", |_| {
            let mut install =
                workspace.cargo(&["install", TOOL.0, "--version", TOOL.1, "--locked", "--quiet", "--root"]);
            // A target folder that others build into would make each other's artefacts stale.
            install.arg(&folder).env_remove("CARGO_TARGET_DIR");
            command::run_ok(install)
        })?;
    }
    let mut run = Command::new(&tool);
    run.current_dir(&workspace.root).args(["cyclonedx", "--manifest-path", "server/Cargo.toml"]);
    run.args(["--format", "json", "--spec-version", "1.5", "--target", "all", "--override-filename", "ubos.cdx"]);
    command::run_ok(run)?;
    let made = written(workspace)?;
    let text = fs::read_to_string(&made)?;
    fs::remove_file(&made)?;
    let materials: Value = serde_json::from_str(&text).context("what cargo-cyclonedx wrote")?;
    let count = compare(workspace, &materials)?;
    let out = arguments.out.clone().unwrap_or_else(|| workspace.root.join("target/ubos.cdx.json"));
    fs::create_dir_all(out.parent().context("a path without a folder")?)?;
    fs::write(&out, text)?;
    println!("{count} components in {}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// cargo-cyclonedx writes one for every member of the workspace, beside its manifest; the server's is the product's.
fn written(workspace: &Workspace) -> Result<PathBuf> {
    let metadata = workspace.metadata()?;
    let ours = metadata["packages"].as_array().into_iter().flatten().filter(|package| package["source"].is_null());
    let (mut server, folder) = (None, workspace.root.join("server"));
    for manifest in ours.filter_map(|package| package["manifest_path"].as_str()) {
        let file = Path::new(manifest).with_file_name("ubos.cdx.json");
        if file.parent() == Some(folder.as_path()) {
            server = file.exists().then_some(file);
        } else if file.exists() {
            fs::remove_file(file)?;
        }
    }
    server.context("cargo-cyclonedx wrote nothing for the server")
}

/// Every component is in the lock file, in the same version; answers how many there are.
fn compare(workspace: &Workspace, materials: &Value) -> Result<usize> {
    let lock: toml::Value = toml::from_str(&fs::read_to_string(workspace.root.join("Cargo.lock"))?)?;
    let packages = lock.get("package").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let text = |package: &toml::Value, field: &str| {
        package.get(field).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    };
    let locked: BTreeSet<(String, String)> =
        packages.iter().map(|package| (text(package, "name"), text(package, "version"))).collect();
    let components = materials["components"].as_array().cloned().unwrap_or_default();
    let of = |component: &Value, field: &str| component[field].as_str().unwrap_or_default().to_owned();
    let unknown = components.iter().map(|component| (of(component, "name"), of(component, "version")));
    let unknown: Vec<_> = unknown.filter(|component| !locked.contains(component)).collect();
    if components.len() < 100 || !unknown.is_empty() {
        bail!("{} components, of which the lock file does not know {unknown:?}", components.len());
    }
    Ok(components.len())
}
