//! What commands were answered, as the log keeps it beside their key.
//!
//! A row of `eventstore.idempotency` is the answer of one command; its column `parts` is an object with the parts that it made.
//! The row of a unit has the position of the unit's last event, and in `parts` a list with the answer of each command.

use crate::pending::Outcome;
use crate::{ExecuteError, Executed};
use kernel::Parts;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One command of a unit, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stored {
    id: Uuid,
    version: i64,
    created: bool,
    #[serde(default, skip_serializing_if = "Parts::is_empty")]
    parts: Parts,
    #[serde(flatten)]
    at: At,
}

/// Where a command's last event is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum At {
    /// So many events before the unit's last one, whose position is not known before the append.
    Back(i64),
    /// It has none in the unit; the record's last one was here.
    Position(i64),
}

/// What a command of a unit came to, until its position is known.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub id: Uuid,
    pub version: i64,
    pub created: bool,
    pub parts: Parts,
    /// The place of its last event in the unit, or where the record's last one was before it.
    pub at: Result<usize, i64>,
}

impl Answer {
    /// The answer, once the unit's events come after this position.
    pub fn executed(self, after: i64) -> Executed {
        let Self { id, version, created, parts, at } = self;
        let position = match at {
            Ok(event) => after + 1 + i64::try_from(event).unwrap_or_default(),
            Err(position) => position,
        };
        Executed { id, version, position, created, replayed: false, parts }
    }
}

/// As the key keeps the answers of a unit with so many events.
pub(crate) fn store(answers: &[Answer], events: usize) -> Result<String, ExecuteError> {
    let stored = answers.iter().map(|answer| {
        let Answer { id, version, created, parts, at } = answer.clone();
        let at = match at {
            Ok(event) => At::Back(i64::try_from(events - 1 - event).unwrap_or_default()),
            Err(position) => At::Position(position),
        };
        Stored { id, version, created, parts, at }
    });
    serde_json::to_string(&stored.collect::<Vec<_>>()).map_err(|e| ExecuteError::Fault(e.into()))
}

/// What was answered before, to one command or to each of several.
pub(crate) fn replayed(outcome: Outcome) -> Result<Vec<Executed>, ExecuteError> {
    let broken = |e: serde_json::Error| ExecuteError::Fault(e.into());
    let Outcome::Replayed { id, version, position, created, parts } = outcome else {
        return Err(ExecuteError::Fault(anyhow::anyhow!("no stored answer: {outcome:?}")));
    };
    let Some(parts) = parts.filter(|parts| !parts.is_empty()) else {
        return Ok(vec![Executed { id, version, position, created, replayed: true, parts: Parts::default() }]);
    };
    if !parts.starts_with('[') {
        let parts = parts.parse().map_err(broken)?;
        return Ok(vec![Executed { id, version, position, created, replayed: true, parts }]);
    }
    let stored: Vec<Stored> = serde_json::from_str(&parts).map_err(broken)?;
    let end = position;
    let executed = stored.into_iter().map(|Stored { id, version, created, parts, at }| {
        let position = match at {
            At::Back(events) => end - events,
            At::Position(position) => position,
        };
        Executed { id, version, position, created, replayed: true, parts }
    });
    Ok(executed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_of_a_unit_is_answered_again_as_it_was() {
        let parts: Parts = r#"{"task_id":"00000000-0000-0000-0000-000000000007"}"#.parse().unwrap();
        let answer = |n, at, parts| Answer { id: Uuid::from_u128(n), version: 3, created: n == 1, parts, at };
        let answers =
            [answer(1, Ok(0), parts), answer(2, Err(17), Parts::default()), answer(3, Ok(2), Parts::default())];
        let stored = store(&answers, 3).unwrap();
        let again = replayed(Outcome::Replayed {
            id: Uuid::from_u128(3),
            version: 3,
            position: 43,
            created: false,
            parts: Some(stored),
        });
        let first = answers.map(|answer| Executed { replayed: true, ..answer.executed(40) });
        assert_eq!(first.each_ref().map(|executed| executed.position), [41, 17, 43]);
        assert_eq!(again.unwrap(), first);
    }
}
