//! How the firm bills.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::revenue_events::{BillingSettingsEvent as E, BillingSettingsId, LedgerCode, Seller, Terms};
use kernel::{Currency, Rounding, Slug, read_model};

/// How the firm bills: one row, if it does.
#[read_model("revenue.billing_settings", id = BillingSettingsId, read = "revenue.billing_settings.read")]
pub struct BillingSettingsRow {
    /// The firm, as papers name it.
    pub seller: Seller,
    /// In which currency, unless an invoice says another.
    pub currency: Currency,
    /// Where taxes are rounded.
    pub rounding: Rounding,
    /// Within how many days an invoice is to be paid.
    pub payment_terms_days: u16,
    /// The series that invoices have their numbers from.
    pub invoice_series: Slug,
    /// The series that credit notes have their numbers from.
    pub credit_note_series: Slug,
    /// The tax of lines that name none.
    pub default_tax_rate: Option<Slug>,
    /// Whether who drafted an invoice, or handed it in, may not approve it.
    pub separation_of_duties: bool,
    /// The account of the ledger that invoices are booked on, if it is not the usual one.
    pub sales_account: Option<LedgerCode>,
    /// What the ledger calls it that a line bears no tax, if it is not the usual word.
    pub untaxed_code: Option<LedgerCode>,
}

impl BillingSettingsRow {
    fn of(seller: Seller, terms: Terms) -> Self {
        let Terms { currency, rounding, payment_terms_days, invoice_series, credit_note_series, .. } = terms;
        Self {
            seller,
            currency,
            rounding,
            payment_terms_days,
            invoice_series,
            credit_note_series,
            default_tax_rate: terms.default_tax_rate,
            separation_of_duties: terms.separation_of_duties,
            sales_account: terms.sales_account,
            untaxed_code: terms.untaxed_code,
        }
    }
}

impl Fold for BillingSettingsRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Established { seller, terms } = change else { return None };
        Some(Self::of(seller.clone(), terms.clone()))
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        match change {
            E::Established { .. } => {}
            E::SellerChanged { seller } => self.seller = seller.clone(),
            E::TermsChanged { terms } => *self = Self::of(self.seller.clone(), terms.clone()),
        }
        Ok(())
    }
}
