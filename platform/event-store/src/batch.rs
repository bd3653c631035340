//! A batch of commands on the wire: the columns of `eventstore.append`, and what comes back.

use crate::append::{Outcome, Pending};
use kernel::ClaimChange;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What the log says to a batch.
pub(crate) enum Answer {
    /// All of it is in the log, after this position.
    Appended { after: i64 },
    /// None of it is, because these commands, by their places in the batch, cannot be.
    Refused(BTreeMap<usize, Outcome>),
}

/// Why the log says nothing to a batch.
pub(crate) enum Failure {
    /// The database answered: nothing of the batch was done.
    Batch(sqlx::Error),
    /// The database did not answer, or asks to come again; the outcome may be unknown.
    Connection(anyhow::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let data = match &error {
            // Class 22 and 23: the data; 42: the statement; 54: a limit, such as an index row; P0: raised by a function.
            sqlx::Error::Database(e) => {
                e.code().is_some_and(|c| ["22", "23", "42", "54", "P0"].iter().any(|class| c.starts_with(class)))
            }
            _ => false,
        };
        if data { Failure::Batch(error) } else { Failure::Connection(error.into()) }
    }
}

/// The call, with what else is asked for in the same statement.
macro_rules! append {
    ($more:literal) => {
        concat!(
            "select cmd, outcome, aggregate_id, version, position, created, detail, parts",
            $more,
            " from eventstore.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                                     $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)"
        )
    };
}

const APPEND: &str = append!("");

/// Gives the turn back after the function and before the commit, so that the next one puts its batch together meanwhile.
const APPEND_IN_TURN: &str = append!(", (select pg_advisory_unlock(hashtextextended('eventstore.turn', 0)))");

/// Waits for the turn to append. Without it, an append is as right.
pub(crate) async fn await_turn(connection: &mut PgConnection) -> bool {
    sqlx::query_scalar("select eventstore.await_turn()").fetch_one(connection).await.unwrap_or(false)
}

/// Asks the log to take the batch, and gives the turn back if there is one.
pub(crate) async fn append(
    connection: &mut PgConnection,
    batch: &[Pending],
    has_turn: bool,
) -> Result<Answer, Failure> {
    let asked = call(connection, batch, has_turn).await;
    if has_turn && asked.is_err() {
        // What was refused did not give it back. A connection that cannot either is let go, and its turn with it.
        let given_back = sqlx::query("select pg_advisory_unlock_all()").execute(connection).await;
        given_back.map_err(|error| Failure::Connection(error.into()))?;
    }
    asked
}

async fn call(connection: &mut PgConnection, batch: &[Pending], has_turn: bool) -> Result<Answer, Failure> {
    let mut c = Commands::default();
    for (pending, cmd) in batch.iter().zip(1..) {
        c.push(pending, cmd);
    }
    let rows = sqlx::query(if has_turn { APPEND_IN_TURN } else { APPEND })
        .bind(c.tenant)
        .bind(c.aggregate_type)
        .bind(c.id)
        .bind(c.expected)
        .bind(c.version)
        .bind(c.position)
        .bind(c.first)
        .bind(c.last)
        .bind(c.scope)
        .bind(c.key)
        .bind(c.fingerprint)
        .bind(c.event_tenant)
        .bind(c.event_aggregate_type)
        .bind(c.event_aggregate_id)
        .bind(c.event_sequence)
        .bind(c.event_metadata)
        .bind(c.event_id)
        .bind(c.event_type)
        .bind(c.event_version)
        .bind(c.event_payload)
        .bind(c.claim_cmd)
        .bind(c.claim_take)
        .bind(c.claim_scope)
        .bind(c.claim_value)
        .bind(c.snapshot_cmd)
        .bind(c.snapshot_version)
        .bind(c.snapshot_state_version)
        .bind(c.snapshot_state)
        .bind(c.key_cmd)
        .bind(c.key_generation)
        .bind(c.key_wrapped)
        .bind(c.parts)
        .fetch_all(connection)
        .await?;
    let mut refused = BTreeMap::new();
    for row in &rows {
        let cmd: i64 = row.try_get(0)?;
        match usize::try_from(cmd - 1) {
            // The first of several reasons counts.
            Ok(index) if index < batch.len() => drop(refused.entry(index).or_insert(refusal(row)?)),
            _ => return Ok(Answer::Appended { after: row.try_get(4)? }),
        }
    }
    if refused.is_empty() {
        return Err(Failure::Connection(anyhow::anyhow!("no answer for {} commands", batch.len())));
    }
    Ok(Answer::Refused(refused))
}

fn refusal(row: &PgRow) -> Result<Outcome, sqlx::Error> {
    let (version, position) = (row.try_get(3)?, row.try_get(4)?);
    Ok(match row.try_get(1)? {
        "replayed" => {
            let (id, created, parts) = (row.try_get(2)?, row.try_get(5)?, row.try_get(7)?);
            Outcome::Replayed { id, version, position, created, parts }
        }
        "key_reused" => Outcome::KeyReused,
        "claimed" => Outcome::Claimed { scope: row.try_get(6)?, holder: row.try_get(2)? },
        _ => Outcome::Conflict,
    })
}

