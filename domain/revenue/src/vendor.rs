//! A vendor: somebody whom the firm buys from.

use kernel::{
    Aggregate, Archivable, Claim, ClaimChange, ConnectionId, Context, Currency, Decision, Email, Machine, Name, Patch,
    Personal, Phone, PostalAddress, command, rejection,
};
use revenue_events::{Iban, LedgerCode, VatId, VendorDefaults, VendorDetails, VendorEvent as E};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use VendorCommand as C;
use VendorRejection as R;

/// Which vendor of the firm has a registration for VAT.
const VAT_ID_CLAIM: &str = "revenue.vendor.vat_id";
/// Ledgers that may know one vendor.
const LEDGERS_MAX: usize = 20;

/// What may be asked of a vendor.
#[command("revenue.vendor", !member)]
pub enum VendorCommand {
    /// Adds somebody whom the firm buys from.
    #[creates]
    #[refused("vat_id.taken")]
    Add {
        /// What the vendor is called.
        name: Name,
        /// The registration for VAT; no two vendors of a firm share one.
        #[serde(default)]
        vat_id: Option<VatId>,
        /// Where letters go.
        #[serde(default)]
        email: Option<Email>,
        /// The telephone number, E.164.
        #[serde(default)]
        phone: Option<Phone>,
        /// Where it is.
        #[serde(default)]
        address: Option<PostalAddress>,
        /// The bank account that it is paid to.
        #[serde(default)]
        iban: Option<Iban>,
        /// In which currency its bills are, most of the time.
        #[serde(default)]
        currency: Option<Currency>,
        /// The account that its bills are an expense of, unless they say otherwise.
        #[serde(default)]
        account_code: Option<LedgerCode>,
        /// The tax that they bear, as the ledger calls it, unless they say otherwise.
        #[serde(default)]
        tax_code: Option<LedgerCode>,
    },
    /// Gives the vendor another name.
    #[refused(Archived)]
    Rename {
        /// The new name.
        name: Name,
    },
    /// Changes registration, address, email or telephone number. What is left out stays, `null` removes it.
    #[refused(Archived, "vat_id.taken")]
    ChangeDetails {
        /// The registration for VAT.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        vat_id: Patch<VatId>,
        /// Where letters go.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        email: Patch<Email>,
        /// The telephone number, E.164.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        phone: Patch<Phone>,
        /// Where it is.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        address: Patch<PostalAddress>,
    },
    /// Pays the vendor to another bank account from now on. Letters that ask for this are a common fraud, so it is a command of its own,
    /// which a firm gives to few.
    #[refused(Archived)]
    ChangeBankAccount {
        /// Which one; none that is known if it is left out.
        #[serde(default)]
        iban: Option<Iban>,
    },
    /// Changes how its bills are coded. What is left out stays, `null` removes it.
    #[refused(Archived)]
    ChangeDefaults {
        /// In which currency its bills are, most of the time.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        currency: Patch<Currency>,
        /// The account that its bills are an expense of, unless they say otherwise.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        account_code: Patch<LedgerCode>,
        /// The tax that they bear, as the ledger calls it, unless they say otherwise.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        tax_code: Patch<LedgerCode>,
    },
    /// Notes what a ledger calls the vendor.
    #[refused(TooManyLedgers)]
    LinkToLedger {
        /// Through which connection.
        connection_id: ConnectionId,
        /// What it calls the vendor.
        external_id: Name,
    },
    /// Forgets what a ledger calls the vendor.
    UnlinkFromLedger {
        /// Through which connection.
        connection_id: ConnectionId,
    },
    /// Takes the vendor out of every list; what was bought stays.
    Archive {},
    /// Puts the vendor back into the lists.
    #[refused("vat_id.taken")]
    Restore {},
}

/// Why a vendor's command may be refused.
#[rejection("revenue.vendor")]
pub enum VendorRejection {
    /// The vendor is archived; restore it first.
    Archived,
    /// At most 20 ledgers know one vendor.
    TooManyLedgers,
}

/// What is remembered of a vendor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vendor {
    name: String,
    details: VendorDetails,
    iban: Option<Personal<Iban>>,
    defaults: VendorDefaults,
    ledgers: BTreeMap<ConnectionId, Name>,
    archived: Archivable,
}

impl Vendor {
    /// Was it taken out of the lists, so that nothing new is bought?
    pub fn is_archived(&self) -> bool {
        self.archived.is_archived()
    }

    /// How its bills are coded unless they say otherwise.
    pub fn defaults(&self) -> &VendorDefaults {
        &self.defaults
    }

