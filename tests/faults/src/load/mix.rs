//! What clients do: create, rename, race, repeat, book, and read what they wrote.

use super::client::{Client, Operation, Outcome, half_hour};
use crate::mailbox::REFUSED;
use futures::future::join_all;
use parking_lot::Mutex;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// Records that a client keeps in mind to rename and read; older ones are left alone.
const REMEMBERED_MAX: usize = 400;
/// Half hours that can be booked ahead of one firm's desk.
const HALF_HOURS: u64 = 360 * 48;
/// Records that everybody of a firm writes to.
const CONTESTED_PER_TENANT: usize = 8;

/// A client's record: only its owner writes to it, one command at a time.
#[derive(Debug, Clone)]
struct Own {
    id: Uuid,
    position: i64,
}

/// A record that several write to: the version that was last seen.
#[derive(Debug, Clone)]
struct Contested {
    id: Uuid,
    version: i64,
}

#[derive(Debug, Default)]
struct Memory {
    /// Records by owner that nobody is writing to right now.
    own: HashMap<String, Vec<Own>>,
    contested: HashMap<Uuid, Vec<Contested>>,
    /// How many of them each firm has ever had.
    contested_made: HashMap<Uuid, usize>,
}

/// Chooses what comes next.
pub struct Mix {
    clients: Vec<Arc<Client>>,
    memory: Arc<Mutex<Memory>>,
    booked: HashMap<Uuid, u64>,
}

/// One thing that a client does, or several clients at once.
pub struct Turn {
    what: What,
    client: Arc<Client>,
    /// Others of the same firm.
    others: Vec<Arc<Client>>,
    memory: Arc<Mutex<Memory>>,
}

enum What {
    Create,
    Rename(Own),
    /// Several renames of one record at the same moment. If they say which version they have seen, one at most may
    /// succeed; otherwise all must.
    Race(Contested, bool),
    /// The same key and body to both copies at the same moment.
    Duplicates,
    /// The same key with another body afterwards: must be refused.
    KeyReused,
    /// Two clients want the same address at the same moment.
    Claim(String),
    /// Two new contacts are made a client's primary contact at the same moment: each takes the place of whoever has it, so both
    /// commands are units.
    TakeOver(Uuid),
    /// Somebody is invited, and gets an email.
    Invite,
    Book(u64),
}

impl Turn {
    /// How many commands it is.
    pub fn commands(&self) -> u32 {
        match self.what {
            What::Race(..) | What::Duplicates => 3,
            What::KeyReused | What::Claim(_) => 2,
            What::TakeOver(_) => 4,
            _ => 1,
        }
    }

