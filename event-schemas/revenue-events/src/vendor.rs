//! What happens to a vendor.

use crate::{Iban, LedgerCode, VatId};
use kernel::{ConnectionId, Currency, Email, Name, Personal, Phone, PostalAddress, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

kernel::ids! {
    /// Somebody whom the firm buys from.
    VendorId,
}

kernel::archivable!(VendorEvent begins "vendor.added");

/// What is known of a vendor besides the name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VendorDetails {
    /// The registration for VAT; no two vendors of a firm share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<Personal<VatId>>,
    /// Where letters go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Personal<Email>>,
    /// The telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Personal<Phone>>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Personal<PostalAddress>>,
}

/// How a vendor is paid, and how its bills are coded unless they say otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VendorDefaults {
    /// In which currency its bills are, most of the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// The account that its bills are an expense of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_code: Option<LedgerCode>,
    /// The tax that they bear, as the ledger calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_code: Option<LedgerCode>,
}

/// Everything that happens to a vendor.
#[event("revenue.vendor")]
pub enum VendorEvent {
    /// The firm buys from somebody new.
    Added {
        /// What the vendor is called.
        name: Personal<Name>,
        /// What is known besides.
        #[serde(flatten)]
        details: VendorDetails,
        /// The bank account that it is paid to.
        iban: Option<Personal<Iban>>,
        /// How its bills are coded.
        #[serde(flatten)]
        defaults: VendorDefaults,
    },
    /// The vendor is called differently now.
    Renamed {
        /// What it is called now.
        name: Personal<Name>,
    },
    /// Registration, address, email or telephone number changed.
    DetailsChanged {
        /// What they are now; what is left out is there no more.
        #[serde(flatten)]
        details: VendorDetails,
    },
    /// The vendor is paid to another bank account, or to none that is known. Whoever pays asks twice.
    BankAccountChanged {
        /// Which one.
        iban: Option<Personal<Iban>>,
    },
    /// Its bills are coded differently from now on.
    DefaultsChanged {
        /// How.
        #[serde(flatten)]
        defaults: VendorDefaults,
    },
    /// A ledger knows the vendor.
    LinkedToLedger {
        /// Through which connection.
        connection_id: ConnectionId,
        /// What it calls the vendor.
        external_id: Name,
    },
    /// A ledger does not know the vendor any more, or was left.
    UnlinkedFromLedger {
        /// Through which connection.
        connection_id: ConnectionId,
    },
    /// The vendor was taken out of every list; nothing new is bought.
    Archived {},
    /// The vendor is in the lists again.
    Restored {},
}
