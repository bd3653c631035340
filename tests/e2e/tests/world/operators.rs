//! What an operator sees at the command line of a running installation, and what Prometheus reads from it.

use anyhow::{Context, Result, ensure};
use e2e::World;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_how_an_installation_is() -> Result<()> {
    let world = World::start().await?;
    nothing_fresh_needs_a_replay(&world)?;
    firms_are_listed_and_shown(&world)?;
    one_screen_shows_every_queue(&world)?;
    every_verb_answers_in_one_envelope(&world)?;
    lists_have_headings_and_fit_80_columns(&world).await?;
    a_filter_of_nonsense_is_refused(&world)?;
    what_is_away_is_named(&world)?;
    metrics_are_as_prometheus_wants_them(&world).await
}

fn nothing_fresh_needs_a_replay(world: &World) -> Result<()> {
    let status = world.answer(&["projections", "status"])?;
    let groups = status["groups"].as_array().context("groups")?;
    for group in groups {
        ensure!(group["replay_needed"] == false, "{group}");
    }
    let behind = |group: &Value| group["position"].as_i64() > Some(0);
    ensure!(groups.iter().any(|group| group["group"] == "timeline" && behind(group)), "{status}");
    ensure!(!world.expect(&["projections", "status"])?.contains("replay needed"), "a table that says otherwise");
    ensure!(
        world.expect(&["projections", "plan", "timeline"])?.contains("today's shape"),
        "a plan that says otherwise"
    );
    Ok(())
}

fn firms_are_listed_and_shown(world: &World) -> Result<()> {
    let tenant = world.tenant.to_string();
    let firms = world.answer(&["tenants", "list"])?;
    let firm = firms.as_array().into_iter().flatten().find(|firm| firm["id"] == *tenant).context("the demo tenant")?;
    ensure!(firm["name"] == "Analytical Advisors" && firm["status"] == "trialing" && firm["users"] == 2, "{firm}");
    ensure!(
        world.answer(&["tenants", "list", "--status", "suspended"])? == Value::Array(vec![]),
        "nobody is suspended"
    );
    let shown = world.answer(&["tenants", "show", &tenant])?;
    ensure!(shown["owners"].as_array().is_some_and(|owners| owners.len() == 1), "{shown}");
    ensure!(shown["users"]["active"] == 2, "{shown}");
    let unknown = Uuid::now_v7().to_string();
    for verb in [
        &["tenants", "show", &unknown][..],
        &["workflow", "runs", "--tenant", &unknown],
        &["audit", "export", "--tenant", &unknown],
        &["event-gateway", "list", "--tenant", &unknown],
    ] {
        let output = world.ubos(verb)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1) && said.contains(&unknown), "{verb:?}: {said}");
    }
    Ok(())
}

fn one_screen_shows_every_queue(world: &World) -> Result<()> {
    let screen = String::from_utf8(world.ubos(&["status"])?.stdout)?;
    ensure!(screen.lines().count() <= 40, "{screen}");
    for seen in
        ["PostgreSQL", "NATS", "Redis", "relay", "workflow intake", "emails", "identity.erasure", "LEADER", "LAG"]
    {
        ensure!(screen.contains(seen), "{seen}:\n{screen}");
    }
    let status = world.answer(&["status"])?;
    ensure!(status["servers"].as_array().is_some_and(|all| all.iter().all(|s| s["error"].is_null())), "{status}");
    let queue = |name: &str| {
        let mut queues = status["queues"].as_array().into_iter().flatten();
        queues.find(|queue| queue["queue"] == name).cloned().with_context(|| format!("{name}: {status}"))
    };
    ensure!(queue("projections crm")?["leader"] == "yes", "{status}");
    ensure!(queue("relay")?["leader"].as_str().is_some_and(|leader| leader.contains(':')), "{status}");
    Ok(())
}

