//! An invoice plan: what a client is to be invoiced, and when. Each entry is on one invoice at most.

use chrono::Months;
use kernel::{
    Aggregate, Claim, ClaimChange, ClientId, Context, Currency, Date, Decision, EngagementId, Flag, Imprint, InvoiceId,
    Machine, Money, Name, ProjectId, Resource, Scope, Slug, Text, command, rejection,
};
use revenue_events::{
    EntryStatus, InvoicePlanEvent as E, InvoicePlanStatus, PlanEntry, PlanEntryId, PlanKind, PlanTerms,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use InvoicePlanCommand as C;
use InvoicePlanRejection as R;

/// Entries of one plan.
const ENTRIES_MAX: usize = 500;
/// Months of a period at most: five years.
const MONTHS_MAX: u16 = 60;
/// What answers call an entry that was added.
const ENTRY_ID: &str = "plan_entry_id";
/// Which plan has the entry with this id.
const ENTRY_CLAIM: &str = "revenue.invoice_plan.plan_entry_id";

/// What may be asked of an invoice plan.
#[command("revenue.invoice_plan", !member)]
pub enum InvoicePlanCommand {
    /// Begins a plan as a draft.
    #[creates]
    #[refused(
        AmountMissing,
        StartMissing,
        PeriodMissing,
        NotForThisKind,
        PeriodTooLong,
        CurrencyMismatch,
        NotPositive,
        EndsBeforeStart,
        "crm.client.blocked"
    )]
    Create {
        /// What it is called.
        name: Name,
        /// The client.
        client_id: ClientId,
        /// For which project.
        #[serde(default)]
        project_id: Option<ProjectId>,
        /// For which engagement.
        #[serde(default)]
        engagement_id: Option<EngagementId>,
        /// When it asks for what.
        terms: PlanTerms,
    },
    /// Changes when a draft asks for what; entries that are there stay.
    #[refused(
        NotDraft,
        AmountMissing,
        StartMissing,
        PeriodMissing,
        NotForThisKind,
        PeriodTooLong,
        CurrencyMismatch,
        CurrencyIsSet,
        NotPositive,
        EndsBeforeStart,
        Closed
    )]
    ChangeTerms {
        /// When it asks for what.
        terms: PlanTerms,
    },
    /// Lets its entries become due, or again after a pause; what waits for nothing is due at once.
    #[refused(Closed, "crm.client.blocked")]
    Activate {},
    /// Lets nothing become due for the time being.
    #[refused(Closed, NotActive)]
    Pause {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Notes that all of it was invoiced; nothing may be planned or due.
    #[refused(Closed, NotActive, OpenEntries)]
    Complete {},
    /// Gives it up; what was invoiced stays.
    #[refused(Closed)]
    Cancel {
        /// Why.
        #[serde(default)]
        reason: Option<Text>,
    },
    /// Adds something that is to be invoiced once: after a milestone or a task, from a day on, or, with none of these, at once.
    #[makes("plan_entry_id")]
    #[refused(
        Closed,
        CurrencyMismatch,
        NotPositive,
        TooManyEntries,
        EntryExists,
        MilestoneTwice,
        TaskTwice,
        WaitsForTwo,
        "plan_entry_id.taken"
    )]
    AddEntry {
        /// The id that it shall have, so that a repeat makes no other; a fresh one unless given.
        #[serde(default)]
        plan_entry_id: Option<PlanEntryId>,
        /// What the line says.
        name: Name,
        /// What it comes to, without tax.
        amount: Money,
        /// The milestone after which it is due.
        #[serde(default)]
        milestone_id: Option<Uuid>,
        /// The task after which it is due.
        #[serde(default)]
        task_id: Option<Uuid>,
        /// The day from which it is due.
        #[serde(default)]
        due_on: Option<Date>,
    },
    /// Notes that a milestone is reached: what waits for it is due, or will be as soon as the plan is active.
    #[refused(Closed, UnknownMilestone)]
    MarkMilestoneReached {
        /// Which one.
        milestone_id: Uuid,
    },
    /// Notes that a task is done: what waits for it is due, or will be as soon as the plan is active.
    #[refused(Closed, UnknownTask)]
    MarkTaskDone {
        /// Which one.
        task_id: Uuid,
    },
    /// Lets everything become due whose day has come: entries with a day, and periods of a retainer or of what recurs.
    #[refused(Closed, NotActive, TooManyEntries)]
    OpenPeriods {},
    /// Drops an entry that is not to be invoiced after all.
    #[refused(Closed, UnknownEntry, EntryInvoiced)]
    DropEntry {
        /// Which one.
        plan_entry_id: PlanEntryId,
    },
    /// Notes on which invoice entries are; comes with the invoice and never alone.
    #[refused(NotAlone, NotActive, UnknownEntry, EntryNotDue)]
    NoteInvoiced {
        /// Which ones.
        plan_entry_ids: Vec<PlanEntryId>,
        /// On which invoice.
        invoice_id: InvoiceId,
    },
    /// Notes that entries are to be invoiced again; comes with what becomes of their invoice and never alone.
    #[refused(NotAlone, UnknownEntry)]
    ReleaseEntries {
        /// Which ones.
        plan_entry_ids: Vec<PlanEntryId>,
        /// On which invoice they were.
        invoice_id: InvoiceId,
    },
}

