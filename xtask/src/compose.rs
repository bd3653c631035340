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
    let mut ours = 0;
    let roles = roles(Command::new(&ubos))?;
    let missing = roles.iter().map(|role| text(&role["name"])).filter(|name| !services.contains_key(name));
    wrong.extend(missing.map(|name| format!("no service runs the role {name}")));
    for (name, service) in services.iter().filter(|(_, service)| service["image"] == "ubos") {
        ours += 1;
        let verb = words(&service["command"]);
        if let Err(error) = capture(in_container(&ubos, service, &[verb.as_slice(), &["--help".to_owned()]].concat())) {
            wrong.push(format!("{name}: ubos knows no {}: {error:#}", verb.join(" ")));
        }
        let settings = ["settings".to_owned(), "check".to_owned()];
        if let Err(error) = capture(in_container(&ubos, service, &settings)) {
            wrong.push(format!("{name}: {error:#}"));
        }
        wrong.extend(unreachable(name, service, &roles_as(&ubos, service)?));
    }
    wrong.extend(nats_variables(workspace, &services["nats"])?);
    wrong.extend(toolchain(workspace)?);
    if !wrong.is_empty() {
        bail!("deploy:\n  {}", wrong.join("\n  "));
    }
    println!("{} services, {ours} of them ours, each with settings that it takes", services.len());
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

/// What the binary says of its roles.
fn roles(mut ubos: Command) -> Result<Vec<Value>> {
    ubos.args(["roles", "--json"]);
    let answer: Value = serde_json::from_str(&capture(ubos)?).context("`ubos roles` answers in one envelope")?;
    answer["data"].as_array().cloned().context("`ubos roles` lists the roles")
}

/// The same with a service's settings; nothing where it cannot read those, which is said elsewhere.
fn roles_as(ubos: &Path, service: &Value) -> Result<Vec<Value>> {
    roles(in_container(ubos, service, &[]))
}

/// What is wrong with the port of a service that runs a role: it publishes the one that the role answers on, and no other. `roles`
/// are as its settings make them.
fn unreachable(name: &str, service: &Value, roles: &[Value]) -> Vec<String> {
    let published: Vec<String> =
        words(&service["ports"]).iter().filter_map(|port| port.rsplit(':').next().map(str::to_owned)).collect();
    let verb = words(&service["command"]);
    let role = roles.iter().find(|role| verb.first().is_some_and(|verb| role["name"] == **verb));
    let bind = role.and_then(|role| role["bind"].as_str());
    let heard = bind.and_then(|bind| bind.strip_prefix("0.0.0.0:")).map(str::to_owned);
    let deaf = published.iter().filter(|port| Some(*port) != heard.as_ref());
    let mut wrong: Vec<String> =
        deaf.map(|port| format!("{name} publishes the port {port}, on which nothing listens")).collect();
    wrong.extend(heard.filter(|port| !published.contains(port)).map(|port| format!("{name} does not publish {port}")));
    wrong.extend(role.filter(|role| role["wanted"] == false).map(|_| format!("{name} is not set up by its settings")));
    wrong
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_publishes_the_port_of_its_role_and_no_other() {
        let roles = |bind: &str, wanted: bool| [json!({ "name": "relay", "bind": bind, "wanted": wanted })];
        let service = |port: &str| json!({ "command": ["relay"], "ports": [format!("127.0.0.1:{port}:{port}")] });
        let heard = roles("0.0.0.0:21402", true);
        assert_eq!(unreachable("relay", &service("21402"), &heard), [""; 0]);
        assert_eq!(unreachable("relay", &service("21403"), &heard).len(), 2, "a deaf port, and one that is missing");
        assert_eq!(unreachable("relay", &json!({ "command": ["relay"] }), &heard), ["relay does not publish 21402"]);
        assert_eq!(unreachable("relay", &service("21402"), &roles("127.0.0.1:21402", true)).len(), 1);
        assert_eq!(unreachable("relay", &service("21402"), &roles("0.0.0.0:21402", false)).len(), 1);
        assert_eq!(unreachable("migrate", &json!({ "command": ["migrate"] }), &heard), [""; 0]);
    }
}
