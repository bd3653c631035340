//! A batch of commands on the wire: the columns of `eventstore.append`, and what comes back.

use crate::pending::{Outcome, Pending};
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
    batch.iter().for_each(|pending| c.push(pending));
    let (owners, claim_starts) = (std::mem::take(&mut c.owners), std::mem::take(&mut c.claim_starts));
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
    let mut refused: BTreeMap<usize, Outcome> = BTreeMap::new();
    for row in &rows {
        let cmd: i64 = row.try_get(0)?;
        let Some(&index) = usize::try_from(cmd - 1).ok().and_then(|cmd| owners.get(cmd)) else {
            return Ok(Answer::Appended { after: row.try_get(4)? });
        };
        let outcome = refusal(row, claim_starts.get(index).copied().unwrap_or_default())?;
        match refused.get(&index) {
            // The weightiest reason counts, and of claims the first one that was wanted.
            Some(known) if weight(known) <= weight(&outcome) => {}
            _ => drop(refused.insert(index, outcome)),
        }
    }
    if refused.is_empty() {
        return Err(Failure::Connection(anyhow::anyhow!("no answer for {} commands", batch.len())));
    }
    Ok(Answer::Refused(refused))
}

/// An answer from before comes before everything, and what was decided on an old state says nothing about claims.
fn weight(outcome: &Outcome) -> (u8, usize) {
    match outcome {
        Outcome::Claimed { row, .. } => (2, *row),
        Outcome::Conflict => (1, 0),
        _ => (0, 0),
    }
}

/// `claim_start` is the place of the first of its claims among those of the batch.
fn refusal(row: &PgRow, claim_start: usize) -> Result<Outcome, sqlx::Error> {
    let (version, position): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
    Ok(match row.try_get(1)? {
        "replayed" => {
            let (id, created, parts) = (row.try_get(2)?, row.try_get(5)?, row.try_get(7)?);
            Outcome::Replayed { id, version, position, created, parts }
        }
        "key_reused" => Outcome::KeyReused,
        // The place of the claim travels in the version column.
        "claimed" => {
            let place = usize::try_from(version - 1).unwrap_or_default();
            Outcome::Claimed { row: place.saturating_sub(claim_start), holder: row.try_get(2)? }
        }
        _ => Outcome::Conflict,
    })
}

/// After a lost connection: answers and removes those commands of the batch that are in the log after all.
pub(crate) async fn answer_settled(connection: &mut PgConnection, batch: &mut Vec<Pending>) -> Result<(), Failure> {
    // What belongs together is there as a whole or not at all, so its last event tells.
    let last = |pending: &Pending| {
        let event = pending.events.last()?;
        Some((pending.tenant, pending.streams.get(event.stream)?.aggregate_id, event.sequence, event.event_id))
    };
    let (mut tenants, mut ids, mut sequences, mut events) = (vec![], vec![], vec![], vec![]);
    for (tenant, id, sequence, event_id) in batch.iter().filter_map(last) {
        tenants.push(tenant);
        ids.push(id);
        sequences.push(sequence);
        events.push(event_id);
    }
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
            let after = position - pending.events.len() as i64;
            drop(pending.reply.send(Ok(Outcome::Appended { after })));
        }
    }
    Ok(())
}

/// The columns of `eventstore.append`.
#[derive(Default)]
struct Commands<'a> {
    /// To which part of the batch a stream belongs, and where the claims of each begin.
    owners: Vec<usize>,
    claim_starts: Vec<usize>,
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
    fn push(&mut self, pending: &'a Pending) {
        let (streams_before, events_before) = (self.id.len(), self.event_id.len());
        let place = |place: usize| i32::try_from(place).unwrap_or(i32::MAX);
        let owner = self.claim_starts.len();
        self.claim_starts.push(self.claim_cmd.len());
        let key_stream = pending.key_stream();
        for (index, stream) in pending.streams.iter().enumerate() {
            let key = pending.key.as_ref().filter(|_| index == key_stream);
            self.owners.push(owner);
            self.tenant.push(pending.tenant);
            self.aggregate_type.push(stream.aggregate_type);
            self.id.push(stream.aggregate_id);
            self.expected.push(stream.expected);
            self.version.push(stream.version);
            self.position.push(stream.position);
            self.first.push(0);
            self.last.push(0);
            self.scope.push(key.map(|k| k.scope.as_str()));
            self.key.push(key.map(|k| k.key.as_str()));
            self.fingerprint.push(key.map(|k| k.fingerprint.as_slice()));
            self.parts.push(pending.parts.as_deref().filter(|_| index == key_stream));
            let cmd = place(streams_before + index + 1);
            if let Some(snapshot) = &stream.snapshot {
                self.snapshot_cmd.push(cmd);
                self.snapshot_version.push(snapshot.version);
                self.snapshot_state_version.push(snapshot.state_version);
                self.snapshot_state.push(&snapshot.state);
            }
            if let Some((generation, wrapped)) = &stream.key_of_stream {
                self.key_cmd.push(cmd);
                self.key_generation.push(i32::try_from(*generation).unwrap_or(i32::MAX));
                self.key_wrapped.push(wrapped);
            }
        }
        for (index, event) in pending.events.iter().enumerate() {
            let stream = streams_before + event.stream;
            let nth = place(events_before + index + 1);
            if self.first[stream] == 0 {
                self.first[stream] = nth;
            }
            self.last[stream] = nth;
            self.event_tenant.push(pending.tenant);
            self.event_aggregate_type.push(self.aggregate_type[stream]);
            self.event_aggregate_id.push(self.id[stream]);
            self.event_sequence.push(event.sequence);
            self.event_metadata.push(&event.metadata);
            self.event_id.push(event.event_id);
            self.event_type.push(event.event_type);
            self.event_version.push(event.event_version);
            self.event_payload.push(&event.payload);
        }
        for row in &pending.claims {
            self.claim_cmd.push(place(streams_before + row.stream + 1));
            self.claim_take.push(row.take);
            self.claim_scope.push(row.claim.scope);
            self.claim_value.push(&row.claim.value);
        }
    }
}
