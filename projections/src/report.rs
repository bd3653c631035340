//! What the operator verbs answer: for machines by serde, for people by `Display`.

use crate::rebuild::Built;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::fmt::{self, Display, Formatter};
use uuid::Uuid;

/// How far one group is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupStatus {
    /// Which group.
    pub group: String,
    /// Its tables.
    pub tables: Vec<String>,
    /// The log was read up to here.
    pub position: i64,
    /// Events of the log that were not read yet.
    pub lag_events: i64,
    /// Positions that were passed without an event: must be 0.
    pub missing_events: i64,
    /// Streams that are parked.
    pub parked: i64,
    /// A process leads it at the moment.
    pub led: bool,
    /// Its rows are of an older shape than this program's.
    pub replay_needed: bool,
    /// A replay is under way, or was cut off.
    pub rebuilding: bool,
    /// Tables for a rollback are there.
    pub can_roll_back: bool,
}

/// How far all of them are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Position of the last event.
    pub head: i64,
    /// One per group.
    pub groups: Vec<GroupStatus>,
}

/// What a replay would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Which group.
    pub group: String,
    /// Tables that would be rebuilt.
    pub tables: Vec<String>,
    /// Position of the last event.
    pub head: i64,
    /// Events that would be folded.
    pub events: i64,
    /// Streams they belong to.
    pub streams: i64,
    /// How often the log would be read.
    pub passes: i64,
    /// Bytes of the live tables; the new ones need about as many beside them.
    pub bytes: i64,
    /// Events per second, measured just now on the newest pages; none if there are too few.
    pub rate: Option<f64>,
    /// Seconds it would take at that rate.
    pub seconds: Option<f64>,
    /// Its rows are of an older shape than this program's.
    pub replay_needed: bool,
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: rebuild beside the live tables", self.group)?;
        self.tables.iter().try_for_each(|table| writeln!(f, "  {table}"))?;
        writeln!(
            f,
            "  fold {} events of {} streams in {} pass(es) up to position {}",
            self.events, self.streams, self.passes, self.head
        )?;
        writeln!(f, "  about {} MiB of disk beside the live tables", self.bytes >> 20)?;
        if let (Some(rate), Some(seconds)) = (self.rate, self.seconds) {
            writeln!(f, "  about {seconds:.0} s at {rate:.0} events/s as measured now")?;
        }
        let why = if self.replay_needed {
            "the live rows are of an older shape"
        } else {
            "the live rows are of today's shape"
        };
        writeln!(f, "  {why}")
    }
}

/// One table against its rebuilt self.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableComparison {
    /// Which table.
    pub table: String,
    /// Tenants with rows in it.
    pub tenants: i64,
    /// Rows that are read today.
    pub live_rows: i64,
    /// Rows of the fresh replay.
    pub rebuilt_rows: i64,
    /// Tenants whose checksums differ.
    pub differing_tenants: i64,
    /// Tenant and id of the first few rows that differ.
    pub differing_rows: Vec<(Uuid, Uuid)>,
}

/// Every table of a group against a fresh replay, both at one position. Rows of streams that are parked are not compared:
/// how far each of the two had come with them when it parked them is not what is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Where both were.
    pub position: i64,
    /// One per table.
    pub tables: Vec<TableComparison>,
    /// Streams that the fresh replay could not apply either.
    pub parked: Vec<ParkedStream>,
}

