//! A credit note: takes back an issued invoice, or a part of it. The credit then pays for invoices, or is given back.

use crate::invoice::InvoiceCommand;
use crate::invoice_series::InvoiceSeriesCommand;
use crate::money::{left, sum};
use crate::payment::{PaymentRejection, part};
use crate::{BillingSettings, Invoice, InvoiceSeries};
use kernel::{
    Aggregate, Amounts, Claim, ClaimChange, ClientId, Companions, Context, Date, Decision, Email, FileId, InvoiceId,
    Keyed, Machine, Money, Name, Personal, Quantity, Reference, Resource, Scope, Slug, Text, command, rejection,
};
use revenue_events::{
    Allocation, CreditNoteEvent as E, CreditNoteId, CreditNoteStatus, InvoiceLineId, Line, Paper, Settlement,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

use CreditNoteCommand as C;
use CreditNoteRejection as R;

/// Lines of one credit note; it has no more than its invoice.
const LINES_MAX: usize = crate::invoice::LINES_MAX;
/// Invoices that one credit pays.
const ALLOCATIONS_MAX: usize = 25;
/// Which credit note has this number.
const NUMBER_CLAIM: &str = "revenue.credit_note.number";

/// A line of the invoice that is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct CreditLine {
    /// Which line.
    pub line_id: InvoiceLineId,
    /// How much of it; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
}

/// What may be asked of a credit note.
#[command("revenue.credit_note", !member)]
pub enum CreditNoteCommand {
    /// Begins to take back an issued invoice, or a part of it; there is no number yet.
    #[creates]
    #[refused(UnknownInvoice, NotCreditable, UnknownLine, LineTwice, TooManyLines, TooMuch, NotPositive)]
    Draft {
        /// The invoice.
        invoice_id: InvoiceId,
        /// Why.
        reason: Text,
        /// Of which lines how much; all of all of them unless given.
        #[serde(default)]
        lines: Vec<CreditLine>,
    },
    /// Gives it a number and a day, and the client the credit: at most what was not taken back of the invoice yet.
    #[refused(NotDraft, NotCreditable, TooMuch, NoBillingSettings, UnknownSeries, SeriesGivesNone, "number.taken")]
    Issue {
        /// The series that its number is of, by key; the firm's for credit notes unless given.
        #[serde(default)]
        series: Option<Slug>,
        /// Its day; the firm's today unless given.
        #[serde(default)]
        issued_on: Option<Date>,
    },
    /// Pays for an invoice of the same client with the credit. The amount is in place of what it paid for the invoice before.
    #[refused(
        NotIssued,
        Spent,
        NotPositive,
        TooManyAllocations,
        UnknownInvoice,
        InvoiceNotOpen,
        OtherClient,
        CurrencyMismatch,
        MoreThanOpen,
        MoreThanIsLeft,
        LessThanApplied
    )]
    Apply {
        /// The invoice.
        invoice_id: InvoiceId,
        /// How much of it is paid so; unless given as much as is open and as is left, or what it pays for it already.
        #[serde(default)]
        amount: Option<Money>,
    },
    /// Notes where its paper is; only whoever sets papers does.
    #[refused(SystemOnly, NotIssued, PaperExists)]
    RecordPaper {
        /// The PDF.
        pdf_file_id: FileId,
        /// The file for networks, if it can be one.
        #[serde(default)]
        xml_file_id: Option<FileId>,
    },
    /// Notes that what is left of the credit was given back in money.
    #[refused(NotIssued, Spent)]
    Refund {},
    /// Gives a draft up.
    #[refused(NotDraft)]
    Discard {},
}

/// Why a credit note's command may be refused.
#[rejection("revenue.credit_note")]
pub enum CreditNoteRejection {
    /// There is no such invoice.
    #[invalid("/invoice_id")]
    UnknownInvoice,
    /// The invoice is not issued, or what is open of it was given up.
    NotCreditable,
    /// The invoice has no such line.
    #[invalid("/lines")]
    UnknownLine,
    /// A line is named twice.
    #[invalid("/lines")]
    LineTwice,
    /// A credit note has at most 100 lines.
    #[invalid("/lines")]
    TooManyLines,
    /// That is more than was not taken back of the invoice yet.
    TooMuch,
    /// The amount is nothing, or less.
    NotPositive,
    /// It was issued, or given up.
    NotDraft,
    /// It is not issued.
    NotIssued,
    /// Only whoever sets papers notes where they are.
    #[audited]
    SystemOnly,
    /// It has a paper, and that never changes.
    PaperExists,
    /// Nothing of the credit is left.
    Spent,
    /// The firm has no billing settings yet.
    NoBillingSettings,
    /// There is no series with this key.
    #[invalid("/series")]
    UnknownSeries,
    /// The series gives no numbers any more.
    #[invalid("/series")]
    SeriesGivesNone,
    /// A credit pays at most 25 invoices.
    TooManyAllocations,
    /// Nothing of the invoice is open.
    #[invalid("/invoice_id")]
    InvoiceNotOpen,
    /// The invoice is another client's.
    #[invalid("/invoice_id")]
    OtherClient,
    /// The invoice is in another currency.
    CurrencyMismatch,
    /// That is more than is open of the invoice.
    MoreThanOpen,
    /// That is more than is left of the credit.
    MoreThanIsLeft,
    /// What was applied stays so.
    LessThanApplied,
}

