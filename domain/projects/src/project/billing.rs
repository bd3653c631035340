//! What time on a project costs, how much of it there may be, and how much of it is still to be invoiced. The project keeps the
//! sums, so that they are right at every position: each change of them is in one append with that of the time entry.

use kernel::{Currency, Money, UserId};
use projects_events::{
    BATCH_MAX, BUDGET_MARKS, ProjectEvent as E, TimeEntryId, TimeLimit, UnbilledBatch, UnbilledLine, UserRate,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Time entries that a project has unbilled at once; an event tells of no more. Those of a void invoice come on top.
pub const UNBILLED_MAX: usize = 2_000;
/// So many time entries are told of though they have not come to the threshold: while their draft is approved, there is room for others.
const UNBILLED_MANY: usize = 1_500;
/// Members of staff with a rate of their own.
pub const USER_RATES_MAX: usize = 200;

/// Why time does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCounted {
    /// It is of another currency than the project.
    CurrencyMismatch,
    /// Too many time entries are unbilled.
    TooMuchUnbilled,
    /// The sum would be no amount any more.
    TooLarge,
}

/// Time of one entry that is to be invoiced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unbilled {
    user_id: UserId,
    minutes: u32,
    hourly_rate: Option<Money>,
    amount: Option<Money>,
    /// An event has told that it is to be invoiced.
    told: bool,
}

/// How much time, and what it comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sum {
    /// How much.
    pub minutes: u64,
    /// What it comes to; none before anything did.
    pub amount: Option<Money>,
}

impl Sum {
    /// The sum with an entry more; none if it is no amount any more.
    fn with(self, minutes: u32, amount: Option<Money>) -> Option<Self> {
        let together = match (self.amount, amount) {
            (Some(one), Some(other)) => Some(one.plus(other).ok()?),
            (one, other) => one.or(other),
        };
        Some(Self { minutes: self.minutes + u64::from(minutes), amount: together })
    }

    fn without(self, minutes: u32, amount: Option<Money>) -> Self {
        let left = self.amount.zip(amount).map(|(sum, part)| sum.minus(part).unwrap_or(sum));
        Self { minutes: self.minutes.saturating_sub(u64::from(minutes)), amount: left.or(self.amount) }
    }

    /// Has it come to so many percent of what is said?
    fn comes_to(&self, percent: u8, limit: &TimeLimit) -> bool {
        limit.is_reached(percent, self.minutes, self.amount)
    }
}

/// Rates, budget, threshold, and the sums that are compared with these.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Billing {
    hourly_rate: Option<Money>,
    user_rates: BTreeMap<UserId, Money>,
    budget: TimeLimit,
    threshold: TimeLimit,
    spent: Sum,
    unbilled: BTreeMap<TimeEntryId, Unbilled>,
    /// The percentage of the budget that was told of last; 0 if none.
    budget_reached: u8,
}

/// Unbilled time that is to be invoiced.
pub struct Told {
    /// All of it.
    pub sum: Sum,
    /// By person and rate.
    pub lines: Vec<UnbilledLine>,
    /// By lines of an invoice.
    pub batches: Vec<UnbilledBatch>,
}

impl Billing {
    /// What an hour of somebody costs.
    pub fn rate_of(&self, user: UserId) -> Option<Money> {
        self.user_rates.get(&user).copied().or(self.hourly_rate)
    }

    /// The currency of the project's amounts, if there are any.
    pub fn currency(&self) -> Option<Currency> {
        self.amounts(true, true, true).next().map(Money::currency)
    }

    fn amounts(&self, rates: bool, budget: bool, threshold: bool) -> impl Iterator<Item = Money> {
        let of_rates = self.hourly_rate.into_iter().chain(self.user_rates.values().copied()).filter(move |_| rates);
        let of_budget = self.budget.amount.filter(|_| budget);
        let of_threshold = self.threshold.amount.filter(|_| threshold);
        of_rates.chain(of_budget).chain(of_threshold).chain(self.spent.amount)
    }

