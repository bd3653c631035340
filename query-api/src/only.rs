//! Which rows a reader sees whose permission does not reach everything: a part of the statement, so that pages, orders and
//! counts know nothing of the others.

use crate::within::Within;
use kernel::{Limits, Principal, Reach, Resource};
use projections::{Group, Table, Tie};
use uuid::Uuid;

/// The rows that a reader sees, and what of them.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Those that the permission reaches.
    pub rows: Rows,
    /// What is for the firm alone.
    pub within: Option<Within>,
}

impl Seen {
    /// None if there can be no such row.
    pub fn of(group: &Group, table: &dyn Table, reach: &Reach, reader: Principal) -> Option<Self> {
        let rows = Rows::of(table.resource().ties, reach, reader)?;
        Some(Self { rows, within: Within::of(group.name, table.name(), reader) })
    }

    /// The conditions on the row `r`; `argument` takes ids in and answers how they are called.
    pub fn sql(&self, argument: impl FnMut(&str) -> String) -> Vec<String> {
        let begun = self.within.map(|within| within.sql().to_owned());
        self.rows.sql(argument).into_iter().chain(begun).collect()
    }
}

/// The rows that a permission reaches.
#[derive(Debug)]
pub(crate) enum Rows {
    /// All of the firm's.
    All,
    /// Those of which, in each of these, something is so.
    Only(Vec<Vec<Term>>),
}

/// A condition about ids.
#[derive(Debug)]
pub(crate) struct Term {
    /// What comes before the ids, and after them.
    sql: (String, &'static str),
    /// The ids as PostgreSQL writes an array.
    ids: String,
}

impl Rows {
    /// None if there can be no such row: nothing in the table says that it belongs to what the permission is limited to.
    pub fn of(ties: &[Tie], reach: &Reach, reader: Principal) -> Option<Self> {
        let limits = match reach {
            Reach::Everything => return Some(Self::All),
            Reach::Nothing => return None,
            Reach::Only(limits) => limits,
        };
        let terms: Vec<Term> = ties.iter().filter_map(|tie| term(*tie, limits, reader)).collect();
        (!terms.is_empty()).then_some(Self::Only(vec![terms]))
    }

    /// Those of them that are among the others too.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        match (self, others) {
            (Self::All, rows) | (rows, Self::All) => rows,
            (Self::Only(these), Self::Only(those)) => Self::Only(these.into_iter().chain(those).collect()),
        }
    }

    /// The condition on the row `r`; `argument` takes ids in and answers how they are called.
    pub fn sql(&self, mut argument: impl FnMut(&str) -> String) -> Option<String> {
        let Self::Only(all) = self else { return None };
        let mut one = |Term { sql: (before, after), ids }: &Term| format!("{before}{}{after}", argument(ids));
        let all = all.iter().map(|any| format!("({})", any.iter().map(&mut one).collect::<Vec<_>>().join(" or ")));
        Some(all.collect::<Vec<_>>().join(" and "))
    }
}

fn term(tie: Tie, limits: &Limits, reader: Principal) -> Option<Term> {
    let clients = || {
        limits.resources.iter().filter_map(|resource| match resource {
            Resource::Client { id } => Some(id.0),
            Resource::Engagement { .. } | Resource::Project { .. } => None,
        })
    };
    let engagements = || {
        limits.resources.iter().filter_map(|resource| match resource {
            Resource::Engagement { id } => Some(id.0),
            Resource::Client { .. } | Resource::Project { .. } => None,
        })
    };
    let projects = || {
        limits.resources.iter().filter_map(|resource| match resource {
            Resource::Project { id } => Some(id.0),
            Resource::Client { .. } | Resource::Engagement { .. } => None,
        })
    };
    let own = |id: Uuid| limits.own.then_some(id).into_iter().collect();
    let is_one_of = |column: &str| (format!("r.{column} = any ("), "::uuid[])");
    let of_another = |column: &str, table: &str, owner: &str| {
        let from = format!("select p.id from {table} p where p.tenant_id = t.tenant::uuid and p.{owner}");
        (format!("r.{column} in ({from} = any ("), "::uuid[]))")
    };
    let holds_one_of = |column: &str| (format!("r.{column} ?| "), "::text[]");
    // What a client has not been shown is a draft of the firm's, for whatever part of the client somebody has rights.
    let once_shown = |(before, after): (String, &'static str)| {
        let after = if after == "::uuid[])" { "::uuid[]))" } else { "::uuid[])))" };
        (format!("(r.shown_to_client_id is not null and {before}"), after)
    };
    let (sql, ids): (_, Vec<Uuid>) = match (tie, reader) {
        (Tie::StaffClient(_) | Tie::StaffEngagement(_), Principal::PortalUser { .. }) => return None,
        (Tie::Client(column) | Tie::StaffClient(column), _) => (is_one_of(column), clients().collect()),
        (Tie::Engagement(column) | Tie::StaffEngagement(column), _) => (is_one_of(column), engagements().collect()),
        (Tie::ShownEngagement(column), _) => (once_shown(is_one_of(column)), engagements().collect()),
        (Tie::Project(column), _) => (is_one_of(column), projects().collect()),
        (Tie::ClientIds(column), _) => (holds_one_of(column), clients().collect()),
        (Tie::EngagementIds(column), _) => (holds_one_of(column), engagements().collect()),
        (Tie::ProjectIds(column), _) => (holds_one_of(column), projects().collect()),
        (Tie::Clients(column), _) => {
            let elements = format!("select from jsonb_array_elements(r.{column}) e");
            ((format!("exists ({elements} where (e ->> 'client_id')::uuid = any ("), "::uuid[]))"), clients().collect())
        }
        (Tie::ClientOf { column, table }, _) => (of_another(column, table, "client_id"), clients().collect()),
        (Tie::EngagementOf { column, table }, _) => {
            (of_another(column, table, "engagement_id"), engagements().collect())
        }
        (Tie::ShownEngagementOf { column, table }, _) => {
            (once_shown(of_another(column, table, "engagement_id")), engagements().collect())
        }
        (Tie::User(column), Principal::User { id }) => (is_one_of(column), own(id.0)),
        (Tie::PortalUser(column), Principal::PortalUser { id }) => (is_one_of(column), own(id.0)),
        (Tie::User(_) | Tie::PortalUser(_), _) => return None,
    };
    let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    (!ids.is_empty()).then(|| Term { sql, ids: format!("{{{}}}", ids.join(",")) })
}
