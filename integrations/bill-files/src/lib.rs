//! Files that are to become bills. What was handed in is read once it was inspected; if it is a bill, it comes in as one, with the file, and
//! otherwise its record says why not, and what was read all the same.
//!
//! The bill's id follows from the file's record, so a repeat makes no other. It comes in by whoever handed the file in: who brought a bill in
//! does not approve it, whichever way they took.

mod fetch;
mod found;

use crate::fetch::Fetched;
use crate::found::{Mapped, bill, found};
use catalogue::AnyEvent;
use event_store::{ExecuteError, RawEvent, Request, Store};
use kernel::{Actor, Aggregate, TenantId, Text};
use objects::ObjectStore;
use papers::read::{Paper, Unreadable, Unusable};
use reactions::{Engine, Job, Outcome, Reaction, Retry, StartAt};
use revenue::bill::BillCommand;
use revenue::bill_file::{BillFileCommand as C, NewFoundBill};
use revenue::{Bill, BillFile, BillingSettings, Vendor};
use revenue_events::{BillFileProblem as P, BillId, VendorId};
use std::time::Duration;
use uuid::Uuid;

/// Adds what reads bills to an engine.
pub fn add(engine: Engine, store: Store, objects: ObjectStore) -> Engine {
    engine.with(Reading { store, objects })
}

/// Reads bills.
struct Reading {
    store: Store,
    objects: ObjectStore,
}

/// Why a file did not become a bill.
struct Problem {
    code: P,
    detail: String,
    same: Option<BillId>,
    found: Option<NewFoundBill>,
}

impl Problem {
    fn new(code: P, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), same: None, found: None }
    }
}

/// What it comes to when it does not become one: said on the record, or not now.
enum End {
    Problem(Box<Problem>),
    Outcome(Outcome),
}

impl From<Problem> for End {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

impl Reaction for Reading {
    const NAME: &'static str = "bills.reading";
    const ON: &'static [&'static str] = &["bill_file.handed_in", "bill_file.reading_asked"];
    /// What was handed in while no files were kept is read, too.
    const START: StartAt = StartAt::Beginning;
    const RETRY: Retry = Retry { first: Duration::from_secs(2), ..Retry::TWO_DAYS };
    /// Reading one takes a processor for a while, and memory.
    const AT_ONCE: usize = 2;
    const PATIENCE: Duration = Duration::from_secs(120);

    async fn perform(&self, job: &Job) -> Outcome {
        let Some(event) = &job.event else {
            return Outcome::Never("no_event", "the log has no such event".to_owned());
        };
        let said = match self.read(event).await {
            Ok(Some(done)) => self.say(event, done).await,
            Ok(None) => Ok(()),
            Err(End::Problem(problem)) => self.say(event, record(*problem)).await,
            Err(End::Outcome(outcome)) => return outcome,
        };
        said.err().unwrap_or(Outcome::Done)
    }

    /// Somebody has to enter it: that it was tried for long enough is on its record.
    async fn given_up(&self, job: &Job, code: &str, why: &str) -> anyhow::Result<()> {
        let Some(event) = &job.event else { return Ok(()) };
        let problem = Problem::new(P::GivenUp, format!("{code}: {why}"));
        self.say(event, record(problem)).await.map_err(|outcome| anyhow::anyhow!("it is not said: {outcome:?}"))
    }
}

impl Reading {
    /// Reads the file and brings the bill in; what is to be said of it then. None if nobody waits for it any more.
    async fn read(&self, event: &RawEvent) -> Result<Option<C>, End> {
        let tenant = event.tenant_id;
        match catalogue::decode(event.clone()).map(|event| event.payload) {
            Ok(AnyEvent::BillFile(_)) => {}
            Ok(_) => return Ok(None),
            Err(error) => return Err(Outcome::Never("unreadable", error.to_string()).into()),
        }
        let file = self.state::<BillFile>(tenant, event.aggregate_id).await?;
        let Some((file, file_id)) = file.and_then(|file| Some((file.clone(), file.file_id()?))) else {
            return Ok(None);
        };
        if !file.is_being_read() {
            return Ok(None);
        }
        let bytes = match self.fetch(tenant, file_id).await? {
            Fetched::Bytes(bytes) => bytes,
            Fetched::Not(code, why) => return Err(Problem::new(code, why).into()),
        };
        let paper = understood(bytes).await?;
        let mapped =
            Mapped { file_id, vendor: self.vendor(tenant, &paper).await?, own_vat_id: self.own(tenant).await? };
        let asked = paper.bill();
        let what = found(&paper, asked.as_ref().ok(), &mapped);
        let stopped = |problem: Problem| Problem { found: Some(what.clone()), ..problem };
        let asked = asked.map_err(|why| stopped(Problem::new(because(&why), why.to_string())))?;
        let command = bill(&asked, &mapped).map_err(|(what, said)| {
            stopped(Problem::new(P::Incomplete, format!("a bill takes no {what} such as {said:?}")))
        })?;
        let bill_id = BillId(Uuid::new_v5(&event.aggregate_id, b"bill"));
        let actor = file.handed_in_by().map_or_else(system, |id| Actor::User { id });
        self.receive(event, bill_id, command, actor).await.map_err(|end| match end {
            End::Problem(problem) => stopped(*problem).into(),
            end => end,
        })?;
        Ok(Some(C::RecordRead { bill_id, found: what }))
    }