    /// Are the rates, in place of those that there are, of the currency of everything else?
    pub fn fits_rates(&self, rate: Option<Money>, users: &[UserRate]) -> bool {
        let new = rate.into_iter().chain(users.iter().map(|user| user.hourly_rate));
        one_currency(new.chain(self.amounts(false, true, true)))
    }

    /// Is the budget?
    pub fn fits_budget(&self, budget: &TimeLimit) -> bool {
        one_currency(budget.amount.into_iter().chain(self.amounts(true, false, true)))
    }

    /// Is the threshold?
    pub fn fits_threshold(&self, threshold: &TimeLimit) -> bool {
        one_currency(threshold.amount.into_iter().chain(self.amounts(true, true, false)))
    }

    /// Are these the rates that there are?
    pub fn has_rates(&self, rate: Option<Money>, users: &[UserRate]) -> bool {
        let same = |user: &UserRate| self.user_rates.get(&user.user_id) == Some(&user.hourly_rate);
        rate == self.hourly_rate && users.len() == self.user_rates.len() && users.iter().all(same)
    }

    /// The budget.
    pub fn budget(&self) -> &TimeLimit {
        &self.budget
    }

    /// The threshold.
    pub fn threshold(&self) -> &TimeLimit {
        &self.threshold
    }

    /// How much time was approved.
    pub fn spent(&self) -> Sum {
        self.spent
    }

    /// Is the entry unbilled?
    pub fn is_unbilled(&self, entry: TimeEntryId) -> bool {
        self.unbilled.contains_key(&entry)
    }

    /// How long an unbilled entry is, and what it comes to.
    pub fn unbilled_entry(&self, entry: TimeEntryId) -> Option<(u32, Option<Money>)> {
        self.unbilled.get(&entry).map(|one| (one.minutes, one.amount))
    }

    /// What of the unbilled time was not told of, in the order in which it is.
    fn untold(&self) -> impl Iterator<Item = (&TimeEntryId, &Unbilled)> {
        self.unbilled.iter().filter(|(_, one)| !one.told)
    }

    /// What is to be told of, if it has come to the threshold.
    pub fn newly_over(&self) -> Option<Told> {
        let all = sum_of(self.untold().map(|(_, one)| one));
        let is_many = !self.threshold.is_none() && self.untold().nth(UNBILLED_MANY - 1).is_some();
        if !is_many && !all.comes_to(100, &self.threshold) {
            return None;
        }
        let told: Vec<_> = self.untold().take(UNBILLED_MAX).collect();
        let sum = sum_of(told.iter().map(|(_, one)| *one));
        let batches = told.chunks(BATCH_MAX).map(|of| {
            let Sum { minutes, amount } = sum_of(of.iter().map(|(_, one)| *one));
            let amount = amount.or(sum.amount.map(|all| Money::zero(all.currency())));
            UnbilledBatch { minutes, amount, time_entry_ids: of.iter().map(|(id, _)| **id).collect() }
        });
        Some(Told { batches: batches.collect(), lines: lines(told.iter().map(|(_, one)| *one)), sum })
    }

    /// Can the time of an entry count?
    ///
    /// # Errors
    /// Why it cannot.
    pub fn may_count(&self, minutes: u32, billable: bool, amount: Option<Money>) -> Result<(), NotCounted> {
        if amount.zip(self.currency()).is_some_and(|(amount, currency)| amount.currency() != currency) {
            return Err(NotCounted::CurrencyMismatch);
        }
        if billable && self.unbilled.len() >= UNBILLED_MAX {
            return Err(NotCounted::TooMuchUnbilled);
        }
        self.spent.with(minutes, amount).map(drop).ok_or(NotCounted::TooLarge)
    }

    /// The percentages of the budget that are reached and were not told of.
    pub fn newly_reached(&self) -> impl Iterator<Item = u8> {
        let is_new = |percent: &u8| *percent > self.budget_reached && self.spent.comes_to(*percent, &self.budget);
        BUDGET_MARKS.into_iter().filter(is_new)
    }

