//! What the two services promise to whoever finds their addresses, as processes with settings of their own.

use anyhow::{Result, ensure};
use e2e::{Copy, World};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const CLIENTS: &str = "/v1/crm/clients";
/// Quotas that do not come back while a test runs.
const WINDOW: (&str, &str) = ("UBOS__RATE_LIMITS__WINDOW_SECONDS", "3600");
/// A busy machine is no Redis that is away.
const PATIENT: (&str, &str) = ("UBOS__RATE_LIMITS__REDIS_TIMEOUT_MS", "10000");

/// One world for all of them, because starting it is what takes the time.
#[tokio::test(flavor = "multi_thread")]
async fn both_services_keep_what_security_md_says() -> Result<()> {
    let mut world = World::start().await?;
    s_12_every_answer_of_both_services_says_what_browsers_must_not_do(&world).await?;
    the_page_of_the_document_has_nothing_inline(&world).await?;
    a_location_leads_to_what_was_made(&world).await?;
    the_tag_of_a_part_is_what_if_match_takes(&world).await?;
    d_05_copies_of_both_services_share_the_quotas_of_two_firms(&world).await?;
    h_07_addresses_are_counted_as_proxies_say(&world).await?;
    limits_hold_without_redis_and_are_shared_again(&mut world).await?;
    Ok(())
}

async fn get(http: &Client, url: String, token: &str) -> Result<Response> {
    Ok(http.get(url).bearer_auth(token).send().await?)
}

fn header<'r>(answer: &'r Response, name: &str) -> &'r str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Asks until a request is refused; answers how many were not.
async fn until_refused(http: &Client, copies: &[&Copy], token: &str) -> Result<usize> {
    for count in 0..1_000 {
        let answer = get(http, copies[count % copies.len()].url(CLIENTS), token).await?;
        match answer.status().as_u16() {
            200 => {}
            429 => return Ok(count),
            other => anyhow::bail!("answered {other}"),
        }
    }
    anyhow::bail!("1,000 requests and none refused")
}

async fn s_12_every_answer_of_both_services_says_what_browsers_must_not_do(world: &World) -> Result<()> {
    let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let mut seen = vec![];
    for role in ["command-api", "query-api"] {
        let (published, others) = (
            [
                "/openapi.json",
                "/asyncapi.json",
                "/schemas",
                "/schemas/crm.client.created",
                "/problems",
                "/problems/not-found",
            ],
            ["/", "/health", "/ready", "/docs", "/docs/index.html", CLIENTS, "/nothing", "/.env"],
        );
        for path in published.into_iter().chain(others) {
            let answer = http.get(world.url(role) + path).send().await?;
            seen.push(answer.status().as_u16());
            let what = format!("{} {path}: {answer:?}", role);
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cache-control", "no-store"),
                ("cross-origin-resource-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
                ("strict-transport-security", ""),
                ("server", ""),
            ] {
                ensure!(header(&answer, name) == value, "{name} of {what}");
            }
            let policy = header(&answer, "content-security-policy");
            ensure!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{what}");
            ensure!(!policy.contains("unsafe-"), "{what}");
            ensure!(!header(&answer, "request-id").is_empty(), "{what}");
        }
        let stranger = http.get(world.url(role) + "/nothing").send().await?;
        ensure!(header(&stranger, "ratelimit-policy") == "\"address\";q=1000000000;w=10", "{stranger:?}");
    }
    let known = get(&http, world.url("query-api") + CLIENTS, world.token()).await?;
    ensure!(header(&known, "ratelimit").starts_with('"'), "{known:?}");
    ensure!(header(&known, "ratelimit-policy").contains("\"tenant\";q=1000000000;w=10"), "{known:?}");
    ensure!([200, 302, 401, 404, 405].iter().all(|status| seen.contains(status)), "{seen:?}");
    Ok(())
}

/// What a browser would not run or not show under a policy without `unsafe-inline`.
async fn the_page_of_the_document_has_nothing_inline(world: &World) -> Result<()> {
    let http = Client::new();
    for role in ["command-api", "query-api"] {
        let answer = http.get(world.url(role) + "/docs/").send().await?;
        let policy = header(&answer, "content-security-policy").to_owned();
        ensure!(policy.contains("script-src 'self';") && policy.contains("style-src 'self';"), "{policy}");
        let page = answer.text().await?.to_ascii_lowercase();
        for inline in ["<style", " style=", " onload=", " onclick=", "javascript:"] {
            ensure!(!page.contains(inline), "{inline} in {page}");
        }
        for script in page.split("<script").skip(1) {
            let (attributes, rest) = script.split_once('>').unwrap_or_default();
            ensure!(attributes.contains(" src="), "{attributes}");
            ensure!(rest.trim_start().starts_with("</script>"), "{rest}");
        }
    }
    Ok(())
}

