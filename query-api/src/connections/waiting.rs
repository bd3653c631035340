//! What waits for connections, and what that is worth: only as far as the caller may read what it is about.

use crate::api::{Api, Known};
use crate::only::Seen;
use crate::question::read;
use ::web::{Caller, Problem};
use actix_web::HttpRequest;
use kernel::Reach;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Whoever may read runs may count those that wait.
const RUNS: (&str, &str) = ("runs", "workflow.run.read");
/// What is worth money when it waits: how the answer calls it, and its list.
const WORTH: [(&str, &str); 2] = [("invoices", "revenue/invoices"), ("bills", "revenue/bills")];

/// How many, and how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Sum {
    /// The currency.
    currency: String,
    /// How many of them.
    count: i64,
    /// What they come to, in minor units.
    total_minor: i64,
}

/// What waits behind one connection, as far as the caller may know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Behind {
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<i64>,
    #[serde(flatten)]
    worth: BTreeMap<&'static str, Vec<Sum>>,
}

/// What waits behind each connection.
#[derive(Debug, Default)]
pub(crate) struct All {
    nothing: Behind,
    found: BTreeMap<Uuid, Behind>,
}

impl All {
    /// What waits behind this one.
    pub fn take(&mut self, connection: Uuid) -> Behind {
        self.found.remove(&connection).unwrap_or_else(|| self.nothing.clone())
    }

    fn of(&mut self, connection: Uuid) -> &mut Behind {
        let nothing = &self.nothing;
        self.found.entry(connection).or_insert_with(|| nothing.clone())
    }
}

/// What the caller may know of what waits.
pub(crate) struct Waits {
    runs: bool,
    worth: Vec<(&'static str, Known, Seen)>,
    withheld: Vec<&'static str>,
}

impl Waits {
    /// Waits until what is asked about has seen `Min-Position`.
    pub async fn of(api: &Api, caller: &Caller, request: &HttpRequest) -> Result<Self, Problem> {
        let (mut worth, mut withheld) = (vec![], vec![]);
        let runs = caller.permissions.reach(RUNS.1) == Reach::Everything;
        if !runs {
            withheld.push(RUNS.0);
        }
        for (name, list) in WORTH {
            let Some(known) = api.known(list) else { continue };
            let reach = caller.permissions.reach(known.table.resource().read);
            match Seen::of(known.group, known.table, &reach, caller.principal) {
                Some(rows) => {
                    api.has_seen(known.group.name, request).await?;
                    worth.push((name, known, rows));
                }
                None => withheld.push(name),
            }
        }
        Ok(Self { runs, worth, withheld })
    }

    /// What is not told.
    pub fn withheld(self) -> Vec<&'static str> {
        self.withheld
    }

    /// What waits, of these connections each with a record that jobs behind it are about.
    pub async fn look(&self, api: &Api, caller: &Caller, pairs: BTreeSet<(Uuid, Uuid)>) -> Result<All, Problem> {
        let nothing = Behind {
            runs: self.runs.then_some(0),
            worth: self.worth.iter().map(|(name, ..)| (*name, vec![])).collect(),
        };
        let mut all = All { nothing, found: BTreeMap::new() };
        if pairs.is_empty() {
            return Ok(all);
        }
        let (connections, subjects): (Vec<Uuid>, Vec<Uuid>) = pairs.into_iter().unzip();
        if self.runs {
            // What waits for such a record goes on when the job behind the connection is done.
            let sql = "select p.connection_id, count(distinct w.run_id)
                       from unnest($2::uuid[], $3::uuid[]) p(connection_id, subject_id)
                                join (select o.run_id, o.aggregate_id from engine.waits o
                                      where o.tenant_id = t.tenant::uuid and o.aggregate_id = any($3) offset 0) w
                                     on w.aggregate_id = p.subject_id
                       group by p.connection_id";
            let (of, about) = (connections.clone(), subjects.clone());
            let found = read::<(Uuid, i64)>(api, caller, sql, |asked| asked.bind(of).bind(about));
            for (connection, runs) in found.await? {
                all.of(connection).runs = Some(runs);
            }
        }
        for (name, known, rows) in &self.worth {
            let mut arguments: Vec<String> = vec![];
            let seen = rows.sql(|ids| {
                arguments.push(ids.to_owned());
                format!("($4)[{}]", arguments.len())
            });
            let sql = sums(known, &seen);
            let (of, about) = (connections.clone(), subjects.clone());
            let found =
                read::<(Uuid, String, i64, i64)>(api, caller, &sql, |asked| asked.bind(of).bind(about).bind(arguments));
            for (connection, currency, count, total_minor) in found.await? {
                let sums = all.of(connection).worth.entry(*name).or_default();
                sums.push(Sum { currency, count, total_minor });
            }
        }
        Ok(all)
    }
}

/// What the rows of a list come to that the records are, connection by connection. Sums stop at what an integer holds.
fn sums(known: &Known, seen: &[String]) -> String {
    // So that the statement knows its argument, whatever the caller sees.
    let seen: String = seen.iter().map(|seen| format!(" and {seen}")).collect();
    format!(
        "select p.connection_id, f.currency, count(*), least(coalesce(sum(f.total_minor), 0), 9223372036854775807)::bigint
         from unnest($2::uuid[], $3::uuid[]) p(connection_id, subject_id)
                  join (select r.id, r.currency, r.total_minor from {}.{} r
                        where r.tenant_id = t.tenant::uuid and r.id = any($3) and $4::text[] is not null{seen} offset 0) f
                       on f.id = p.subject_id
         group by p.connection_id, f.currency order by p.connection_id, f.currency",
        known.group.name,
        known.table.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_money_is_of_a_list_that_has_a_total_and_a_currency() {
        for (name, list) in WORTH {
            let found = projections::resources().find(|(_, _, resource)| resource.path == list);
            let (_, table, _) = found.unwrap_or_else(|| panic!("there is no {list}"));
            let has = |column: &str| table.columns().iter().any(|one| one.name == column);
            assert!(has("total_minor") && has("currency"), "{name}");
        }
    }

    #[test]
    fn a_connection_behind_which_nothing_waits_has_what_may_be_known_and_no_more() {
        let nothing = Behind { runs: Some(0), worth: BTreeMap::from([("bills", vec![])]) };
        let mut all = All { nothing: nothing.clone(), found: BTreeMap::new() };
        all.of(Uuid::from_u128(1)).runs = Some(2);
        assert_eq!(serde_json::json!(all.take(Uuid::from_u128(1))), serde_json::json!({ "runs": 2, "bills": [] }));
        assert_eq!(all.take(Uuid::from_u128(2)), nothing);
        assert_eq!(serde_json::json!(Behind::default()), serde_json::json!({}));
    }
}
