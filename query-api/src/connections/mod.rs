//! How connections are, ready for a page: beside what their records say the last call, the budgets, how far what is kept in step has come,
//! and what waits for them.

mod answer;
mod document;
mod health;
mod waiting;

use crate::question::Question;
use actix_web::web::{self, ServiceConfig};
pub(crate) use document::describe;
use health::{Health, OneHealth};

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route(Health::PATH, web::get().to(health::all));
    config.route(OneHealth::PATH, web::get().to(health::one));
}
