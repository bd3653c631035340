//! What the firm says of its papers, and what a client says of theirs.

use crate::{Buyer, Language, LedgerCode, Seller};
use kernel::{ClientId, Currency, Rounding, Slug, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

kernel::ids! {
    /// How the firm bills.
    BillingSettingsId,
    /// How a client is billed.
    BillingProfileId,
}

/// By what rules the firm bills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// In which currency, unless an invoice says another.
    pub currency: Currency,
    /// Where taxes are rounded: once for the paper unless it says on each line.
    #[serde(default)]
    pub rounding: Rounding,
    /// Within how many days an invoice is to be paid.
    pub payment_terms_days: u16,
    /// The series that invoices have their numbers from.
    pub invoice_series: Slug,
    /// The series that credit notes have their numbers from.
    pub credit_note_series: Slug,
    /// The tax of lines that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_tax_rate: Option<Slug>,
    /// Whether who drafted an invoice, or handed it in, may not approve it.
    #[serde(default)]
    pub separation_of_duties: bool,
    /// The account of the ledger that invoices are booked on; the one that a new ledger has for sales unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sales_account: Option<LedgerCode>,
    /// What the ledger calls it that a line bears no tax; what a new ledger calls it unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untaxed_code: Option<LedgerCode>,
}

/// Everything that happens to a firm's billing settings.
#[event("revenue.billing_settings")]
pub enum BillingSettingsEvent {
    /// The firm can bill from now on.
    Established {
        /// The firm, as papers name it.
        seller: Seller,
        /// Its rules.
        terms: Terms,
    },
    /// Papers name the firm otherwise from now on; issued ones stay as they are.
    SellerChanged {
        /// The firm, as papers name it.
        seller: Seller,
    },
    /// The firm bills by other rules from now on; issued papers stay as they are.
    TermsChanged {
        /// Its rules.
        terms: Terms,
    },
}

/// Everything that happens to the billing profile of a client.
#[event("revenue.billing_profile")]
pub enum BillingProfileEvent {
    /// The client can be billed from now on.
    Created {
        /// The client.
        client_id: ClientId,
        /// How papers name it.
        buyer: Buyer,
        /// Within how many days it pays, if not as everybody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_terms_days: Option<u16>,
        /// In which language papers are written to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<Language>,
    },
    /// The client is billed otherwise from now on; issued papers stay as they are.
    Changed {
        /// How papers name it.
        buyer: Buyer,
        /// Within how many days it pays, if not as everybody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment_terms_days: Option<u16>,
        /// In which language papers are written to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<Language>,
    },
}