impl Comparison {
    /// Is every row the same?
    pub fn equal(&self) -> bool {
        self.tables.iter().all(|table| table.differing_tenants == 0 && table.live_rows == table.rebuilt_rows)
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // At most 80 columns, also with billions of rows.
        let heading = ["TABLE", "ROWS LIVE", "REBUILT", "FIRMS", "OUTCOME"];
        let [table, live, rebuilt, firms, outcome] = heading;
        writeln!(f, "  {table:<30} {live:>11} {rebuilt:>11} {firms:>7}  {outcome}")?;
        for t in &self.tables {
            let outcome = match t.differing_tenants {
                0 => "equal".to_owned(),
                differing => format!("{differing} differ"),
            };
            let TableComparison { table, live_rows, rebuilt_rows, tenants, .. } = t;
            writeln!(f, "  {table:<30} {live_rows:>11} {rebuilt_rows:>11} {tenants:>7}  {outcome}")?;
            for (tenant, row) in &t.differing_rows {
                writeln!(f, "    differs: firm {tenant},\n             row  {row}")?;
            }
        }
        for stream in &self.parked {
            writeln!(f, "  PARKED {stream}")?;
        }
        Ok(())
    }
}

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayReport {
    /// Which group.
    pub group: &'static str,
    /// The build.
    pub built: Built,
    /// New rows against the old ones.
    pub comparison: Comparison,
    /// The folds have changed since the old rows were written, so differences are what was wanted.
    pub differences_expected: bool,
    /// The new tables are read now.
    pub switched: bool,
    /// Seconds from start to end.
    pub seconds: f64,
}

impl Display for ReplayReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rate = self.built.events as f64 / self.built.seconds.max(1e-6);
        writeln!(
            f,
            "{}: {} events in {:.2} s ({rate:.0}/s), {:.2} s in all",
            self.group, self.built.events, self.built.seconds, self.seconds
        )?;
        write!(f, "{}", self.comparison)?;
        match (self.switched, self.comparison.equal()) {
            (true, true) => writeln!(
                f,
                "  switched at position {}; the old tables are kept for a rollback",
                self.comparison.position
            ),
            (true, false) => writeln!(f, "  switched with these differences; the old tables are kept for a rollback"),
            (false, _) => writeln!(
                f,
                "  NOT switched: rows differ although no fold has changed; accept the differences to switch"
            ),
        }
    }
}

/// What a verification came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifyReport {
    /// Which group.
    pub group: &'static str,
    /// Events that were folded.
    pub events: i64,
    /// Live rows against fresh ones.
    pub comparison: Comparison,
}

impl Display for VerifyReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let outcome = if self.comparison.equal() { "equals a fresh replay" } else { "DIFFERS from a fresh replay" };
        writeln!(f, "{}: {outcome} of {} events at position {}", self.group, self.events, self.comparison.position)?;
        write!(f, "{}", self.comparison)
    }
}

/// A stream that a group could not apply.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct ParkedStream {
    /// Which group.
    pub group_name: String,
    /// The firm.
    pub tenant_id: Uuid,
    /// The stream.
    pub aggregate_id: Uuid,
    /// Its kind.
    pub aggregate_type: String,
    /// The table where it went wrong; none if the event cannot be read or a table refused the row.
    pub table_name: Option<String>,
    /// The row.
    pub row_id: Option<Uuid>,
    /// The event that could not be applied.
    pub first_position: i64,
    /// The newest event that waits behind it.
    pub last_position: i64,
    /// How many wait, the first included.
    pub event_count: i64,
    /// Why.
    pub error: String,
    /// How often it was tried.
    pub attempts: i32,
    /// Since when.
    pub parked_at: DateTime<Utc>,
}

impl Display for ParkedStream {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} of tenant {}: {} event(s) from position {} on, tried {}x: {}",
            self.group_name,
            self.aggregate_type,
            self.aggregate_id,
            self.tenant_id,
            self.event_count,
            self.first_position,
            self.attempts,
            self.error
        )
    }
}

/// What retrying came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RetryReport {
    /// Streams that could be applied and flow again.
    pub cleared: Vec<Uuid>,
    /// Streams that are parked still, with the reason.
    pub parked: Vec<(Uuid, String)>,
}

impl Display for RetryReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} stream(s) flow again, {} parked still", self.cleared.len(), self.parked.len())?;
        for (stream, error) in &self.parked {
            writeln!(f, "  {stream}: {error}")?;
        }
        Ok(())
    }
}