    /// Remembers an event.
    pub fn apply(&mut self, event: &E) {
        match event {
            E::RatesSet { hourly_rate, user_rates } => {
                self.hourly_rate = *hourly_rate;
                self.user_rates = user_rates.iter().map(|user| (user.user_id, user.hourly_rate)).collect();
            }
            E::BudgetSet { budget } => self.budget = *budget,
            E::UnbilledThresholdSet { threshold } => {
                // Without one, somebody invoices by hand; with the next one, everything that is left is to be told of.
                if threshold.is_none() {
                    self.unbilled.values_mut().for_each(|one| one.told = false);
                }
                self.threshold = *threshold;
            }
            E::TimeSpent { time_entry_id, user_id, minutes, billable, hourly_rate, amount } => {
                self.spent = self.spent.with(*minutes, *amount).unwrap_or(self.spent);
                if *billable {
                    self.note_unbilled(*time_entry_id, *user_id, *minutes, *hourly_rate, *amount);
                }
            }
            E::TimeTakenBack { time_entry_id, minutes, amount, .. } => {
                self.spent = self.spent.without(*minutes, *amount);
                self.unbilled.remove(time_entry_id);
            }
            E::TimeBilled { time_entry_id, .. } => drop(self.unbilled.remove(time_entry_id)),
            E::TimeUnbilled { time_entry_id, user_id, minutes, hourly_rate, amount, .. } => {
                self.note_unbilled(*time_entry_id, *user_id, *minutes, *hourly_rate, *amount);
            }
            E::BudgetThresholdReached { percent, .. } => self.budget_reached = *percent,
            E::TimeThresholdReached { batches, .. } => {
                for entry in batches.iter().flat_map(|batch| &batch.time_entry_ids) {
                    self.unbilled.entry(*entry).and_modify(|one| one.told = true);
                }
            }
            _ => return,
        }
        // What is below a mark again can reach it once more.
        self.budget_reached = self.budget.mark_left(self.budget_reached, self.spent.minutes, self.spent.amount);
    }

    fn note_unbilled(
        &mut self,
        entry: TimeEntryId,
        user_id: UserId,
        minutes: u32,
        hourly_rate: Option<Money>,
        amount: Option<Money>,
    ) {
        self.unbilled.insert(entry, Unbilled { user_id, minutes, hourly_rate, amount, told: false });
    }
}

fn sum_of<'u>(unbilled: impl Iterator<Item = &'u Unbilled>) -> Sum {
    unbilled.fold(Sum::default(), |sum, one| sum.with(one.minutes, one.amount).unwrap_or(sum))
}

/// The same by person and rate.
fn lines<'u>(unbilled: impl Iterator<Item = &'u Unbilled>) -> Vec<UnbilledLine> {
    let mut lines: Vec<(UnbilledLine, Sum)> = vec![];
    for one in unbilled {
        let of = |line: &UnbilledLine| line.user_id == one.user_id && line.hourly_rate == one.hourly_rate;
        let at = lines.iter().position(|(line, _)| of(line)).unwrap_or_else(|| {
            let (user_id, hourly_rate) = (one.user_id, one.hourly_rate);
            lines.push((UnbilledLine { user_id, hourly_rate, minutes: 0, amount: None }, Sum::default()));
            lines.len() - 1
        });
        let sum = &mut lines[at].1;
        *sum = sum.with(one.minutes, one.amount).unwrap_or(*sum);
    }
    let summed = |(line, sum): (UnbilledLine, Sum)| UnbilledLine { minutes: sum.minutes, amount: sum.amount, ..line };
    lines.into_iter().map(summed).collect()
}

fn one_currency(amounts: impl Iterator<Item = Money>) -> bool {
    let mut currencies = amounts.map(Money::currency);
    currencies.next().is_none_or(|first| currencies.all(|other| other == first))
}
