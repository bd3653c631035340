//! `deploy/compose.yaml`, as a real implementation of compose reads it, and as the binary in it will.

use crate::command::{Profile, Workspace, capture};
use crate::python;
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Stands for what `cargo xtask up` writes into `.ubos/compose.env`.
const ENVIRONMENT: [(&str, &str); 2] = [("UBOS_NATS_ISSUER", "A"), ("UBOS_NATS_ISSUER_SEED", "SA")];

/// Renders the file, then asks the binary whether each of its services could start with what it is given.
pub fn check(workspace: &Workspace) -> Result<()> {
    let rendered = render(workspace)?;
    let ubos = workspace.build("ubos", Profile::Debug)?;
    let services = rendered["services"].as_object().context("compose.yaml has no services")?;
    let mut wrong = references(&rendered, services);
    let mut roles = 0;
    for (name, service) in services.iter().filter(|(_, service)| service["image"] == "ubos") {
        roles += 1;
        let verb = words(&service["command"]);
        if let Err(error) = capture(in_container(&ubos, service, &[verb.as_slice(), &["--help".to_owned()]].concat())) {
            wrong.push(format!("{name}: ubos knows no {}: {error:#}", verb.join(" ")));
        }
        let settings = ["settings".to_owned(), "check".to_owned()];
        if let Err(error) = capture(in_container(&ubos, service, &settings)) {
            wrong.push(format!("{name}: {error:#}"));
        }
        wrong.extend(unreachable(name, service));
    }
    wrong.extend(nats_variables(workspace, &services["nats"])?);
    wrong.extend(toolchain(workspace)?);
    if !wrong.is_empty() {
        bail!("deploy:\n  {}", wrong.join("\n  "));
    }
    println!("{} services, {roles} of them ours, each with settings that it takes", services.len());
    Ok(())
}

/// What podman-compose makes of the file. It asks for podman's version before it reads anything, and for nothing else.
fn render(workspace: &Workspace) -> Result<Value> {
    let python = python::environment("compose", &workspace.root.join("deploy/compose.requirements.txt"))?;
    let folder = local_servers::Dirs::throwaway()?;
    let podman = folder.root().join("podman");
    fs::write(&podman, "#!/bin/sh\necho podman version 5.0.0\n")?;
    fs::set_permissions(&podman, fs::Permissions::from_mode(0o755))?;
    let mut command = Command::new(python);
    command.args(["-m", "podman_compose", "--podman-path"]).arg(&podman);
    command.args(["-f", "deploy/compose.yaml", "config"]).current_dir(&workspace.root).envs(ENVIRONMENT);
    let text = capture(command).context("podman-compose cannot read deploy/compose.yaml")?;
    serde_saphyr::from_str(&text).context("what podman-compose printed is no YAML")
}

/// The binary with a service's environment, and nothing of ours.
fn in_container(ubos: &Path, service: &Value, arguments: &[String]) -> Command {
    let mut command = Command::new(ubos);
    command.args(arguments).env_clear().current_dir(std::env::temp_dir());
    let environment = service["environment"].as_object().into_iter().flatten();
    command.envs(environment.map(|(name, value)| (name, text(value))));
    command
}

/// What a service depends on, or mounts from `configs` and `volumes`, has to be there.
fn references(rendered: &Value, services: &Map<String, Value>) -> Vec<String> {
    let mut wrong = vec![];
    let keys = |value: &Value| value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let (configs, volumes) = (keys(&rendered["configs"]), keys(&rendered["volumes"]));
    for (name, service) in services {
        let condition = |other: &str| service["depends_on"][other]["condition"].as_str().unwrap_or_default().to_owned();
        for other in keys(&service["depends_on"]) {
            let healthy = condition(&other) == "service_healthy";
            match services.get(&other) {
                None => wrong.push(format!("{name} depends on {other}, which is not there")),
                Some(other_service) if healthy && other_service.get("healthcheck").is_none() => {
                    wrong.push(format!("{name} waits until {other} is healthy, which has no health check"));
                }
                Some(_) => {}
            }
        }
        for config in service["configs"].as_array().into_iter().flatten() {
            let source = text(&config["source"]);
            if !configs.contains(&source) {
                wrong.push(format!("{name} mounts the config {source}, which is not there"));
            }
        }
        for volume in words(&service["volumes"]) {
            let source = volume.split(':').next().unwrap_or_default().to_owned();
            if !source.starts_with(['.', '/']) && !volumes.contains(&source) {
                wrong.push(format!("{name} mounts the volume {source}, which is not there"));
            }
        }
    }
    wrong
}

/// A port that is published and that the role does not listen on.
fn unreachable(name: &str, service: &Value) -> Vec<String> {
    let binds: Vec<String> = service["environment"].as_object().into_iter().flatten().map(|(_, v)| text(v)).collect();
    let ports = words(&service["ports"]).into_iter().filter_map(|port| port.rsplit(':').next().map(str::to_owned));
    let deaf = ports.filter(|port| !binds.contains(&format!("0.0.0.0:{port}")));
    deaf.map(|port| format!("{name} publishes the port {port}, on which nothing listens")).collect()
}

/// What `nats-accounts.conf` reads from its environment has to be in it.
fn nats_variables(workspace: &Workspace, nats: &Value) -> Result<Vec<String>> {
    let accounts = fs::read_to_string(workspace.root.join("deploy/nats-accounts.conf"))?;
    let lines = accounts.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = lines.flat_map(|line| line.split(|c: char| c.is_whitespace() || c == ','));
    let wanted = words.filter_map(|word| word.strip_prefix('$')).filter(|name| name.starts_with("UBOS_"));
    let missing = wanted.filter(|name| nats["environment"].get(*name).is_none());
    Ok(missing.map(|name| format!("nats: nats-accounts.conf wants {name}")).collect())
}

/// The image is built with the compiler that everything else is built with.
fn toolchain(workspace: &Workspace) -> Result<Vec<String>> {
    let wanted: toml::Table = fs::read_to_string(workspace.root.join("rust-toolchain.toml"))?.parse()?;
    let channel = wanted["toolchain"]["channel"].as_str().context("rust-toolchain.toml names no channel")?;
    let dockerfile = fs::read_to_string(workspace.root.join("deploy/Dockerfile"))?;
    let image = dockerfile.lines().find_map(|line| line.strip_prefix("FROM rust:")).unwrap_or_default();
    let image = image.split('-').next().unwrap_or_default();
    let same = !image.is_empty() && (channel == image || channel.starts_with(&format!("{image}.")));
    Ok(if same {
        vec![]
    } else {
        vec![format!("the Dockerfile builds with Rust {image}, everything else with {channel}")]
    })
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(text).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
