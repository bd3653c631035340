//! How a client is billed: what papers say of it. A client has one profile.

use crate::billing_settings::TERMS_DAYS_MAX;
use kernel::{
    Aggregate, Claim, ClaimChange, ClientId, Context, Decision, Email, Name, PostalAddress, Reference, Resource, Scope,
    command, rejection,
};
use revenue_events::{BillingProfileEvent as E, Buyer, Language, VatId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use BillingProfileCommand as C;
use BillingProfileRejection as R;

/// Which profile a client has.
const CLIENT_CLAIM: &str = "revenue.billing_profile.client";

/// A client as papers are to name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, kernel::Input)]
#[serde(deny_unknown_fields)]
pub struct NewBuyer {
    /// The name by law.
    pub legal_name: Name,
    /// Where they are.
    pub address: PostalAddress,
    /// The VAT number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<VatId>,
    /// Where papers are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// What they want to find on each paper: an order, a cost centre, in Germany the Leitweg-ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Name>,
}

impl From<NewBuyer> for Buyer {
    fn from(new: NewBuyer) -> Self {
        Self {
            legal_name: new.legal_name.into(),
            address: new.address.into(),
            vat_id: new.vat_id.map(Into::into),
            email: new.email.map(Into::into),
            reference: new.reference,
        }
    }
}

/// What may be asked of a billing profile.
#[command("revenue.billing_profile", !member)]
pub enum BillingProfileCommand {
    /// Says how a client is billed; it has one profile.
    #[creates]
    #[refused(TermsTooLong, "client.taken")]
    Create {
        /// The client.
        client_id: ClientId,
        /// How papers name it.
        buyer: NewBuyer,
        /// Within how many days it pays, if not as everybody.
        #[serde(default)]
        payment_terms_days: Option<u16>,
        /// In which language papers are written to it.
        #[serde(default)]
        language: Option<Language>,
    },
    /// Says otherwise how the client is billed; issued papers stay as they are.
    #[refused(TermsTooLong)]
    Change {
        /// How papers name it.
        buyer: NewBuyer,
        /// Within how many days it pays, if not as everybody.
        #[serde(default)]
        payment_terms_days: Option<u16>,
        /// In which language papers are written to it.
        #[serde(default)]
        language: Option<Language>,
    },
}

/// Why a command to a billing profile may be refused.
#[rejection("revenue.billing_profile")]
pub enum BillingProfileRejection {
    /// An invoice is to be paid within 365 days at most.
    #[invalid("/payment_terms_days")]
    TermsTooLong,
}

/// What is remembered of a billing profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BillingProfile {
    client_id: Option<ClientId>,
    buyer: Option<Buyer>,
    payment_terms_days: Option<u16>,
    language: Option<Language>,
}

impl BillingProfile {
    /// That of a client, to be looked at by a decision.
    pub(crate) fn of_client(client: ClientId) -> Reference {
        Reference::claim::<Self>(claim(client))
    }

    /// What was found; none if the client has none.
    pub(crate) fn found(client: ClientId, ctx: &Context) -> Option<&Self> {
        ctx.holder::<Self>(CLIENT_CLAIM, &client.to_string()).map(|(_, profile)| profile)
    }

    /// As papers name it.
    pub(crate) fn buyer(&self) -> Option<&Buyer> {
        self.buyer.as_ref()
    }

    /// Within how many days it pays, if not as everybody.
    pub(crate) fn payment_terms_days(&self) -> Option<u16> {
        self.payment_terms_days
    }

    /// In which language papers are written to it.
    pub(crate) fn language(&self) -> Option<&Language> {
        self.language.as_ref()
    }
}

fn claim(client: ClientId) -> Claim {
    Claim::new(CLIENT_CLAIM, client.to_string())
}

impl Aggregate for BillingProfile {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/billing-profiles";

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        self.client_id.map(Resource::from).into_iter().collect()
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        match command {
            C::Create { client_id, .. } => Scope::begins_in([(*client_id).into()]),
            C::Change { .. } => Scope::of(self.belongs_to(id)),
        }
    }

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        let long = |days: Option<u16>| days.is_some_and(|days| days > TERMS_DAYS_MAX);
        Ok(match command {
            C::Create { payment_terms_days, .. } | C::Change { payment_terms_days, .. } if long(payment_terms_days) => {
                return Err(R::TermsTooLong);
            }
            C::Create { client_id, buyer, payment_terms_days, language } => {
                vec![E::Created { client_id, buyer: buyer.into(), payment_terms_days, language }]
            }
            C::Change { buyer, payment_terms_days, language } => {
                let buyer = Buyer::from(buyer);
                let same = self.buyer.as_ref() == Some(&buyer) && self.payment_terms_days == payment_terms_days;
                if same && self.language == language {
                    vec![]
                } else {
                    vec![E::Changed { buyer, payment_terms_days, language }]
                }
            }
        })
    }

    fn apply(&mut self, event: &E) {
        if let E::Created { client_id, .. } = event {
            self.client_id = Some(*client_id);
        }
        match event {
            E::Created { buyer, payment_terms_days, language, .. }
            | E::Changed { buyer, payment_terms_days, language } => {
                self.buyer = Some(buyer.clone());
                self.payment_terms_days = *payment_terms_days;
                self.language = language.clone();
            }
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Created { client_id, .. } => vec![ClaimChange::Take(claim(*client_id))],
            E::Changed { .. } => vec![],
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kernel::spec::given;

    pub(crate) fn client() -> ClientId {
        ClientId(Uuid::from_u128(70))
    }

    pub(crate) fn buyer(vat_id: Option<&str>) -> NewBuyer {
        NewBuyer {
            legal_name: "Difference GmbH".parse().unwrap(),
            address: kernel::read_input(r#"{"line1":"Weg 1","city":"Berlin","postal_code":"10115","country":"DE"}"#)
                .unwrap(),
            vat_id: vat_id.map(|text| text.parse().unwrap()),
            email: Some("pay@difference.example".parse().unwrap()),
            reference: Some("04011000-12345-34".parse().unwrap()),
        }
    }

    pub(crate) fn created(vat_id: Option<&str>) -> E {
        let (payment_terms_days, language) = (Some(30), Some("de".parse().unwrap()));
        E::Created { client_id: client(), buyer: buyer(vat_id).into(), payment_terms_days, language }
    }

    #[test]
    fn a_client_has_one_profile() {
        let create = C::Create {
            client_id: client(),
            buyer: buyer(None),
            payment_terms_days: Some(30),
            language: Some("de".parse().unwrap()),
        };
        let when = given::<BillingProfile>([]).when(create).then([created(None)]);
        assert_eq!(when.claims(), [ClaimChange::Take(claim(client()))]);
    }

    #[test]
    fn what_is_so_already_is_not_changed() {
        let change =
            |days| C::Change { buyer: buyer(None), payment_terms_days: days, language: Some("de".parse().unwrap()) };
        let there = || given::<BillingProfile>([created(None)]);
        there().when(change(Some(30))).then_nothing();
        assert_eq!(there().when(change(None)).events().len(), 1);
        there().when(change(Some(366))).rejected("revenue.billing_profile.terms_too_long");
    }
}