/// Why an invoice plan's command may be refused.
#[rejection("revenue.invoice_plan")]
pub enum InvoicePlanRejection {
    /// A retainer, or what recurs, says what a period comes to.
    #[invalid("/terms/amount")]
    AmountMissing,
    /// A retainer, or what recurs, says when it begins.
    #[invalid("/terms/starts_on")]
    StartMissing,
    /// What recurs says after how many months.
    #[invalid("/terms/every_months")]
    PeriodMissing,
    /// Periods are for retainers and what recurs, a rate for time; a retainer is monthly.
    #[invalid("/terms/kind")]
    NotForThisKind,
    /// A period has 1 to 60 months.
    #[invalid("/terms/every_months")]
    PeriodTooLong,
    /// A plan is in one currency.
    CurrencyMismatch,
    /// The plan has entries; its currency is that of them.
    #[invalid("/terms/currency")]
    CurrencyIsSet,
    /// Something is to be invoiced: the amount is more than nothing.
    NotPositive,
    /// It ends before it begins.
    #[invalid("/terms/ends_on")]
    EndsBeforeStart,
    /// Only a draft can be changed.
    NotDraft,
    /// The plan is completed or cancelled.
    Closed,
    /// Only of an active plan anything becomes due.
    NotActive,
    /// Something of the plan is planned or due.
    OpenEntries,
    /// A plan has at most 500 entries.
    TooManyEntries,
    /// The plan has another entry with this id, or it was added with something else.
    EntryExists,
    /// Another entry of the plan waits for this milestone.
    #[invalid("/milestone_id")]
    MilestoneTwice,
    /// No entry of the plan waits for this milestone.
    #[invalid("/milestone_id")]
    UnknownMilestone,
    /// Another entry of the plan waits for this task.
    #[invalid("/task_id")]
    TaskTwice,
    /// No entry of the plan waits for this task.
    #[invalid("/task_id")]
    UnknownTask,
    /// An entry waits for a milestone or for a task, and not for both.
    #[invalid("/task_id")]
    WaitsForTwo,
    /// The plan has no such entry.
    UnknownEntry,
    /// The entry is on an invoice; take it off there first.
    EntryInvoiced,
    /// The entry is not due, or on another invoice.
    EntryNotDue,
    /// An entry is invoiced by an invoice, with it and not by itself, so that the two agree.
    NotAlone,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    entry: PlanEntry,
    status: EntryStatus,
    /// What it waits for has come.
    reached: bool,
    invoice_id: Option<InvoiceId>,
    made_with: Imprint,
}

/// What is remembered of an invoice plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InvoicePlan {
    client_id: Option<ClientId>,
    project_id: Option<ProjectId>,
    engagement_id: Option<EngagementId>,
    terms: Option<PlanTerms>,
    status: InvoicePlanStatus,
    name: String,
    /// In the order in which they were added.
    entries: Vec<Entry>,
    /// How many periods were opened.
    periods: u32,
}

impl InvoicePlan {
    /// Whose it is, and in which currency.
    pub(crate) fn of(&self) -> Option<(ClientId, Currency)> {
        Some((self.client_id?, self.terms.as_ref()?.currency))
    }

    pub(crate) fn project_id(&self) -> Option<ProjectId> {
        self.project_id
    }

    pub(crate) fn engagement_id(&self) -> Option<EngagementId> {
        self.engagement_id
    }

    /// The tax of its lines, if it names one.
    pub(crate) fn tax_rate(&self) -> Option<&Slug> {
        self.terms.as_ref()?.tax_rate.as_ref()
    }

    /// What is to be invoiced now, so many at most, oldest first.
    pub(crate) fn due(&self, most: usize) -> Vec<PlanEntry> {
        let is_due = |entry: &&Entry| self.status == InvoicePlanStatus::Active && entry.status == EntryStatus::Due;
        self.entries.iter().filter(is_due).take(most).map(|entry| entry.entry.clone()).collect()
    }

