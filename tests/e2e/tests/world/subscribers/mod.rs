//! Programs of two firms read their events from NATS, with NATS' official clients for Python and Node, and try everything else.
//! "N-01" and the like are the rows of the attack list.

mod attempts;
mod programs;

use anyhow::{Context, Result, ensure};
use async_nats::jetstream;
use attempts::{Attempt, Expected, attempts};
use e2e::{Answer, World};
use futures::future::join_all;
use local_servers::http_get;
use programs::{Language, Reading, attack};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);
/// From the moment in which somebody is to be out until nothing of them is connected.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// A subscriber, as whoever asked for it knows it.
#[derive(Debug, Clone)]
pub struct Subscriber {
    pub tenant: Uuid,
    pub id: String,
    pub secret: String,
}

/// Two firms, each with a subscriber.
struct Firms {
    world: World,
    log: PgPool,
    ada: Subscriber,
    eve: Subscriber,
}

/// One world for all of them, because starting it is what takes the time.
#[tokio::test(flavor = "multi_thread")]
async fn subscribers_read_their_own_firms_events_and_do_nothing_else() -> Result<()> {
    let mut firms = Firms::start().await?;
    let readers = both_read_their_own_firm_from_the_beginning_and_live(&firms).await?;
    for language in [Language::Python, Language::Node] {
        n_01_to_n_07_whatever_else_is_tried_is_denied(&firms, language).await?;
    }
    n_08_without_a_good_secret_nobody_comes_in(&firms).await?;
    n_09_one_subscriber_has_a_few_connections_and_small_requests(&firms).await?;
    one_that_is_limited_gets_its_events_only_and_begins_where_it_is_told(&firms).await?;
    no_event_that_left_tells_what_a_secret_hashes_to(&firms).await?;
    a_reader_goes_on_while_nobody_lets_others_in(&mut firms, &readers).await?;
    a_reader_goes_on_when_nats_has_lost_everything(&mut firms, &readers).await?;
    a_suspended_firm_reads_nothing_until_it_is_let_in_again(&firms, &readers).await?;
    a_rotated_secret_is_good_for_a_while_and_then_only_the_new_one(&mut firms).await?;
    n_08_a_revoked_subscriber_loses_its_connection_and_does_not_come_back(&firms, &readers).await?;
    Ok(())
}

impl Firms {
    async fn start() -> Result<Self> {
        let world = World::start().await?;
        let url = format!("{}ubos", world.postgres.url.trim_end_matches("postgres"));
        let log = PgPool::connect(&url).await?;
        let names = ["--name", "Difference", "--owner-name", "Eve", "--owner-email", "eve@difference.example"];
        let registered = world.expect(&[&["tenants", "register"], names.as_slice()].concat())?;
        let other: Uuid = said(&registered, "tenant")?.parse()?;
        let added = world.expect(&["event-gateway", "add", "--tenant", &other.to_string(), "--name", "Ledger"])?;
        let eve = Subscriber { tenant: other, id: said(&added, "subscriber")?, secret: said(&added, "secret")? };
        let added = post(&world, "/v1/identity/subscribers", &json!({ "name": "Warehouse" })).await?;
        let ada = Subscriber { tenant: world.tenant, id: text(&added, "id")?, secret: text(&added, "secret")? };
        Ok(Self { world, log, ada, eve })
    }

    /// Where a firm's events are in the log.
    async fn positions(&self, tenant: Uuid) -> Result<Vec<i64>> {
        let sql = "select position from eventstore.events where tenant_id = $1 order by position";
        Ok(sqlx::query_scalar(sql).bind(tenant).fetch_all(&self.log).await?)
    }

    /// Something happens in a firm; answers where in the log.
    async fn something_happens(&self, tenant: Uuid) -> Result<i64> {
        if tenant == self.world.tenant {
            let made =
                post(&self.world, "/v1/crm/clients", &json!({ "name": format!("Client {}", Uuid::now_v7()) })).await?;
            return made.body["position"].as_i64().context("a position");
        }
        let name = Uuid::now_v7().to_string();
        self.world.expect(&["event-gateway", "add", "--tenant", &tenant.to_string(), "--name", &name])?;
        self.positions(tenant).await?.pop().context("a position")
    }

