//! An invoice: written, approved, issued with a number, and paid. What was issued never changes; a credit note takes it back.

mod lines;
mod money;
mod verbs;

use crate::approval::{Approval, Refused};
use crate::{ApprovalPolicy, BillingProfile, BillingSettings, InvoicePlan, InvoiceSeries, TaxRate};
use kernel::{
    Aggregate, Amounts, Claim, ClaimChange, ClientId, Companions, Context, Currency, Date, Decision, EngagementId,
    FileId, InvoiceId, Keyed, Machine, Measure, Money, Name, Principal, ProjectId, Quantity, Reference, Resource,
    Scope, Slug, Text, Timestamp, command, rejection,
};
use revenue_events::{
    ApprovalSubject, Buyer, CreditNoteId, InvoiceEvent as E, InvoiceLineId, InvoicePlanId, InvoiceStatus, Language,
    Line, Paper, PlanEntryId, Reopened, Seller, Settlement, Source,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

pub use lines::{NewLine, NewSource};
use lines::{sources, tax_keys};

use InvoiceCommand as C;
use InvoiceRejection as R;

/// Lines of one invoice.
pub(crate) const LINES_MAX: usize = 100;
/// Entries of time on one line.
const TIME_ENTRIES_MAX: usize = 500;
/// Entries of a plan on one invoice, so that all of it is one unit.
const PLAN_ENTRIES_MAX: usize = 25;
/// What answers call a line that was added.
const LINE_ID: &str = "line_id";
/// What answers call the lines that an invoice begins with.
const LINE_IDS: &str = "line_ids";
/// Which invoice has the line with this id.
const LINE_CLAIM: &str = "revenue.invoice.line_id";
/// On which invoice something is that is invoiced once.
const SOURCE_CLAIM: &str = "revenue.invoice.source";
/// Which invoice has this number.
const NUMBER_CLAIM: &str = "revenue.invoice.number";

/// What may be asked of an invoice.
#[command("revenue.invoice", !member)]
pub enum InvoiceCommand {
    /// Begins an invoice as a draft; it has no number yet.
    #[creates]
    #[makes("line_ids")]
    #[refused(
        NoBillingSettings,
        NoTaxRate,
        UnknownTaxRate,
        TaxRateRetired,
        CurrencyMismatch,
        TooManyLines,
        SourceTwice,
        TooManyTimeEntries,
        "source.taken",
        "line_id.taken"
    )]
    Draft {
        /// To whom.
        client_id: ClientId,
        /// For which project.
        #[serde(default)]
        project_id: Option<ProjectId>,
        /// For which engagement.
        #[serde(default)]
        engagement_id: Option<EngagementId>,
        /// In which currency; the firm's unless given.
        #[serde(default)]
        currency: Option<Currency>,
        /// What the client wants to find on it, if not what it always wants.
        #[serde(default)]
        buyer_reference: Option<Name>,
        /// What stands below its lines.
        #[serde(default)]
        note: Option<Text>,
        /// Its lines.
        #[serde(default)]
        lines: Vec<NewLine>,
    },
    /// Begins an invoice with everything of a plan that is due, 25 entries at most; none of them can be on another invoice.
    #[creates]
    #[makes("line_ids")]
    #[refused(
        NoBillingSettings,
        NoTaxRate,
        UnknownTaxRate,
        TaxRateRetired,
        UnknownPlan,
        NothingDue,
        "source.taken",
        "line_id.taken"
    )]
    DraftFromPlan {
        /// The plan.
        invoice_plan_id: InvoicePlanId,
    },
    /// Puts a line into a draft.
    #[makes("line_id")]
    #[refused(
        NotDraft,
        NoTaxRate,
        UnknownTaxRate,
        TaxRateRetired,
        CurrencyMismatch,
        TooManyLines,
        SourceTwice,
        TooManyTimeEntries,
        LineExists,
        "source.taken",
        "line_id.taken"
    )]
    AddLine {
        /// The id that it shall have, so that a repeat makes no other; a fresh one unless given.
        #[serde(default)]
        line_id: Option<InvoiceLineId>,
        /// The line.
        line: NewLine,
    },
    /// Changes a line of a draft. What is left out stays.
    #[refused(NotDraft, UnknownLine, UnknownTaxRate, TaxRateRetired, CurrencyMismatch)]
    ChangeLine {
        /// Which one.
        line_id: InvoiceLineId,
        /// What for.
        #[serde(default)]
        description: Option<Name>,
        /// How much of it.
        #[serde(default)]
        quantity: Option<Quantity>,
        /// What it is counted in.
        #[serde(default)]
        measure: Option<Measure>,
        /// What one costs, without tax.
        #[serde(default)]
        unit_price: Option<Money>,
        /// Its tax, by the key of a rate.
        #[serde(default)]
        tax_rate: Option<Slug>,
    },
    /// Takes a line out of a draft; what it was for can be invoiced elsewhere.
    #[refused(NotDraft)]
    RemoveLine {
        /// Which one.
        line_id: InvoiceLineId,
    },
    /// Hands a draft in, to be approved.
    #[refused(NotDraft, NoBillingSettings, NothingToPay, TooLarge)]
    SubmitForApproval {},
    /// Allows it to be issued; where the firm wants it so, not by who wrote it or handed it in. Where it has a policy for invoices, at a
    /// step of it, and the last step allows it.
    #[refused(NotPending, OwnInvoice, NotThisStep, NotForYou)]
    Approve {
        /// The step's number, from 0.
        #[serde(default)]
        step: u32,
        /// A comment.
        #[serde(default)]
        comment: Option<Text>,
    },
    /// Lets those approve at a step whom the policy names for when its approvers do not: they are away, or have left.
    #[refused(NotPending, NotThisStep)]
    EscalateApproval {
        /// The step's number, from 0.
        #[serde(default)]
        step: u32,
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Sends it back to be written otherwise.
    #[refused(NotPending)]
    Reject {
        /// Why.
        reason: Text,
    },
    /// Gives it a number and a day; nothing of the paper changes from then on.
    #[refused(
        NotApproved,
        NoBillingSettings,
        NoBillingProfile,
        NoSellerTaxId,
        NoBuyerVatId,
        UnknownSeries,
        SeriesGivesNone,
        DueBeforeIssue,
        DueOutOfRange,
        NothingToPay,
        TooLarge,
        "number.taken"
    )]
    Issue {
        /// The series that its number is of, by key; the firm's unless given.
        #[serde(default)]
        series: Option<Slug>,
        /// Its day; the firm's today unless given.
        #[serde(default)]
        issued_on: Option<Date>,
        /// By when it is to be paid; by the client's terms unless given.
        #[serde(default)]
        due_on: Option<Date>,
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
    /// Notes that the client has it.
    #[refused(NotIssued)]
    MarkSent {},
    /// Notes what the ledger calls it.
    #[refused(NotIssued)]
    RecordPushedToLedger {
        /// What the ledger calls it.
        external_id: Name,
    },
    /// Notes that the ledger does not take it.
    #[refused(NotIssued)]
    RecordLedgerRejection {
        /// Why.
        reason: Text,
    },
    /// Notes that it is not paid though it should be: the day by which it was to be is over where the firm is. One of which nothing is
    /// owed any more stays as it is.
    #[refused(NotIssued, NotDueYet)]
    MarkOverdue {},
    /// Says how much of it a payment or a credit pays, in place of what that did; comes with that and never alone.
    #[refused(NotAlone, NotOpen, OtherClient, CurrencyMismatch, NotPositive, Overpaid)]
    Settle {
        /// What pays.
        settlement: Settlement,
        /// Whose money it is.
        client_id: ClientId,
        /// How much of it pays for this.
        amount: Money,
    },
    /// Notes how much of it a credit note takes back; comes with that and never alone.
    #[refused(NotAlone, NotCreditable, CurrencyMismatch, NotPositive, Overcredited)]
    Credit {
        /// Which credit note.
        credit_note_id: CreditNoteId,
        /// How much.
        amount: Money,
    },
    /// Gives it up: a draft, or an issued one that was a mistake and of which nothing is paid. Its number stays its own.
    #[refused(NotVoidable)]
    Void {
        /// Why.
        reason: Text,
    },
    /// Gives up what is open of it.
    #[refused(NotOpen)]
    WriteOff {
        /// Why.
        reason: Text,
    },
}