    /// Brings the bill in. One that is there came of this file before.
    async fn receive(&self, event: &RawEvent, id: BillId, command: BillCommand, actor: Actor) -> Result<(), End> {
        match self.store.execute::<Bill>(Some(id.0), command, &request(event, actor)).await {
            Ok(_) | Err(ExecuteError::AlreadyExists) => Ok(()),
            Err(ExecuteError::Claimed { scope, holder }) if scope == "revenue.bill.reference" => {
                let detail = "the vendor's bill with this number came in before";
                Err(Problem { same: Some(BillId(holder)), ..Problem::new(P::Duplicate, detail) }.into())
            }
            // Of two that look the same and come in at the same time, the second one knows the first when it comes again.
            Err(error @ ExecuteError::Claimed { .. }) => Err(Outcome::Later(None, error.to_string()).into()),
            Err(ExecuteError::Rejected { code, message, .. }) => {
                Err(Problem::new(P::Refused, format!("{code}: {message}")).into())
            }
            Err(error) => Err(away(error).into()),
        }
    }

    /// Whose bill it is: the vendor that has the registration for VAT which stands on it, with the state of its record.
    async fn vendor(&self, tenant: TenantId, paper: &Paper) -> Result<Option<(VendorId, Vendor)>, End> {
        let vat_id = paper.seller.vat_id.as_ref().and_then(|vat_id| vat_id.parse().ok());
        let Some(vat_id) = vat_id else { return Ok(None) };
        let Some(id) = self.store.holder(tenant, &Vendor::claim(&vat_id)).await.map_err(away)? else { return Ok(None) };
        let vendor = self.state::<Vendor>(tenant, id).await?;
        Ok(vendor.filter(|vendor| !vendor.is_archived()).map(|vendor| (VendorId(id), vendor)))
    }

    /// The firm's own registration.
    async fn own(&self, tenant: TenantId) -> Result<Option<String>, End> {
        let Some(id) = self.store.holder(tenant, &BillingSettings::claim()).await.map_err(away)? else {
            return Ok(None);
        };
        let settings = self.state::<BillingSettings>(tenant, id).await?;
        Ok(settings.and_then(|settings| settings.vat_id().map(ToString::to_string)))
    }

    async fn state<A: Aggregate>(&self, tenant: TenantId, id: Uuid) -> Result<Option<A>, Outcome> {
        match self.store.load::<A>(tenant, id).await {
            Ok((state, version)) => Ok((version > 0).then_some(state)),
            Err(ExecuteError::NotFound) => Ok(None),
            Err(error) => Err(away(error)),
        }
    }

    /// Says it on the record. Whoever was faster, a person who entered or discarded it, is right.
    async fn say(&self, event: &RawEvent, command: C) -> Result<(), Outcome> {
        match self.store.execute::<BillFile>(Some(event.aggregate_id), command, &request(event, system())).await {
            Ok(_) => Ok(()),
            Err(ExecuteError::Rejected { code, .. }) => {
                tracing::info!(bill_file = %event.aggregate_id, code, "somebody was faster than whoever reads it");
                Ok(())
            }
            Err(error) => Err(away(error)),
        }
    }
}

fn system() -> Actor {
    Actor::System { name: "bills".to_owned() }
}

fn request(event: &RawEvent, actor: Actor) -> Request {
    let request = Request::new(event.tenant_id, actor);
    Request { causation_id: Some(event.event_id), correlation_id: event.metadata.correlation_id, ..request }
}

fn record(problem: Problem) -> C {
    let Problem { code, detail, same, found } = problem;
    C::RecordProblem { problem: code, detail: text(&detail), same_bill_id: same, found }
}

/// Reads it, away from whatever else is being done. A panic in what reads PDFs of strangers is an end like another.
async fn understood(bytes: Vec<u8>) -> Result<Paper, Problem> {
    let read = tokio::task::spawn_blocking(move || papers::read::read(&bytes)).await;
    let read = read.unwrap_or_else(|_| Err(Unreadable::Damaged("whoever reads it gave up".to_owned())));
    read.map_err(|why| {
        let code = match &why {
            Unreadable::UnknownFormat => P::UnknownFormat,
            Unreadable::NothingInside => P::NothingInside,
            Unreadable::Protected => P::Protected,
            Unreadable::TooLarge(_) => P::TooLarge,
            Unreadable::Damaged(_) | Unreadable::Doctype => P::Damaged,
            Unreadable::NotAnInvoice(_) => P::NotAnInvoice,
        };
        Problem::new(code, why.to_string())
    })
}

fn because(why: &Unusable) -> P {
    match why {
        Unusable::CreditNote => P::CreditNote,
        Unusable::SelfBilled => P::SelfBilled,
        Unusable::AsksForNothing => P::AsksForNothing,
        Unusable::Missing(_) | Unusable::Wrong(..) | Unusable::TwoCurrencies(..) => P::Incomplete,
        Unusable::SumsDiffer(_) => P::SumsDiffer,
    }
}

fn away(error: ExecuteError) -> Outcome {
    match error {
        ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_) => {
            Outcome::Later(None, error.to_string())
        }
        error => Outcome::Never("not_said", error.to_string()),
    }
}

/// What strangers wrote as a text that can be kept.
fn text(of: &str) -> Text {
    let plain: String = of.chars().filter(|c| !c.is_control()).take(500).collect();
    plain.parse().unwrap_or_else(|_| "-".parse().unwrap_or_else(|_| unreachable!("it is a text")))
}