    /// What NATS says of the subscribers' connections: their names there.
    fn connected(&self, subscriber: &Subscriber) -> Result<usize> {
        let (_, page) = http_get(self.world.nats.monitor_port, "/connz?acc=SUBSCRIBERS&auth=true")?;
        let page: Value = serde_json::from_str(&page)?;
        let names = page["connections"].as_array().into_iter().flatten().map(|c| c["authorized_user"].to_string());
        Ok(names.filter(|name| name.contains(&subscriber.id)).count())
    }

    async fn jetstream(&self) -> Result<jetstream::Context> {
        Ok(jetstream::new(messaging::connect(&self.world.nats.url, "test").await?))
    }

    /// What NATS says to somebody who shows this and then says that, past any client's own precautions.
    async fn say(&self, shows: &Value, text: &str) -> Result<(String, TcpStream)> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.world.nats.port)).await?;
        connection.write_all(format!("CONNECT {shows}\r\n{text}PING\r\n").as_bytes()).await?;
        let (mut said, mut buffer) = (String::new(), [0; 4096]);
        while !said.contains("-ERR") && !said.contains("PONG") {
            // What it said last is lost if it did not read all that it was told.
            let read = tokio::time::timeout(PATIENCE, connection.read(&mut buffer)).await?.unwrap_or_default();
            if read == 0 {
                return Ok((said + "closed", connection));
            }
            said.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        Ok((said, connection))
    }

    /// Can somebody come in with this?
    async fn comes_in(&self, shows: &Value) -> Result<bool> {
        Ok(self.say(shows, "").await?.0.contains("PONG"))
    }
}

/// What a client shows when it connects.
fn token(secret: &str) -> Value {
    json!({ "auth_token": secret })
}

fn said(output: &str, word: &str) -> Result<String> {
    let found = output.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    Ok(found.with_context(|| format!("no {word} in {output}"))?.to_owned())
}

fn text(answer: &Answer, field: &str) -> Result<String> {
    Ok(answer.body[field].as_str().with_context(|| format!("no {field} in {answer:?}"))?.to_owned())
}

async fn post(world: &World, path: &str, body: &Value) -> Result<Answer> {
    let answer = world.post(path, Some(&Uuid::now_v7().to_string()), body).await?;
    ensure!(answer.status < 300, "{path}: {answer:?}");
    Ok(answer)
}

