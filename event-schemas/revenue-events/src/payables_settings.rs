//! What happens to a firm's own rules for what it owes.

use kernel::event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

kernel::ids! {
    /// A firm's rules for what it owes.
    PayablesSettingsId,
}

/// For how long a vendor's number of a bill is one bill's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Default, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceRule {
    /// For ever: a vendor uses a number once.
    #[default]
    ForEver,
    /// For the year of the bill: some vendors begin anew every January.
    ByYear,
}

/// Everything that happens to a firm's rules for what it owes.
#[event("revenue.payables_settings")]
pub enum PayablesSettingsEvent {
    /// The firm said for the first time how it wants it.
    Set {
        /// For how long a vendor's number of a bill is one bill's alone.
        reference_rule: ReferenceRule,
        /// Bills that do not say until when they are to be paid are due so many days after the day of the bill.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pay_within_days: Option<u32>,
    },
    /// The firm wants it otherwise. It holds for bills that come in or are corrected from then on.
    Changed {
        /// For how long a vendor's number of a bill is one bill's alone.
        reference_rule: ReferenceRule,
        /// Bills that do not say until when they are to be paid are due so many days after the day of the bill.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pay_within_days: Option<u32>,
    },
}