/// Why an invoice's command may be refused.
#[rejection("revenue.invoice")]
pub enum InvoiceRejection {
    /// The firm has no billing settings yet.
    NoBillingSettings,
    /// The client has no billing profile yet.
    NoBillingProfile,
    /// A line names no tax, and the firm has none for such lines.
    NoTaxRate,
    /// There is no tax rate with this key.
    UnknownTaxRate,
    /// The tax rate is retired.
    TaxRateRetired,
    /// An invoice is in one currency.
    CurrencyMismatch,
    /// An invoice has at most 100 lines.
    TooManyLines,
    /// Two lines are for the same.
    SourceTwice,
    /// A line is for at least one and at most 500 entries of time.
    TooManyTimeEntries,
    /// There is no such invoice plan.
    #[invalid("/invoice_plan_id")]
    UnknownPlan,
    /// Nothing of the plan is due.
    NothingDue,
    /// Only a draft can be changed.
    NotDraft,
    /// The invoice has another line with this id, or it was added with something else.
    LineExists,
    /// The invoice has no such line.
    #[invalid("/line_id")]
    UnknownLine,
    /// An invoice asks for something: it has lines, and they come to more than nothing.
    NothingToPay,
    /// The lines come to more than an amount can be.
    TooLarge,
    /// It is not waiting to be approved.
    NotPending,
    /// Who wrote an invoice, or handed it in, does not approve it.
    OwnInvoice,
    /// It is another step's turn.
    #[invalid("/step")]
    NotThisStep,
    /// Others approve at this step.
    NotForYou,
    /// Only an approved invoice can be issued.
    NotApproved,
    /// Papers need the firm's VAT number or tax number.
    NoSellerTaxId,
    /// A line is taxed where the buyer is, so the buyer's VAT number is needed.
    NoBuyerVatId,
    /// There is no series with this key.
    #[invalid("/series")]
    UnknownSeries,
    /// The series gives no numbers any more.
    #[invalid("/series")]
    SeriesGivesNone,
    /// An invoice is due on its day at the earliest.
    #[invalid("/due_on")]
    DueBeforeIssue,
    /// It would be due after the last day of the calendar, 9999-12-31.
    #[invalid("/issued_on")]
    DueOutOfRange,
    /// The invoice is not issued, or was voided.
    NotIssued,
    /// Only whoever sets papers notes where they are.
    #[audited]
    SystemOnly,
    /// It has a paper, and that never changes.
    PaperExists,
    /// Nothing of the invoice is open.
    NotOpen,
    /// The day by which it is to be paid is not over.
    NotDueYet,
    /// An invoice is paid by a payment or a credit note, with it and not by itself, so that the two agree.
    NotAlone,
    /// The money is another client's.
    OtherClient,
    /// The amount is less than nothing, or nothing at all.
    NotPositive,
    /// That is more than is open.
    Overpaid,
    /// The invoice is not issued, or what is open was given up.
    NotCreditable,
    /// That is more than was not taken back yet.
    Overcredited,
    /// Something of it is paid or credited, or it is over.
    NotVoidable,
}