async fn a_location_leads_to_what_was_made(world: &World) -> Result<()> {
    let http = Client::new();
    let creations =
        [(CLIENTS, json!({ "name": "Ada Lovelace" })), ("/v1/projects/projects", json!({ "name": "Engine" }))];
    for (path, body) in creations {
        let made = http.post(world.url("command-api") + path).bearer_auth(world.token()).json(&body);
        let made = made.header("idempotency-key", path).send().await?;
        ensure!(made.status() == 201, "{made:?}");
        // As every client resolves it: against the address that was asked.
        let there = made.url().join(header(&made, "location"))?;
        let made: Value = made.json().await?;
        let request = http.get(there).bearer_auth(world.token()).header("min-position", made["position"].to_string());
        let shown = request.send().await?;
        ensure!(shown.status() == 200, "{shown:?}");
        let shown: Value = shown.json().await?;
        ensure!(shown["id"] == made["id"], "{shown}");
    }
    Ok(())
}

/// Parts have a version of their own, commands about them check that of the whole.
async fn the_tag_of_a_part_is_what_if_match_takes(world: &World) -> Result<()> {
    let http = Client::new();
    let tag_of = async |path: String, position: i64| -> Result<String> {
        let request = http.get(world.url("query-api") + &path).bearer_auth(world.token());
        let answer = request.header("min-position", position.to_string()).send().await?;
        ensure!(answer.status() == 200, "{answer:?}");
        Ok(header(&answer, "etag").to_owned())
    };
    let post = async |path: &str, tag: Option<&str>, body: Value| -> Result<(u16, Value)> {
        let mut request = http.post(world.url("command-api") + path).bearer_auth(world.token()).json(&body);
        request = match tag {
            Some(tag) => request.header("if-match", tag),
            None => request.header("idempotency-key", body.to_string().len().to_string()),
        };
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    };
    let (status, project) = post("/v1/projects/projects", None, json!({ "name": "Tags of parts" })).await?;
    ensure!(status == 201, "{project}");
    let id = project["id"].as_str().unwrap_or_default();
    let commands = format!("/v1/projects/projects/{id}");
    let (_, added) = post(&format!("{commands}/add-task"), None, json!({ "title": "Draw it" })).await?;
    let (_, last) = post(&format!("{commands}/add-milestone"), None, json!({ "name": "Drawn" })).await?;
    ensure!(last["version"].as_i64() > added["version"].as_i64(), "the project goes on, the task does not: {last}");
    let mut position = last["position"].as_i64().unwrap_or_default();
    for (part, key, first, second) in [
        ("tasks", "task_id", "start-task", "cancel-task"),
        ("milestones", "milestone_id", "complete-milestone", "accept-milestone"),
    ] {
        let rows = world.get(&format!("/v1/projects/{part}?project_id={id}"), Some(position)).await?.body;
        let part_id = rows["data"][0]["id"].as_str().unwrap_or_default();
        let before = tag_of(format!("/v1/projects/{part}/{part_id}"), position).await?;
        let (status, answer) = post(&format!("{commands}/{first}"), Some(&before), json!({ key: part_id })).await?;
        ensure!(status == 200, "{before} is as it was read: {answer}");
        position = answer["position"].as_i64().unwrap_or_default();
        let (status, answer) = post(&format!("{commands}/{second}"), Some(&before), json!({ key: part_id })).await?;
        ensure!(status == 412, "{before} is of what was before: {answer}");
    }
    Ok(())
}

