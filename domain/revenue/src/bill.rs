//! A bill: what a vendor asks for, who approves it, and what was paid of it.
//!
//! A vendor's number of a bill is claimed, so the same bill comes in once. While nobody knows whose bill it is, one that looks the same
//! is only suspected, and the claim decides when it is coded.

mod paper;

use crate::approval::{Approval, Refused};
use crate::approval_policy::{Approvable, ApprovalPolicy};
use crate::bill::paper::{Paper, fingerprint};
use crate::{PayablesSettings, Vendor};
use kernel::{
    Actor, Aggregate, Claim, ClaimChange, ConnectionId, Context, Date, Decision, FileId, Imprint, Machine, Money, Name,
    Patch, ProjectId, Reference, Resource, Scope, Text, UserId, command, rejection,
};
use revenue_events::{
    ApprovalSubject, BillContent, BillEvent as E, BillLine, BillPaymentId, BillPaymentMethod, BillSource, BillStatus,
    LedgerCode, LeftPaid, OwedBill, ReferenceRule, VendorId, reference_key,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

use BillCommand as C;
use BillRejection as R;

/// Which bill has this number of this vendor.
const REFERENCE_CLAIM: &str = "revenue.bill.reference";
/// Which bill was the first with this reference, total and currency.
const FINGERPRINT_CLAIM: &str = "revenue.bill.fingerprint";
/// Which bill has the payment with this id.
const PAYMENT_CLAIM: &str = "revenue.bill.payment_id";
/// What answers call a payment that was recorded.
const PAYMENT_ID: &str = "payment_id";
/// Payments of one bill.
const PAYMENTS_MAX: usize = 500;

/// What may be asked of a bill.
#[command("revenue.bill", !member)]
pub enum BillCommand {
    /// Takes in a bill. The vendor may be left out as long as nobody knows whose bill it is.
    #[creates]
    #[refused(
        UnknownVendor,
        VendorArchived,
        TotalMissing,
        TwoCurrencies,
        LinesDoNotAddUp,
        NotPositive,
        AmountTooLarge,
        TooManyLines,
        DueBeforeIssued,
        "reference.taken",
        "fingerprint.taken"
    )]
    Receive {
        /// Whose bill it is.
        #[serde(default)]
        vendor_id: Option<VendorId>,
        /// The vendor's number of it. Case, spaces, dashes and letters of other widths make no other number.
        reference: Name,
        /// The day of the bill.
        #[serde(default)]
        issued_on: Option<Date>,
        /// Until when it is to be paid; what the firm's rules say unless given.
        #[serde(default)]
        due_on: Option<Date>,
        /// Everything together, with tax; the sum of the lines unless given.
        #[serde(default)]
        total: Option<Money>,
        /// Its lines, as far as they are known.
        #[serde(default)]
        lines: Vec<BillLine>,
        /// How it came in.
        #[serde(default)]
        source: BillSource,
        /// The paper itself.
        #[serde(default)]
        file_id: Option<FileId>,
        /// A note.
        #[serde(default)]
        note: Option<Text>,
    },
    /// Says what really stands on the bill. What is left out stays, `null` removes it. It is to be coded anew.
    #[refused(
        NotOpen,
        UnknownVendor,
        VendorArchived,
        TwoCurrencies,
        LinesDoNotAddUp,
        NotPositive,
        AmountTooLarge,
        TooManyLines,
        DueBeforeIssued,
        "reference.taken",
        "fingerprint.taken"
    )]
    Correct {
        /// Whose bill it is.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        vendor_id: Patch<VendorId>,
        /// The vendor's number of it.
        #[serde(default)]
        reference: Option<Name>,
        /// The day of the bill.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        issued_on: Patch<Date>,
        /// Until when it is to be paid.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        due_on: Patch<Date>,
        /// Everything together, with tax; the sum of the lines if only these are given.
        #[serde(default)]
        total: Option<Money>,
        /// Its lines; `null` removes them.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        lines: Patch<Vec<BillLine>>,
        /// The paper itself.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        file_id: Patch<FileId>,
        /// A note.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        note: Patch<Text>,
    },
    /// Says whose bill it is and which accounts it is an expense of. What a line does not say is what the command says for all, or what is
    /// usual with the vendor.
    #[refused(
        NotOpen,
        VendorMissing,
        UnknownVendor,
        VendorArchived,
        AccountMissing,
        TwoCurrencies,
        LinesDoNotAddUp,
        AmountTooLarge,
        TooManyLines,
        "reference.taken"
    )]
    Code {
        /// Whose bill it is, unless that is known.
        #[serde(default)]
        vendor_id: Option<VendorId>,
        /// The account of each line that says none.
        #[serde(default)]
        account_code: Option<LedgerCode>,
        /// The tax of each line that says none, as the ledger calls it.
        #[serde(default)]
        tax_code: Option<LedgerCode>,
        /// The project of each line that says none.
        #[serde(default)]
        project_id: Option<ProjectId>,
        /// The lines, if they are to be others; together they come to the total. A bill without lines has one.
        #[serde(default)]
        lines: Option<Vec<BillLine>>,
    },
    /// Asks whoever the firm's policy names to approve. Where it names nobody the bill is approved.
    #[refused(NotCoded)]
    RequestApproval {},
    /// Approves the bill at a step.
    #[refused(NotPending, NotThisStep, NotForYou, SeparationOfDuties)]
    Approve {
        /// The step's number, from 0.
        #[serde(default)]
        step: u32,
        /// A comment.
        #[serde(default)]
        comment: Option<Text>,
    },
    /// Does not approve the bill. One who does not is enough.
    #[refused(NotPending, NotThisStep, NotForYou, SeparationOfDuties)]
    Reject {
        /// The step's number, from 0.
        #[serde(default)]
        step: u32,
        /// Why.
        reason: Text,
    },
    /// Lets somebody else approve at a step too.
    #[refused(NotPending, NotThisStep, NotForYou, SeparationOfDuties)]
    DelegateApproval {
        /// The step's number, from 0.
        #[serde(default)]
        step: u32,
        /// Who.
        to_user_id: UserId,
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
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
    /// Notes that the ledger has the bill.
    #[refused(NotOwed, AlreadyPushed)]
    MarkPushed {
        /// Through which connection.
        #[serde(default)]
        connection_id: Option<ConnectionId>,
        /// What the ledger calls it.
        external_id: Name,
    },
    /// Notes that the ledger does not take the bill.
    #[refused(NotOwed, AlreadyPushed)]
    NoteLedgerRejection {
        /// Through which connection.
        #[serde(default)]
        connection_id: Option<ConnectionId>,
        /// Why, as the ledger says.
        reason: Text,
    },
    /// Notes that the bill was paid, or a part of it.
    #[makes("payment_id")]
    #[refused(NotOwed, AmountNotPositive, OtherCurrency, Overpaid, PaymentExists, TooManyPayments, "payment_id.taken")]
    RecordPayment {
        /// The id that it shall have, so that a repeat makes no other; a fresh one unless given.
        #[serde(default)]
        payment_id: Option<BillPaymentId>,
        /// How much; all that is owed unless given.
        #[serde(default)]
        amount: Option<Money>,
        /// When; the firm's today unless given.
        #[serde(default)]
        paid_on: Option<Date>,
        /// How.
        #[serde(default)]
        method: BillPaymentMethod,
        /// What the bank calls it.
        #[serde(default)]
        reference: Option<Name>,
    },
    /// Takes a payment back: the bank returned it, or it was of another bill.
    #[refused(UnknownPayment)]
    ReversePayment {
        /// Which one.
        payment_id: BillPaymentId,
        /// When; the firm's today unless given.
        #[serde(default)]
        reversed_on: Option<Date>,
        /// Why.
        reason: Text,
    },
    /// Makes the bill void: a duplicate, a mistake, or taken back by the vendor. Its number is free again.
    #[refused(HasPayments)]
    Void {
        /// Why.
        reason: Text,
    },
}

