//! A steady load of commands by clients that behave: they carry keys and repeat what they got no answer to.

use crate::world::World;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How long a client repeats one command before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Turns of one load at most.
const TURNS_PER_LOAD: u32 = 6_500;
/// Turns between two bookings at least, so that each has a slot of its own: 26 loads fit into the year that can be booked ahead.
const TURNS_PER_SLOT: u32 = 10;
static LOADS: AtomicU32 = AtomicU32::new(0);

/// A load that runs until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Report>,
}

/// What the clients saw.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Clients acknowledged: id, name as last acknowledged, version.
    pub clients: Vec<(Uuid, String, i64)>,
    /// Bookings acknowledged, by e-mail address.
    pub bookings: Vec<String>,
    /// Commands acknowledged.
    pub acknowledged: u64,
    /// Tries that got no usable answer and were repeated.
    pub repeated: u64,
    /// Commands that never got an answer.
    pub given_up: u64,
}

#[derive(Default)]
struct Seen {
    clients: Mutex<Vec<(Uuid, String, i64)>>,
    bookings: Mutex<Vec<String>>,
    acknowledged: AtomicU64,
    repeated: AtomicU64,
    given_up: AtomicU64,
}

/// Enough of a world to send commands, free of its processes.
struct Sender {
    url: String,
    token: String,
    http: reqwest::Client,
    seen: Seen,
}

impl Load {
    /// Starts `per_second` commands a second: creations, renames of what was created, and two bookings a second.
    pub fn start(world: &World, per_second: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap_or_default();
        let (url, token) = (world.url("command-api"), world.token().to_owned());
        let sender = Arc::new(Sender { url, token, http, seen: Seen::default() });
        let task = tokio::spawn(run(sender, stop.clone(), per_second));
        Self { stop, task }
    }

    /// Stops sending, waits for every answer that is still to come.
    pub async fn finish(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap_or_default()
    }
}

async fn run(sender: Arc<Sender>, stop: Arc<AtomicBool>, per_second: u32) -> Report {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut commands = vec![];
    // Each load books times of its own.
    let mut turn = TURNS_PER_LOAD * LOADS.fetch_add(1, Ordering::Relaxed);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        turn += 1;
        let sender = sender.clone();
        commands.push(tokio::spawn(async move {
            if turn.is_multiple_of((per_second / 2).max(TURNS_PER_SLOT)) {
                sender.book(turn).await;
            } else if turn.is_multiple_of(2) {
                sender.create(turn).await;
            } else {
                sender.rename(turn).await;
            }
        }));
    }
    for command in commands {
        // A client that panicked shows as a command without acknowledgement.
        drop(command.await);
    }
    let seen = &sender.seen;
    Report {
        clients: seen.clients.lock().await.clone(),
        bookings: seen.bookings.lock().await.clone(),
        acknowledged: seen.acknowledged.load(Ordering::Relaxed),
        repeated: seen.repeated.load(Ordering::Relaxed),
        given_up: seen.given_up.load(Ordering::Relaxed),
    }
}

impl Sender {
    async fn create(&self, turn: u32) {
        let name = format!("Client {turn}");
        if let Some(answer) = self.send("/v1/crm/clients", &json!({ "name": name })).await
            && let Some(id) = id(&answer)
        {
            self.seen.clients.lock().await.push((id, name, 1));
        }
    }

    /// Takes a client out of the list while it is renamed, so that one client has one writer.
    async fn rename(&self, turn: u32) {
        let Some((id, old, version)) = self.seen.clients.lock().await.pop() else { return };
        let name = format!("Client {turn} renamed");
        let renamed = match self.send(&format!("/v1/crm/clients/{id}/rename"), &json!({ "name": name })).await {
            Some(answer) => (id, name, answer["version"].as_i64().unwrap_or(0)),
            None => (id, old, version),
        };
        self.seen.clients.lock().await.insert(0, renamed);
    }

    async fn book(&self, turn: u32) {
        // Every slot once: half an hour each, from the first Monday of 2027 on, around the clock.
        let slot = i64::from(turn / TURNS_PER_SLOT);
        let starts_at = chrono::DateTime::from_timestamp(1_799_020_800 + slot * 1_800, 0).unwrap_or_default();
        let email = format!("guest{turn}@load.example");
        let body = json!({
            "event_type": "helpdesk_call", "starts_at": starts_at, "time_zone": "Europe/Berlin",
            "invitee": { "name": format!("Guest {turn}"), "email": email, "company": format!("Company {turn}") },
        });
        if self.send("/v1/scheduling/appointments", &body).await.is_some() {
            self.seen.bookings.lock().await.push(email);
        }
    }

    /// Sends until there is an answer that says yes; the same key each time.
    async fn send(&self, path: &str, body: &Value) -> Option<Value> {
        let key = Uuid::now_v7().to_string();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token);
            match request.header("Idempotency-Key", &key).json(body).send().await {
                Ok(answer) if answer.status().is_success() => {
                    self.seen.acknowledged.fetch_add(1, Ordering::Relaxed);
                    return answer.json().await.ok();
                }
                Ok(answer) if answer.status().is_client_error() => {
                    let problem: Value = answer.json().await.unwrap_or_default();
                    if problem["retryable"] != true {
                        eprintln!("{path} refused: {problem}");
                        self.seen.given_up.fetch_add(1, Ordering::Relaxed);
                        return None;
                    }
                }
                _ => {}
            }
            if Instant::now() > deadline {
                self.seen.given_up.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            self.seen.repeated.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn id(answer: &Value) -> Option<Uuid> {
    answer["id"].as_str()?.parse().ok()
}
