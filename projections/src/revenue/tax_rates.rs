//! Taxes that lines can have.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::revenue_events::{TaxRateEvent as E, TaxRateId};
use kernel::{Machine, Name, Percent, Retirable, Slug, Tax, Text, read_model};

/// Taxes that lines can have.
#[read_model("revenue.tax_rates", id = TaxRateId, read = "revenue.tax_rate.read", created_at(filter), away(retired))]
pub struct TaxRateRow {
    /// What lines call it.
    #[column(filter, sort)]
    pub key: Slug,
    /// What people call it.
    #[column(filter, sort)]
    pub name: Name,
    /// What it is.
    pub tax: Tax,
    /// The code of its category in EN 16931.
    #[column(filter)]
    pub category: String,
    /// Its rate, where there is one.
    pub rate: Option<Percent>,
    /// Why nothing is to be paid, where that is so.
    pub exemption_reason: Option<Text>,
    /// No new line has it.
    pub retired: Retirable,
}

impl Fold for TaxRateRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Defined { key, name, tax, exemption_reason } = change else { return None };
        Some(Self {
            key: key.clone(),
            name: name.clone(),
            tax: *tax,
            category: tax.code().to_owned(),
            rate: tax.rate(),
            exemption_reason: exemption_reason.clone(),
            retired: Retirable::default(),
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.retired = self.retired.after(change);
        match change {
            E::Renamed { name } => self.name = name.clone(),
            E::Defined { .. } | E::Retired {} | E::Reinstated {} => {}
        }
        Ok(())
    }
}