    /// Does it and counts what came of it.
    pub async fn play(self) {
        let Self { what, client, others, memory } = self;
        match what {
            What::Create => {
                let outcome = client.run(&creation(&client)).await;
                count(&client, &outcome, true);
                if let Some((id, position)) = done(&outcome) {
                    remember_new(&memory, &client, Own { id, position });
                }
            }
            What::Rename(mut own) => {
                let renamed = client.run(&renaming(&client, own.id)).await;
                count(&client, &renamed, true);
                if let Outcome::Ok(body) = renamed {
                    own.position = body["position"].as_i64().unwrap_or(own.position);
                    remember(&memory, &client, own);
                }
                // Of a record whose last outcome nobody knows there is nothing certain to say, so it is left alone.
            }
            What::Race(contested, told) => race(&client, &others, &memory, contested, told).await,
            What::Duplicates => {
                let operation = creation(&client);
                let three = (0..3).map(|copy| client.run_from(&operation, copy));
                let outcomes = join_all(three).await;
                for outcome in &outcomes {
                    count(&client, outcome, true);
                }
                if let Some((id, position)) = outcomes.iter().find_map(done) {
                    remember_new(&memory, &client, Own { id, position });
                }
            }
            What::KeyReused => {
                let first = creation(&client);
                let outcome = client.run(&first).await;
                count(&client, &outcome, true);
                if let Some((id, position)) = done(&outcome) {
                    remember_new(&memory, &client, Own { id, position });
                    let second = creation(&client);
                    let outcome = client.run(&Operation { key: first.key, ..second }).await;
                    count(&client, &outcome, true);
                }
            }
            What::Claim(email) => {
                let two = others.iter().take(1).chain([&client]).map(async |client| {
                    let (counter, name) = client.mark();
                    let body = json!({ "name": name, "email": email });
                    let path = "/v1/crm/contacts".to_owned();
                    let outcome = client.run(&client.command("crm.contact.create", path, body, Some(counter))).await;
                    count(client, &outcome, true);
                });
                join_all(two).await;
            }
            What::TakeOver(record) => {
                let two = others.iter().take(1).chain([&client]).map(async |client| {
                    let (counter, name) = client.mark();
                    let body = json!({ "name": name });
                    let path = "/v1/crm/contacts".to_owned();
                    let created = client.run(&client.command("crm.contact.create", path, body, Some(counter))).await;
                    count(client, &created, true);
                    let Some((contact, _)) = done(&created) else { return };
                    let body = json!({ "client_id": record, "role": "Director", "primary": true });
                    let path = format!("/v1/crm/contacts/{contact}/link-to-client");
                    let linked = client.run(&client.command("crm.contact.link_to_client", path, body, None)).await;
                    count(client, &linked, true);
                });
                join_all(two).await;
            }
            What::Invite => {
                let (counter, name) = client.mark();
                let refused = if counter % 10 == 0 { REFUSED } else { "" };
                let email = format!("{refused}invited-{}-{counter}@{}.example", client.name, client.tenant.simple());
                let body = json!({ "name": name, "email": email, "roles": ["viewer"] });
                let path = "/v1/identity/users".to_owned();
                let operation = client.command("identity.user.invite", path, body, Some(counter));
                count(&client, &client.run(&operation).await, true);
            }
            What::Book(number) => {
                let (counter, name) = client.mark();
                let email = format!("guest-{}-{counter}@{}.example", client.name, client.tenant.simple());
                let body = json!({
                    "event_type": "helpdesk_call", "starts_at": half_hour(number), "time_zone": "Europe/Berlin",
                    "invitee": { "name": name, "email": email, "company": format!("Company {name}") },
                });
                let path = "/v1/scheduling/appointments".to_owned();
                let operation = client.command("scheduling.appointment.book", path, body, Some(counter));
                count(&client, &client.run(&operation).await, true);
            }
        }
    }
}

impl Mix {
    pub fn new(clients: Vec<Arc<Client>>) -> Self {
        Self { clients, memory: Arc::default(), booked: HashMap::new() }
    }

    pub fn next_turn(&mut self, random: &mut StdRng) -> Turn {
        let client = self.clients[random.random_range(0..self.clients.len())].clone();
        let mates: Vec<_> =
            self.clients.iter().filter(|c| c.tenant == client.tenant && c.name != client.name).cloned().collect();
        let others: Vec<_> = mates.choose_multiple(random, 2).cloned().collect();
        let dice = random.random_range(0..1_000);
        let what = match dice {
            0..365 => What::Create,
            365..380 => What::Invite,
            380..800 => self.own(&client, random).map_or(What::Create, What::Rename),
            800..850 => match self.contested(&client, random) {
                Some(contested) => What::Race(contested, random.random_bool(0.7)),
                None => What::Create,
            },
            850..900 => What::Duplicates,
            900..940 => What::KeyReused,
            940..960 => What::Claim(format!("shared-{:x}@claims.example", random.random::<u32>())),
            960..980 => self.known(&client, random).map_or(What::Create, What::TakeOver),
            _ => {
                let booked = self.booked.entry(client.tenant).or_default();
                *booked += 1;
                if *booked < HALF_HOURS { What::Book(*booked) } else { What::Create }
            }
        };
        Turn { what, client, others, memory: self.memory.clone() }
    }

    /// A question about a record of the client's own, that must show what the client has written.
    pub fn next_question(&self, random: &mut StdRng) -> Option<impl Future<Output = ()> + use<>> {
        let client = self.clients[random.random_range(0..self.clients.len())].clone();
        let own = {
            let memory = self.memory.lock();
            memory.own.get(&client.name)?.choose(random)?.clone()
        };
        // Without a position it may be behind, but never behind what the same client has seen before.
        let min_position = random.random_bool(0.5).then_some(own.position);
        Some(async move {
            let path = format!("/v1/crm/clients/{}", own.id);
            let outcome = client.run(&client.query("crm.client.read", path, min_position)).await;
            count(&client, &outcome, false);
        })
    }