/// Why a bill's command may be refused.
#[rejection("revenue.bill")]
pub enum BillRejection {
    /// The firm has no such vendor.
    #[invalid("/vendor_id")]
    UnknownVendor,
    /// The vendor is archived; restore it first.
    VendorArchived,
    /// Nobody has said yet whose bill it is.
    #[invalid("/vendor_id")]
    VendorMissing,
    /// A bill has a total, or lines that come to one.
    #[invalid("/total")]
    TotalMissing,
    /// Total, lines and taxes of a bill are of one currency.
    #[invalid("/lines")]
    TwoCurrencies,
    /// The lines with their taxes do not come to the total.
    #[invalid("/lines")]
    LinesDoNotAddUp,
    /// A bill asks for more than nothing.
    #[invalid("/total")]
    NotPositive,
    /// Its amounts are too large together.
    #[invalid("/lines")]
    AmountTooLarge,
    /// A bill has at most 200 lines.
    #[invalid("/lines")]
    TooManyLines,
    /// A bill is not due before its own day.
    #[invalid("/due_on")]
    DueBeforeIssued,
    /// A line has no account, and none is usual with the vendor.
    #[invalid("/account_code")]
    AccountMissing,
    /// What stands on a bill changes only until somebody is asked to approve it, and after it was rejected.
    NotOpen,
    /// The bill is not coded.
    NotCoded,
    /// Nobody is asked to approve the bill.
    NotPending,
    /// It is another step's turn.
    #[invalid("/step")]
    NotThisStep,
    /// Others approve at this step.
    NotForYou,
    /// Whoever received, coded or asked for the bill's approval does not approve it.
    SeparationOfDuties,
    /// The bill is not owed: it was not approved yet, or it is void.
    NotOwed,
    /// The ledger has the bill already.
    AlreadyPushed,
    /// A payment is of more than nothing.
    #[invalid("/amount")]
    AmountNotPositive,
    /// A bill is paid in its own currency.
    #[invalid("/amount")]
    OtherCurrency,
    /// It is more than is owed.
    #[invalid("/amount")]
    Overpaid,
    /// The bill has another payment with this id.
    PaymentExists,
    /// A bill has at most 500 payments.
    TooManyPayments,
    /// The bill has no such payment.
    #[invalid("/payment_id")]
    UnknownPayment,
    /// The bill is paid at least in part; take the payments back first.
    HasPayments,
}

