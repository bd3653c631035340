//! What people do: those of the firms, who have effects made, and those outside, who pay and sign as soon as they see something.

use crate::office::{Firm, Office};
use anyhow::Result;
use chrono::Utc;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;

/// What is to be done at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Invoice,
    Bill,
    Contract,
}

/// What becomes of it afterwards. Invoices say so in their line and contracts in their title, so that those outside know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing more happens.
    Rests,
    /// It is paid there, or signed.
    Taken,
    /// It is paid there in two parts.
    Parted,
    /// The firm voids it at once.
    Voided,
    /// Somebody does not sign.
    Declined,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Rests => "rests",
            Self::Taken => "taken",
            Self::Parted => "parted",
            Self::Voided => "voided",
            Self::Declined => "declined",
        }
    }
}

/// Something that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Effect {
    pub kind: Kind,
    pub fate: Fate,
    pub id: Uuid,
    /// Net, in cents: of every invoice and bill another one.
    pub minor: i64,
}

/// So many effects, mixed: of ten seven invoices, two bills and one contract.
pub fn plan(count: usize, rng: &mut StdRng) -> Vec<Effect> {
    let mixed = (0..count).map(|n| {
        let dice = rng.random_range(0..20);
        let (kind, fate) = match rng.random_range(0..10) {
            0..7 if dice < 2 => (Kind::Invoice, Fate::Voided),
            0..7 if dice < 11 => (Kind::Invoice, Fate::Taken),
            0..7 if dice < 15 => (Kind::Invoice, Fate::Parted),
            0..7 => (Kind::Invoice, Fate::Rests),
            7 | 8 if n % 2 == 0 => (Kind::Bill, Fate::Taken),
            7 | 8 => (Kind::Bill, Fate::Rests),
            _ if dice < 14 => (Kind::Contract, Fate::Taken),
            _ if dice < 17 => (Kind::Contract, Fate::Declined),
            _ => (Kind::Contract, Fate::Voided),
        };
        Effect { kind, fate, id: Uuid::now_v7(), minor: 10_000 + 100 * i64::try_from(n).unwrap_or_default() }
    });
    mixed.collect()
}

fn eur(minor: i64) -> Value {
    json!({ "minor": minor, "currency": "EUR" })
}

/// Has one effect made: what leads to it is prepared, and asked for at the door.
pub async fn make(office: &Office, firm: &Firm, effect: Effect, pause: Duration) -> Result<()> {
    let Effect { kind, fate, id, minor } = effect;
    let order = async |name: &str, body: Value| office.order(firm.tenant, name, id, body).await;
    let says = format!("Work, {}", fate.word());
    match kind {
        Kind::Invoice => {
            let line = json!({ "description": says, "unit_price": eur(minor) });
            let draft = json!({ "client_id": firm.client, "lines": [line] });
            order("revenue.invoice.draft", draft).await?;
            order("revenue.invoice.submit_for_approval", json!({})).await?;
            order("revenue.invoice.approve", json!({})).await?;
            office.ask(firm, &format!("revenue/invoices/{id}/issue"), json!({})).await?;
        }
        Kind::Bill => {
            let vendor = firm.vendors[usize::try_from(minor / 100).unwrap_or_default() % firm.vendors.len()];
            let receive = json!({ "vendor_id": vendor, "reference": format!("B{minor}"), "total": eur(minor) });
            order("revenue.bill.receive", receive).await?;
            order("revenue.bill.code", json!({})).await?;
            office.ask(firm, &format!("revenue/bills/{id}/request-approval"), json!({})).await?;
        }
        Kind::Contract => {
            let recipient = |name: &str, order: u16| {
                let email = format!("{}@example.com", name.to_lowercase());
                json!({ "name": name, "email": email, "role": "signer", "order": order })
            };
            let create = json!({
                "client_id": firm.client, "title": says, "body": "# We do it\n\nEvery *month*.",
                "recipients": [recipient("Ada", 1), recipient("Eve", 2)],
            });
            order("agreements.contract.create", create).await?;
            office.ask(firm, &format!("agreements/contracts/{id}/send-for-signature"), json!({})).await?;
        }
    }
    if fate == Fate::Voided {
        tokio::time::sleep(pause).await;
        let path = match kind {
            Kind::Contract => format!("agreements/contracts/{id}/void"),
            _ => format!("revenue/invoices/{id}/void"),
        };
        office.ask(firm, &path, json!({ "reason": "a mistake" })).await?;
    }
    Ok(())
}

/// Pays and signs at a firm's providers until nobody wants that any more. A bill's fate is not on what the ledger has of it: those
/// of an even amount are paid.
pub async fn outside(firm: Rc<Firm>, seed: u64, over: Rc<Cell<bool>>) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut done: HashMap<String, u32> = HashMap::new();
    let today = Utc::now().date_naive();
    while !over.get() {
        for entry in firm.lab.invoices() {
            let (Some(id), "AUTHORISED") = (entry["InvoiceID"].as_str(), entry["Status"].as_str().unwrap_or_default())
            else {
                continue;
            };
            let said = entry["LineItems"][0]["Description"].as_str().unwrap_or_default();
            let is_bill = entry["Type"] == "ACCPAY";
            let steps = done.entry(id.to_owned()).or_default();
            let due = cents(&entry["AmountDue"]);
            let fate = match is_bill {
                true if cents(&entry["Total"]) / 100 % 2 == 0 => "taken",
                true => "rests",
                false => said.rsplit(", ").next().unwrap_or_default(),
            };
            match (fate, *steps) {
                ("taken", 0) | ("parted", 1) => drop(firm.lab.pay(id, due, today)),
                ("parted", 0) => drop(firm.lab.pay(id, due / 3, today)),
                _ => continue,
            }
            *steps += 1;
        }
        for envelope in firm.lab.envelopes() {
            let Some(id) = envelope["envelopeId"].as_str() else { continue };
            let said = envelope["emailSubject"].as_str().unwrap_or_default();
            let steps = done.entry(id.to_owned()).or_default();
            let why = said.ends_with("declined").then_some("too expensive");
            let who = match (said.rsplit(", ").next().unwrap_or_default(), *steps) {
                ("taken", 0) | ("declined", 0) => "1",
                ("taken", 1) | ("declined", 1) => "2",
                _ => continue,
            };
            // The first signs in either case; whether the second does is the envelope's fate.
            if firm.lab.sign(id, who, why.filter(|_| *steps == 1)).is_ok() {
                *steps += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..900))).await;
    }
}

/// An amount with two decimals in cents.
pub fn cents(amount: &Value) -> i64 {
    let text = amount.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{part:0<2}").parse().unwrap_or_default()
}