impl From<Refused> for R {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotThisStep => Self::NotThisStep,
            Refused::NotForYou => Self::NotForYou,
            Refused::SeparationOfDuties => Self::OwnInvoice,
        }
    }
}

/// What is remembered of an invoice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Invoice {
    client_id: Option<ClientId>,
    project_id: Option<ProjectId>,
    engagement_id: Option<EngagementId>,
    currency: Option<Currency>,
    buyer_reference: Option<Name>,
    status: InvoiceStatus,
    lines: Vec<Line>,
    drafted_by: Option<Principal>,
    submitted_by: Option<Principal>,
    /// Who is asked, where the firm has a policy for invoices.
    approval: Option<Approval>,
    issued: Option<Issued>,
    sent: bool,
    overdue: bool,
    pushed_as: Option<Name>,
    ledger_says: Option<Text>,
}

/// What is remembered of an issued invoice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Issued {
    number: Name,
    due_on: Date,
    overdue_at: Timestamp,
    seller: Seller,
    buyer: Buyer,
    amounts: Amounts,
    settled: Vec<(Settlement, Money)>,
    credited: Vec<(CreditNoteId, Money)>,
    language: Option<Language>,
    /// The PDF, and the file for networks.
    paper: Option<(FileId, Option<FileId>)>,
}

