//! Holds what the providers have against what the firms' records say, and both against what was asked for.

use crate::office::{Firm, Office};
use crate::people::{Effect, Fate, Kind, cents};
use crate::storm::{Done, FORGED};
use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use lab::{Fault, Mood, What};
use serde_json::Value;
use sqlx::Row;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use uuid::Uuid;

/// What has no end yet: jobs, messages that were only kept, and events that no job was made of.
const OPEN: &str = "
    select (select count(*) from reactions.jobs j
            where j.ended_at is null and j.state <> 'parked'
              and (j.reaction like 'books.%' or j.reaction like 'connect.%' or j.reaction like 'signatures.%'))
         + (select count(*) from connect.inbox i where i.is_open)
         + (select count(*) from eventstore.events e
            join reactions.checkpoints c on e.position > c.position
             and (c.reader = 'books.invoices' and e.event_type in ('invoice.issued', 'invoice.voided')
               or c.reader = 'books.bills' and e.event_type in ('bill.approved', 'bill.voided')
               or c.reader = 'signatures.envelope' and e.event_type in ('contract.sent_for_signature', 'contract.voided')
               or c.reader = 'signatures.document' and e.event_type = 'contract.signed'))";

/// How much has no end yet.
pub async fn open(office: &Office) -> Result<i64> {
    Ok(sqlx::query_scalar(OPEN).fetch_one(&office.all).await?)
}

