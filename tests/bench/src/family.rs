//! A family of rows: what is measured together, in turns, and what it should come to.

use crate::goal::Goal;
use crate::plan::Plan;
use crate::record::Records;
use anyhow::Result;
use futures::future::LocalBoxFuture;

/// Measures a family.
pub type Measure = for<'a> fn(&'a Plan, &'a mut Records) -> LocalBoxFuture<'a, Result<()>>;

/// Everything about a family is said here, once: the run, the table and the report come from it.
#[derive(Clone, Copy)]
pub struct Family {
    /// What `--only` takes.
    pub word: &'static str,
    /// What is measured.
    pub title: &'static str,
    /// How, and what stands beside it.
    pub about: &'static str,
    /// What a series' load counts.
    pub load: &'static str,
    /// What the numbers count.
    pub unit: &'static str,
    /// Is it part of the short run?
    pub quick: bool,
    /// What it should come to.
    pub goals: &'static [Goal],
    /// Does it.
    pub measure: Measure,
}
