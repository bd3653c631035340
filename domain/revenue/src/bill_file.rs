//! A file that is to become a bill: it is read, or somebody enters what stands on it. Nothing that was handed in is forgotten before it is
//! a bill, or somebody has said that it becomes none.

use crate::Bill;
use kernel::{
    Actor, Aggregate, Claim, ClaimChange, Context, Date, Decision, Email, FileId, Machine, Money, Name, Personal,
    Reference, Text, UserId, command, rejection,
};
use revenue_events::{
    BillFileEvent as E, BillFileProblem, BillFileStatus as Status, BillFormat, BillId, BillWarning, FoundBill, Iban,
    VatId, VendorId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use BillFileCommand as C;
use BillFileRejection as R;

/// Who wants this file to become a bill.
const FILE_CLAIM: &str = "revenue.bill_file.file";

/// What stands on a paper, as whoever reads it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct NewFoundBill {
    /// How it was written.
    pub format: BillFormat,
    /// The vendor, if one has the registration that stands on it.
    #[serde(default)]
    pub vendor_id: Option<VendorId>,
    /// Who sent it.
    #[serde(default)]
    pub sender_name: Option<Name>,
    /// Their registration for VAT.
    #[serde(default)]
    pub sender_vat_id: Option<VatId>,
    /// Where they can be written to.
    #[serde(default)]
    pub sender_email: Option<Email>,
    /// The bank account that it is to be paid to.
    #[serde(default)]
    pub iban: Option<Iban>,
    /// Their number of it.
    #[serde(default)]
    pub reference: Option<Name>,
    /// Its day.
    #[serde(default)]
    pub issued_on: Option<Date>,
    /// Until when it is to be paid.
    #[serde(default)]
    pub due_on: Option<Date>,
    /// Everything together, with tax.
    #[serde(default)]
    pub total: Option<Money>,
    /// The tax.
    #[serde(default)]
    pub tax: Option<Money>,
    /// What is left to be paid of it.
    #[serde(default)]
    pub due: Option<Money>,
    /// What somebody should know.
    #[serde(default)]
    pub warnings: Vec<BillWarning>,
}

impl From<NewFoundBill> for FoundBill {
    fn from(new: NewFoundBill) -> Self {
        Self {
            format: new.format,
            vendor_id: new.vendor_id,
            sender_name: new.sender_name.map(Personal::new),
            sender_vat_id: new.sender_vat_id.map(Personal::new),
            sender_email: new.sender_email.map(Personal::new),
            iban: new.iban.map(Personal::new),
            reference: new.reference,
            issued_on: new.issued_on,
            due_on: new.due_on,
            total: new.total,
            tax: new.tax,
            due: new.due,
            warnings: new.warnings,
        }
    }
}

/// What may be asked of a file that is to become a bill.
#[command("revenue.bill_file", !member)]
pub enum BillFileCommand {
    /// Hands in a file that is to become a bill. It may still be on its way: it is read once it was inspected, and becomes a bill of whoever
    /// hands it in.
    #[creates]
    #[refused("file.taken")]
    HandIn {
        /// Which file: one of the firm's own, of no client and no project.
        file_id: FileId,
    },
    /// Notes that it was read, and which bill it became.
    #[refused(SystemOnly, NotBeingRead)]
    RecordRead {
        /// Which bill.
        bill_id: BillId,
        /// What stands on it.
        found: NewFoundBill,
    },
    /// Notes that it did not become a bill by itself.
    #[refused(SystemOnly, NotBeingRead)]
    RecordProblem {
        /// Why.
        problem: BillFileProblem,
        /// The same in words.
        detail: Text,
        /// The bill that came in before, if it is that one again.
        #[serde(default)]
        same_bill_id: Option<BillId>,
        /// What stands on it, as far as it was read.
        #[serde(default)]
        found: Option<NewFoundBill>,
    },
    /// Has it read once more: its vendor is known now, or the file has another version.
    #[refused(HasBill, IsDiscarded)]
    ReadAgain {},
    /// Says which bill it is: somebody has entered what stands on it.
    #[refused(UnknownBill, HasBill, IsDiscarded)]
    Enter {
        /// Which bill.
        bill_id: BillId,
    },
    /// Says that it becomes no bill. The file stays, and may be handed in again.
    #[refused(HasBill)]
    Discard {
        /// Why.
        reason: Text,
    },
}