impl From<Refused> for R {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotThisStep => Self::NotThisStep,
            Refused::NotForYou => Self::NotForYou,
            Refused::SeparationOfDuties => Self::SeparationOfDuties,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Payment {
    amount: Money,
    reversed: bool,
    made_with: Imprint,
}

/// What is remembered of a bill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    content: Option<BillContent>,
    status: BillStatus,
    /// Who had a hand in it, and does not approve it.
    hands: BTreeSet<UserId>,
    /// The projects that it was ever for.
    projects: BTreeSet<ProjectId>,
    approval: Option<Approval>,
    rejected: Option<(u32, UserId)>,
    owed: Option<OwedBill>,
    external_id: Option<Name>,
    ledger_said: Option<Text>,
    payments: BTreeMap<BillPaymentId, Payment>,
}

impl Aggregate for Bill {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/bills";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        self.projects.iter().map(|project| (*project).into()).collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        let projects = projects_of(command).into_iter().map(Resource::from);
        match command {
            C::Receive { .. } => Scope::begins_in(projects),
            _ => Scope::of(self.belongs_to(id)).naming(projects),
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        let vendor = |id: &VendorId| Reference::id::<Vendor>(*id);
        match command {
            C::Receive { .. } | C::Correct { .. } => {
                let paper = self.paper(command).unwrap_or_default();
                let alike = paper.sum().map(|total| fingerprint(paper.reference.as_ref(), total));
                let alike = alike.map(|value| Reference::claim::<Self>(Claim::new(FINGERPRINT_CLAIM, value)));
                let vendor = paper.vendor_id.as_ref().map(vendor);
                vendor.into_iter().chain(alike).chain([PayablesSettings::reference()]).collect()
            }
            C::Code { vendor_id, .. } => vendor_id.or(self.vendor_id()).as_ref().map(vendor).into_iter().collect(),
            C::RequestApproval {} => vec![ApprovalPolicy::in_use(ApprovalSubject::Bill)],
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let by = match ctx.actor {
            Actor::User { id } => Some(id),
            _ => None,
        };
        Ok(match command {
            C::Receive { source, .. } => {
                let content = self.paper(&command).unwrap_or_default().checked(true, ctx)?;
                let suspected = suspected(&content, ctx);
                let received = E::Received { content, source, received_by: by };
                [received].into_iter().chain(suspected).collect()
            }
            C::Correct { .. } if !self.status.is_open() => return Err(R::NotOpen),
            C::Correct { ref vendor_id, .. } => {
                let renews = matches!(vendor_id, Patch::Set(id) if Some(*id) != self.vendor_id());
                let paper = self.paper(&command).unwrap_or_default();
                let content = paper.checked(renews, ctx)?;
                if self.content.as_ref().is_some_and(|known| paper::says_the_same(known, &content)) {
                    return Ok(vec![]);
                }
                let suspected = suspected(&content, ctx);
                let corrected = E::Corrected { content, replaced: self.lines_count(), corrected_by: by };
                [corrected].into_iter().chain(suspected).collect()
            }
            C::Code { .. } if !self.status.is_open() => return Err(R::NotOpen),
            C::Code { vendor_id, account_code, tax_code, project_id, lines } => {
                let usual = BillLineUsual { account_code, tax_code, project_id };
                return self.code(vendor_id, usual, lines, by, ctx);
            }
            C::RequestApproval {} if self.status == BillStatus::PendingApproval => vec![],
            C::RequestApproval {} if self.status != BillStatus::Coded => {
                // One that nobody has to approve was approved when it was asked for.
                if self.status.is_owed() { vec![] } else { return Err(R::NotCoded) }
            }
            C::RequestApproval {} => self.request_approval(by, ctx),
            C::Approve { step, comment } => return self.approve(step, comment, ctx),
            C::Reject { step, .. } if self.rejected.is_some_and(|was| Some(was) == by.map(|by| (step, by))) => vec![],
            C::Reject { step, reason } => {
                let by = self.pending()?.decider(step, &self.hands, ctx)?;
                vec![E::Rejected { step, by, reason }]
            }
            C::DelegateApproval { step, to_user_id: to, reason } => {
                let by = self.pending()?.delegate(step, to, &self.hands, ctx)?;
                by.map(|by| E::ApprovalDelegated { step, by, to, reason }).into_iter().collect()
            }
            C::EscalateApproval { step, reason } => {
                if self.pending()?.escalate(step)? {
                    vec![E::ApprovalEscalated { step, reason }]
                } else {
                    vec![]
                }
            }
            C::MarkPushed { .. } | C::NoteLedgerRejection { .. } if !self.status.is_owed() => return Err(R::NotOwed),
            C::MarkPushed { external_id, .. } if self.external_id.as_ref() == Some(&external_id) => vec![],
            C::MarkPushed { .. } | C::NoteLedgerRejection { .. } if self.external_id.is_some() => {
                return Err(R::AlreadyPushed);
            }
            C::MarkPushed { connection_id, external_id } => vec![E::PushedToLedger { connection_id, external_id }],
            C::NoteLedgerRejection { reason, .. } if self.ledger_said.as_ref() == Some(&reason) => vec![],
            C::NoteLedgerRejection { connection_id, reason } => vec![E::LedgerRejected { connection_id, reason }],
            C::RecordPayment { payment_id, amount, paid_on, method, reference } => {
                return self.record_payment(payment_id, amount, paid_on, method, reference, ctx);
            }
            C::ReversePayment { payment_id, reversed_on, reason } => {
                return self.reverse_payment(payment_id, reversed_on, reason, ctx);
            }
            C::Void { .. } if self.status == BillStatus::Voided => vec![],
            C::Void { .. } if matches!(self.status, BillStatus::PartiallyPaid | BillStatus::Paid) => {
                return Err(R::HasPayments);
            }
            C::Void { reason } => {
                let owed = self.owed.clone().filter(|_| self.status.is_owed());
                vec![E::Voided { reason, voided_on: ctx.today(), owed }]
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Received { content, received_by: by, .. } | E::Corrected { content, corrected_by: by, .. } => {
                self.hands.extend(by);
                self.content = Some(content.clone());
                self.projects.extend(content.lines.iter().filter_map(|line| line.project_id));
                (self.approval, self.rejected) = (None, None);
            }
            E::DuplicateSuspected { .. } => {}
            E::Coded { vendor_id, lines, coded_by, .. } => {
                self.hands.extend(coded_by);
                self.projects.extend(lines.iter().filter_map(|line| line.project_id));
                if let Some(content) = &mut self.content {
                    (content.vendor_id, content.lines) = (Some(*vendor_id), lines.clone());
                }
                (self.approval, self.rejected) = (None, None);
            }
            E::ApprovalRequested { request, .. } => {
                self.hands.extend(request.requested_by);
                self.approval = Some(Approval::new(request.clone()));
            }
            E::ApprovalGranted { by, completes, at, .. } => {
                self.note(|approval| approval.note_grant(*by, *completes, *at))
            }
            E::ApprovalDelegated { to, .. } => self.note(|approval| approval.note_delegate(*to)),
            E::ApprovalEscalated { .. } => self.note(Approval::note_escalation),
            E::Approved { owed } => self.owed = Some(owed.clone()),
            E::Rejected { step, by, .. } => self.rejected = Some((*step, *by)),
            E::PushedToLedger { external_id, .. } => {
                (self.external_id, self.ledger_said) = (Some(external_id.clone()), None);
            }
            E::LedgerRejected { reason, .. } => self.ledger_said = Some(reason.clone()),
            E::PaymentRecorded { payment_id, amount, paid_on, method, reference, .. } => {
                let made_with = Imprint::of(&(amount, paid_on, method, reference));
                self.payments.insert(*payment_id, Payment { amount: *amount, reversed: false, made_with });
            }
            E::Paid { .. } => {}
            E::PaymentReversed { payment_id, .. } => {
                if let Some(payment) = self.payments.get_mut(payment_id) {
                    payment.reversed = true;
                }
            }
            E::Voided { .. } => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        let mut after = self.clone();
        after.apply(event);
        let (before, after) = (self.held(), after.held());
        let released = before.difference(&after).cloned().map(ClaimChange::Release);
        released.chain(after.difference(&before).cloned().map(ClaimChange::Take)).collect()
    }
}

/// What a line is that does not say it itself.
struct BillLineUsual {
    account_code: Option<LedgerCode>,
    tax_code: Option<LedgerCode>,
    project_id: Option<ProjectId>,
}

impl Bill {
    /// Whose bill it is, as far as that is known.
    pub fn vendor_id(&self) -> Option<VendorId> {
        self.content.as_ref().and_then(|content| content.vendor_id)
    }

    fn lines_count(&self) -> u32 {
        self.content.as_ref().and_then(|content| u32::try_from(content.lines.len()).ok()).unwrap_or(0)
    }

    fn note(&mut self, what: impl FnOnce(&mut Approval)) {
        if let Some(approval) = &mut self.approval {
            what(approval);
        }
    }

    /// What it holds alone: whether a vendor's number is looked for by year or for ever, the other one finds it by year too.
    fn held(&self) -> BTreeSet<Claim> {
        let payments = self.payments.keys().map(|id| Claim::new(PAYMENT_CLAIM, id.to_string()));
        let mut held: BTreeSet<Claim> = payments.collect();
        let Some(content) = self.content.as_ref().filter(|_| self.status != BillStatus::Voided) else { return held };
        if content.alike_bill_id.is_none() {
            held.insert(Claim::new(FINGERPRINT_CLAIM, fingerprint(Some(&content.reference), content.total)));
        }
        if let Some(vendor) = content.vendor_id {
            let key = reference_key(&content.reference);
            held.insert(Claim::new(REFERENCE_CLAIM, format!("{vendor}/{}/{key}", content.reference_year)));
            if content.reference_rule == ReferenceRule::ForEver {
                held.insert(Claim::new(REFERENCE_CLAIM, format!("{vendor}/ever/{key}")));
            }
        }
        held
    }

    /// What would stand on it after the command.
    fn paper(&self, command: &C) -> Option<Paper> {
        match command {
            C::Receive { vendor_id, reference, issued_on, due_on, total, lines, file_id, note, .. } => Some(Paper {
                vendor_id: *vendor_id,
                reference: Some(reference.clone()),
                issued_on: *issued_on,
                due_on: *due_on,
                total: *total,
                lines: lines.clone(),
                file_id: *file_id,
                note: note.clone(),
            }),
            C::Correct { vendor_id, reference, issued_on, due_on, total, lines, file_id, note } => {
                let before = self.content.as_ref()?;
                // Lines alone come to a total of their own.
                let sums = matches!(lines, Patch::Set(lines) if !lines.is_empty());
                Some(Paper {
                    vendor_id: vendor_id.over(&before.vendor_id),
                    reference: Some(reference.as_ref().unwrap_or(&before.reference).clone()),
                    issued_on: issued_on.over(&before.issued_on),
                    due_on: due_on.over(&before.due_on),
                    total: total.or((!sums).then_some(before.total)),
                    lines: lines.clone().over_list(&before.lines),
                    file_id: file_id.over(&before.file_id),
                    note: note.clone().over(&before.note),
                })
            }
            _ => None,
        }
    }

    fn code(
        &self,
        vendor_id: Option<VendorId>,
        usual: BillLineUsual,
        lines: Option<Vec<BillLine>>,
        coded_by: Option<UserId>,
        ctx: &Context,
    ) -> Decision<Self> {
        let Some(content) = &self.content else { return Ok(vec![]) };
        let vendor_id = vendor_id.or(content.vendor_id).ok_or(R::VendorMissing)?;
        let vendor = ctx.referenced::<Vendor>(vendor_id).ok_or(R::UnknownVendor)?;
        if vendor.is_archived() {
            return Err(R::VendorArchived);
        }
        let mut lines = lines.unwrap_or_else(|| content.lines.clone());
        if lines.is_empty() {
            let (description, net) = (content.reference.clone(), content.total);
            lines =
                vec![BillLine { description, net, tax: None, account_code: None, tax_code: None, project_id: None }];
        }
        let defaults = vendor.defaults();
        for line in &mut lines {
            let (account, tax) = (usual.account_code.as_ref(), usual.tax_code.as_ref());
            line.account_code = line.account_code.take().or(account.or(defaults.account_code.as_ref()).cloned());
            line.tax_code = line.tax_code.take().or(tax.or(defaults.tax_code.as_ref()).cloned());
            line.project_id = line.project_id.or(usual.project_id);
        }
        paper::check_lines(&lines, Some(content.total))?;
        if lines.iter().any(|line| line.account_code.is_none()) {
            return Err(R::AccountMissing);
        }
        let is_so = self.status == BillStatus::Coded && content.vendor_id == Some(vendor_id) && content.lines == lines;
        if is_so {
            return Ok(vec![]);
        }
        Ok(vec![E::Coded { vendor_id, lines, replaced: self.lines_count(), coded_by }])
    }

    fn request_approval(&self, requested_by: Option<UserId>, ctx: &Context) -> Vec<E> {
        let Some(content) = &self.content else { return vec![] };
        let projects = content.lines.iter().filter_map(|line| line.project_id).collect();
        let what = Approvable { amount: content.total, vendor: content.vendor_id, projects: &projects };
        let request = ApprovalPolicy::request(ApprovalSubject::Bill, &what, requested_by, ctx);
        let nobody = request.steps.is_empty();
        let requested = E::ApprovalRequested { request, total: content.total, due_on: content.due_on };
        let approved = self.approved(ctx).filter(|_| nobody);
        [requested].into_iter().chain(approved).collect()
    }

    /// It is owed from now on.
    fn approved(&self, ctx: &Context) -> Option<E> {
        let content = self.content.as_ref()?;
        let owed = OwedBill {
            vendor_id: content.vendor_id?,
            reference: content.reference.clone(),
            booked_on: content.issued_on.unwrap_or(ctx.today()),
            due_on: content.due_on,
            total: content.total,
            lines: content.lines.clone(),
        };
        Some(E::Approved { owed })
    }

    fn pending(&self) -> Result<&Approval, R> {
        self.approval.as_ref().filter(|_| self.status == BillStatus::PendingApproval).ok_or(R::NotPending)
    }

    fn approve(&self, step: u32, comment: Option<Text>, ctx: &Context) -> Decision<Self> {
        if let (Actor::User { id }, Some(approval)) = (&ctx.actor, &self.approval)
            && approval.was_granted(step, *id)
        {
            return Ok(vec![]);
        }
        let Some(granted) = self.pending()?.grant(step, &self.hands, ctx)? else { return Ok(vec![]) };
        let (by, completes) = (granted.by, granted.completes_step);
        let event = E::ApprovalGranted { step, by, comment, completes, at: ctx.now };
        let approved = self.approved(ctx).filter(|_| granted.completes_all);
        Ok([event].into_iter().chain(approved).collect())
    }

    /// What was paid of it.
    fn paid(&self) -> i64 {
        self.payments.values().filter(|payment| !payment.reversed).map(|payment| payment.amount.minor()).sum()
    }

    fn outstanding(&self, owed: &OwedBill, change: i64) -> Result<Money, R> {
        let left = owed.total.minor() - self.paid() - change;
        Money::new(left, owed.total.currency()).map_err(|_| R::AmountTooLarge)
    }

    fn record_payment(
        &self,
        payment_id: Option<BillPaymentId>,
        amount: Option<Money>,
        paid_on: Option<Date>,
        method: BillPaymentMethod,
        reference: Option<Name>,
        ctx: &Context,
    ) -> Decision<Self> {
        let owed = self.owed.as_ref().filter(|_| self.status.is_owed()).ok_or(R::NotOwed)?;
        let paid_on = paid_on.unwrap_or(ctx.today());
        if let Some((id, there)) = payment_id.and_then(|id| self.payments.get_key_value(&id)) {
            let id = ctx.part(PAYMENT_ID, Some(*id));
            // One that does not say how much was of all that was owed then.
            let amount = amount.unwrap_or(there.amount);
            let is_so = there.made_with == Imprint::of(&(amount, paid_on, method, &reference));
            return if is_so && self.payments.contains_key(&id) { Ok(vec![]) } else { Err(R::PaymentExists) };
        }
        let vendor_id = owed.vendor_id;
        let open = self.outstanding(owed, 0).map_err(|_| R::Overpaid)?;
        let amount = amount.unwrap_or(open);
        if amount.currency() != open.currency() {
            return Err(R::OtherCurrency);
        }
        if open.is_zero() || amount.minor() > open.minor() {
            return Err(R::Overpaid);
        }
        if amount.minor() <= 0 {
            return Err(R::AmountNotPositive);
        }
        if self.payments.len() >= PAYMENTS_MAX {
            return Err(R::TooManyPayments);
        }
        let outstanding = self.outstanding(owed, amount.minor()).map_err(|_| R::Overpaid)?;
        let payment_id = ctx.part(PAYMENT_ID, payment_id);
        let recorded = E::PaymentRecorded { payment_id, vendor_id, amount, paid_on, method, reference, outstanding };
        let paid = outstanding.is_zero().then_some(E::Paid { vendor_id, total: owed.total, paid_on });
        Ok([recorded].into_iter().chain(paid).collect())
    }

    fn reverse_payment(
        &self,
        payment_id: BillPaymentId,
        reversed_on: Option<Date>,
        reason: Text,
        ctx: &Context,
    ) -> Decision<Self> {
        let payment = self.payments.get(&payment_id).ok_or(R::UnknownPayment)?;
        let Some(owed) = self.owed.as_ref().filter(|_| !payment.reversed) else { return Ok(vec![]) };
        let amount = payment.amount;
        let outstanding = self.outstanding(owed, -amount.minor()).map_err(|_| R::UnknownPayment)?;
        let leaves = match (self.paid() == amount.minor(), self.external_id.is_some()) {
            (false, _) => LeftPaid::Part,
            (true, false) => LeftPaid::Nothing,
            (true, true) => LeftPaid::NothingOfPushed,
        };
        let reversed_on = reversed_on.unwrap_or(ctx.today());
        let vendor_id = owed.vendor_id;
        Ok(vec![E::PaymentReversed { payment_id, vendor_id, amount, reversed_on, reason, outstanding, leaves }])
    }
}

/// The other bill that this one may be the same as.
fn suspected(content: &BillContent, ctx: &Context) -> Option<E> {
    let alike = content.alike_bill_id?;
    let value = fingerprint(Some(&content.reference), content.total);
    let theirs = ctx.holder::<Bill>(FINGERPRINT_CLAIM, &value).and_then(|(_, bill)| bill.vendor_id());
    // Two vendors may use the same number; of one vendor the claim on its numbers decides.
    let is_known = theirs.is_some() && content.vendor_id.is_some();
    (!is_known).then_some(E::DuplicateSuspected { of_bill_id: alike })
}

/// The projects that a command names.
fn projects_of(command: &C) -> BTreeSet<ProjectId> {
    let of = |lines: &[BillLine]| lines.iter().filter_map(|line| line.project_id).collect::<BTreeSet<_>>();
    match command {
        C::Receive { lines, .. } | C::Correct { lines: Patch::Set(lines), .. } => of(lines),
        C::Code { project_id, lines, .. } => {
            let mut projects = lines.as_deref().map(of).unwrap_or_default();
            projects.extend(project_id);
            projects
        }
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests;
