//! The longer verbs of an invoice.

use super::{E, Invoice, LINE_IDS, PLAN_ENTRIES_MAX, R, lines};
use crate::approval::Approval;
use crate::approval_policy::Approvable;
use crate::{ApprovalPolicy, BillingProfile, BillingSettings, InvoicePlan, InvoiceSeries};
use kernel::{
    Actor, Amounts, Context, Date, Decision, FileId, Keyed, Measure, Principal, Quantity, Rounding, Slug, Tax, Text,
    Timestamp, UserId,
};
use revenue_events::{ApprovalSubject, InvoicePlanId, InvoiceStatus, Line, Source};
use std::collections::BTreeSet;

/// An invoice of everything that is due of a plan.
pub(super) fn draft_from_plan(id: InvoicePlanId, ctx: &Context) -> Decision<Invoice> {
    ctx.begin_parts(LINE_IDS);
    BillingSettings::found(ctx).ok_or(R::NoBillingSettings)?;
    let plan = ctx.referenced::<InvoicePlan>(id).ok_or(R::UnknownPlan)?;
    let (client_id, currency) = plan.of().ok_or(R::UnknownPlan)?;
    let due = plan.due(PLAN_ENTRIES_MAX);
    if due.is_empty() {
        return Err(R::NothingDue);
    }
    let tax = lines::tax(plan.tax_rate(), ctx)?;
    let line = |entry: revenue_events::PlanEntry| Line {
        id: ctx.part_of(LINE_IDS),
        description: entry.name,
        quantity: Quantity::ONE,
        measure: Measure::One,
        unit_price: entry.amount,
        tax: tax.clone(),
        source: Some(Source::PlanEntry { invoice_plan_id: id, plan_entry_id: entry.id }),
    };
    Ok(vec![E::Drafted {
        client_id,
        project_id: plan.project_id(),
        engagement_id: plan.engagement_id(),
        currency,
        buyer_reference: None,
        note: None,
        lines: due.into_iter().map(line).collect(),
        drafted_by: ctx.actor.principal(),
    }])
}

impl Invoice {
    /// What its lines come to by a rule of rounding; it asks for something.
    fn worth(&self, rounding: Rounding) -> Result<Amounts, R> {
        let currency = self.currency.ok_or(R::NothingToPay)?;
        let priced: Vec<_> = self.lines.iter().map(Line::priced).collect();
        let amounts = Amounts::of(currency, rounding, &priced).map_err(|_| R::TooLarge)?;
        if amounts.total.minor() > 0 { Ok(amounts) } else { Err(R::NothingToPay) }
    }

    pub(super) fn submit(&self, ctx: &Context) -> Decision<Self> {
        match self.status {
            InvoiceStatus::PendingApproval => return Ok(vec![]),
            status if !status.is_draft() => return Err(R::NotDraft),
            _ => {}
        }
        let (_, terms) = BillingSettings::found(ctx).ok_or(R::NoBillingSettings)?;
        let total = self.worth(terms.rounding)?.total;
        let projects = self.project_id.into_iter().collect();
        let what = Approvable { amount: total, vendor: None, projects: &projects };
        let submitted_by = ctx.actor.principal();
        let request = ApprovalPolicy::request_of(ApprovalSubject::Invoice, &what, user(submitted_by), ctx);
        let about = self.lines.first().map(|line| line.description.clone());
        Ok(vec![E::Submitted { total, submitted_by, about, request }])
    }

    pub(super) fn approve(&self, step: u32, comment: Option<Text>, ctx: &Context) -> Decision<Self> {
        match self.status {
            InvoiceStatus::Approved => return Ok(vec![]),
            InvoiceStatus::PendingApproval => {}
            _ => return Err(R::NotPending),
        }
        if let Some(approval) = &self.approval {
            return self.approve_by_policy(approval, step, comment, ctx);
        }
        let separate = BillingSettings::found(ctx).is_some_and(|(_, terms)| terms.separation_of_duties);
        let who = ctx.actor.principal();
        let own = who.is_some() && (self.drafted_by == who || self.submitted_by == who);
        if separate && own { Err(R::OwnInvoice) } else { Ok(vec![E::Approved {}]) }
    }

