//! A firm's own rules for what it owes: one record of a firm.

use kernel::{Aggregate, Claim, ClaimChange, Context, Date, Decision, Patch, Reference, command, rejection};
use revenue_events::{PayablesSettingsEvent as E, ReferenceRule};
use serde::{Deserialize, Serialize};

use PayablesSettingsCommand as C;
use PayablesSettingsRejection as R;

/// Which record holds the firm's rules.
const FIRM_CLAIM: &str = "revenue.payables_settings.firm";
/// There is one of a firm.
const FIRM: &str = "firm";
/// Nobody waits for longer than a year.
const DAYS_MAX: u32 = 365;

/// What may be asked of a firm's rules for what it owes.
#[command("revenue.payables_settings", !member)]
pub enum PayablesSettingsCommand {
    /// Says for the first time how the firm wants it.
    #[creates]
    #[refused(DaysOutOfRange, "firm.taken")]
    Set {
        /// For how long a vendor's number of a bill is one bill's alone.
        #[serde(default)]
        reference_rule: ReferenceRule,
        /// Bills that do not say until when they are to be paid are due so many days after the day of the bill.
        #[serde(default)]
        pay_within_days: Option<u32>,
    },
    /// Says that the firm wants it otherwise. It holds for bills that come in or are corrected from then on.
    #[refused(DaysOutOfRange)]
    Change {
        /// For how long a vendor's number of a bill is one bill's alone; stays if it is left out.
        #[serde(default)]
        reference_rule: Option<ReferenceRule>,
        /// Bills that do not say until when they are to be paid are due so many days after the day of the bill.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        pay_within_days: Patch<u32>,
    },
}

/// Why a command to a firm's rules may be refused.
#[rejection("revenue.payables_settings")]
pub enum PayablesSettingsRejection {
    /// Bills are due within 365 days.
    #[invalid("/pay_within_days")]
    DaysOutOfRange,
}

/// What is remembered of a firm's rules for what it owes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PayablesSettings {
    reference_rule: ReferenceRule,
    pay_within_days: Option<u32>,
}

impl PayablesSettings {
    /// The firm's, to be looked at by a decision.
    pub(crate) fn reference() -> Reference {
        Reference::claim::<Self>(Claim::new(FIRM_CLAIM, FIRM))
    }

    /// What the firm said; what holds unless it says anything, if it did not. Needs [`PayablesSettings::reference`].
    pub(crate) fn of(ctx: &Context) -> Self {
        ctx.holder::<Self>(FIRM_CLAIM, FIRM).map_or_else(Self::default, |(_, settings)| settings.clone())
    }

    /// For how long a vendor's number of a bill is one bill's alone.
    pub(crate) fn reference_rule(&self) -> ReferenceRule {
        self.reference_rule
    }

    /// Until when a bill of this day is to be paid that does not say.
    pub(crate) fn due_on(&self, issued_on: Date) -> Option<Date> {
        issued_on.checked_add_days(self.pay_within_days?)
    }
}

impl Aggregate for PayablesSettings {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/payables-settings";

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Set { reference_rule, pay_within_days } => {
                check(pay_within_days)?;
                vec![E::Set { reference_rule, pay_within_days }]
            }
            C::Change { reference_rule, pay_within_days } => {
                let reference_rule = reference_rule.unwrap_or(self.reference_rule);
                let pay_within_days = pay_within_days.over(&self.pay_within_days);
                check(pay_within_days)?;
                let is_so = (reference_rule, pay_within_days) == (self.reference_rule, self.pay_within_days);
                if is_so { vec![] } else { vec![E::Changed { reference_rule, pay_within_days }] }
            }
        })
    }

    fn apply(&mut self, event: &E) {
        match event {
            E::Set { reference_rule, pay_within_days } | E::Changed { reference_rule, pay_within_days } => {
                (self.reference_rule, self.pay_within_days) = (*reference_rule, *pay_within_days);
            }
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Set { .. } => vec![ClaimChange::Take(Claim::new(FIRM_CLAIM, FIRM))],
            E::Changed { .. } => vec![],
        }
    }
}

fn check(pay_within_days: Option<u32>) -> Result<(), R> {
    if pay_within_days.is_some_and(|days| days > DAYS_MAX) { Err(R::DaysOutOfRange) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;

    #[test]
    fn a_firm_says_once_how_it_wants_it_and_may_change_its_mind() {
        let set = E::Set { reference_rule: ReferenceRule::ForEver, pay_within_days: None };
        let say = C::Set { reference_rule: ReferenceRule::ForEver, pay_within_days: None };
        let when = given::<PayablesSettings>([]).when(say).then([set.clone()]);
        assert_eq!(when.claims(), [ClaimChange::Take(Claim::new(FIRM_CLAIM, FIRM))]);
        let change = || C::Change { reference_rule: Some(ReferenceRule::ByYear), pay_within_days: Patch::Set(30) };
        let changed = E::Changed { reference_rule: ReferenceRule::ByYear, pay_within_days: Some(30) };
        given::<PayablesSettings>([set.clone()]).when(change()).then([changed.clone()]);
        given::<PayablesSettings>([set.clone(), changed.clone()]).when(change()).then_nothing();
        let nothing = C::Change { reference_rule: None, pay_within_days: Patch::Unchanged };
        given::<PayablesSettings>([set.clone(), changed]).when(nothing).then_nothing();
        let late = C::Change { reference_rule: None, pay_within_days: Patch::Set(366) };
        given::<PayablesSettings>([set]).when(late).rejected("revenue.payables_settings.days_out_of_range");
    }
}
