//! How clients are billed.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::revenue_events::{BillingProfileEvent as E, BillingProfileId, Buyer, Language};
use kernel::{ClientId, read_model};

/// How clients are billed: one row a client.
#[read_model(
    "revenue.billing_profiles",
    id = BillingProfileId,
    read = "revenue.billing_profile.read",
    created_at(filter),
    updated_at(filter, sort),
    ties(client(client_id))
)]
pub struct BillingProfileRow {
    /// The client.
    #[column(filter)]
    pub client_id: ClientId,
    /// As papers name it.
    pub buyer: Buyer,
    /// Within how many days it pays, if not as everybody.
    pub payment_terms_days: Option<u16>,
    /// In which language papers are written to it.
    pub language: Option<Language>,
}

impl Fold for BillingProfileRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Created { client_id, buyer, payment_terms_days, language } = change else { return None };
        let (payment_terms_days, language) = (*payment_terms_days, language.clone());
        Some(Self { client_id: *client_id, buyer: buyer.clone(), payment_terms_days, language })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        match change {
            E::Created { .. } => {}
            E::Changed { buyer, payment_terms_days, language } => {
                self.buyer = buyer.clone();
                (self.payment_terms_days, self.language) = (*payment_terms_days, language.clone());
            }
        }
        Ok(())
    }
}