impl From<PaymentRejection> for R {
    fn from(rejection: PaymentRejection) -> Self {
        match rejection {
            PaymentRejection::UnknownInvoice => Self::UnknownInvoice,
            PaymentRejection::OtherClient => Self::OtherClient,
            PaymentRejection::CurrencyMismatch => Self::CurrencyMismatch,
            PaymentRejection::MoreThanOpen => Self::MoreThanOpen,
            PaymentRejection::MoreThanThereIs => Self::MoreThanIsLeft,
            PaymentRejection::NotPositive => Self::NotPositive,
            PaymentRejection::TooManyAllocations => Self::TooManyAllocations,
            PaymentRejection::InvoiceNotOpen
            | PaymentRejection::InvoiceTwice
            | PaymentRejection::Reversed
            | PaymentRejection::Refunded => Self::InvoiceNotOpen,
        }
    }
}

/// What is remembered of a credit note.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CreditNote {
    client_id: Option<ClientId>,
    invoice_id: Option<InvoiceId>,
    status: CreditNoteStatus,
    amounts: Option<Amounts>,
    allocations: Vec<Allocation>,
    issued: Option<Issued>,
}

/// What is remembered of an issued credit note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Issued {
    number: Name,
    email: Option<Personal<Email>>,
    /// The PDF, and the file for networks.
    paper: Option<(FileId, Option<FileId>)>,
}

impl CreditNote {
    /// Is its paper there?
    pub fn has_paper(&self) -> bool {
        self.issued.as_ref().is_some_and(|issued| issued.paper.is_some())
    }

    fn record_paper(&self, pdf_file_id: FileId, xml_file_id: Option<FileId>, ctx: &Context) -> Decision<Self> {
        let (Some(client_id), Some(issued), Some(amounts)) = (self.client_id, &self.issued, &self.amounts) else {
            return Err(R::NotIssued);
        };
        match issued.paper {
            Some(there) if there == (pdf_file_id, xml_file_id) => return Ok(vec![]),
            Some(_) => return Err(R::PaperExists),
            None => {}
        }
        let invoice = self.invoice_id.and_then(|id| ctx.referenced::<Invoice>(id));
        Ok(vec![E::PaperStored {
            client_id,
            number: issued.number.clone(),
            total: amounts.total,
            language: invoice.and_then(|invoice| invoice.language().cloned()),
            email: issued.email.clone(),
            pdf_file_id,
            xml_file_id,
        }])
    }

    /// What is left of the credit, while it is one.
    fn remaining(&self) -> Result<Money, R> {
        match self.status {
            CreditNoteStatus::Draft | CreditNoteStatus::Discarded => return Err(R::NotIssued),
            CreditNoteStatus::Applied | CreditNoteStatus::Refunded => return Err(R::Spent),
            CreditNoteStatus::Issued => {}
        }
        let total = self.amounts.as_ref().ok_or(R::NotIssued)?.total;
        Ok(left(total, sum(self.allocations.iter().map(|part| part.amount), total)))
    }

    fn applied(&self, invoice_id: InvoiceId) -> Option<Money> {
        self.allocations.iter().find(|part| part.invoice_id == invoice_id).map(|part| part.amount)
    }

    /// Does it pay so much for an invoice already? If nobody says how much, it pays what it pays.
    fn is_applied(&self, invoice_id: InvoiceId, wanted: Option<Money>) -> bool {
        let known = self.applied(invoice_id);
        known.is_some() && (wanted.is_none() || known == wanted)
    }

