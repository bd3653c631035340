//! The firm's own rules for what it owes.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::revenue_events::{PayablesSettingsEvent as E, PayablesSettingsId, ReferenceRule};
use kernel::read_model;

/// The firm's own rules for what it owes: one row, once it said anything.
#[read_model("revenue.payables_settings", id = PayablesSettingsId, read = "revenue.payables_settings.read")]
pub struct PayablesSettingsRow {
    /// For how long a vendor's number of a bill is one bill's alone.
    pub reference_rule: ReferenceRule,
    /// Bills that do not say until when they are to be paid are due so many days after the day of the bill.
    pub pay_within_days: Option<u32>,
}

impl Fold for PayablesSettingsRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Set { reference_rule, pay_within_days } = change else { return None };
        Some(Self { reference_rule: *reference_rule, pay_within_days: *pay_within_days })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        match change {
            E::Set { reference_rule, pay_within_days } | E::Changed { reference_rule, pay_within_days } => {
                (self.reference_rule, self.pay_within_days) = (*reference_rule, *pay_within_days);
            }
        }
        Ok(())
    }
}
