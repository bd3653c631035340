//! The rows of the report: each says what it measures, against what, and what it should come to.

pub mod alone;
pub mod answers;
pub mod bulk;
pub mod commands;
pub mod delivery;
pub mod fairness;
pub mod files;
pub mod growth;
pub mod http_commands;
pub mod journal;
pub mod memory;
pub mod overload;
pub mod papers;
pub mod queries;
pub mod readers_on;
pub mod relay;
pub mod replay;
pub mod rights;
pub mod workflows;

use crate::family::Family;

/// Every row, in the order of the report.
pub const FAMILIES: &[Family] = &[
    commands::FAMILY,
    http_commands::FAMILY,
    overload::FAMILY,
    alone::FAMILY,
    bulk::FAMILY,
    readers_on::FAMILY,
    relay::FAMILY,
    delivery::FAMILY,
    answers::FAMILY,
    replay::FAMILY,
    replay::LIVE_FAMILY,
    journal::FAMILY,
    queries::FAMILY,
    workflows::FAMILY,
    fairness::FAMILY,
    rights::FAMILY,
    files::FAMILY,
    memory::FAMILY,
    growth::FAMILY,
    papers::FAMILY,
];