/// After a lost connection: answers and removes those commands of the batch that are in the log after all.
pub(crate) async fn answer_settled(connection: &mut PgConnection, batch: &mut Vec<Pending>) -> Result<(), Failure> {
    let asked = || batch.iter().filter(|p| !p.events.is_empty());
    let tenants: Vec<Uuid> = asked().map(|p| p.tenant).collect();
    let ids: Vec<Uuid> = asked().map(|p| p.aggregate_id).collect();
    let sequences: Vec<i64> = asked().map(|p| p.expected + p.events.len() as i64).collect();
    let events: Vec<Uuid> = asked().filter_map(|p| p.events.last()).map(|e| e.event_id).collect();
    let rows: Vec<(i64, i64)> = sqlx::query_as("select cmd, position from eventstore.settled($1, $2, $3, $4)")
        .bind(tenants)
        .bind(ids)
        .bind(sequences)
        .bind(&events)
        .fetch_all(connection)
        .await?;
    for (cmd, position) in rows {
        let Some(event_id) = usize::try_from(cmd - 1).ok().and_then(|index| events.get(index)) else { continue };
        let found = batch.iter().position(|p| p.events.last().is_some_and(|e| e.event_id == *event_id));
        if let Some(index) = found {
            let pending = batch.remove(index);
            let version = pending.expected + pending.events.len() as i64;
            let appended = Outcome::Appended { version, position, created: pending.expected == 0 };
            drop(pending.reply.send(Ok(appended)));
        }
    }
    Ok(())
}

/// The columns of `eventstore.append`.
#[derive(Default)]
struct Commands<'a> {
    tenant: Vec<Uuid>,
    aggregate_type: Vec<&'a str>,
    id: Vec<Uuid>,
    expected: Vec<i64>,
    version: Vec<i64>,
    position: Vec<i64>,
    first: Vec<i32>,
    last: Vec<i32>,
    scope: Vec<Option<&'a str>>,
    key: Vec<Option<&'a str>>,
    fingerprint: Vec<Option<&'a [u8]>>,
    event_tenant: Vec<Uuid>,
    event_aggregate_type: Vec<&'a str>,
    event_aggregate_id: Vec<Uuid>,
    event_sequence: Vec<i64>,
    event_metadata: Vec<&'a str>,
    event_id: Vec<Uuid>,
    event_type: Vec<&'a str>,
    event_version: Vec<i32>,
    event_payload: Vec<&'a str>,
    claim_cmd: Vec<i32>,
    claim_take: Vec<Option<bool>>,
    claim_scope: Vec<&'a str>,
    claim_value: Vec<&'a str>,
    snapshot_cmd: Vec<i32>,
    snapshot_version: Vec<i64>,
    snapshot_state_version: Vec<i32>,
    snapshot_state: Vec<&'a str>,
    key_cmd: Vec<i32>,
    key_generation: Vec<i32>,
    key_wrapped: Vec<&'a [u8]>,
    parts: Vec<Option<&'a str>>,
}

impl<'a> Commands<'a> {
    fn push(&mut self, pending: &'a Pending, cmd: i32) {
        let events_before = self.event_id.len() as i32;
        for (event, sequence) in pending.events.iter().zip(pending.expected + 1..) {
            self.event_tenant.push(pending.tenant);
            self.event_aggregate_type.push(pending.aggregate_type);
            self.event_aggregate_id.push(pending.aggregate_id);
            self.event_sequence.push(sequence);
            self.event_metadata.push(&pending.metadata);
            self.event_id.push(event.event_id);
            self.event_type.push(event.event_type);
            self.event_version.push(event.event_version);
            self.event_payload.push(&event.payload);
        }
        let events = pending.events.len() as i32;
        self.tenant.push(pending.tenant);
        self.aggregate_type.push(pending.aggregate_type);
        self.id.push(pending.aggregate_id);
        self.expected.push(pending.expected);
        self.version.push(pending.expected + i64::from(events));
        self.position.push(pending.position);
        self.first.push(if events == 0 { 0 } else { events_before + 1 });
        self.last.push(if events == 0 { 0 } else { events_before + events });
        self.scope.push(pending.key.as_ref().map(|k| k.scope.as_str()));
        self.key.push(pending.key.as_ref().map(|k| k.key.as_str()));
        self.parts.push(pending.parts.as_deref());
        self.fingerprint.push(pending.key.as_ref().map(|k| k.fingerprint.as_slice()));
        for change in net(&pending.claims) {
            let (ClaimChange::Take(claim) | ClaimChange::Release(claim)) = change;
            self.claim_cmd.push(cmd);
            self.claim_take.push(Some(matches!(change, ClaimChange::Take(_))));
            self.claim_scope.push(claim.scope);
            self.claim_value.push(&claim.value);
        }
        for claim in &pending.forbidden {
            self.claim_cmd.push(cmd);
            self.claim_take.push(None);
            self.claim_scope.push(claim.scope);
            self.claim_value.push(&claim.value);
        }
        if let Some(snapshot) = &pending.snapshot {
            self.snapshot_cmd.push(cmd);
            self.snapshot_version.push(snapshot.version);
            self.snapshot_state_version.push(snapshot.state_version);
            self.snapshot_state.push(&snapshot.state);
        }
        if let Some((generation, wrapped)) = &pending.key_of_stream {
            self.key_cmd.push(cmd);
            self.key_generation.push(i32::try_from(*generation).unwrap_or(i32::MAX));
            self.key_wrapped.push(wrapped);
        }
    }
}

/// The last change per value: released and taken again within one command is simply taken.
fn net(changes: &[ClaimChange]) -> Vec<&ClaimChange> {
    let claim = |change: &ClaimChange| {
        let (ClaimChange::Take(claim) | ClaimChange::Release(claim)) = change;
        claim.clone()
    };
    let mut net: Vec<&ClaimChange> = vec![];
    for change in changes {
        net.retain(|earlier| claim(earlier) != claim(change));
        net.push(change);
    }
    net
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Claim;

    #[test]
    fn released_and_taken_again_is_taken() {
        let claim = || Claim::new("s", "v");
        let changes = [ClaimChange::Release(claim()), ClaimChange::Take(claim())];
        assert_eq!(net(&changes), [&ClaimChange::Take(claim())]);
    }
}