    fn find(&self, id: PlanEntryId) -> Result<&Entry, R> {
        self.entries.iter().find(|entry| entry.entry.id == id).ok_or(R::UnknownEntry)
    }

    fn find_mut(&mut self, id: PlanEntryId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.entry.id == id)
    }

    fn falls_due(&self, entry: &PlanEntry) -> Option<E> {
        let PlanEntry { id, name, amount, .. } = entry.clone();
        Some(E::EntryDue { plan_entry_id: id, name, amount, client_id: self.client_id? })
    }

    /// What waits for nothing that has not come: for its day, or for what came while the plan was not active.
    fn ripe(&self, today: Date) -> Vec<E> {
        let is_ripe = |entry: &&Entry| {
            entry.status == EntryStatus::Planned
                && match entry.entry.milestone_id.or(entry.entry.task_id) {
                    Some(_) => entry.reached,
                    None => entry.entry.due_on.is_none_or(|due_on| due_on <= today),
                }
        };
        self.entries.iter().filter(is_ripe).filter_map(|entry| self.falls_due(&entry.entry)).collect()
    }

    /// The first day of a period, counted from none; none beyond the plan's end or the calendar's.
    fn begins(terms: &PlanTerms, period: u32) -> Option<Date> {
        let months = u32::from(terms.every_months.unwrap_or(1)).checked_mul(period)?;
        // From the first day each time, so that what begins on a 31st comes back to it.
        let day = terms.starts_on?.checked_add_months(Months::new(months))?;
        let day = Date::try_from(day).ok()?;
        terms.ends_on.is_none_or(|ends_on| day <= ends_on).then_some(day)
    }

    /// The first day on which something becomes due by itself; none unless the plan is active.
    pub fn opens_on(&self) -> Option<Date> {
        let terms = self.terms.as_ref().filter(|_| self.status == InvoicePlanStatus::Active)?;
        let waits = |there: &&Entry| {
            there.status == EntryStatus::Planned && there.entry.milestone_id.or(there.entry.task_id).is_none()
        };
        let days = self.entries.iter().filter(waits).filter_map(|there| there.entry.due_on);
        days.chain(Self::begins(terms, self.periods)).min()
    }

    fn open_periods(&self, ctx: &Context) -> Decision<Self> {
        let today = ctx.today();
        let mut events = self.ripe(today);
        let Some(terms) = self.terms.as_ref() else { return Ok(events) };
        let has_periods = matches!(terms.kind, PlanKind::Retainer | PlanKind::Recurring);
        let Some(amount) = terms.amount.filter(|_| has_periods) else { return Ok(events) };
        for (opened, period) in (self.periods..).enumerate() {
            let Some(begins) = Self::begins(terms, period).filter(|begins| *begins <= today) else { break };
            if self.entries.len() + opened >= ENTRIES_MAX {
                return Err(R::TooManyEntries);
            }
            let label = format!("{}, {begins}", self.name.chars().take(180).collect::<String>());
            let Ok(name) = label.parse() else { break };
            let (id, due_on) = (ctx.fresh(), Some(begins));
            let entry = PlanEntry { id, name, amount, milestone_id: None, task_id: None, due_on, period: Some(period) };
            let due = self.falls_due(&entry);
            events.push(E::EntryAdded { plan_entry: entry });
            events.extend(due);
        }
        Ok(events)
    }

    /// What those entries that wait for it come to now.
    fn reached(&self, waits: impl Fn(&PlanEntry) -> bool, unknown: R) -> Decision<Self> {
        let mut waiting = self.entries.iter().filter(|there| waits(&there.entry)).peekable();
        waiting.peek().ok_or(unknown)?;
        let planned = waiting.filter(|there| there.status == EntryStatus::Planned);
        if self.status == InvoicePlanStatus::Active {
            return Ok(planned.filter_map(|there| self.falls_due(&there.entry)).collect());
        }
        let new = planned.filter(|there| !there.reached);
        Ok(new.map(|there| E::EntryReached { plan_entry_id: there.entry.id }).collect())
    }

    fn add_entry(&self, entry: PlanEntry) -> Decision<Self> {
        match self.entries.iter().find(|there| there.entry.id == entry.id) {
            Some(there) if there.made_with == Imprint::of(&entry) => return Ok(vec![]),
            Some(_) => return Err(R::EntryExists),
            None => {}
        }
        if !self.status.is_open() {
            return Err(R::Closed);
        }
        if self.entries.len() >= ENTRIES_MAX {
            return Err(R::TooManyEntries);
        }
        if self.terms.as_ref().is_none_or(|terms| terms.currency != entry.amount.currency()) {
            return Err(R::CurrencyMismatch);
        }
        if entry.amount.minor() <= 0 {
            return Err(R::NotPositive);
        }
        if entry.milestone_id.is_some() && entry.task_id.is_some() {
            return Err(R::WaitsForTwo);
        }
        let kept = || self.entries.iter().filter(|there| there.status != EntryStatus::Dropped);
        if entry.milestone_id.is_some() && kept().any(|there| there.entry.milestone_id == entry.milestone_id) {
            return Err(R::MilestoneTwice);
        }
        if entry.task_id.is_some() && kept().any(|there| there.entry.task_id == entry.task_id) {
            return Err(R::TaskTwice);
        }
        let waits = entry.milestone_id.is_some() || entry.task_id.is_some() || entry.due_on.is_some();
        let at_once = self.status == InvoicePlanStatus::Active && !waits;
        let due = if at_once { self.falls_due(&entry) } else { None };
        Ok([E::EntryAdded { plan_entry: entry }].into_iter().chain(due).collect())
    }
}

