//! How the firm bills: what its papers say of it, in which currency, by which rule of rounding. There is one of it.

use kernel::{
    Aggregate, Claim, ClaimChange, Context, Decision, Email, Name, Phone, PostalAddress, Reference, command, rejection,
};
use revenue_events::{Bic, BillingSettingsEvent as E, Iban, Seller, Terms, VatId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use BillingSettingsCommand as C;
use BillingSettingsRejection as R;

/// Held by the one that there is.
const FIRM_CLAIM: &str = "revenue.billing_settings.firm";
/// Its value: there is nothing to tell apart.
const FIRM: &str = "firm";
/// Days within which an invoice is to be paid at most.
pub(crate) const TERMS_DAYS_MAX: u16 = 365;

/// The firm as its papers are to name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct NewSeller {
    /// The name by law.
    pub legal_name: Name,
    /// Where it is.
    pub address: PostalAddress,
    /// The VAT number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<VatId>,
    /// The number that the tax office at home gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_number: Option<Name>,
    /// The number in the register of companies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_number: Option<Name>,
    /// The account to pay to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iban: Option<Iban>,
    /// Its bank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bic: Option<Bic>,
    /// Who answers questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_name: Option<Name>,
    /// At which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_email: Option<Email>,
    /// At which number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_phone: Option<Phone>,
}

impl From<NewSeller> for Seller {
    fn from(new: NewSeller) -> Self {
        Self {
            legal_name: new.legal_name,
            address: new.address,
            vat_id: new.vat_id,
            tax_number: new.tax_number,
            registration_number: new.registration_number,
            iban: new.iban,
            bic: new.bic,
            contact_name: new.contact_name.map(Into::into),
            contact_email: new.contact_email.map(Into::into),
            contact_phone: new.contact_phone.map(Into::into),
        }
    }
}

/// What may be asked of the billing settings.
#[command("revenue.billing_settings", !member)]
pub enum BillingSettingsCommand {
    /// Lets the firm bill; there is one of it.
    #[creates]
    #[refused(TermsTooLong, "firm.taken")]
    Establish {
        /// The firm, as its papers are to name it.
        seller: NewSeller,
        /// Its rules.
        terms: Terms,
    },
    /// Lets papers name the firm otherwise; issued ones stay as they are.
    ChangeSeller {
        /// The firm, as its papers are to name it.
        seller: NewSeller,
    },
    /// Changes the rules; issued papers stay as they are.
    #[refused(TermsTooLong)]
    ChangeTerms {
        /// The rules.
        terms: Terms,
    },
}

/// Why a command to the billing settings may be refused.
#[rejection("revenue.billing_settings")]
pub enum BillingSettingsRejection {
    /// An invoice is to be paid within 365 days at most.
    #[invalid("/terms/payment_terms_days")]
    TermsTooLong,
}

/// What is remembered of the billing settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BillingSettings(Option<(Seller, Terms)>);

impl BillingSettings {
    /// Held by those of the firm.
    pub fn claim() -> Claim {
        Claim::new(FIRM_CLAIM, FIRM)
    }

    /// The rules, once the firm bills.
    pub fn terms(&self) -> Option<&Terms> {
        self.0.as_ref().map(|(_, terms)| terms)
    }

    /// The firm's own registration for VAT, if it has one.
    pub fn vat_id(&self) -> Option<&VatId> {
        self.0.as_ref().and_then(|(seller, _)| seller.vat_id.as_ref())
    }

    /// Those of the firm, to be looked at by a decision.
    pub(crate) fn of_firm() -> Reference {
        Reference::claim::<Self>(Self::claim())
    }

    /// What was found; none if the firm does not bill.
    pub(crate) fn found(ctx: &Context) -> Option<(&Seller, &Terms)> {
        let (_, settings) = ctx.holder::<Self>(FIRM_CLAIM, FIRM)?;
        settings.0.as_ref().map(|(seller, terms)| (seller, terms))
    }
}

