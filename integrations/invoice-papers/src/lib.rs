//! The papers of invoices and credit notes. When one is issued, its PDF is set and its file for networks is written, both are kept as
//! files of the client, and its record says where they are. Whoever may see the client's files sees them, in the portal too.
//!
//! Everything is known by the event that issued the paper: a repeat finds the files that are there, and makes none besides.

mod keep;
mod paper;

use crate::keep::{Keep, Sheet};
use crate::paper::{NotSet, Read};
use anyhow::Context as _;
use catalogue::AnyEvent;
use event_store::{ExecuteError, Log, RawEvent, Request, Store};
use kernel::{Actor, ClientId, FileId, TenantId};
use objects::ObjectStore;
use papers::Press;
use reactions::{Engine, Job, Outcome, Reaction, StartAt};
use revenue::credit_note::CreditNoteCommand;
use revenue::invoice::InvoiceCommand;
use revenue::{CreditNote, Invoice};
use revenue_events::{CreditNoteEvent, InvoiceEvent};
use std::sync::OnceLock;
use std::time::Duration;
use uuid::Uuid;

/// Adds what sets papers to an engine. `log` and `store` connect as `ubos_worker`.
pub fn add(engine: Engine, log: Log, store: Store, objects: ObjectStore) -> Engine {
    engine.with(Papers { log, keep: Keep { store, objects }, press: OnceLock::new() })
}

/// Sets papers.
struct Papers {
    log: Log,
    keep: Keep,
    /// With its fonts, once the first paper is set.
    press: OnceLock<Press>,
}

impl Reaction for Papers {
    const NAME: &'static str = "papers.invoice";
    const ON: &'static [&'static str] = &["invoice.issued", "credit_note.issued"];
    /// What was issued while no files were kept has a paper, too.
    const START: StartAt = StartAt::Beginning;
    /// Setting one takes a processor for a while.
    const AT_ONCE: usize = 2;
    const PATIENCE: Duration = Duration::from_secs(120);

    async fn perform(&self, job: &Job) -> Outcome {
        let Some(event) = job.event.clone() else {
            return Outcome::Never("no_event", "the log has no such event".to_owned());
        };
        match self.set(event).await {
            Ok(()) => Outcome::Done,
            Err(outcome) => outcome,
        }
    }
}

/// Of whose issuing an event tells.
enum Issued {
    Invoice(InvoiceEvent),
    CreditNote(CreditNoteEvent),
}

impl Papers {
    async fn set(&self, event: RawEvent) -> Result<(), Outcome> {
        let (tenant, id, event_id, position) = (event.tenant_id, event.aggregate_id, event.event_id, event.position);
        let issued = match catalogue::decode(event).map(|event| event.payload) {
            Ok(AnyEvent::Invoice(issued)) => Issued::Invoice(issued),
            Ok(AnyEvent::CreditNote(issued)) => Issued::CreditNote(issued),
            Ok(_) => return Ok(()),
            Err(error) => return Err(Outcome::Never("unreadable", error.to_string())),
        };
        if self.is_there(tenant, id, &issued).await? {
            return Ok(());
        }
        let read = Read { log: &self.log, tenant, id, position };
        let written = match &issued {
            Issued::Invoice(issued) => read.invoice(issued).await,
            Issued::CreditNote(issued) => read.credit_note(issued).await,
        };
        let (client_id, paper) = match written {
            Ok(written) => written,
            // Nobody gets a paper who was erased.
            Err(NotSet::Erased) => return Ok(()),
            Err(NotSet::Never(why)) => return Err(Outcome::Never("not_set", why)),
            Err(NotSet::Later(why)) => return Err(Outcome::Later(None, why)),
        };
        let (pdf, xml) = self.press(paper).await?;
        let kept = Kept { tenant, event_id, client_id };
        let pdf_file_id = self.keep(&kept, pdf).await?;
        let xml_file_id = match xml {
            Some(xml) => Some(self.keep(&kept, xml).await?),
            None => None,
        };
        self.note(tenant, id, &issued, pdf_file_id, xml_file_id).await
    }

    async fn is_there(&self, tenant: TenantId, id: Uuid, issued: &Issued) -> Result<bool, Outcome> {
        let store = &self.keep.store;
        let there = match issued {
            Issued::Invoice(_) => store.load::<Invoice>(tenant, id).await.map(|(invoice, _)| invoice.has_paper()),
            Issued::CreditNote(_) => store.load::<CreditNote>(tenant, id).await.map(|(note, _)| note.has_paper()),
        };
        there.map_err(|error| Outcome::Later(None, error.to_string()))
    }

    /// Sets it, away from whatever else is being done.
    async fn press(&self, paper: papers::Invoice) -> Result<(Sheet, Option<Sheet>), Outcome> {
        let press = self.press.get_or_init(Press::default).clone();
        let set = tokio::task::spawn_blocking(move || {
            let pdf = press.invoice(&paper).context("setting the PDF")?;
            let name = paper.number.replace(['/', '\\'], "-");
            let xml = papers::ubl(&paper);
            let pdf = Sheet { name: format!("{name}.pdf"), content_type: "application/pdf", bytes: pdf };
            let xml = xml.map(|bytes| Sheet { name: format!("{name}.xml"), content_type: "application/xml", bytes });
            anyhow::Ok((pdf, xml))
        });
        let set = set.await.map_err(|error| Outcome::Later(None, error.to_string()))?;
        set.map_err(|error| Outcome::Never("not_set", format!("{error:#}")))
    }

    async fn keep(&self, kept: &Kept, sheet: Sheet) -> Result<FileId, Outcome> {
        self.keep.keep(kept.tenant, kept.client_id, kept.event_id, sheet).await
    }

    async fn note(
        &self,
        tenant: TenantId,
        id: Uuid,
        issued: &Issued,
        pdf_file_id: FileId,
        xml_file_id: Option<FileId>,
    ) -> Result<(), Outcome> {
        let (store, request) = (&self.keep.store, request(tenant));
        let noted = match issued {
            Issued::Invoice(_) => {
                let record = InvoiceCommand::RecordPaper { pdf_file_id, xml_file_id };
                store.execute::<Invoice>(Some(id), record, &request).await.map(drop)
            }
            Issued::CreditNote(_) => {
                let record = CreditNoteCommand::RecordPaper { pdf_file_id, xml_file_id };
                store.execute::<CreditNote>(Some(id), record, &request).await.map(drop)
            }
        };
        noted.map_err(refused)
    }
}

/// Whose files they are, and because of which event.
struct Kept {
    tenant: TenantId,
    event_id: Uuid,
    client_id: ClientId,
}

/// Whoever sets papers speaks for nobody else.
fn request(tenant: TenantId) -> Request {
    Request::new(tenant, Actor::System { name: "papers".to_owned() })
}

/// What becomes of a job whose command was not done.
fn refused(error: ExecuteError) -> Outcome {
    match error {
        // Nothing is begun for a client that is blocked; once it is not any more, its papers are set.
        ExecuteError::Rejected { code: "crm.client.blocked", message, .. } => Outcome::Blocked(message.to_owned()),
        error @ (ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_)) => {
            Outcome::Later(None, error.to_string())
        }
        error => Outcome::Never("not_kept", error.to_string()),
    }
}