/// Do the terms of a plan say what their kind needs, and nothing that it does not know?
fn check(terms: &PlanTerms) -> Result<(), R> {
    let has_periods = matches!(terms.kind, PlanKind::Retainer | PlanKind::Recurring);
    let of_periods = terms.amount.is_some() || terms.starts_on.is_some() || terms.every_months.is_some();
    if !has_periods && (of_periods || terms.ends_on.is_some())
        || terms.kind != PlanKind::Time && terms.hourly_rate.is_some()
        || terms.kind == PlanKind::Retainer && terms.every_months.is_some_and(|months| months != 1)
    {
        return Err(R::NotForThisKind);
    }
    for amount in terms.amount.iter().chain(&terms.hourly_rate) {
        if amount.currency() != terms.currency {
            return Err(R::CurrencyMismatch);
        }
        if amount.minor() <= 0 {
            return Err(R::NotPositive);
        }
    }
    if !has_periods {
        return Ok(());
    }
    if terms.amount.is_none() {
        return Err(R::AmountMissing);
    }
    let Some(starts_on) = terms.starts_on else { return Err(R::StartMissing) };
    if terms.ends_on.is_some_and(|ends_on| ends_on < starts_on) {
        return Err(R::EndsBeforeStart);
    }
    match terms.every_months {
        None if terms.kind == PlanKind::Recurring => Err(R::PeriodMissing),
        Some(months) if !(1..=MONTHS_MAX).contains(&months) => Err(R::PeriodTooLong),
        _ => Ok(()),
    }
}

