//! What time on projects costs, how much of it there may be, and how much is still to be invoiced. A table of its own, because who may
//! see a project need not see its money: portal users do not.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::projects_events::{ProjectEvent as E, TimeLimit, UserRate};
use kernel::{Archivable, ClientId, Currency, EngagementId, Machine, Money, Name, ProjectId, read_model};

/// What time on projects costs, how much of it there may be, and how much is to be invoiced.
#[read_model(
    "projects.budgets",
    id = ProjectId,
    read = "projects.budget.read",
    updated_at(sort),
    ties(project(id), client(client_id), engagement(engagement_id)),
    away(archived)
)]
pub struct BudgetRow {
    /// The project's name.
    #[column(filter, sort)]
    pub name: Name,
    /// For whom the project is.
    #[column(filter)]
    pub client_id: Option<ClientId>,
    /// The engagement that it is a part of.
    #[column(filter)]
    pub engagement_id: Option<EngagementId>,
    /// The currency of its amounts, if it has any.
    pub currency: Option<Currency>,
    /// What an hour costs of whoever has no rate of their own, in minor units.
    pub hourly_rate_minor: Option<i64>,
    /// Whose hours cost something else.
    pub user_rates: Vec<UserRate>,
    /// How many minutes it may take.
    pub budget_minutes: Option<u32>,
    /// What it may cost, in minor units.
    pub budget_minor: Option<i64>,
    /// So many percent of the budget were told of last: 0, 80 or 100.
    #[column(filter)]
    pub budget_percent: u32,
    /// How many minutes were approved.
    pub spent_minutes: i64,
    /// What these come to, in minor units.
    pub spent_minor: i64,
    /// So many unbilled minutes are to be invoiced.
    pub threshold_minutes: Option<u32>,
    /// Or so much money, in minor units.
    pub threshold_minor: Option<i64>,
    /// The threshold was reached, and what is unbilled has not been below it since.
    #[column(filter)]
    pub threshold_reached: bool,
    /// How many minutes are unbilled.
    #[column(sort)]
    pub unbilled_minutes: i64,
    /// What these come to, in minor units.
    pub unbilled_minor: i64,
    /// The project was taken out of the lists.
    pub archived: Archivable,
}

impl Fold for BudgetRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { name, client_id, engagement_id, .. } = change else { return None };
        Some(Self {
            name: name.clone(),
            client_id: *client_id,
            engagement_id: *engagement_id,
            currency: None,
            hourly_rate_minor: None,
            user_rates: vec![],
            budget_minutes: None,
            budget_minor: None,
            budget_percent: 0,
            spent_minutes: 0,
            spent_minor: 0,
            threshold_minutes: None,
            threshold_minor: None,
            threshold_reached: false,
            unbilled_minutes: 0,
            unbilled_minor: 0,
            archived: Archivable::default(),
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.archived = self.archived.after(change);
        match change {
            E::Renamed { name } => self.name = name.clone(),
            E::LinkedToEngagement { engagement_id } => self.engagement_id = Some(*engagement_id),
            E::UnlinkedFromEngagement { .. } => self.engagement_id = None,
            E::RatesSet { hourly_rate, user_rates } => {
                self.is_in(hourly_rate.or(user_rates.first().map(|user| user.hourly_rate)));
                (self.hourly_rate_minor, self.user_rates) = (hourly_rate.map(Money::minor), user_rates.clone());
            }
            E::BudgetSet { budget } => {
                self.is_in(budget.amount);
                (self.budget_minutes, self.budget_minor) = (budget.minutes, budget.amount.map(Money::minor));
            }
            E::UnbilledThresholdSet { threshold } => {
                self.is_in(threshold.amount);
                self.threshold_minutes = threshold.minutes;
                self.threshold_minor = threshold.amount.map(Money::minor);
            }
            E::TimeSpent { minutes, billable, amount, .. } => {
                self.is_in(*amount);
                self.spend(1, *minutes, *amount);
                if *billable {
                    self.leave_unbilled(1, *minutes, *amount);
                }
            }
            E::TimeTakenBack { minutes, billable, amount, .. } => {
                self.spend(-1, *minutes, *amount);
                if *billable {
                    self.leave_unbilled(-1, *minutes, *amount);
                }
            }
            E::TimeBilled { minutes, amount, .. } => self.leave_unbilled(-1, *minutes, *amount),
            E::TimeUnbilled { minutes, amount, .. } => self.leave_unbilled(1, *minutes, *amount),
            E::BudgetThresholdReached { percent, .. } => self.budget_percent = (*percent).into(),
            E::TimeThresholdReached { .. } => self.threshold_reached = true,
            // Everything else is about the project, its milestones and its tasks.
            _ => {}
        }
        self.keep_marks();
        Ok(())
    }
}

impl BudgetRow {
    /// All amounts of a project are in one currency; while nothing was spent, another one may take its place.
    fn is_in(&mut self, amount: Option<Money>) {
        self.currency = amount.map(Money::currency).or(self.currency);
    }

    fn spend(&mut self, sign: i64, minutes: u32, amount: Option<Money>) {
        self.spent_minutes += sign * i64::from(minutes);
        self.spent_minor += sign * amount.map_or(0, Money::minor);
    }

    fn leave_unbilled(&mut self, sign: i64, minutes: u32, amount: Option<Money>) {
        self.unbilled_minutes += sign * i64::from(minutes);
        self.unbilled_minor += sign * amount.map_or(0, Money::minor);
    }

    /// What is below a mark again has not reached it any more.
    fn keep_marks(&mut self) {
        let money = |minor: Option<i64>| Money::new(minor?, self.currency?).ok();
        let minutes = |minutes: i64| u64::try_from(minutes).unwrap_or(0);
        let budget = TimeLimit { minutes: self.budget_minutes, amount: money(self.budget_minor) };
        let told = u8::try_from(self.budget_percent).unwrap_or(0);
        let left = budget.mark_left(told, minutes(self.spent_minutes), money(Some(self.spent_minor)));
        let threshold = TimeLimit { minutes: self.threshold_minutes, amount: money(self.threshold_minor) };
        let over = threshold.is_reached(100, minutes(self.unbilled_minutes), money(Some(self.unbilled_minor)));
        self.budget_percent = left.into();
        self.threshold_reached &= over;
    }
}
