//! What every question needs: the read models, how far they are, a place in work, and what may be seen.

use crate::cache::Cache;
use crate::only::Seen;
use crate::permissions::OF_QUESTIONS;
use crate::positions::{Missed, Positions};
use ::web::{Admission, Caller, Permit, Problem, RequestInfo, code};
use actix_web::HttpRequest;
use objects::ObjectStore;
use projections::{Group, Table};
use sqlx::PgPool;
use std::collections::HashMap;
use std::time::Duration;
use vault::Vault;

/// Everything a request needs.
pub struct Api {
    pool: PgPool,
    vault: Option<Vault>,
    cache: Option<Cache>,
    positions: Positions,
    patience: Duration,
    admission: Admission,
    objects: Option<(ObjectStore, Duration)>,
    tables: HashMap<&'static str, Known>,
    /// Every permission there is, in order.
    permissions: Vec<&'static str>,
}

/// A read table, and what log and metrics call the two paths to it.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub group: &'static Group,
    pub table: &'static dyn Table,
    list: &'static str,
    record: &'static str,
}

impl Known {
    /// The names live as long as the process, as the tables do; there are two for each.
    fn new(group: &'static Group, table: &'static dyn Table, path: &str) -> Self {
        Self { group, table, list: format!("/v1/{path}").leak(), record: format!("/v1/{path}/{{id}}").leak() }
    }
}

/// The two paths to a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    List,
    Record,
}

impl Api {
    /// Answers from every read table. `pool` connects as `ubos_query`; `patience` is how long `Min-Position` waits;
    /// `admission` says how many reads are in work at once.
    pub fn new(pool: PgPool, patience: Duration, admission: Admission) -> Self {
        let tables = projections::resources()
            .map(|(group, table, resource)| (resource.path, Known::new(group, table, resource.path)));
        let positions = Positions::start(pool.clone());
        let reads = projections::resources().map(|(_, _, resource)| resource.read);
        let mut permissions: Vec<&'static str> = reads.chain(OF_QUESTIONS).collect();
        permissions.sort_unstable();
        permissions.dedup();
        Self {
            positions,
            pool,
            vault: None,
            cache: None,
            patience,
            admission,
            objects: None,
            tables: tables.collect(),
            permissions,
        }
    }

    /// The same, and it knows the commands too, so that it can tell a caller which of them they may ask for.
    #[must_use]
    pub fn knowing(mut self, commands: impl IntoIterator<Item = &'static str>) -> Self {
        self.permissions.extend(commands);
        self.permissions.sort_unstable();
        self.permissions.dedup();
        self
    }

    /// The same with the store of files; a request that fetches one is good for so long.
    #[must_use]
    pub fn with_objects(mut self, objects: ObjectStore, downloads_last: Duration) -> Self {
        self.objects = Some((objects, downloads_last));
        self
    }

    /// The same with a vault, which opens single events of the log.
    #[must_use]
    pub fn unsealing(mut self, vault: Option<Vault>) -> Self {
        self.vault = vault;
        self
    }

    /// The same, and it keeps answers for a moment; only with a vault, because they are kept sealed.
    #[must_use]
    pub fn keeping(mut self, cache: Option<Cache>) -> Self {
        self.cache = cache;
        self
    }
}

impl Api {
    /// Where files are, and how long a request is good that fetches one.
    pub(crate) fn objects(&self) -> Option<&(ObjectStore, Duration)> {
        self.objects.as_ref()
    }

    /// What opens events of the log.
    pub(crate) fn vault(&self) -> Option<&Vault> {
        self.vault.as_ref()
    }

    /// Where answers are kept.
    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// Every permission there is.
    pub(crate) fn permissions(&self) -> &[&'static str] {
        &self.permissions
    }

    /// Connects as `ubos_query`.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A place in work. It is asked for after `Min-Position` was reached, because whoever waits for that needs nothing,
    /// and before a connection is, so that the connections are shared fairly.
    pub(crate) async fn admit(&self, caller: &Caller) -> Result<Permit, Problem> {
        self.admission.admit(caller.tenant).await
    }

    /// The table behind a path and which of its rows the caller sees, once it has seen `Min-Position`. Log and metrics name the
    /// table: that one list is slow or refused is of no use to anybody who is not told which.
    pub(crate) async fn table(
        &self,
        context: &str,
        collection: &str,
        way: Way,
        caller: &Caller,
        request: &HttpRequest,
    ) -> Result<(&'static Group, &'static dyn Table, Seen), Problem> {
        let found = self.tables.get(format!("{context}/{collection}").as_str()).copied();
        let Known { group, table, list, record } =
            found.ok_or_else(|| Problem::new(&code::NOT_FOUND, format!("nothing answers GET {}", request.path())))?;
        RequestInfo::set_route(request, if way == Way::List { list } else { record });
        let resource = table.resource();
        let seen = Seen::of(group, table, &caller.reach(resource.read)?, caller.principal);
        let seen = seen.ok_or_else(|| caller.denied(resource.read))?;
        self.has_seen(group.name, request).await?;
        Ok((group, table, seen))
    }

    /// The table behind a path: `crm/clients`.
    pub(crate) fn known(&self, path: &str) -> Option<Known> {
        self.tables.get(path).copied()
    }

    /// Waits until a group has seen `Min-Position`, if the request names one.
    pub(crate) async fn has_seen(&self, group: &str, request: &HttpRequest) -> Result<(), Problem> {
        let Some(position) = min_position(request)? else { return Ok(()) };
        match self.positions.reached(group, position, self.patience).await {
            Ok(()) => Ok(()),
            // Nobody waits for what will not come: whoever sends made-up positions would keep us looking.
            Err(Missed::Behind(at) | Missed::Unknown(at)) => {
                Err(self.unknown(position).await.unwrap_or_else(|| behind(group, position, at)))
            }
        }
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// A position that no event has, although whoever was answered it has seen it committed: the log was restored to an
    /// earlier moment, or the position is another installation's. A replica cannot say so, because it may be behind.
    async fn unknown(&self, position: i64) -> Option<Problem> {
        let sql = "select h.position from eventstore.head h where not pg_is_in_recovery()";
        let head: Option<i64> = sqlx::query_scalar(sql).fetch_optional(&self.pool).await.ok()?;
        let head = head.filter(|head| *head < position)?;
        let detail = format!(
            "the log ends at {head}; {position} was taken back when the log was restored, or is of another installation: \
             read again without Min-Position"
        );
        Some(Problem::new(&code::POSITION_UNKNOWN, detail).with("position", head))
    }
}

fn min_position(request: &HttpRequest) -> Result<Option<i64>, Problem> {
    let Some(header) = request.headers().get("min-position") else { return Ok(None) };
    let position = header.to_str().ok().and_then(|text| text.parse::<i64>().ok()).filter(|position| *position >= 0);
    match position {
        Some(position) => Ok(Some(position)),
        None => {
            Err(Problem::new(&code::INVALID_HEADER, "Min-Position: expected the position of an answer to a command"))
        }
    }
}

fn behind(group: &str, position: i64, at: Option<i64>) -> Problem {
    let Some(at) = at else {
        return Problem::new(&code::UNAVAILABLE, "the read models cannot be reached");
    };
    let detail = format!("{group} has read up to position {at}, {} short of {position}", position - at);
    Problem::new(&code::PROJECTION_BEHIND, detail).with("position", at).with("behind", position - at)
}