/// Why the command of a file that is to become a bill may be refused.
#[rejection("revenue.bill_file")]
pub enum BillFileRejection {
    /// Only whoever reads it may say so.
    #[audited]
    SystemOnly,
    /// It is not being read.
    NotBeingRead,
    /// The firm has no such bill.
    #[invalid("/bill_id")]
    UnknownBill,
    /// It is a bill already.
    HasBill,
    /// Somebody said that it becomes no bill; hand the file in again.
    IsDiscarded,
}

/// What is remembered of a file that is to become a bill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BillFile {
    file_id: Option<FileId>,
    handed_in_by: Option<UserId>,
    status: Status,
    bill_id: Option<BillId>,
}

impl BillFile {
    /// Which file.
    pub fn file_id(&self) -> Option<FileId> {
        self.file_id
    }

    /// Who handed it in, if a member of staff did.
    pub fn handed_in_by(&self) -> Option<UserId> {
        self.handed_in_by
    }

    /// Is it to be read?
    pub fn is_being_read(&self) -> bool {
        self.status == Status::Reading
    }
}

impl Aggregate for BillFile {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/bill-files";

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::Enter { bill_id } => vec![Reference::id::<Bill>(*bill_id)],
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let by = match ctx.actor {
            Actor::User { id } => Some(id),
            _ => None,
        };
        if let C::HandIn { file_id } = command {
            return Ok(vec![E::HandedIn { file_id, handed_in_by: by }]);
        }
        let Some(file_id) = self.file_id else { return Ok(vec![]) };
        Ok(match command {
            C::HandIn { .. } => vec![],
            C::RecordRead { .. } | C::RecordProblem { .. } if !ctx.actor.is_system() => return Err(R::SystemOnly),
            C::RecordRead { bill_id, .. } if self.bill_id == Some(bill_id) => vec![],
            C::RecordProblem { .. } if self.status == Status::NotRead => vec![],
            C::RecordRead { .. } | C::RecordProblem { .. } if self.status != Status::Reading => {
                return Err(R::NotBeingRead);
            }
            C::RecordRead { bill_id, found } => vec![E::Read { file_id, bill_id, found: found.into() }],
            C::RecordProblem { problem, detail, same_bill_id, found } => {
                let (found, handed_in_by) = (found.map(FoundBill::from), self.handed_in_by);
                vec![E::NotRead { file_id, problem, detail, same_bill_id, found, handed_in_by }]
            }
            C::Enter { bill_id } if self.bill_id == Some(bill_id) => vec![],
            C::Discard { .. } if self.status == Status::Discarded => vec![],
            _ if self.status.has_bill() => return Err(R::HasBill),
            C::ReadAgain {} | C::Enter { .. } if self.status == Status::Discarded => return Err(R::IsDiscarded),
            C::ReadAgain {} if self.status == Status::Reading => vec![],
            C::ReadAgain {} => vec![E::ReadingAsked { file_id, asked_by: by }],
            C::Enter { bill_id } => {
                ctx.referenced::<Bill>(bill_id).ok_or(R::UnknownBill)?;
                vec![E::Entered { bill_id, entered_by: by }]
            }
            C::Discard { reason } => vec![E::Discarded { reason, discarded_by: by }],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::HandedIn { file_id, handed_in_by } => {
                (self.file_id, self.handed_in_by) = (Some(*file_id), *handed_in_by);
            }
            E::Read { bill_id, .. } | E::Entered { bill_id, .. } => self.bill_id = Some(*bill_id),
            E::NotRead { .. } | E::ReadingAsked { .. } | E::Discarded { .. } => {}
        }
    }

    /// A file becomes one bill; one that was discarded may be handed in again.
    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        let claim = |file_id: FileId| Claim::new(FILE_CLAIM, file_id.to_string());
        match event {
            E::HandedIn { file_id, .. } => vec![ClaimChange::Take(claim(*file_id))],
            E::Discarded { .. } => self.file_id.map(claim).map(ClaimChange::Release).into_iter().collect(),
            E::Read { .. } | E::NotRead { .. } | E::ReadingAsked { .. } | E::Entered { .. } => vec![],
        }
    }
}

#[cfg(test)]
mod tests;