    /// A record of the client's own, taken out of its memory while it is written to.
    fn own(&self, client: &Client, random: &mut StdRng) -> Option<Own> {
        let mut memory = self.memory.lock();
        let records = memory.own.get_mut(&client.name).filter(|records| !records.is_empty())?;
        Some(records.swap_remove(random.random_range(0..records.len())))
    }

    /// A record that everybody of the firm writes to, and goes on to.
    fn known(&self, client: &Client, random: &mut StdRng) -> Option<Uuid> {
        Some(self.memory.lock().contested.get(&client.tenant)?.choose(random)?.id)
    }

    fn contested(&self, client: &Client, random: &mut StdRng) -> Option<Contested> {
        let mut memory = self.memory.lock();
        let records = memory.contested.get_mut(&client.tenant).filter(|records| !records.is_empty())?;
        Some(records.swap_remove(random.random_range(0..records.len())))
    }
}

fn creation(client: &Client) -> Operation {
    let (counter, name) = client.mark();
    client.command("crm.client.create", "/v1/crm/clients".to_owned(), json!({ "name": name }), Some(counter))
}

fn renaming(client: &Client, id: Uuid) -> Operation {
    let (counter, name) = client.mark();
    client.command("crm.client.rename", format!("/v1/crm/clients/{id}/rename"), json!({ "name": name }), Some(counter))
}

/// Three clients have seen the same version. Whoever comes first wins, the others are told so.
async fn race(client: &Client, others: &[Arc<Client>], memory: &Mutex<Memory>, mut contested: Contested, told: bool) {
    let racers = others.iter().map(Arc::as_ref).chain([client]);
    let outcomes = join_all(racers.map(async |racer| {
        let renaming = Operation { if_match: told.then_some(contested.version), ..renaming(racer, contested.id) };
        let outcome = racer.run(&renaming).await;
        count(racer, &outcome, true);
        outcome
    }));
    for outcome in outcomes.await {
        let seen = match &outcome {
            Outcome::Ok(body) => body["version"].as_i64(),
            Outcome::Refused(_, problem) => problem["actual"].as_i64(),
            Outcome::Unknown => None,
        };
        contested.version = contested.version.max(seen.unwrap_or(0));
    }
    memory.lock().contested.entry(client.tenant).or_default().push(contested);
}

fn done(outcome: &Outcome) -> Option<(Uuid, i64)> {
    let Outcome::Ok(body) = outcome else { return None };
    Some((body["id"].as_str()?.parse().ok()?, body["position"].as_i64()?))
}

/// The first records of a firm become those that everybody writes to; all others belong to whoever made them.
fn remember_new(memory: &Mutex<Memory>, client: &Client, own: Own) {
    {
        let mut memory = memory.lock();
        let made = memory.contested_made.entry(client.tenant).or_default();
        if *made < CONTESTED_PER_TENANT {
            *made += 1;
            memory.contested.entry(client.tenant).or_default().push(Contested { id: own.id, version: 1 });
            return;
        }
    }
    remember(memory, client, own);
}

fn remember(memory: &Mutex<Memory>, client: &Client, own: Own) {
    let mut memory = memory.lock();
    let records = memory.own.entry(client.name.clone()).or_default();
    if records.len() >= REMEMBERED_MAX {
        records.swap_remove(0);
    }
    records.push(own);
}

/// Counts an operation; a question does not count as one of the commands that were attempted.
fn count(client: &Client, outcome: &Outcome, is_command: bool) {
    let counts = &client.wire().counts;
    if !is_command {
        return;
    }
    counts.attempted.fetch_add(1, Ordering::Relaxed);
    let which = match outcome {
        Outcome::Ok(_) => &counts.ok,
        Outcome::Refused(..) => &counts.refused,
        Outcome::Unknown => &counts.unknown,
    };
    which.fetch_add(1, Ordering::Relaxed);
}