async fn eventually(what: &str, patience: Duration, so: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let begun = tokio::time::Instant::now();
    while !so().await? {
        ensure!(begun.elapsed() < patience, "not so within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn both_read_their_own_firm_from_the_beginning_and_live(firms: &Firms) -> Result<[Reading; 2]> {
    let readers = [
        Reading::start(&firms.world, Language::Python, &firms.ada)?,
        Reading::start(&firms.world, Language::Node, &firms.eve)?,
    ];
    for reading in &readers {
        let tenant = reading.subscriber.tenant;
        reading.has_read(&firms.positions(tenant).await?, PATIENCE).await?;
        let live = firms.something_happens(tenant).await?;
        reading.has_read(&[live], PATIENCE).await?;
    }
    for reading in &readers {
        let tenant = reading.subscriber.tenant;
        ensure!(
            reading.positions() == firms.positions(tenant).await?,
            "not exactly its own: {:?}",
            reading.positions()
        );
        let own = format!("ubos.events.{tenant}.");
        ensure!(reading.subjects().iter().all(|subject| subject.starts_with(&own)), "{:?}", reading.subjects());
    }
    Ok(readers)
}

async fn one_that_is_limited_gets_its_events_only_and_begins_where_it_is_told(firms: &Firms) -> Result<()> {
    let (world, tenant) = (&firms.world, firms.world.tenant.to_string());
    firms.something_happens(firms.world.tenant).await?;
    let add =
        ["event-gateway", "add", "--tenant", &tenant, "--name", "CRM", "--scope", "crm.client.>", "--start", "new"];
    let id = said(&world.expect(&add)?, "subscriber")?;
    let stream = firms.jetstream().await?.get_stream("EVENTS").await?;
    let made = stream.consumer_info(&id).await?;
    ensure!(made.config.filter_subjects == [format!("ubos.events.{tenant}.crm.client.>")], "{:?}", made.config);
    ensure!(made.config.max_ack_pending == messaging::UNACKNOWLEDGED_MAX, "{:?}", made.config);
    let waiting = async |wanted: u64| Ok(stream.consumer_info(&id).await?.num_pending == wanted);
    eventually("nothing waits at first", PATIENCE, async || waiting(0).await).await?;
    let last = firms.something_happens(firms.world.tenant).await?;
    // The subscriber that was added is an event too, and no concern of this one.
    eventually("one event waits", PATIENCE, async || waiting(1).await).await?;
    let sql = "select count(*) from eventstore.events where tenant_id = $1 and aggregate_type = 'crm.client'";
    let all: i64 = sqlx::query_scalar(sql).bind(firms.world.tenant).fetch_one(&firms.log).await?;
    ensure!(all > 1, "{all}");
    for (to, wanted) in
        [("first", u64::try_from(all)?), (&*last.to_string(), 1), ("new", 0), ("1", u64::try_from(all)?)]
    {
        world.expect(&["event-gateway", "rewind", "--tenant", &tenant, &id, "--to", to])?;
        eventually(to, PATIENCE, async || waiting(wanted).await).await?;
    }
    let shown = world.answer(&["event-gateway", "show", "--tenant", &tenant, &id])?;
    ensure!(shown[0]["scopes"] == json!(["crm.client.>"]), "{shown}");
    ensure!(
        shown[0]["backlog"]["waiting"] == json!(all) && shown[0]["backlog"]["acknowledged_at"].is_null(),
        "{shown}"
    );
    let listed = world.answer(&["event-gateway", "list", "--tenant", &tenant])?;
    let ada = listed.as_array().into_iter().flatten().find(|row| row["id"] == json!(firms.ada.id));
    ensure!(ada.is_some_and(|ada| ada["backlog"]["acknowledged_at"].is_string()), "{listed}");
    Ok(())
}

async fn no_event_that_left_tells_what_a_secret_hashes_to(firms: &Firms) -> Result<()> {
    let in_the_log = "select count(*) from eventstore.events where payload::text like '%secret_hash%'";
    let in_the_log: i64 = sqlx::query_scalar(in_the_log).fetch_one(&firms.log).await?;
    ensure!(in_the_log > 2, "{in_the_log}");
    let stream = firms.jetstream().await?.get_stream("EVENTS").await?;
    let last = stream.get_info().await?.state.last_sequence;
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await?;
        let text = String::from_utf8_lossy(&message.payload);
        ensure!(!text.contains("secret_hash"), "{}: {text}", message.subject);
    }
    Ok(())
}

async fn n_01_to_n_07_whatever_else_is_tried_is_denied(firms: &Firms, language: Language) -> Result<()> {
    let stream = firms.jetstream().await?.get_stream("EVENTS").await?;
    let before = stream.get_info().await?;
    let other = stream.consumer_info(&firms.eve.id).await?;
    let tried: Vec<Attempt> = attempts(&firms.ada, &firms.eve);
    let outcomes = attack(&firms.world, language, &firms.ada, &tried).await?;
    ensure!(outcomes.len() == tried.len(), "{} of {} were tried", outcomes.len(), tried.len());
    for (attempt, outcome) in tried.iter().zip(&outcomes) {
        let expected = match attempt.expected {
            Expected::Denied => outcome == "denied",
            Expected::Allowed => outcome == "allowed",
            // Only what comes of it counts, which is looked at below.
            Expected::NothingComesOfIt => true,
        };
        ensure!(expected, "{}, {language:?}: {} was {outcome}", attempt.row, attempt.line);
    }
    let after = stream.get_info().await?;
    ensure!(after.config == before.config && after.created == before.created, "the stream is another");
    // Nothing happens in this quiet world, so nothing may have come in.
    ensure!(after.state.last_sequence == before.state.last_sequence, "something was published");
    ensure!(after.state.messages == before.state.messages, "something was deleted");
    ensure!(after.state.consumer_count == before.state.consumer_count, "consumers were made or deleted");
    let untouched = stream.consumer_info(&firms.eve.id).await?;
    ensure!(untouched.config == other.config, "another's consumer was changed: {untouched:?}");
    ensure!(
        untouched.ack_floor.stream_sequence == other.ack_floor.stream_sequence,
        "another's messages: {untouched:?}"
    );
    Ok(())
}

async fn n_08_without_a_good_secret_nobody_comes_in(firms: &Firms) -> Result<()> {
    let good = &firms.ada.secret;
    let mistyped = format!("{}{}", &good[..good.len() - 1], if good.ends_with('A') { 'B' } else { 'A' });
    let body = json!({ "name": "K", "principal": { "kind": "user", "id": owner(firms).await? } });
    let api_key = text(&post(&firms.world, "/v1/identity/api-keys", &body).await?, "secret")?;
    for wrong in ["", "ubi_", "wrong", &mistyped, &api_key] {
        ensure!(!firms.comes_in(&token(wrong)).await?, "{wrong:?} comes in");
    }
    ensure!(!firms.comes_in(&json!({})).await?, "anybody comes in");
    for user in ["ubos", "relay", "reader", "gate"] {
        let guess = json!({ "user": user, "pass": "ubos-development" });
        ensure!(!firms.comes_in(&guess).await?, "{user} comes in with a password that everybody knows");
    }
    ensure!(firms.comes_in(&json!({ "user": "anybody", "pass": good })).await?, "a secret is also good as a password");
    // It opens nothing else.
    let asked = reqwest::Client::new().get(firms.world.url("query-api") + "/v1/crm/clients").bearer_auth(good);
    ensure!(asked.send().await?.status() == 401, "a subscriber asks query-api");
    Ok(())
}

async fn owner(firms: &Firms) -> Result<String> {
    let me = firms.world.get("/v1/identity/me", None).await?;
    let id = me.body["principal"]["id"].as_str().with_context(|| format!("who asks in {me:?}"))?;
    Ok(id.to_owned())
}

async fn n_09_one_subscriber_has_a_few_connections_and_small_requests(firms: &Firms) -> Result<()> {
    let large = format!("PUB UBOS.CONSUMER.MSG.NEXT.EVENTS.{} 5000\r\n{}\r\n", firms.ada.id, " ".repeat(5_000));
    let many: String = (0..70).map(|n| format!("SUB _INBOX_{}.{n} {n}\r\n", firms.ada.id)).collect();
    for (sent, refused) in [(large, "Maximum Payload Violation"), (many, "maximum subscriptions exceeded")] {
        let (said, _) = firms.say(&token(&firms.ada.secret), &sent).await?;
        ensure!(said.contains(refused) || said.ends_with("closed"), "{said}");
    }
    let shown = token(&firms.ada.secret);
    let many = join_all((0..40).map(|_| firms.say(&shown, ""))).await.into_iter().collect::<Result<Vec<_>>>()?;
    let many: Vec<_> = many.into_iter().filter(|(said, _)| said.contains("PONG")).collect();
    ensure!((1..16).contains(&many.len()), "{} connections besides the reader's", many.len());
    drop(many);
    eventually("the connections are closed", PATIENCE, async || Ok(firms.connected(&firms.ada)? == 1)).await
}

async fn a_reader_goes_on_while_nobody_lets_others_in(firms: &mut Firms, readers: &[Reading; 2]) -> Result<()> {
    firms.world.kill("event-gateway")?;
    for reading in readers {
        let live = firms.something_happens(reading.subscriber.tenant).await?;
        reading.has_read(&[live], PATIENCE).await?;
    }
    ensure!(!firms.comes_in(&token(&firms.ada.secret)).await?, "nobody was asked");
    firms.world.spawn("event-gateway")?;
    firms.world.ready("event-gateway").await?;
    eventually("the gate is back", PATIENCE, async || firms.comes_in(&token(&firms.ada.secret)).await).await
}

async fn a_reader_goes_on_when_nats_has_lost_everything(firms: &mut Firms, readers: &[Reading; 2]) -> Result<()> {
    firms.world.nats.wipe()?;
    for reading in readers {
        let live = firms.something_happens(reading.subscriber.tenant).await?;
        // The relay looks once a minute at least.
        reading.has_read(&[live], Duration::from_secs(90)).await?;
    }
    Ok(())
}

async fn a_suspended_firm_reads_nothing_until_it_is_let_in_again(firms: &Firms, readers: &[Reading; 2]) -> Result<()> {
    let [_, eve] = readers;
    let tenant = eve.subscriber.tenant.to_string();
    firms.world.expect(&["tenants", "suspend", &tenant, "--reason", "unpaid"])?;
    eventually("a suspended firm's connection is gone", GONE_WITHIN, async || Ok(firms.connected(&firms.eve)? == 0))
        .await?;
    firms.world.expect(&["tenants", "resume", &tenant])?;
    let live = firms.something_happens(eve.subscriber.tenant).await?;
    eve.has_read(&[live], PATIENCE).await
}

async fn a_rotated_secret_is_good_for_a_while_and_then_only_the_new_one(firms: &mut Firms) -> Result<()> {
    let comes_in = async |firms: &Firms, secret: &str| firms.comes_in(&token(secret)).await;
    let (path, first) = (format!("/v1/identity/subscribers/{}/rotate", firms.ada.id), firms.ada.secret.clone());
    let second = text(&post(&firms.world, &path, &json!({ "overlap_hours": 1 })).await?, "secret")?;
    ensure!(comes_in(firms, &first).await? && comes_in(firms, &second).await?, "both are good for an hour");
    ensure!(firms.connected(&firms.ada)? >= 1, "who is in with the first stays");
    let third = firms.world.expect(&[
        "event-gateway",
        "rotate",
        "--tenant",
        &firms.ada.tenant.to_string(),
        "--overlap-hours",
        "0",
        &firms.ada.id,
    ])?;
    let third = said(&third, "secret")?;
    ensure!(comes_in(firms, &third).await?, "the newest is good");
    eventually("who came in with the first is out", GONE_WITHIN, async || Ok(firms.connected(&firms.ada)? == 0))
        .await?;
    ensure!(!comes_in(firms, &first).await? && !comes_in(firms, &second).await?, "those before are not");
    firms.ada.secret = third;
    Ok(())
}

async fn n_08_a_revoked_subscriber_loses_its_connection_and_does_not_come_back(
    firms: &Firms,
    readers: &[Reading; 2],
) -> Result<()> {
    let python = Reading::start(&firms.world, Language::Python, &firms.ada)?;
    let node = Reading::start(&firms.world, Language::Node, &firms.ada)?;
    eventually("both are in", PATIENCE, async || Ok(firms.connected(&firms.ada)? == 2)).await?;
    let revoke = format!("/v1/identity/subscribers/{}/revoke", firms.ada.id);
    post(&firms.world, &revoke, &json!({ "reason": "leaked" })).await?;
    eventually("both are out", GONE_WITHIN, async || Ok(firms.connected(&firms.ada)? == 0)).await?;
    ensure!(!firms.comes_in(&token(&firms.ada.secret)).await?, "a revoked one comes in");
    // What happens from now on reaches the other firm's reader, and nobody who was revoked, however often they try.
    let missed = firms.something_happens(firms.ada.tenant).await?;
    let live = firms.something_happens(firms.eve.tenant).await?;
    readers[1].has_read(&[live], PATIENCE).await?;
    tokio::time::sleep(GONE_WITHIN).await;
    for reading in [&python, &node, &readers[0]] {
        ensure!(!reading.positions().contains(&missed), "{:?} read on", reading.subscriber);
    }
    ensure!(firms.connected(&firms.ada)? == 0, "a revoked one is back");
    let listed = firms.world.expect(&["event-gateway", "list", "--tenant", &firms.ada.tenant.to_string()])?;
    ensure!(listed.contains(&firms.ada.id) && listed.contains("revoked"), "{listed}");
    Ok(())
}