    /// By what the vendor is found that has a registration for VAT.
    pub fn claim(vat_id: &VatId) -> Claim {
        Claim::personal(VAT_ID_CLAIM, vat_id.as_str())
    }

    /// The bank account that it is paid to, if one is known.
    pub fn iban(&self) -> Option<&Iban> {
        self.iban.as_ref().and_then(Personal::expose)
    }

    fn vat_id_claim(details: &VendorDetails) -> Option<Claim> {
        let vat_id = details.vat_id.as_ref().and_then(Personal::expose)?;
        Some(Self::claim(vat_id))
    }
}

impl Aggregate for Vendor {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/vendors";

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Add { name, vat_id, email, phone, address, iban, currency, account_code, tax_code } => {
                let details = VendorDetails {
                    vat_id: vat_id.map(Personal::new),
                    email: email.map(Personal::new),
                    phone: phone.map(Personal::new),
                    address: address.map(Personal::new),
                };
                let defaults = VendorDefaults { currency, account_code, tax_code };
                vec![E::Added { name: name.into(), details, iban: iban.map(Personal::new), defaults }]
            }
            C::Archive {} => self.archived.archive(),
            C::Restore {} => self.archived.restore(),
            // What a ledger says of a vendor is so, whether or not anybody buys there any more.
            C::LinkToLedger { connection_id, external_id } => match self.ledgers.get(&connection_id) {
                Some(known) if *known == external_id => vec![],
                None if self.ledgers.len() >= LEDGERS_MAX => return Err(R::TooManyLedgers),
                _ => vec![E::LinkedToLedger { connection_id, external_id }],
            },
            C::UnlinkFromLedger { connection_id } if self.ledgers.contains_key(&connection_id) => {
                vec![E::UnlinkedFromLedger { connection_id }]
            }
            C::UnlinkFromLedger { .. } => vec![],
            _ if self.is_archived() => return Err(R::Archived),
            C::Rename { name } if name.as_str() == self.name => vec![],
            C::Rename { name } => vec![E::Renamed { name: name.into() }],
            C::ChangeDetails { vat_id, email, phone, address } => {
                let before = &self.details;
                let details = VendorDetails {
                    vat_id: vat_id.over(&before.vat_id),
                    email: email.over(&before.email),
                    phone: phone.over(&before.phone),
                    address: address.over(&before.address),
                };
                if details == *before { vec![] } else { vec![E::DetailsChanged { details }] }
            }
            C::ChangeBankAccount { iban } => {
                let iban = iban.map(Personal::new);
                if iban == self.iban { vec![] } else { vec![E::BankAccountChanged { iban }] }
            }
            C::ChangeDefaults { currency, account_code, tax_code } => {
                let before = &self.defaults;
                let defaults = VendorDefaults {
                    currency: currency.over(&before.currency),
                    account_code: account_code.over(&before.account_code),
                    tax_code: tax_code.over(&before.tax_code),
                };
                if defaults == *before { vec![] } else { vec![E::DefaultsChanged { defaults }] }
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.archived = self.archived.after(event);
        match event {
            E::Added { name, details, iban, defaults } => {
                self.name = name.text().to_owned();
                (self.details, self.iban, self.defaults) = (details.clone(), iban.clone(), defaults.clone());
            }
            E::Renamed { name } => self.name = name.text().to_owned(),
            E::DetailsChanged { details } => self.details = details.clone(),
            E::BankAccountChanged { iban } => self.iban = iban.clone(),
            E::DefaultsChanged { defaults } => self.defaults = defaults.clone(),
            E::LinkedToLedger { connection_id, external_id } => {
                self.ledgers.insert(*connection_id, external_id.clone());
            }
            E::UnlinkedFromLedger { connection_id } => {
                self.ledgers.remove(connection_id);
            }
            E::Archived {} | E::Restored {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        let held = Self::vat_id_claim(&self.details);
        match event {
            E::Added { details, .. } | E::DetailsChanged { details } => {
                let wanted = Self::vat_id_claim(details);
                if held == wanted {
                    return vec![];
                }
                let released = held.map(ClaimChange::Release);
                released.into_iter().chain(wanted.map(ClaimChange::Take)).collect()
            }
            // One that was put away does not stand in the way of a new one.
            E::Archived {} => held.map(ClaimChange::Release).into_iter().collect(),
            E::Restored {} => held.map(ClaimChange::Take).into_iter().collect(),
            _ => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;
    use uuid::Uuid;

    fn details(vat_id: Option<&str>) -> VendorDetails {
        VendorDetails { vat_id: vat_id.map(|id| Personal::new(id.parse().unwrap())), ..VendorDetails::default() }
    }

    fn added() -> E {
        E::Added {
            name: "Paper & Co".parse().unwrap(),
            details: details(Some("DE136695976")),
            iban: None,
            defaults: VendorDefaults::default(),
        }
    }

    fn claim(id: &str) -> Claim {
        Claim::personal("revenue.vendor.vat_id", id)
    }

    #[test]
    fn a_vendor_is_added_with_what_is_known_of_it_and_claims_its_registration() {
        let add = <C as kernel::Command>::parse("add", r#"{"name":"Paper & Co","vat_id":"de 136 695 976"}"#).unwrap();
        let claims = given::<Vendor>([]).when(add).then([added()]).claims();
        assert_eq!(claims, [ClaimChange::Take(claim("DE136695976"))]);
    }

    #[test]
    fn another_registration_frees_the_old_one() {
        let change = <C as kernel::Command>::parse("change_details", r#"{"vat_id":"GB980780684"}"#).unwrap();
        let when =
            given::<Vendor>([added()]).when(change).then([E::DetailsChanged { details: details(Some("GB980780684")) }]);
        assert_eq!(
            when.claims(),
            [ClaimChange::Release(claim("DE136695976")), ClaimChange::Take(claim("GB980780684"))]
        );
    }

    #[test]
    fn a_vendor_that_was_put_away_frees_its_registration_and_takes_it_when_it_comes_back() {
        let when = given::<Vendor>([added()]).when(C::Archive {}).then([E::Archived {}]);
        assert_eq!(when.claims(), [ClaimChange::Release(claim("DE136695976"))]);
        let back = given::<Vendor>([added(), E::Archived {}]).when(C::Restore {}).then([E::Restored {}]);
        assert_eq!(back.claims(), [ClaimChange::Take(claim("DE136695976"))]);
        let rename = C::Rename { name: "Paper".parse().unwrap() };
        given::<Vendor>([added(), E::Archived {}]).when(rename).rejected("revenue.vendor.archived");
    }

    #[test]
    fn a_bank_account_changes_once_and_a_mistyped_one_is_refused() {
        let iban: Iban = "de89 3704 0044 0532 0130 00".parse().unwrap();
        assert_eq!(iban.as_str(), "DE89370400440532013000");
        let change = C::ChangeBankAccount { iban: Some(iban.clone()) };
        let changed = E::BankAccountChanged { iban: Some(Personal::new(iban)) };
        given::<Vendor>([added()]).when(change.clone()).then([changed.clone()]);
        given::<Vendor>([added(), changed]).when(change).then_nothing();
        for wrong in ["DE88370400440532013000", "DE89", "89DE370400440532013000", "", "DEAA370400440532013000"] {
            assert_eq!(wrong.parse::<Iban>().unwrap_err().code, kernel::FieldCode::NotAnIban, "{wrong}");
        }
    }

    #[test]
    fn what_is_left_out_stays_and_null_removes_it() {
        let change = |body: &str| <C as kernel::Command>::parse("change_defaults", body).unwrap();
        let set = E::DefaultsChanged {
            defaults: VendorDefaults { account_code: Some("6815".parse().unwrap()), ..VendorDefaults::default() },
        };
        given::<Vendor>([added()]).when(change(r#"{"account_code":"6815"}"#)).then([set.clone()]);
        given::<Vendor>([added(), set.clone()]).when(change("{}")).then_nothing();
        let unset = E::DefaultsChanged { defaults: VendorDefaults::default() };
        given::<Vendor>([added(), set]).when(change(r#"{"account_code":null}"#)).then([unset]);
    }

    #[test]
    fn a_ledger_may_know_a_vendor_that_was_put_away() {
        let (connection_id, external_id) = (ConnectionId(Uuid::from_u128(9)), "xero-1".parse::<Name>().unwrap());
        let link = C::LinkToLedger { connection_id, external_id: external_id.clone() };
        let linked = E::LinkedToLedger { connection_id, external_id };
        given::<Vendor>([added(), E::Archived {}]).when(link.clone()).then([linked.clone()]);
        given::<Vendor>([added(), linked.clone()]).when(link).then_nothing();
        let unlink = C::UnlinkFromLedger { connection_id };
        given::<Vendor>([added(), linked]).when(unlink.clone()).then([E::UnlinkedFromLedger { connection_id }]);
        given::<Vendor>([added()]).when(unlink).then_nothing();
    }
}
