//! The lines of an invoice: what they are for, and their tax.

use super::{C, E, Invoice, LINE_ID, LINE_IDS, LINES_MAX, R, SOURCE_CLAIM, TIME_ENTRIES_MAX};
use crate::{BillingSettings, TaxRate};
use kernel::{Claim, Context, Currency, Decision, Keyed, Measure, Money, Name, Quantity, Slug};
use revenue_events::{InvoiceLineId, Line, LineTax, Source};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use uuid::Uuid;

/// A line as it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct NewLine {
    /// What for.
    pub description: Name,
    /// How much of it; one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// What it is counted in; nothing in particular unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measure>,
    /// What one costs, without tax.
    pub unit_price: Money,
    /// Its tax, by the key of a rate; the firm's usual one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_rate: Option<Slug>,
    /// What it is for, which is invoiced once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<NewSource>,
}

/// What a line is for. Entries of plans come with `draft_from_plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, kernel::Input)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NewSource {
    /// A milestone of a project.
    Milestone {
        /// Which one.
        milestone_id: Uuid,
    },
    /// A task of a project.
    Task {
        /// Which one.
        task_id: Uuid,
    },
    /// Time that was worked.
    Time {
        /// The entries.
        time_entry_ids: Vec<Uuid>,
    },
}

impl From<NewSource> for Source {
    fn from(new: NewSource) -> Self {
        match new {
            NewSource::Milestone { milestone_id } => Self::Milestone { milestone_id },
            NewSource::Task { task_id } => Self::Task { task_id },
            NewSource::Time { time_entry_ids } => Self::Time { time_entry_ids },
        }
    }
}

/// The claims on what a line is for.
pub(super) fn sources(line: &Line) -> impl Iterator<Item = Claim> + use<> {
    let claims = match &line.source {
        None => vec![],
        Some(Source::Milestone { milestone_id }) => vec![format!("milestone/{milestone_id}")],
        Some(Source::Task { task_id }) => vec![format!("task/{task_id}")],
        Some(Source::Time { time_entry_ids }) => time_entry_ids.iter().map(|id| format!("time/{id}")).collect(),
        Some(Source::PlanEntry { plan_entry_id, .. }) => vec![format!("plan_entry/{plan_entry_id}")],
    };
    claims.into_iter().map(|value| Claim::new(SOURCE_CLAIM, value))
}

/// The keys of the tax rates that a command names.
pub(super) fn tax_keys(command: &C) -> Vec<&Slug> {
    match command {
        C::Draft { lines, .. } => lines.iter().filter_map(|line| line.tax_rate.as_ref()).collect(),
        C::AddLine { line, .. } => line.tax_rate.iter().collect(),
        C::ChangeLine { tax_rate, .. } => tax_rate.iter().collect(),
        _ => vec![],
    }
}

/// The tax of a line that names this rate, or none.
pub(super) fn tax(key: Option<&Slug>, ctx: &Context) -> Result<LineTax, R> {
    let terms = BillingSettings::found(ctx).map(|(_, terms)| terms);
    let key = key.or(terms.and_then(|terms| terms.default_tax_rate.as_ref())).ok_or(R::NoTaxRate)?;
    let (_, rate) = TaxRate::with_key(key, ctx).ok_or(R::UnknownTaxRate)?;
    match rate.of_line() {
        Some(_) if rate.is_retired() => Err(R::TaxRateRetired),
        Some(tax) => Ok(tax.clone()),
        None => Err(R::UnknownTaxRate),
    }
}

/// The line that comes of it.
fn line(id: InvoiceLineId, new: NewLine, currency: Currency, ctx: &Context) -> Result<Line, R> {
    let NewLine { description, quantity, measure, unit_price, tax_rate, source } = new;
    if unit_price.currency() != currency {
        return Err(R::CurrencyMismatch);
    }
    if let Some(NewSource::Time { time_entry_ids }) = &source
        && !(1..=TIME_ENTRIES_MAX).contains(&time_entry_ids.len())
    {
        return Err(R::TooManyTimeEntries);
    }
    let tax = tax(tax_rate.as_ref(), ctx)?;
    let (quantity, measure) = (quantity.unwrap_or(Quantity::ONE), measure.unwrap_or_default());
    Ok(Line { id, description, quantity, measure, unit_price, tax, source: source.map(Into::into) })
}

/// Is something there twice?
fn is_twice<'l>(lines: impl Iterator<Item = &'l Line>) -> bool {
    let mut known = BTreeSet::new();
    lines.flat_map(sources).any(|claim| !known.insert(claim))
}

/// The lines that an invoice begins with.
pub(super) fn begun(new: Vec<NewLine>, currency: Currency, ctx: &Context) -> Result<Vec<Line>, R> {
    ctx.begin_parts(LINE_IDS);
    if new.len() > LINES_MAX {
        return Err(R::TooManyLines);
    }
    let lines: Result<Vec<Line>, R> =
        new.into_iter().map(|new| line(ctx.part_of(LINE_IDS), new, currency, ctx)).collect();
    lines.and_then(|lines| if is_twice(lines.iter()) { Err(R::SourceTwice) } else { Ok(lines) })
}

impl Invoice {
    pub(super) fn add_line(&self, line_id: Option<InvoiceLineId>, new: NewLine, ctx: &Context) -> Decision<Self> {
        let Some(currency) = self.currency.filter(|_| self.status.is_draft()) else { return Err(R::NotDraft) };
        let line = line(ctx.part(LINE_ID, line_id), new, currency, ctx)?;
        match self.lines.iter().find(|there| there.id == line.id) {
            Some(there) if *there == line => return Ok(vec![]),
            Some(_) => return Err(R::LineExists),
            None if self.lines.len() >= LINES_MAX => return Err(R::TooManyLines),
            None if is_twice(self.lines.iter().chain([&line])) => return Err(R::SourceTwice),
            None => {}
        }
        Ok(vec![E::LineAdded { line }])
    }

    /// A line that can be changed.
    pub(super) fn draft_line(&self, id: InvoiceLineId) -> Result<&Line, R> {
        if !self.status.is_draft() {
            return Err(R::NotDraft);
        }
        self.lines.iter().find(|line| line.id == id).ok_or(R::UnknownLine)
    }
}