impl Aggregate for InvoicePlan {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/invoice-plans";
    const STATE_VERSION: i32 = 2;

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
            C::Create { client_id, project_id, engagement_id, .. } => {
                let others = project_id.map(Resource::from).into_iter().chain(engagement_id.map(Resource::from));
                Scope::begins_in([Resource::from(*client_id)].into_iter().chain(others))
            }
            _ => Scope::of(self.belongs_to(id)),
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let is_active = self.status == InvoicePlanStatus::Active;
        Ok(match command {
            C::Create { name, client_id, project_id, engagement_id, terms } => {
                check(&terms)?;
                vec![E::Created { name, client_id, project_id, engagement_id, terms }]
            }
            C::NoteInvoiced { .. } | C::ReleaseEntries { .. } if ctx.brought_by.is_none() => return Err(R::NotAlone),
            C::NoteInvoiced { plan_entry_ids, invoice_id } => {
                let mut events = vec![];
                for plan_entry_id in plan_entry_ids {
                    match self.find(plan_entry_id)? {
                        there if there.invoice_id == Some(invoice_id) => {}
                        _ if !is_active => return Err(R::NotActive),
                        there if there.status != EntryStatus::Due => return Err(R::EntryNotDue),
                        _ => events.push(E::EntryInvoiced { plan_entry_id, invoice_id }),
                    }
                }
                events
            }
            C::ReleaseEntries { plan_entry_ids, invoice_id } => {
                let mut events = vec![];
                for plan_entry_id in plan_entry_ids {
                    if self.find(plan_entry_id)?.invoice_id == Some(invoice_id) {
                        events.push(E::EntryReleased { plan_entry_id, invoice_id });
                    }
                }
                events
            }
            C::AddEntry { plan_entry_id, name, amount, milestone_id, task_id, due_on } => {
                let id = ctx.part(ENTRY_ID, plan_entry_id);
                return self.add_entry(PlanEntry { id, name, amount, milestone_id, task_id, due_on, period: None });
            }
            C::Complete {} if self.status == InvoicePlanStatus::Completed => vec![],
            C::Cancel { .. } if self.status == InvoicePlanStatus::Cancelled => vec![],
            _ if !self.status.is_open() => return Err(R::Closed),
            C::ChangeTerms { .. } if self.status != InvoicePlanStatus::Draft => return Err(R::NotDraft),
            C::ChangeTerms { terms } if self.terms.as_ref() == Some(&terms) => vec![],
            C::ChangeTerms { terms } => {
                check(&terms)?;
                if self.entries.iter().any(|there| there.entry.amount.currency() != terms.currency) {
                    return Err(R::CurrencyIsSet);
                }
                vec![E::TermsChanged { terms }]
            }
            C::Activate {} if is_active => vec![],
            C::Activate {} => [E::Activated {}].into_iter().chain(self.ripe(ctx.today())).collect(),
            C::Pause { .. } if self.status == InvoicePlanStatus::Paused => vec![],
            C::Pause { .. } | C::OpenPeriods {} if !is_active => {
                return Err(R::NotActive);
            }
            C::Complete {} if self.status == InvoicePlanStatus::Draft => return Err(R::NotActive),
            C::Pause { reason } => vec![E::Paused { reason }],
            C::Complete {} => {
                let is_open = |there: &Entry| matches!(there.status, EntryStatus::Planned | EntryStatus::Due);
                if self.entries.iter().any(is_open) {
                    return Err(R::OpenEntries);
                }
                vec![E::Completed {}]
            }
            C::Cancel { reason } => vec![E::Cancelled { reason }],
            C::MarkMilestoneReached { milestone_id } => {
                return self.reached(|entry| entry.milestone_id == Some(milestone_id), R::UnknownMilestone);
            }
            C::MarkTaskDone { task_id } => {
                return self.reached(|entry| entry.task_id == Some(task_id), R::UnknownTask);
            }
            C::OpenPeriods {} => return self.open_periods(ctx),
            C::DropEntry { plan_entry_id } => match self.find(plan_entry_id)?.status {
                EntryStatus::Dropped => vec![],
                EntryStatus::Invoiced => return Err(R::EntryInvoiced),
                EntryStatus::Planned | EntryStatus::Due => vec![E::EntryDropped { plan_entry_id }],
            },
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Created { name, client_id, project_id, engagement_id, terms } => {
                self.name = name.as_str().to_owned();
                self.client_id = Some(*client_id);
                (self.project_id, self.engagement_id) = (*project_id, *engagement_id);
                self.terms = Some(terms.clone());
            }
            E::TermsChanged { terms } => self.terms = Some(terms.clone()),
            E::Activated {} | E::Paused { .. } | E::Completed {} | E::Cancelled { .. } => {}
            E::EntryAdded { plan_entry: entry } => {
                if let Some(period) = entry.period {
                    self.periods = period.saturating_add(1);
                }
                let made_with = Imprint::of(entry);
                self.entries.push(Entry {
                    entry: entry.clone(),
                    status: EntryStatus::default(),
                    reached: false,
                    invoice_id: None,
                    made_with,
                });
            }
            E::EntryReached { plan_entry_id } => {
                self.find_mut(*plan_entry_id).into_iter().for_each(|there| there.reached = true);
            }
            E::EntryDue { plan_entry_id, .. } | E::EntryDropped { plan_entry_id } => {
                self.moved(*plan_entry_id, event, None)
            }
            E::EntryInvoiced { plan_entry_id, invoice_id } => self.moved(*plan_entry_id, event, Some(*invoice_id)),
            E::EntryReleased { plan_entry_id, .. } => self.moved(*plan_entry_id, event, None),
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::EntryAdded { plan_entry: entry } => {
                vec![ClaimChange::Take(Claim::new(ENTRY_CLAIM, entry.id.to_string()))]
            }
            _ => vec![],
        }
    }

    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        let client = match event {
            E::Created { client_id, .. } => Some(*client_id),
            E::Activated {} => self.client_id,
            _ => None,
        };
        client.map(|client| (Flag::CLIENT_BLOCKED, client.0)).into_iter().collect()
    }
}

impl InvoicePlan {
    fn moved(&mut self, id: PlanEntryId, event: &E, invoice_id: Option<InvoiceId>) {
        if let Some(there) = self.find_mut(id) {
            there.status = there.status.after(event);
            there.invoice_id = invoice_id;
        }
    }
}

#[cfg(test)]
mod tests;