    fn apply_to(&self, invoice_id: InvoiceId, amount: Option<Money>, ctx: &Context) -> Result<(Allocation, Money), R> {
        let (free, before) = (self.remaining()?, self.applied(invoice_id));
        let client_id = self.client_id.ok_or(R::NotIssued)?;
        if before.is_none() && self.allocations.len() >= ALLOCATIONS_MAX {
            return Err(R::TooManyAllocations);
        }
        let by = Settlement::CreditNote { credit_note_id: CreditNoteId(ctx.id) };
        let allocation = part((invoice_id, amount), (client_id, free, before), by, ctx)?;
        let before = before.unwrap_or(Money::zero(free.currency()));
        if allocation.amount.minor() < before.minor() {
            return Err(R::LessThanApplied);
        }
        Ok((allocation, left(free, left(allocation.amount, before))))
    }

    /// The series that its number is of.
    fn series<'c>(key: Option<&Slug>, ctx: &'c Context) -> Option<(Uuid, &'c InvoiceSeries)> {
        let terms = BillingSettings::found(ctx).map(|(_, terms)| terms);
        InvoiceSeries::with_key(key.or(terms.map(|terms| &terms.credit_note_series))?, ctx)
    }

    fn draft(invoice_id: InvoiceId, reason: Text, wanted: &[CreditLine], ctx: &Context) -> Decision<Self> {
        let invoice = ctx.referenced::<Invoice>(invoice_id).ok_or(R::UnknownInvoice)?;
        let (Some(creditable), Some(client_id)) = (invoice.creditable(), invoice.client_id()) else {
            return Err(R::NotCreditable);
        };
        let Some((number, _, _, invoiced, of_invoice)) = invoice.paper() else { return Err(R::NotCreditable) };
        if wanted.len() > LINES_MAX {
            return Err(R::TooManyLines);
        }
        let named: BTreeSet<InvoiceLineId> = wanted.iter().map(|line| line.line_id).collect();
        if named.len() < wanted.len() {
            return Err(R::LineTwice);
        }
        let lines: Vec<Line> = if wanted.is_empty() {
            invoiced.iter().map(|line| Line { source: None, ..line.clone() }).collect()
        } else {
            wanted.iter().map(|wanted| partly(invoiced, wanted)).collect::<Result<_, R>>()?
        };
        let priced: Vec<_> = lines.iter().map(Line::priced).collect();
        // By the invoice's own rule, so that the whole of it comes to the same in both places.
        let amounts = Amounts::of(creditable.currency(), of_invoice.rounding, &priced).map_err(|_| R::TooMuch)?;
        if amounts.total.minor() <= 0 {
            return Err(R::NotPositive);
        }
        if amounts.total.minor() > creditable.minor() {
            return Err(R::TooMuch);
        }
        Ok(vec![E::Drafted { client_id, invoice_id, invoice_number: number.clone(), reason, lines, amounts }])
    }

    fn issue(&self, series: Option<&Slug>, issued_on: Option<Date>, ctx: &Context) -> Decision<Self> {
        let (Some(client_id), Some(invoice_id), Some(amounts)) = (self.client_id, self.invoice_id, &self.amounts)
        else {
            return Err(R::NotDraft);
        };
        let invoice = ctx.referenced::<Invoice>(invoice_id).ok_or(R::NotCreditable)?;
        let (Some(creditable), Some((_, seller, buyer, ..))) = (invoice.creditable(), invoice.paper()) else {
            return Err(R::NotCreditable);
        };
        if amounts.total.minor() > creditable.minor() {
            return Err(R::TooMuch);
        }
        if series.is_none() && BillingSettings::found(ctx).is_none() {
            return Err(R::NoBillingSettings);
        }
        let (_, series) = Self::series(series, ctx).ok_or(R::UnknownSeries)?;
        let (_, number) = series.next().ok_or(R::SeriesGivesNone)?;
        let (seller, buyer, amounts) = (seller.clone(), buyer.clone(), amounts.clone());
        let issued_on = issued_on.unwrap_or(ctx.today());
        Ok(vec![E::Issued { client_id, invoice_id, number, issued_on, seller, buyer, amounts }])
    }
}

/// So much of a line of the invoice.
fn partly(invoiced: &[Line], wanted: &CreditLine) -> Result<Line, R> {
    let line = invoiced.iter().find(|line| line.id == wanted.line_id).ok_or(R::UnknownLine)?;
    let (all, quantity) = (line.quantity.millionths(), wanted.quantity.unwrap_or(line.quantity));
    let part = quantity.millionths();
    if (all < 0) != (part < 0) && part != 0 || part.abs() > all.abs() {
        return Err(R::TooMuch);
    }
    Ok(Line { quantity, source: None, ..line.clone() })
}

