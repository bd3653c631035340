//! Time that counts, and what it may come to.

use super::billing::{NotCounted, Told, USER_RATES_MAX};
use super::{Project, ProjectCommand as C, ProjectRejection as R};
use kernel::{Aggregate, ClientId, Context, Currency, Decision, EngagementId, Money, UserId};
use projects_events::{ProjectEvent as E, TaskId, TimeLimit};
use std::collections::BTreeSet;

impl Project {
    /// For whom it is.
    pub(crate) fn client_id(&self) -> Option<ClientId> {
        self.client_id
    }

    /// The engagement that it is a part of.
    pub(crate) fn engagement_id(&self) -> Option<EngagementId> {
        self.engagement_id
    }

    /// Is there work to be done, now or later?
    pub(crate) fn is_open(&self) -> bool {
        self.status.is_open()
    }

    /// Has it such a task?
    pub(crate) fn has_task(&self, task: TaskId) -> bool {
        self.tasks.contains_key(&task)
    }

    /// What an hour of somebody costs.
    pub(crate) fn rate_of(&self, user: UserId) -> Option<Money> {
        self.billing.rate_of(user)
    }

    /// The currency of its amounts, if there are any.
    pub(crate) fn currency(&self) -> Option<Currency> {
        self.billing.currency()
    }

    /// Can the time of an entry count?
    pub(crate) fn may_count(&self, minutes: u32, billable: bool, amount: Option<Money>) -> Result<(), NotCounted> {
        self.billing.may_count(minutes, billable, amount)
    }

    /// Decides on rates, budget and threshold.
    pub(super) fn set(&self, command: C) -> Decision<Self> {
        let is_sound = |amount: &Money| !amount.is_negative() && !amount.is_zero();
        let event = match command {
            C::SetRates { hourly_rate, user_rates } => {
                let users: BTreeSet<UserId> = user_rates.iter().map(|user| user.user_id).collect();
                let mut rates = hourly_rate.iter().chain(user_rates.iter().map(|user| &user.hourly_rate));
                if user_rates.len() > USER_RATES_MAX {
                    return Err(R::TooManyRates);
                }
                if users.len() < user_rates.len() {
                    return Err(R::UserListedTwice);
                }
                if !rates.all(is_sound) {
                    return Err(R::RateOutOfRange);
                }
                if !self.billing.fits_rates(hourly_rate, &user_rates) {
                    return Err(R::CurrencyMismatch);
                }
                if self.billing.has_rates(hourly_rate, &user_rates) {
                    return Ok(vec![]);
                }
                E::RatesSet { hourly_rate, user_rates }
            }
            C::SetBudget { minutes, amount } | C::SetUnbilledThreshold { minutes, amount }
                if minutes == Some(0) || !amount.iter().all(is_sound) =>
            {
                return Err(R::LimitOutOfRange);
            }
            C::SetBudget { minutes, amount } => {
                let budget = TimeLimit { minutes, amount };
                if !self.billing.fits_budget(&budget) {
                    return Err(R::CurrencyMismatch);
                }
                if budget == *self.billing.budget() {
                    return Ok(vec![]);
                }
                E::BudgetSet { budget }
            }
            C::SetUnbilledThreshold { minutes, amount } => {
                let threshold = TimeLimit { minutes, amount };
                if !self.billing.fits_threshold(&threshold) {
                    return Err(R::CurrencyMismatch);
                }
                if threshold == *self.billing.threshold() {
                    return Ok(vec![]);
                }
                E::UnbilledThresholdSet { threshold }
            }
            _ => return Ok(vec![]),
        };
        Ok(self.with_marks(event))
    }

    /// Counts what became of a time entry, whose command brings this one along.
    pub(super) fn count(&self, command: C, ctx: &Context) -> Decision<Self> {
        let entry = match &command {
            C::SpendTime { time_entry_id, .. }
            | C::TakeTimeBack { time_entry_id, .. }
            | C::BillTime { time_entry_id, .. }
            | C::UnbillTime { time_entry_id, .. } => *time_entry_id,
            _ => return Ok(vec![]),
        };
        if ctx.brought_by.is_none_or(|(_, id)| id != entry.0) {
            return Err(R::OnlyWithTimeEntry);
        }
        let event = match command {
            C::SpendTime { time_entry_id, user_id, minutes, billable, hourly_rate, amount } => {
                self.may_count(minutes, billable, amount).map_err(|why| match why {
                    NotCounted::CurrencyMismatch => R::CurrencyMismatch,
                    NotCounted::TooMuchUnbilled => R::TooMuchUnbilled,
                    NotCounted::TooLarge => R::SumTooLarge,
                })?;
                E::TimeSpent { time_entry_id, user_id, minutes, billable, hourly_rate, amount }
            }
            C::TakeTimeBack { time_entry_id, minutes, billable, amount } => {
                E::TimeTakenBack { time_entry_id, minutes, billable, amount }
            }
            C::BillTime { time_entry_id, invoice_id } => match self.billing.unbilled_entry(time_entry_id) {
                Some((minutes, amount)) => E::TimeBilled { time_entry_id, minutes, amount, invoice_id },
                None => return Ok(vec![]),
            },
            C::UnbillTime { time_entry_id, user_id, minutes, hourly_rate, amount, invoice_id }
                if !self.billing.is_unbilled(time_entry_id) =>
            {
                E::TimeUnbilled { time_entry_id, user_id, minutes, hourly_rate, amount, invoice_id }
            }
            _ => return Ok(vec![]),
        };
        Ok(self.with_marks(event))
    }

    /// The event, and what is reached by it: marks of the budget, the threshold of unbilled time.
    fn with_marks(&self, event: E) -> Vec<E> {
        let mut after = self.clone();
        after.apply(&event);
        let Ok(name) = after.name.parse::<kernel::Name>() else { return vec![event] };
        let (client_id, engagement_id) = (after.client_id, after.engagement_id);
        let mut events = vec![event];
        let (spent, budget) = (after.billing.spent(), *after.billing.budget());
        events.extend(after.billing.newly_reached().map(|percent| E::BudgetThresholdReached {
            name: name.clone(),
            client_id,
            engagement_id,
            percent,
            minutes: spent.minutes,
            amount: spent.amount,
            budget,
        }));
        if let Some(Told { sum, lines, batches }) = after.billing.newly_over() {
            events.push(E::TimeThresholdReached {
                name,
                client_id,
                engagement_id,
                minutes: sum.minutes,
                amount: sum.amount,
                threshold: *after.billing.threshold(),
                lines,
                batches,
            });
        }
        events
    }
}