fn envelope(output: &Output) -> Result<Value> {
    let envelope: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("one object: {}", String::from_utf8_lossy(&output.stdout)))?;
    let keys: Vec<_> = envelope.as_object().into_iter().flat_map(|object| object.keys()).collect();
    ensure!(keys == ["verb", "outcome", "exit_code", "data", "error"], "{envelope}");
    ensure!(envelope["exit_code"].as_i64().map(i32::try_from).transpose()? == output.status.code(), "{envelope}");
    Ok(envelope)
}

fn every_verb_answers_in_one_envelope(world: &World) -> Result<()> {
    let tenant = world.tenant.to_string();
    let pages = world.path("man").display().to_string();
    for (verb, code) in [
        (&["status"][..], 0),
        (&["settings", "check"], 0),
        (&["roles"], 0),
        (&["migrate"], 0),
        (&["demo", "tenant"], 0),
        (&["demo", "token"], 0),
        (&["token", "--tenant", &tenant, "--subject", &tenant], 0),
        (&["log", "head"], 0),
        (&["events", "show", "1"], 0),
        (&["events", "show", "99999999"], 1),
        (&["events", "show", "0"], 2),
        (&["relay", "status"], 0),
        (&["relay", "dead-letters"], 0),
        (&["relay", "retry"], 0),
        (&["relay", "retry", "--position", "1"], 1),
        (&["projections", "status"], 0),
        (&["projections", "parked"], 0),
        (&["projections", "plan", "all"], 0),
        (&["projections", "verify", "crm"], 0),
        (&["projections", "retry", "all"], 0),
        (&["workflow", "runs"], 0),
        (&["workflow", "publish", "--tenant", &tenant], 0),
        (&["workflow", "runs", "--status", "nonsense"], 2),
        (&["connections", "list"], 0),
        (&["connections", "list", "--status", "nonsense"], 2),
        (&["connections", "show", "01935a00-0000-7000-8000-000000000001"], 1),
        (&["connections", "pause", "01935a00-0000-7000-8000-000000000001"], 1),
        (&["jobs", "list"], 0),
        (&["jobs", "list", "--state", "nonsense"], 2),
        (&["jobs", "show", "99999999"], 1),
        (&["jobs", "retry"], 0),
        (&["jobs", "retry", "99999999"], 1),
        (&["jobs", "drop", "99999999", "--reason", "nobody wants it"], 1),
        (&["event-gateway", "list", "--tenant", &tenant], 0),
        (&["event-gateway", "key"], 0),
        (&["audit", "export", "--tenant", &tenant], 0),
        (&["vault", "check"], 0),
        (&["subjects", "destroyed"], 0),
        (&["verify"], 0),
        (&["completions", "bash"], 0),
        (&["man"], 0),
        (&["man", "--to", &pages], 0),
        (&["nonsense"], 2),
    ] {
        let output = world.ubos(&[verb, &["--json"]].concat())?;
        let envelope = envelope(&output).with_context(|| format!("{verb:?}"))?;
        ensure!(envelope["exit_code"] == code, "{verb:?}: {envelope}");
        ensure!(envelope["error"].is_null() == (code == 0), "{verb:?}: {envelope}");
        ensure!(envelope["data"].is_null() == (code != 0), "{verb:?}: {envelope}");
        let named = envelope["verb"].as_str().unwrap_or_default();
        ensure!(verb.join(" ").starts_with(named), "{verb:?}: {envelope}");
    }
    ensure!(std::fs::read_to_string(world.path("man/ubos-relay-status.1"))?.contains(".TH"), "a page per verb");
    ensure!(world.expect(&["completions", "bash"])?.contains("_ubos()"), "what bash reads");
    let version = world.expect(&["--version"])?;
    ensure!(version.contains('(') && !version.contains("unknown"), "{version}");
    Ok(())
}