impl Aggregate for Invoice {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/invoices";
    const STATE_VERSION: i32 = 3;

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        let engagement = self.engagement_id.map(Resource::from);
        self.client_id
            .map(Resource::from)
            .into_iter()
            .chain(self.project_id.map(Resource::from))
            .chain(engagement)
            .collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Draft { client_id, project_id, engagement_id, .. } => {
                let others = project_id.map(Resource::from).into_iter().chain(engagement_id.map(Resource::from));
                Scope::begins_in([Resource::from(*client_id)].into_iter().chain(others))
            }
            // Whose plan it is, only the plan knows: a right for everything is needed.
            C::DraftFromPlan { .. } => Scope::default(),
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        let settings = BillingSettings::of_firm;
        match command {
            C::Draft { .. } | C::AddLine { .. } | C::ChangeLine { .. } => {
                tax_keys(command).into_iter().map(TaxRate::by_key).chain([settings()]).collect()
            }
            C::DraftFromPlan { invoice_plan_id } => vec![settings(), Reference::id::<InvoicePlan>(*invoice_plan_id)],
            C::SubmitForApproval {} => vec![settings(), ApprovalPolicy::in_use(ApprovalSubject::Invoice)],
            C::Approve { .. } => vec![settings()],
            C::Issue { .. } => self.client_id.map(BillingProfile::of_client).into_iter().chain([settings()]).collect(),
            C::RemoveLine { line_id } => {
                self.plans(Some(*line_id)).into_keys().map(Reference::id::<InvoicePlan>).collect()
            }
            C::Void { .. } => self.plans(None).into_keys().map(Reference::id::<InvoicePlan>).collect(),
            _ => vec![],
        }
    }

    fn further_references(&self, command: &C, ctx: &Context) -> Vec<Reference> {
        let terms = BillingSettings::found(ctx).map(|(_, terms)| terms);
        let default = terms.and_then(|terms| terms.default_tax_rate.as_ref());
        match command {
            C::Draft { .. } | C::AddLine { .. } => default.map(TaxRate::by_key).into_iter().collect(),
            C::DraftFromPlan { invoice_plan_id } => {
                let plan = ctx.referenced::<InvoicePlan>(*invoice_plan_id);
                let key = plan.and_then(|plan| plan.tax_rate()).or(default);
                key.map(TaxRate::by_key).into_iter().collect()
            }
            C::Issue { series, .. } => {
                let key = series.as_ref().or(terms.map(|terms| &terms.invoice_series));
                key.map(InvoiceSeries::by_key).into_iter().collect()
            }
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Draft { client_id, project_id, engagement_id, currency, buyer_reference, note, lines } => {
                let (_, terms) = BillingSettings::found(ctx).ok_or(R::NoBillingSettings)?;
                let currency = currency.unwrap_or(terms.currency);
                let lines = lines::begun(lines, currency, ctx)?;
                let drafted_by = ctx.actor.principal();
                let events = E::Drafted {
                    client_id,
                    project_id,
                    engagement_id,
                    currency,
                    buyer_reference,
                    note,
                    lines,
                    drafted_by,
                };
                vec![events]
            }
            C::DraftFromPlan { invoice_plan_id } => return verbs::draft_from_plan(invoice_plan_id, ctx),
            C::AddLine { line_id, line } => return self.add_line(line_id, line, ctx),
            C::ChangeLine { line_id, description, quantity, measure, unit_price, tax_rate } => {
                let before = self.draft_line(line_id)?;
                let mut line = before.clone();
                line.description = description.unwrap_or(line.description);
                line.quantity = quantity.unwrap_or(line.quantity);
                line.measure = measure.unwrap_or(line.measure);
                line.unit_price = unit_price.unwrap_or(line.unit_price);
                if let Some(key) = tax_rate.filter(|key| *key != line.tax.key) {
                    line.tax = lines::tax(Some(&key), ctx)?;
                }
                if Some(line.unit_price.currency()) != self.currency {
                    return Err(R::CurrencyMismatch);
                }
                if line == *before { vec![] } else { vec![E::LineChanged { line }] }
            }
            C::RemoveLine { .. } if !self.status.is_draft() => return Err(R::NotDraft),
            C::RemoveLine { line_id } if self.lines.iter().any(|line| line.id == line_id) => {
                vec![E::LineRemoved { line_id }]
            }
            C::RemoveLine { .. } => vec![],
            C::SubmitForApproval {} => return self.submit(ctx),
            C::Approve { step, comment } => return self.approve(step, comment, ctx),
            C::EscalateApproval { step, reason } => {
                let pending = self.approval.as_ref().filter(|_| self.status == InvoiceStatus::PendingApproval);
                let is_new = pending.ok_or(R::NotPending)?.escalate(step)?;
                if is_new { vec![E::ApprovalEscalated { step, reason }] } else { vec![] }
            }
            C::Reject { reason } => match self.status {
                InvoiceStatus::PendingApproval | InvoiceStatus::Approved => vec![E::Rejected { reason }],
                _ => return Err(R::NotPending),
            },
            C::Issue { series, issued_on, due_on } => return self.issue(series, issued_on, due_on, ctx),
            C::RecordPaper { .. } if !ctx.actor.is_system() => return Err(R::SystemOnly),
            C::RecordPaper { pdf_file_id, xml_file_id } => return self.record_paper(pdf_file_id, xml_file_id),
            C::MarkSent {} | C::RecordPushedToLedger { .. } | C::RecordLedgerRejection { .. }
                if !self.status.is_issued() =>
            {
                return Err(R::NotIssued);
            }
            C::MarkSent {} if self.sent => vec![],
            C::MarkSent {} => vec![E::Sent {}],
            C::RecordPushedToLedger { external_id } if self.pushed_as.as_ref() == Some(&external_id) => vec![],
            C::RecordPushedToLedger { external_id } => vec![E::PushedToLedger { external_id }],
            C::RecordLedgerRejection { reason } if self.ledger_says.as_ref() == Some(&reason) => vec![],
            C::RecordLedgerRejection { reason } => vec![E::LedgerRejected { reason }],
            C::MarkOverdue {} => return self.mark_overdue(ctx),
            C::Settle { .. } | C::Credit { .. } if ctx.brought_by.is_none() => return Err(R::NotAlone),
            C::Settle { settlement, client_id, amount } => self.settle(settlement, client_id, amount, ctx)?,
            C::Credit { credit_note_id, amount } => self.credit(credit_note_id, amount)?,
            C::Void { .. } if self.status == InvoiceStatus::Voided => vec![],
            C::Void { reason } if self.is_voidable() => {
                let amounts = self.issued.as_ref().map(|issued| issued.amounts.clone());
                vec![E::Voided { reason, amounts }]
            }
            C::Void { .. } => return Err(R::NotVoidable),
            C::WriteOff { .. } if self.status == InvoiceStatus::WrittenOff => vec![],
            C::WriteOff { reason } => match self.outstanding().filter(|_| self.status.is_open()) {
                Some(outstanding) => vec![E::WrittenOff { reason, outstanding }],
                None => return Err(R::NotOpen),
            },
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Drafted {
                client_id,
                project_id,
                engagement_id,
                currency,
                buyer_reference,
                lines,
                drafted_by,
                note: _,
            } => {
                (self.client_id, self.project_id, self.currency) = (Some(*client_id), *project_id, Some(*currency));
                self.engagement_id = *engagement_id;
                self.buyer_reference = buyer_reference.clone();
                (self.lines, self.drafted_by) = (lines.clone(), *drafted_by);
            }
            E::LineAdded { line } => self.lines.push(line.clone()),
            E::LineChanged { line } => {
                self.lines.iter_mut().filter(|before| before.id == line.id).for_each(|before| *before = line.clone());
            }
            E::LineRemoved { line_id } => self.lines.retain(|line| line.id != *line_id),
            E::Submitted { submitted_by, request, .. } => {
                self.submitted_by = *submitted_by;
                self.approval = request.clone().map(Approval::new);
            }
            E::ApprovalGranted { by, completes, at, .. } => {
                self.approval.iter_mut().for_each(|approval| approval.note_grant(*by, *completes, *at));
            }
            E::ApprovalEscalated { .. } => self.approval.iter_mut().for_each(Approval::note_escalation),
            E::Approved {} | E::Rejected { .. } => {}
            E::Issued { number, due_on, overdue_at, seller, buyer, language, amounts, .. } => {
                self.issued = Some(Issued {
                    number: number.clone(),
                    due_on: *due_on,
                    overdue_at: *overdue_at,
                    seller: seller.clone(),
                    buyer: buyer.clone(),
                    amounts: amounts.clone(),
                    settled: vec![],
                    credited: vec![],
                    language: language.clone(),
                    paper: None,
                });
            }
            E::PaperStored { pdf_file_id, xml_file_id, .. } => {
                self.issued.iter_mut().for_each(|issued| issued.paper = Some((*pdf_file_id, *xml_file_id)));
            }
            E::Sent {} => self.sent = true,
            E::PushedToLedger { external_id } => {
                (self.pushed_as, self.ledger_says) = (Some(external_id.clone()), None);
            }
            E::LedgerRejected { reason } => self.ledger_says = Some(reason.clone()),
            E::PartiallyPaid { settlement, amount, .. } | E::Paid { settlement, amount, .. } => {
                self.settled_by(*settlement, *amount);
            }
            E::PaymentReversed { settlement, amount, returns_to, .. } => {
                self.settled_by(*settlement, *amount);
                self.overdue |= *returns_to == Reopened::Overdue;
            }
            E::Overdue { .. } => self.overdue = true,
            E::Credited { credit_note_id, amount } => {
                self.issued.iter_mut().for_each(|issued| issued.credited.push((*credit_note_id, *amount)));
            }
            E::Voided { .. } | E::WrittenOff { .. } => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        use ClaimChange::{Release, Take};
        let takes = |line: &Line| {
            let id = Claim::new(LINE_CLAIM, line.id.to_string());
            sources(line).map(Take).chain([Take(id)]).collect::<Vec<_>>()
        };
        match event {
            E::Drafted { lines, .. } => lines.iter().flat_map(takes).collect(),
            E::LineAdded { line } => takes(line),
            E::LineRemoved { line_id } => {
                self.lines.iter().filter(|line| line.id == *line_id).flat_map(sources).map(Release).collect()
            }
            E::Issued { number, .. } => vec![Take(Claim::new(NUMBER_CLAIM, number.as_str()))],
            E::Voided { .. } => self.lines.iter().flat_map(sources).map(Release).collect(),
            _ => vec![],
        }
    }

    fn companions(&self, command: &C, ctx: &Context, companions: &mut impl Companions) {
        let invoice_id = InvoiceId(ctx.id);
        match command {
            C::DraftFromPlan { invoice_plan_id } => {
                let due = ctx.referenced::<InvoicePlan>(*invoice_plan_id).map(|plan| plan.due(PLAN_ENTRIES_MAX));
                let plan_entry_ids: Vec<PlanEntryId> = due.into_iter().flatten().map(|entry| entry.id).collect();
                if !plan_entry_ids.is_empty() {
                    let note = crate::invoice_plan::InvoicePlanCommand::NoteInvoiced { plan_entry_ids, invoice_id };
                    companions.add::<InvoicePlan>(*invoice_plan_id, note);
                }
            }
            C::RemoveLine { line_id } => self.release(self.plans(Some(*line_id)), invoice_id, companions),
            C::Void { .. } => self.release(self.plans(None), invoice_id, companions),
            C::Issue { series, .. } => {
                let terms = BillingSettings::found(ctx).map(|(_, terms)| terms);
                let key = series.as_ref().or(terms.map(|terms| &terms.invoice_series));
                let series = key.and_then(|key| InvoiceSeries::with_key(key, ctx));
                if let Some((id, (number, _))) = series.and_then(|(id, series)| Some((id, series.next()?))) {
                    let taken_by = Paper::Invoice { invoice_id };
                    let take = crate::invoice_series::InvoiceSeriesCommand::TakeNumber { number, taken_by };
                    companions.add::<InvoiceSeries>(id, take);
                }
            }
            _ => {}
        }
    }
}

impl Invoice {
    /// The entries of plans that its lines are for, or one of them is, by plan.
    fn plans(&self, line_id: Option<InvoiceLineId>) -> BTreeMap<InvoicePlanId, Vec<PlanEntryId>> {
        let mut plans: BTreeMap<InvoicePlanId, Vec<PlanEntryId>> = BTreeMap::new();
        for line in self.lines.iter().filter(|line| line_id.is_none_or(|id| line.id == id)) {
            if let Some(Source::PlanEntry { invoice_plan_id, plan_entry_id }) = line.source {
                plans.entry(invoice_plan_id).or_default().push(plan_entry_id);
            }
        }
        plans
    }

    /// What is not on this invoice any more can be on another.
    fn release(
        &self,
        plans: BTreeMap<InvoicePlanId, Vec<PlanEntryId>>,
        invoice_id: InvoiceId,
        companions: &mut impl Companions,
    ) {
        if self.status == InvoiceStatus::Voided {
            return;
        }
        for (id, plan_entry_ids) in plans {
            let release = crate::invoice_plan::InvoicePlanCommand::ReleaseEntries { plan_entry_ids, invoice_id };
            companions.add::<InvoicePlan>(id, release);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
