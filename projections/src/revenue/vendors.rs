//! Vendors as lists and cards show them.

use crate::model::{Envelope, Fold, FoldError};
use crate::shown::Shown;
use catalogue::revenue_events::{Iban, LedgerCode, VatId, VendorDefaults, VendorDetails, VendorEvent as E, VendorId};
use kernel::{Archivable, ConnectionId, Currency, Email, Machine, Name, Personal, Phone, PostalAddress, read_model};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a ledger calls a vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownVendor {
    /// Through which connection.
    pub connection_id: ConnectionId,
    /// What it calls the vendor.
    pub external_id: Name,
}

/// Whom the firm buys from.
#[read_model(
    "revenue.vendors",
    id = VendorId,
    read = "revenue.vendor.read",
    created_at(filter),
    updated_at(filter, sort),
    away(archived)
)]
pub struct VendorRow {
    /// What the vendor is called.
    #[column(filter, sort)]
    pub name: Shown<Name>,
    /// The registration for VAT.
    #[column(filter)]
    pub vat_id: Option<Personal<VatId>>,
    /// Where letters go.
    #[column(filter)]
    pub email: Option<Personal<Email>>,
    /// The telephone number.
    pub phone: Option<Personal<Phone>>,
    /// Where it is.
    pub address: Option<Personal<PostalAddress>>,
    /// The bank account that it is paid to.
    pub iban: Option<Personal<Iban>>,
    /// In which currency its bills are, most of the time.
    pub currency: Option<Currency>,
    /// The account that its bills are an expense of, unless they say otherwise.
    pub account_code: Option<LedgerCode>,
    /// The tax that they bear, as the ledger calls it, unless they say otherwise.
    pub tax_code: Option<LedgerCode>,
    /// What ledgers call it.
    pub ledgers: Vec<KnownVendor>,
    /// It was taken out of the lists.
    pub archived: Archivable,
}

impl Fold for VendorRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Added { name, details, iban, defaults } = change else { return None };
        let mut row = Self {
            name: name.into(),
            vat_id: None,
            email: None,
            phone: None,
            address: None,
            iban: iban.clone(),
            currency: None,
            account_code: None,
            tax_code: None,
            ledgers: vec![],
            archived: Archivable::default().after(change),
        };
        row.detail(details);
        row.default(defaults);
        Some(row)
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.archived = self.archived.after(change);
        match change {
            E::Added { .. } => {}
            E::Renamed { name } => self.name = name.into(),
            E::DetailsChanged { details } => self.detail(details),
            E::BankAccountChanged { iban } => self.iban = iban.clone(),
            E::DefaultsChanged { defaults } => self.default(defaults),
            E::LinkedToLedger { connection_id, external_id } => {
                self.ledgers.retain(|known| known.connection_id != *connection_id);
                let (connection_id, external_id) = (*connection_id, external_id.clone());
                self.ledgers.push(KnownVendor { connection_id, external_id });
            }
            E::UnlinkedFromLedger { connection_id } => {
                self.ledgers.retain(|known| known.connection_id != *connection_id);
            }
            E::Archived {} | E::Restored {} => {}
        }
        Ok(())
    }
}

impl VendorRow {
    fn detail(&mut self, details: &VendorDetails) {
        let VendorDetails { vat_id, email, phone, address } = details.clone();
        (self.vat_id, self.email, self.phone, self.address) = (vat_id, email, phone, address);
    }

    fn default(&mut self, defaults: &VendorDefaults) {
        let VendorDefaults { currency, account_code, tax_code } = defaults.clone();
        (self.currency, self.account_code, self.tax_code) = (currency, account_code, tax_code);
    }
}