/// A run that stands still as long as the test takes.
const WAITER: &str = "
name: Waits for longer than anybody looks at it
runs_as: [crm.client.tag]
trigger: { event_type: client.created }
actions:
  - { type: wait, for: 1h }
  - { type: command, command: crm.client.tag, target: '{{ event.aggregate_id }}', parameters: { tag: waited } }
";

/// Publishes a workflow, starts a run of it, and waits until it is listed. Answers its id.
async fn a_run(world: &World) -> Result<String> {
    let (tenant, waiter) = (world.tenant.to_string(), world.path("waiter.yaml"));
    std::fs::write(&waiter, WAITER)?;
    world.expect(&["workflow", "publish", "--tenant", &tenant, &waiter.display().to_string()])?;
    let client = world.post("/v1/crm/clients", Some("waits"), &json!({ "name": "Waits" })).await?;
    ensure!(client.status == 201, "{client:?}");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let runs = world.answer(&["workflow", "runs", "--tenant", &tenant, "--status", "waiting"])?;
        if let Some(id) = runs[0]["run_id"].as_str() {
            return Ok(id.to_owned());
        }
        ensure!(Instant::now() < deadline, "no run waits");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn lists_have_headings_and_fit_80_columns(world: &World) -> Result<()> {
    let tenant = world.tenant.to_string();
    let run = a_run(world).await?;
    world.expect(&["event-gateway", "add", "--tenant", &tenant, "--name", "A ledger with a name of some length"])?;
    for (verb, heading) in [
        (&["status"][..], "QUEUE"),
        (&["tenants", "list"], "FIRM"),
        (&["tenants", "show", &tenant], "owner"),
        (&["projections", "status"], "GROUP"),
        (&["projections", "plan", "all"], "rebuild"),
        (&["projections", "verify", "all"], "TABLE"),
        (&["relay", "status"], "leader"),
        (&["workflow", "runs"], "RUN, FIRM"),
        (&["workflow", "show", "--tenant", &tenant, &run], "STEP"),
        (&["event-gateway", "list", "--tenant", &tenant], "SUBSCRIBER"),
    ] {
        let shown = world.expect(verb)?;
        ensure!(shown.contains(heading), "{verb:?}:\n{shown}");
        let wide = shown.lines().find(|line| line.chars().count() > 80);
        ensure!(wide.is_none(), "{verb:?}: {wide:?}");
    }
    Ok(())
}

fn a_filter_of_nonsense_is_refused(world: &World) -> Result<()> {
    for (verb, value) in [
        (&["workflow", "runs", "--status", "nonsense"][..], "parked"),
        (&["tenants", "list", "--status", "nonsense"], "suspended"),
        (&["projections", "retry", "nonsense"], "timeline"),
    ] {
        let output = world.ubos(verb)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(2) && said.contains(value), "{verb:?}: {said}");
    }
    Ok(())
}

