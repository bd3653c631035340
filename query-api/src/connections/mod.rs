//! How connections are, ready for a page: beside what their records say the last call, the budgets, how far what is kept in step has come,
//! and what waits for them.

mod answer;
mod deliveries;
mod document;
mod health;
mod waiting;

use crate::question::Question;
use ::web::openapi::Document;
use actix_web::web::{self, ServiceConfig};
use deliveries::Deliveries;
use health::{Health, OneHealth};

/// Adds the operations to the OpenAPI document.
pub(crate) fn describe(document: &mut Document) {
    document::describe(document);
    deliveries::describe(document);
}

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route(Health::PATH, web::get().to(health::all));
    config.route(OneHealth::PATH, web::get().to(health::one));
    config.route(Deliveries::PATH, web::get().to(deliveries::deliveries));
}
