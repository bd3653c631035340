//! What is asked of revenue besides its lists: what clients owe, and what the accounts of the journal come to.

mod balances;
mod trial_balance;

use crate::question::Question;
use ::web::openapi::Document;
use actix_web::web::{self, ServiceConfig};
pub(crate) use balances::Balances;
use trial_balance::TrialBalance;

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route(TrialBalance::PATH, web::get().to(trial_balance::trial_balance));
    config.route(Balances::PATH, web::get().to(balances::balances));
}

/// Adds the operations to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    trial_balance::describe(document);
    balances::describe(document);
}
