//! Both APIs, asked by schemathesis for everything that their OpenAPI descriptions allow and for much that they do not: no answer is
//! a 5xx, and every answer is as it is described. `cargo xtask api-fuzz` asks for more.

use anyhow::{Context, Result, bail, ensure};
use e2e::World;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What must be so for every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,unsupported_method,ignored_auth";

/// A number of the environment, or what a test run makes do with.
fn setting(name: &str, otherwise: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| otherwise.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn x_00_both_apis_answer_whatever_is_asked_as_they_are_described() -> Result<()> {
    let python = std::env::var_os("UBOS_TEST_API_FUZZ_PYTHON").context("run this with `cargo xtask test`")?;
    let schemathesis = PathBuf::from(python).with_file_name("schemathesis");
    let (examples, seed) = (setting("UBOS_API_FUZZ_EXAMPLES", "2"), setting("UBOS_API_FUZZ_SEED", "1"));
    let world = World::start().await?;
    let mut asking = vec![];
    for role in ["command-api", "query-api"] {
        let folder = world.path(&format!("api-fuzz-{}", role));
        std::fs::create_dir_all(&folder)?;
        let mut run = Command::new(&schemathesis);
        run.arg("run").arg(format!("{}/openapi.json", world.url(role))).current_dir(&folder);
        run.args(["--header", &format!("Authorization: Bearer {}", world.token())]);
        run.args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--mode", "all"]);
        // One thread each: Python 3.11's parser breaks when two use it at once.
        run.args(["--max-examples", &examples, "--seed", &seed, "--workers", "1", "--request-timeout", "30"]);
        // This world has no provider, and so no pages of a login.
        run.args(["--exclude-tag", "login", "--exclude-tag", "connect"]);
        run.args(["--generation-database", "none", "--continue-on-failure", "--warnings", "off", "--no-color"]);
        run.stdin(Stdio::null());
        asking.push((role, tokio::task::spawn_blocking(move || run.output())));
    }
    let mut wrong = vec![];
    for (role, asked) in asking {
        let output = asked.await??;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            wrong.push(format!("{}:\n{text}{}", role, String::from_utf8_lossy(&output.stderr)));
        } else if !text.contains("No issues found") {
            wrong.push(format!("{}: nothing was asked:\n{text}", role));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    // What all of that did is on the trail, and can be taken out at the command line.
    let tenant = world.tenant.to_string();
    let lines = world.expect(&["audit", "export", "--tenant", &tenant, "--outcome", "accepted"])?;
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().context("a line")?)?;
    ensure!(first["outcome"] == "accepted" && first["permission"].is_string(), "{first}");
    let table = world.expect(&["audit", "export", "--tenant", &tenant, "--format", "csv"])?;
    ensure!(table.starts_with("id,at,outcome,permission,") && table.lines().count() > 10, "{table}");
    Ok(())
}