/// What waits, and for what.
pub async fn why(office: &Office) -> Result<String> {
    let sql = "select j.reaction || ' ' || j.state || coalesce(' ' || j.code, '') || ': ' || coalesce(left(j.why, 120), '') as what, count(*) as n
               from reactions.jobs j where j.ended_at is null group by 1 order by 2 desc limit 20";
    let rows = sqlx::query(sql).fetch_all(&office.all).await?;
    let lines = rows.iter().map(|row| format!("{} {}", row.get::<i64, _>("n"), row.get::<String, _>("what")));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// What is wrong, and how much was right.
#[derive(Default)]
struct Verdict {
    twice: Vec<String>,
    lost: Vec<String>,
    otherwise: Vec<String>,
    good: BTreeMap<&'static str, usize>,
}

impl Verdict {
    /// There has to be one.
    fn one(&mut self, what: &'static str, count: usize, of: &dyn Fn() -> String) {
        match count {
            0 => self.lost.push(format!("{what}: {}", of())),
            1 => *self.good.entry(what).or_default() += 1,
            many => self.twice.push(format!("{many} of {what}: {}", of())),
        }
    }

    fn so(&mut self, so: bool, of: impl FnOnce() -> String) {
        if !so {
            self.otherwise.push(of());
        }
    }
}

/// How often what happened to each record, and how each is shown.
struct Records {
    happened: HashMap<(Uuid, String), usize>,
    shown: HashMap<Uuid, Value>,
    /// Payments by what the ledger calls them.
    payments: HashMap<(Uuid, String), usize>,
    /// What was noted of ledgers and envelopes, by record.
    noted: HashMap<Uuid, Vec<String>>,
}

impl Records {
    async fn read(office: &Office) -> Result<Self> {
        let mut happened = HashMap::new();
        let sql = "select aggregate_id, event_type, count(*) as n from eventstore.events group by 1, 2";
        let mut rows = sqlx::query(sql).fetch(&office.all);
        while let Some(row) = rows.try_next().await? {
            let count = usize::try_from(row.get::<i64, _>("n"))?;
            happened.insert((row.get("aggregate_id"), row.get("event_type")), count);
        }
        let mut shown = HashMap::new();
        for table in ["revenue.invoices", "revenue.bills", "agreements.contracts"] {
            let sql = format!("select t.id, to_jsonb(t) as shown from {table} t");
            for row in sqlx::query(&sql).fetch_all(&office.all).await? {
                shown.insert(row.get("id"), row.get("shown"));
            }
        }
        let mut payments = HashMap::new();
        let sql = "select tenant_id, external_id, count(*) as n from revenue.payments where external_id is not null group by 1, 2";
        for row in sqlx::query(sql).fetch_all(&office.all).await? {
            payments.insert((row.get("tenant_id"), row.get("external_id")), usize::try_from(row.get::<i64, _>("n"))?);
        }
        let mut noted: HashMap<Uuid, Vec<String>> = HashMap::new();
        let sql = "select record_id as record, entry_id as there from connect.entries
                   union all select contract_id, envelope_id from connect.envelopes where envelope_id is not null";
        for row in sqlx::query(sql).fetch_all(&office.all).await? {
            noted.entry(row.get("record")).or_default().push(row.get("there"));
        }
        Ok(Self { happened, shown, payments, noted })
    }

    fn times(&self, id: Uuid, event: &str) -> usize {
        self.happened.get(&(id, event.to_owned())).copied().unwrap_or_default()
    }
}

/// What is said of a record that is not as it should be.
fn short(row: &Value) -> Value {
    let names = [
        "number",
        "reference",
        "status",
        "external_id",
        "envelope_id",
        "paid_minor",
        "outstanding_minor",
        "ledger_error",
    ];
    let there = names.iter().filter(|name| !row[**name].is_null());
    Value::Object(there.map(|name| ((*name).to_owned(), row[*name].clone())).collect())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Says how it was; an error if anything was done twice, was lost, or is told otherwise here than there.
pub async fn judge(office: &Office, plans: &[(Rc<Firm>, Vec<Effect>)], faults: &[Fault], done: &Done) -> Result<()> {
    let records = Records::read(office).await?;
    let mut verdict = Verdict::default();
    for (firm, plan) in plans {
        of_firm(&records, &mut verdict, firm, plan);
    }
    let parked = "select count(*) from reactions.jobs where state = 'parked'";
    let parked: i64 = sqlx::query_scalar(parked).fetch_one(&office.all).await?;
    verdict.so(parked == 0, || format!("{parked} jobs were given up"));
    let moved = "select (select count(*) from reactions.jobs where key like '%/' || $1 || '%')
                      + (select count(*) from connect.inbox where hints::text like '%' || $1 || '%')";
    let moved: i64 = sqlx::query_scalar(moved).bind(FORGED).fetch_one(&office.all).await?;
    verdict.so(moved == 0, || format!("{moved} messages of nobody's were believed"));
    for (status, count) in &done.forged {
        verdict.so(matches!(status, 0 | 401 | 503), || format!("{count} forged messages were answered {status}"));
    }
    report(plans, faults, done, &verdict);
    let Verdict { twice, lost, otherwise, .. } = verdict;
    let wrong: Vec<String> = [twice, lost, otherwise].into_iter().flatten().take(40).collect();
    ensure!(wrong.is_empty(), "{}\nwhat waits:\n{}", wrong.join("\n"), why(office).await.context("what waits")?);
    Ok(())
}

fn of_firm(records: &Records, verdict: &mut Verdict, firm: &Firm, plan: &[Effect]) {
    let (entries, envelopes) = (firm.lab.invoices(), firm.lab.envelopes());
    for contact in firm.lab.contacts() {
        let same = |other: &&Value| other["ContactNumber"] == contact["ContactNumber"];
        verdict.one("party", firm.lab.contacts().iter().filter(same).count(), &|| contact.to_string());
    }
    for effect in plan {
        match effect.kind {
            Kind::Invoice | Kind::Bill => of_entry(records, verdict, firm, *effect, &entries),
            Kind::Contract => of_contract(records, verdict, *effect, &envelopes),
        }
    }
    let of = |kind: Kind| plan.iter().filter(|effect| effect.kind == kind).count();
    verdict.so(entries.len() <= of(Kind::Invoice) + of(Kind::Bill), || "more entries than were asked for".to_owned());
    verdict.so(envelopes.len() <= of(Kind::Contract), || "more envelopes than were asked for".to_owned());
    // Also one that nobody here has noted.
    for envelope in envelopes.iter().filter(|one| text(one, "emailSubject").ends_with("voided")) {
        verdict.so(envelope["status"] == "voided", || format!("voided here and out there: {envelope}"));
    }
    for violation in firm.lab.violations() {
        verdict.so(false, || violation);
    }
}

fn of_entry(records: &Records, verdict: &mut Verdict, firm: &Firm, effect: Effect, entries: &[Value]) {
    let Effect { kind, fate, id, minor } = effect;
    let row = records.shown.get(&id).cloned().unwrap_or_default();
    let (number, what, pushed, due) = match kind {
        Kind::Invoice => (text(&row, "number").to_owned(), "invoice", "invoice.pushed_to_ledger", minor * 6 / 5),
        _ => (format!("B{minor}"), "bill", "bill.pushed_to_ledger", minor),
    };
    let kind_there = if kind == Kind::Invoice { "ACCREC" } else { "ACCPAY" };
    let there: Vec<&Value> =
        entries.iter().filter(|one| one["Type"] == kind_there && one["InvoiceNumber"] == number.as_str()).collect();
    let named = || format!("{what} {number} {id} {fate:?}: {there:?}, here {}", short(&row));
    if fate == Fate::Voided {
        // It may have been voided before it went out.
        verdict.so(there.len() <= 1 && there.iter().all(|one| one["Status"] == "VOIDED"), || {
            format!("voided here and not there: {}", named())
        });
        verdict.so(row["status"] == "voided", || format!("not voided: {}", named()));
        *verdict.good.entry("voided entry").or_default() += 1;
        return;
    }
    verdict.one(what, there.len(), &named);
    let Some(entry) = there.first() else { return };
    verdict.one("note of an entry", records.times(id, pushed), &named);
    let entry_id = text(entry, "InvoiceID");
    verdict.so(row["external_id"] == entry_id, || format!("called otherwise: {}", named()));
    verdict.so(cents(&entry["Total"]) == due, || format!("another amount: {}", named()));
    let noted = records.noted.get(&id).map(Vec::as_slice).unwrap_or_default();
    verdict.so(noted == [entry_id], || format!("noted as {noted:?}: {}", named()));
    let payments = entry["Payments"].as_array().cloned().unwrap_or_default();
    if kind == Kind::Invoice {
        for payment in &payments {
            let name = format!("xero:{}", text(payment, "PaymentID"));
            let count = records.payments.get(&(firm.tenant, name)).copied().unwrap_or_default();
            verdict.one("payment of an invoice", count, &named);
        }
        let (paid, there) = (row["paid_minor"].as_i64(), cents(&entry["AmountPaid"]));
        verdict.so(paid == Some(there), || format!("{paid:?} is paid here, and {there} there: {}", named()));
    } else {
        let count = records.times(id, "bill.payment_recorded");
        for nth in 0..payments.len().max(count) {
            verdict.one(
                "payment of a bill",
                if nth >= count {
                    0
                } else if nth >= payments.len() {
                    2
                } else {
                    1
                },
                &named,
            );
        }
    }
    let is_paid = matches!(fate, Fate::Taken | Fate::Parted);
    verdict.so((row["status"] == "paid") == is_paid, || format!("otherwise than it should end: {}", named()));
    verdict.so((entry["Status"] == "PAID") == is_paid, || format!("otherwise than it should end there: {}", named()));
}

fn of_contract(records: &Records, verdict: &mut Verdict, effect: Effect, envelopes: &[Value]) {
    let Effect { fate, id, .. } = effect;
    let row = records.shown.get(&id).cloned().unwrap_or_default();
    let noted = records.noted.get(&id).map(Vec::as_slice).unwrap_or_default();
    let named = || format!("contract {id} {fate:?}: noted as {noted:?}, here {}", short(&row));
    if noted.is_empty() && fate == Fate::Voided {
        *verdict.good.entry("voided envelope").or_default() += 1;
        return;
    }
    // Several envelopes of one contract have one key.
    let Some(envelope) = envelopes.iter().find(|one| noted.iter().any(|id| one["envelopeId"] == id.as_str())) else {
        verdict.lost.push(named());
        return;
    };
    let same = envelopes.iter().filter(|one| one["transactionId"] == envelope["transactionId"]).count();
    verdict.one("envelope", same, &named);
    let (there, here) = (text(envelope, "status"), text(&row, "status"));
    if fate == Fate::Voided {
        verdict.so(there == "voided" && here == "voided", || format!("{there} there: {}", named()));
        return;
    }
    verdict.one("note of an envelope", records.times(id, "contract.envelope_sent"), &named);
    verdict.so(row["envelope_id"] == envelope["envelopeId"], || format!("called otherwise: {}", named()));
    let expected = if fate == Fate::Declined { ("declined", "declined", 1) } else { ("completed", "signed", 2) };
    let signatures = records.times(id, "recipient.signed");
    verdict.so((there, here, signatures) == expected, || format!("{there} there, {signatures} signed: {}", named()));
    if fate == Fate::Taken {
        verdict.one("end of a contract", records.times(id, "contract.signed"), &named);
        verdict.one("signed document", records.times(id, "signed_document.stored"), &named);
    }
}

fn report(plans: &[(Rc<Firm>, Vec<Effect>)], faults: &[Fault], done: &Done, verdict: &Verdict) {
    let effects: usize = plans.iter().map(|(_, plan)| plan.len()).sum();
    let of = |kind: Kind| plans.iter().flat_map(|(_, plan)| plan).filter(|effect| effect.kind == kind).count();
    println!(
        "effects: {effects} ({} invoices, {} bills, {} contracts)",
        of(Kind::Invoice),
        of(Kind::Bill),
        of(Kind::Contract)
    );
    let mut met: BTreeMap<&str, u32> = BTreeMap::new();
    for fault in faults {
        let what = match fault.what {
            What::AnswerLost => "answers lost after it was done",
            What::DoneBut { .. } => "errors answered after it was done",
            What::Status { .. } => "errors answered before anything was done",
            What::Slow { .. } => "answers late",
        };
        *met.entry(what).or_default() += 1 - fault.times.min(1);
    }
    println!("at the providers: {met:?}");
    let (mut moods, mut webhooks): (BTreeMap<Mood, usize>, BTreeMap<u16, usize>) = Default::default();
    let mut calls = 0;
    for (firm, _) in plans {
        firm.lab.told().into_iter().for_each(|(mood, count)| *moods.entry(mood).or_default() += count);
        for said in firm.lab.said() {
            match said.method.as_str() {
                "WEBHOOK" => *webhooks.entry(said.status).or_default() += 1,
                _ => calls += 1,
            }
        }
    }
    println!("calls to providers: {calls}");
    println!("messages of providers: {moods:?}, at once answered {webhooks:?}, late and turned around {:?}", done.late);
    println!("messages of forgers, answered {:?}", done.forged);
    println!("kills: {} {:?}", done.kills.values().sum::<usize>(), done.kills);
    println!("right: {:?}", verdict.good);
    println!("twice: {}, lost: {}, otherwise: {}", verdict.twice.len(), verdict.lost.len(), verdict.otherwise.len());
}