async fn d_05_copies_of_both_services_share_the_quotas_of_two_firms(world: &World) -> Result<()> {
    let http = Client::new();
    let tight = [("UBOS__RATE_LIMITS__TENANT_REQUESTS", "30"), WINDOW, PATIENT];
    let first = world.copy("query-api", &tight).await?;
    let second = world.copy("query-api", &tight).await?;
    let commands = world.copy("command-api", &tight).await?;
    let firm = |tenant: &str| -> Result<String> {
        let token = world.expect(&["token", "--tenant", tenant, "--subject", tenant, "--roles", "owner"])?;
        Ok(token.trim().to_owned())
    };
    let busy = firm("00000000-0000-7000-8000-0000000000b1")?;
    let quiet = firm("00000000-0000-7000-8000-0000000000b2")?;
    let asked = until_refused(&http, &[&first, &second], &busy).await?;
    ensure!(asked == 30, "two copies together let {asked} of 30 through");
    let refused = http.post(commands.url(CLIENTS)).bearer_auth(&busy).send().await?;
    ensure!(refused.status() == 429, "the third one too: {refused:?}");
    ensure!(header(&refused, "ratelimit") == "\"tenant\";r=0;t=3600", "{refused:?}");
    ensure!(
        header(&refused, "retry-after").parse::<u32>().is_ok_and(|seconds| (1..=120).contains(&seconds)),
        "{refused:?}"
    );
    let body: Value = refused.json().await?;
    ensure!(body["code"] == "rate-limited" && body["violated-policies"][0] == "tenant", "{body}");
    let asked = until_refused(&http, &[&second, &first], &quiet).await?;
    ensure!(asked == 30, "the other firm had {asked} of 30");
    Ok(())
}

async fn h_07_addresses_are_counted_as_proxies_say(world: &World) -> Result<()> {
    let tight = [("UBOS__RATE_LIMITS__ADDRESS_REQUESTS", "3"), WINDOW];
    let direct = world.copy("query-api", &tight).await?;
    let trusting = [tight[0], WINDOW, ("UBOS__HTTP__TRUSTED_PROXIES", "[\"127.0.0.0/8\", \"10.0.0.0/8\"]")];
    let behind = world.copy("query-api", &trusting).await?;
    let http = Client::new();
    let mut refused = 0;
    for n in 0..9 {
        let made_up = format!("203.0.113.{n}");
        let answer = http.get(direct.url("/nothing")).header("x-forwarded-for", made_up).send().await?;
        refused += usize::from(answer.status() == 429);
    }
    ensure!(refused == 6, "whoever comes directly makes up no address: {refused} of 9 refused");
    for n in 0..9 {
        let passed_on = format!("1.2.3.4, 198.51.100.{}, 10.0.0.1", n % 3);
        let answer = http.get(behind.url("/nothing")).header("x-forwarded-for", passed_on).send().await?;
        ensure!(answer.status() == 404, "each address has its own: {answer:?}");
    }
    Ok(())
}

async fn limits_hold_without_redis_and_are_shared_again(world: &mut World) -> Result<()> {
    let http = Client::new();
    let tight = [("UBOS__RATE_LIMITS__CALLER_REQUESTS", "20"), WINDOW, PATIENT];
    let first = world.copy("query-api", &tight).await?;
    let second = world.copy("query-api", &tight).await?;
    let caller = |subject: u32| -> Result<String> {
        // Of a firm that is not registered, whose users need not be either.
        let tenant = "00000000-0000-7000-8000-0000000000b3";
        let subject = format!("00000000-0000-7000-8000-{subject:012}");
        let token = world.expect(&["token", "--tenant", tenant, "--subject", &subject, "--roles", "owner"])?;
        Ok(token.trim().to_owned())
    };
    let (one, two, three) = (caller(1)?, caller(2)?, caller(3)?);
    ensure!(until_refused(&http, &[&first, &second], &one).await? == 20, "shared");
    world.redis.kill()?;
    ensure!(until_refused(&http, &[&first], &two).await? == 20, "the first copy alone");
    ensure!(until_refused(&http, &[&second], &two).await? == 20, "and the second");
    counts_alone(&http, &first, true).await?;
    world.redis.restart()?;
    for copy in [&first, &second] {
        counts_alone(&http, copy, false).await?;
    }
    ensure!(until_refused(&http, &[&first, &second], &three).await? == 20, "shared again");
    Ok(())
}

/// Waits until a copy's metrics say that it counts alone, or that it does not.
async fn counts_alone(http: &Client, copy: &Copy, alone: bool) -> Result<()> {
    let line = format!("rate_limit_local {}", u8::from(alone));
    let begun = Instant::now();
    loop {
        let metrics = http.get(copy.url("/metrics")).send().await?.text().await?;
        if metrics.lines().any(|shown| shown == line) {
            return Ok(());
        }
        let shown = metrics.lines().find(|shown| shown.starts_with("rate_limit_local"));
        ensure!(begun.elapsed() < PATIENCE, "{line} is not so: {shown:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
