//! What goes wrong: at the providers, on the way to the door and back, and with our own processes.

use crate::office::{Firm, Office};
use anyhow::Result;
use e2e::{Copy, World};
use lab::{Fault, Mood, What};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;

/// The role that speaks to providers: two copies of it run.
const PROVIDERS: &str = "providers";
/// Where providers come in by themselves.
const DOOR: &str = "command-api";

/// How often what was done to the run.
#[derive(Debug, Default)]
pub struct Done {
    pub kills: BTreeMap<String, usize>,
    /// Messages with a signature that is not the provider's, by what they were answered; 0 if nobody was there.
    pub forged: BTreeMap<u16, usize>,
    /// Messages that came later and the last first, by what they were answered.
    pub late: BTreeMap<u16, usize>,
}

pub type Noted = Rc<RefCell<Done>>;

fn fault(rng: &mut StdRng) -> Fault {
    let busy = |status: u16, retry_after| What::Status { status, retry_after, limit: None, code: None };
    let what = match rng.random_range(0..12) {
        0..4 => What::AnswerLost,
        4 => What::DoneBut { status: 500 },
        5 => What::DoneBut { status: 504 },
        6 => busy(503, Some(1)),
        7 => busy(429, Some(1)),
        8 => busy(500, None),
        // So late that whoever waits for it is likely to be killed meanwhile.
        _ => What::Slow { millis: rng.random_range(500..4_000) },
    };
    // What does something is met more often than what only asks.
    let places = [
        ("xero", Some("PUT"), "/Invoices"),
        ("xero", Some("PUT"), "/Invoices"),
        ("xero", Some("PUT"), "/Invoices"),
        ("xero", Some("PUT"), "/Contacts"),
        ("xero", Some("POST"), "/Invoices/"),
        ("xero", Some("GET"), ""),
        ("docusign", Some("POST"), "/envelopes"),
        ("docusign", Some("POST"), "/envelopes"),
        ("docusign", Some("PUT"), "/envelopes"),
        ("docusign", Some("GET"), ""),
    ];
    let (provider, method, path) = places.choose(rng).copied().unwrap_or(places[0]);
    Fault { provider: provider.to_owned(), method: method.map(str::to_owned), path: path.to_owned(), times: 1, what }
}

/// What a firm's providers do wrong until it is over.
pub async fn providers(firm: Rc<Firm>, noted: Noted, seed: u64, over: Rc<Cell<bool>>) {
    let mut rng = StdRng::seed_from_u64(seed);
    while !over.get() {
        // One at a time waits at each place to be met.
        let next = fault(&mut rng);
        let place = |one: &Fault| (one.provider.clone(), one.method.clone(), one.path.clone());
        if !firm.lab.faults().iter().any(|one| one.times > 0 && place(one) == place(&next)) {
            firm.lab.fault(next);
        }
        let mood = match rng.random_range(0..20) {
            0..7 => Mood::Once,
            7..12 => Mood::Twice,
            12..15 => Mood::Held,
            15..18 => Mood::Forged,
            _ => Mood::Never,
        };
        firm.lab.mood(mood);
        // Xero remembers keys for a while only; then nothing but a look keeps a bill from being there twice.
        if rng.random_bool(0.5) {
            firm.lab.forget_keys();
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(300..1_500))).await;
        // Whatever was held back comes now, the last first; what meets no door is lost.
        for status in firm.lab.let_go().await.unwrap_or_default() {
            *noted.borrow_mut().late.entry(status).or_default() += 1;
        }
    }
}

/// Somebody who is no provider tells of things that never were, and of things that are, until it is over.
pub async fn forger(office: Rc<Office>, firms: Rc<Vec<Rc<Firm>>>, noted: Noted, seed: u64, over: Rc<Cell<bool>>) {
    let mut rng = StdRng::seed_from_u64(seed);
    while !over.get() {
        let Some(firm) = firms.choose(&mut rng) else { return };
        let known = firm.lab.invoices().choose(&mut rng).and_then(|one| one["InvoiceID"].as_str().map(str::to_owned));
        let id = known
            .filter(|_| rng.random_bool(0.3))
            .unwrap_or_else(|| format!("{FORGED}{}", &Uuid::now_v7().to_string()[8..]));
        let (provider, connection, body) = if rng.random_bool(0.7) {
            let event = json!({ "resourceId": id, "tenantId": lab::XERO_TENANT, "eventCategory": "INVOICE", "eventType": "UPDATE" });
            let body = json!({ "events": [event], "firstEventSequence": 1, "lastEventSequence": 1, "entropy": Uuid::now_v7() });
            ("xero", firm.xero.connection, body)
        } else {
            let data = json!({ "accountId": lab::DOCUSIGN_ACCOUNT, "userId": "u", "envelopeId": id });
            ("docusign", firm.docusign.connection, json!({ "event": "envelope-completed", "data": data }))
        };
        let url = format!("{}/v1/webhooks/{provider}/{connection}", office.door);
        let answered = firm.lab.deliver(provider, &url, &body.to_string(), "not the key").await.unwrap_or_default();
        *noted.borrow_mut().forged.entry(answered).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..400))).await;
    }
}

/// What things are called that somebody made up.
pub const FORGED: &str = "f0f0f0f0";

/// Kills our processes with SIGKILL and starts them again until it is over; at the end every one runs.
pub async fn killer(world: &mut World, noted: Noted, seed: u64, over: Rc<Cell<bool>>) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut second: Option<Copy> = Some(world.copy(PROVIDERS, &[]).await?);
    while !over.get() {
        tokio::time::sleep(Duration::from_millis(rng.random_range(1_000..5_000))).await;
        let role = match rng.random_range(0..20) {
            0..7 => {
                drop(second.take());
                *noted.borrow_mut().kills.entry(format!("{PROVIDERS}, second copy")).or_default() += 1;
                second = Some(world.copy(PROVIDERS, &[]).await?);
                continue;
            }
            7..14 => PROVIDERS,
            14..17 => DOOR,
            17 => "relay",
            18 => "projections",
            _ => "file-store",
        };
        world.kill(role)?;
        *noted.borrow_mut().kills.entry(role.to_owned()).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..1_000))).await;
        world.spawn(role)?;
        world.ready(role).await?;
    }
    Ok(())
}