impl Aggregate for BillingSettings {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/billing-settings";

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        let now = |seller: &Seller| self.0.as_ref().is_some_and(|(before, _)| before == seller);
        Ok(match command {
            C::Establish { terms, .. } | C::ChangeTerms { terms } if terms.payment_terms_days > TERMS_DAYS_MAX => {
                return Err(R::TermsTooLong);
            }
            C::Establish { seller, terms } => vec![E::Established { seller: seller.into(), terms }],
            C::ChangeSeller { seller } => {
                let seller = seller.into();
                if now(&seller) { vec![] } else { vec![E::SellerChanged { seller }] }
            }
            C::ChangeTerms { terms } if self.0.as_ref().is_some_and(|(_, before)| *before == terms) => vec![],
            C::ChangeTerms { terms } => vec![E::TermsChanged { terms }],
        })
    }

    fn apply(&mut self, event: &E) {
        match (event, &mut self.0) {
            (E::Established { seller, terms }, state) => *state = Some((seller.clone(), terms.clone())),
            (E::SellerChanged { seller }, Some((before, _))) => *before = seller.clone(),
            (E::TermsChanged { terms }, Some((_, before))) => *before = terms.clone(),
            // Nothing changes before it is there.
            (E::SellerChanged { .. } | E::TermsChanged { .. }, None) => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Established { .. } => vec![ClaimChange::Take(Claim::new(FIRM_CLAIM, FIRM))],
            _ => vec![],
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kernel::Rounding;
    use kernel::spec::given;

    pub(crate) fn terms(rounding: Rounding) -> Terms {
        Terms {
            currency: "EUR".parse().unwrap(),
            rounding,
            payment_terms_days: 14,
            invoice_series: "invoices".parse().unwrap(),
            credit_note_series: "credits".parse().unwrap(),
            default_tax_rate: Some("vat".parse().unwrap()),
            separation_of_duties: true,
            sales_account: None,
            untaxed_code: None,
        }
    }

    pub(crate) fn seller() -> NewSeller {
        let text = r#"{"legal_name":"Engines Ltd","address":{"line1":"Marylebone Road 12","city":"London","country":"GB"},
            "vat_id":"GB 123 4567 89","iban":"de89 3704 0044 0532 0130 00","bic":"cobadeff"}"#;
        kernel::read_input(text).unwrap()
    }

    pub(crate) fn established(rounding: Rounding) -> E {
        E::Established { seller: seller().into(), terms: terms(rounding) }
    }

    #[test]
    fn a_firm_bills_in_one_way() {
        let establish = C::Establish { seller: seller(), terms: terms(Rounding::PerLine) };
        let when = given::<BillingSettings>([]).when(establish).then([established(Rounding::PerLine)]);
        assert_eq!(when.claims(), [ClaimChange::Take(Claim::new(FIRM_CLAIM, FIRM))]);
        let settled = || given::<BillingSettings>([established(Rounding::PerLine)]);
        settled().when(C::ChangeTerms { terms: terms(Rounding::PerLine) }).then_nothing();
        settled().when(C::ChangeSeller { seller: seller() }).then_nothing();
        let changed = terms(Rounding::PerDocument);
        settled().when(C::ChangeTerms { terms: changed.clone() }).then([E::TermsChanged { terms: changed }]);
    }

    #[test]
    fn an_invoice_is_to_be_paid_within_a_year() {
        let long = Terms { payment_terms_days: 366, ..terms(Rounding::default()) };
        let change = C::ChangeTerms { terms: long };
        let settled = given::<BillingSettings>([established(Rounding::default())]);
        settled.when(change).rejected("revenue.billing_settings.terms_too_long");
    }

    #[test]
    fn every_wrong_number_of_an_account_is_named() {
        let text = r#"{"legal_name":"E","address":{"line1":"M","city":"L","country":"GB"},
            "vat_id":"12","iban":"DE89370400440532013001","bic":"COBA"}"#;
        let errors = kernel::read_input::<NewSeller>(text).unwrap_err();
        let said: Vec<_> = errors.iter().map(|e| (e.pointer.as_str(), e.code.as_str())).collect();
        assert_eq!(said, [("/vat_id", "not_a_vat_id"), ("/iban", "not_an_iban"), ("/bic", "not_a_bic")]);
        assert_eq!(seller().iban.unwrap().as_str(), "DE89370400440532013000");
    }
}