impl Aggregate for CreditNote {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/credit-notes";
    const STATE_VERSION: i32 = 2;

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        self.client_id.map(Resource::from).into_iter().collect()
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        let settings = BillingSettings::of_firm;
        match command {
            C::Draft { invoice_id, .. } | C::Apply { invoice_id, .. } => vec![Reference::id::<Invoice>(*invoice_id)],
            C::Issue { .. } => self.invoice_id.map(Reference::id::<Invoice>).into_iter().chain([settings()]).collect(),
            C::RecordPaper { .. } => self.invoice_id.map(Reference::id::<Invoice>).into_iter().collect(),
            C::Refund {} | C::Discard {} => vec![],
        }
    }

    fn further_references(&self, command: &C, ctx: &Context) -> Vec<Reference> {
        let C::Issue { series, .. } = command else { return vec![] };
        let terms = BillingSettings::found(ctx).map(|(_, terms)| terms);
        let key = series.as_ref().or(terms.map(|terms| &terms.credit_note_series));
        key.map(InvoiceSeries::by_key).into_iter().collect()
    }

    // Whose invoice it is, only the invoice knows: to begin one a right for everything is needed.
    fn scope(&self, id: Uuid, _command: &C) -> Scope {
        Scope::of(self.belongs_to(id))
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let is_draft = self.status == CreditNoteStatus::Draft;
        Ok(match command {
            C::Draft { invoice_id, reason, lines } => return Self::draft(invoice_id, reason, &lines, ctx),
            C::Discard {} if self.status == CreditNoteStatus::Discarded => vec![],
            C::Issue { .. } | C::Discard {} if !is_draft => return Err(R::NotDraft),
            C::Discard {} => vec![E::Discarded {}],
            C::Issue { series, issued_on } => return self.issue(series.as_ref(), issued_on, ctx),
            C::Apply { invoice_id, amount } => {
                if self.is_applied(invoice_id, amount) {
                    return Ok(vec![]);
                }
                let (allocation, remaining) = self.apply_to(invoice_id, amount, ctx)?;
                vec![if remaining.is_zero() {
                    E::Applied { allocation }
                } else {
                    E::PartiallyApplied { allocation, remaining }
                }]
            }
            C::RecordPaper { .. } if !ctx.actor.is_system() => return Err(R::SystemOnly),
            C::RecordPaper { pdf_file_id, xml_file_id } => return self.record_paper(pdf_file_id, xml_file_id, ctx),
            C::Refund {} if self.status == CreditNoteStatus::Refunded => vec![],
            C::Refund {} => vec![E::Refunded { amount: self.remaining()? }],
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Drafted { client_id, invoice_id, amounts, .. } => {
                (self.client_id, self.invoice_id) = (Some(*client_id), Some(*invoice_id));
                self.amounts = Some(amounts.clone());
            }
            E::PartiallyApplied { allocation, .. } | E::Applied { allocation } => {
                self.allocations.retain(|part| part.invoice_id != allocation.invoice_id);
                self.allocations.push(*allocation);
            }
            E::Issued { number, buyer, .. } => {
                self.issued = Some(Issued { number: number.clone(), email: buyer.email.clone(), paper: None });
            }
            E::PaperStored { pdf_file_id, xml_file_id, .. } => {
                self.issued.iter_mut().for_each(|issued| issued.paper = Some((*pdf_file_id, *xml_file_id)));
            }
            E::Refunded { .. } | E::Discarded {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Issued { number, .. } => vec![ClaimChange::Take(Claim::new(NUMBER_CLAIM, number.as_str()))],
            _ => vec![],
        }
    }

    /// The invoice says the same, and the number is taken, or nobody says anything.
    fn companions(&self, command: &C, ctx: &Context, companions: &mut impl Companions) {
        let credit_note_id = CreditNoteId(ctx.id);
        match command {
            C::Issue { series, .. } => {
                let (Some(invoice_id), Some(amounts)) = (self.invoice_id, &self.amounts) else { return };
                let Some((id, series)) = Self::series(series.as_ref(), ctx) else { return };
                let Some((number, _)) = series.next() else { return };
                let credit = InvoiceCommand::Credit { credit_note_id, amount: amounts.total };
                companions.add::<Invoice>(invoice_id, credit);
                let taken_by = Paper::CreditNote { credit_note_id };
                companions.add::<InvoiceSeries>(id, InvoiceSeriesCommand::TakeNumber { number, taken_by });
            }
            C::Apply { invoice_id, amount } if !self.is_applied(*invoice_id, *amount) => {
                let Some(client_id) = self.client_id else { return };
                if let Ok((Allocation { invoice_id, amount }, _)) = self.apply_to(*invoice_id, *amount, ctx) {
                    let settlement = Settlement::CreditNote { credit_note_id };
                    companions.add::<Invoice>(invoice_id, InvoiceCommand::Settle { settlement, client_id, amount });
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