/// Each with a port on which nobody listens, a password that must not be shown, and the reason.
fn what_is_away_is_named(world: &World) -> Result<()> {
    let refused = |verb: &[&str], setting: &str, url: &str, place: &str| -> Result<()> {
        let output = world.command().args(verb).env(setting, url).output()?;
        let said = String::from_utf8(output.stderr)? + &String::from_utf8(output.stdout)?;
        ensure!(output.status.code() == Some(1), "{verb:?}: {said}");
        ensure!(said.contains(place) && said.contains("refused"), "{verb:?}: {said}");
        ensure!(!said.contains("s3cret"), "{verb:?}: {said}");
        Ok(())
    };
    let postgres = |role: &str| format!("postgres://ubos_{role}:s3cret@127.0.0.1:1/ubos");
    let of_postgres = "PostgreSQL at 127.0.0.1:1";
    refused(&["status"], "UBOS__DATABASE__WORKER_URL", &postgres("worker"), of_postgres)?;
    let tenant = world.tenant.to_string();
    refused(&["tenants", "activate", &tenant], "UBOS__DATABASE__COMMAND_URL", &postgres("command"), of_postgres)?;
    refused(&["migrate"], "UBOS__DATABASE__OWNER_URL", &postgres("owner"), of_postgres)?;
    let nats = "nats://relay:s3cret@127.0.0.1:1";
    refused(&["status"], "UBOS__NATS__RELAY_URL", nats, "127.0.0.1:1")?;
    refused(&["relay", "retry"], "UBOS__NATS__RELAY_URL", nats, "NATS at 127.0.0.1:1")?;
    refused(&["verify"], "UBOS__NATS__RELAY_URL", nats, "NATS at 127.0.0.1:1")?;
    refused(&["status"], "UBOS__REDIS__URL", "redis://:s3cret@127.0.0.1:1/0", "127.0.0.1:1")?;
    refused(&["status"], "UBOS__MAIL__SMTP_URL", "smtp://ubos:s3cret@127.0.0.1:1", "127.0.0.1:1")?;
    let ubos = world.command().get_program().to_owned();
    let missing = Command::new(ubos).args(["--config", "/nowhere/ubos.toml", "status"]).output()?;
    let said = String::from_utf8_lossy(&missing.stderr);
    ensure!(missing.status.code() == Some(1) && said.contains("/nowhere/ubos.toml"), "{said}");
    ensure!(said.contains("No such file"), "{said}");
    Ok(())
}

/// The families of an exposition: name to kind, whether it has a help text, and its series.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    series: BTreeMap<String, f64>,
}

fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if let Some((series, value)) = line.rsplit_once(' ') {
            let name = series.split('{').next().unwrap_or_default();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = base.filter(|base| families.contains_key(*base)).unwrap_or(name).to_owned();
            families.entry(family).or_default().series.insert(series.to_owned(), value.parse().unwrap_or(f64::NAN));
        }
    }
    families
}

async fn metrics_are_as_prometheus_wants_them(world: &World) -> Result<()> {
    world.eventually("/v1/crm/clients", PATIENCE, |_| true).await?;
    let (mut counters, mut unexplained) = (BTreeSet::new(), vec![]);
    for role in world.roles() {
        let text = reqwest::get(format!("{}/metrics", world.url(&role))).await?.text().await?;
        for (name, family) in families(&text) {
            if family.help.is_empty() || family.kind.is_empty() {
                unexplained.push(format!("{name} of {role}"));
            }
            ensure!((family.kind == "counter") == name.ends_with("_total"), "{name} is a {}", family.kind);
            ensure!(family.series.values().all(|value| !value.is_nan()), "{name} of {role}");
            if family.kind == "counter" {
                counters.insert(name);
            }
        }
        lint(&text)?;
        if role == "query-api" {
            let read = r#"http_requests_total{method="GET",route="/v1/crm/clients",status="200"}"#;
            ensure!(families(&text)["http_requests_total"].series.get(read) > Some(&0.0), "which list was read");
            let unread = r#"http_requests_total{method="GET",route="/v1/portal/portal-users/{id}",status="500"}"#;
            ensure!(families(&text)["http_requests_total"].series.get(unread) == Some(&0.0), "{text}");
        }
    }
    ensure!(unexplained.is_empty(), "no help text: {unexplained:?}");
    // None of these has counted anything yet.
    for counter in [
        "append_poisoned_batches_total",
        "audit_refusals_dropped_total",
        "relay_streams_healed_total",
        "feed_holes_healed_total",
        "workflow_condition_errors_total",
        "projection_parkings_total",
        "http_heads_refused_total",
        "subscriber_admissions_total",
    ] {
        ensure!(counters.contains(counter), "{counter} is not there from the start");
    }
    Ok(())
}

/// Prometheus' own opinion, where its tool is on this machine; the names are checked in `server` in any case.
fn lint(text: &str) -> Result<()> {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = promtool.spawn() else { return Ok(()) };
    child.stdin.take().context("its input")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && said.trim().is_empty(), "{said}");
    Ok(())
}
