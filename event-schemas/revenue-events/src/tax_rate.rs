//! What happens to a tax rate.

use kernel::{Name, Slug, Tax, Text, event};

kernel::ids! {
    /// A tax that lines can have.
    TaxRateId,
}

/// Everything that happens to a tax rate. What it is never changes, because papers name it: another rate is another key.
#[event("revenue.tax_rate")]
pub enum TaxRateEvent {
    /// Lines can have the tax from now on.
    Defined {
        /// What lines call it.
        key: Slug,
        /// What people call it.
        name: Name,
        /// What it is.
        tax: Tax,
        /// Why nothing is to be paid, where that is so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exemption_reason: Option<Text>,
    },
    /// People call it otherwise.
    Renamed {
        /// What.
        name: Name,
    },
    /// No new line has it.
    Retired {},
    /// New lines may have it again.
    Reinstated {},
}

kernel::retirable!(TaxRateEvent begins "tax_rate.defined");