    fn approve_by_policy(
        &self,
        approval: &Approval,
        step: u32,
        comment: Option<Text>,
        ctx: &Context,
    ) -> Decision<Self> {
        // The policy asks nobody for such an invoice, so whoever may approve one says it, a workflow too.
        if approval.asks_nobody() {
            return Ok(vec![E::Approved {}]);
        }
        if let Actor::User { id } = ctx.actor
            && approval.was_granted(step, id)
        {
            return Ok(vec![]);
        }
        let hands: BTreeSet<UserId> = [self.drafted_by, self.submitted_by].into_iter().filter_map(user).collect();
        let Some(granted) = approval.grant(step, &hands, ctx)? else { return Ok(vec![]) };
        let (by, completes) = (granted.by, granted.completes_step);
        let event = E::ApprovalGranted { step, by, comment, completes, at: ctx.now };
        Ok([event].into_iter().chain(granted.completes_all.then_some(E::Approved {})).collect())
    }

    pub(super) fn issue(
        &self,
        series: Option<Slug>,
        issued_on: Option<Date>,
        due_on: Option<Date>,
        ctx: &Context,
    ) -> Decision<Self> {
        let Some(client_id) = self.client_id.filter(|_| self.status == InvoiceStatus::Approved) else {
            return Err(R::NotApproved);
        };
        let (seller, terms) = BillingSettings::found(ctx).ok_or(R::NoBillingSettings)?;
        let profile = BillingProfile::found(client_id, ctx).ok_or(R::NoBillingProfile)?;
        let mut buyer = profile.buyer().ok_or(R::NoBillingProfile)?.clone();
        if seller.vat_id.is_none() && seller.tax_number.is_none() {
            return Err(R::NoSellerTaxId);
        }
        let there = |line: &Line| matches!(line.tax.tax, Tax::ReverseCharge {} | Tax::IntraCommunity {});
        let known = buyer.vat_id.as_ref().is_some_and(|vat_id| vat_id.expose().is_some());
        if self.lines.iter().any(there) && !known {
            return Err(R::NoBuyerVatId);
        }
        let key = series.unwrap_or_else(|| terms.invoice_series.clone());
        let (_, series) = InvoiceSeries::with_key(&key, ctx).ok_or(R::UnknownSeries)?;
        let (_, number) = series.next().ok_or(R::SeriesGivesNone)?;
        let issued_on = issued_on.unwrap_or(ctx.today());
        let days = profile.payment_terms_days().unwrap_or(terms.payment_terms_days);
        let due_on = due_on.map_or_else(|| issued_on.checked_add_days(days.into()).ok_or(R::DueOutOfRange), Ok)?;
        if due_on < issued_on {
            return Err(R::DueBeforeIssue);
        }
        if let Some(reference) = &self.buyer_reference {
            buyer.reference = Some(reference.clone());
        }
        Ok(vec![E::Issued {
            client_id,
            number,
            issued_on,
            due_on,
            overdue_at: end_of(due_on, ctx),
            seller: seller.clone(),
            buyer,
            language: profile.language().cloned(),
            lines: self.lines.clone(),
            amounts: self.worth(terms.rounding)?,
        }])
    }

    /// One that was voided meanwhile had a paper all the same.
    pub(super) fn record_paper(&self, pdf_file_id: FileId, xml_file_id: Option<FileId>) -> Decision<Self> {
        let (Some(client_id), Some(issued)) = (self.client_id, &self.issued) else { return Err(R::NotIssued) };
        match issued.paper {
            Some(there) if there == (pdf_file_id, xml_file_id) => return Ok(vec![]),
            Some(_) => return Err(R::PaperExists),
            None => {}
        }
        Ok(vec![E::PaperStored {
            client_id,
            number: issued.number.clone(),
            total: issued.amounts.total,
            due_on: issued.due_on,
            language: issued.language.clone(),
            email: issued.buyer.email.clone(),
            pdf_file_id,
            xml_file_id,
        }])
    }

    pub(super) fn mark_overdue(&self, ctx: &Context) -> Decision<Self> {
        let (Some(client_id), Some(issued), Some(outstanding)) = (self.client_id, &self.issued, self.outstanding())
        else {
            return Err(R::NotIssued);
        };
        let is_due = self.status.is_open() && self.status != InvoiceStatus::Overdue;
        Ok(match ctx.now < issued.overdue_at {
            true => return Err(R::NotDueYet),
            false if is_due => vec![E::Overdue { client_id, due_on: issued.due_on, outstanding }],
            false => vec![],
        })
    }
}

/// The member of staff, if it is one.
fn user(who: Option<Principal>) -> Option<UserId> {
    match who? {
        Principal::User { id } => Some(id),
        Principal::ServiceAccount { .. } | Principal::PortalUser { .. } => None,
    }
}

/// When a day is over where the firm is: the first moment of the next one, also where clocks skip midnight.
fn end_of(day: Date, ctx: &Context) -> Timestamp {
    day.checked_add_days(1).map_or(Timestamp::MAX, |next| next.begins_in(ctx.time_zone))
}
