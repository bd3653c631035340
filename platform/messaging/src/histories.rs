//! Under which name each position is published.
//!
//! A log that was restored to an earlier moment goes on under another name. Positions up to that moment keep the name
//! they were written under, so a pair of log and position means one event for ever, whatever is restored.

use sqlx::PgPool;
use uuid::Uuid;

/// The histories of this log, the first one first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histories(Vec<History>);

#[derive(Debug, Clone)]
struct History {
    number: i32,
    after_position: i64,
    log_id: String,
}

impl Histories {
    /// As stored; empty before the first relay has led.
    pub async fn load(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let sql = "select number, after_position, log_id from eventstore.histories order by number";
        let rows: Vec<(i32, i64, Uuid)> = sqlx::query_as(sql).fetch_all(pool).await?;
        let history =
            |(number, after_position, id): (i32, i64, Uuid)| History { number, after_position, log_id: id.to_string() };
        Ok(Self(rows.into_iter().map(history).collect()))
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there have been.
    pub fn number(&self) -> i32 {
        self.0.last().map_or(0, |history| history.number)
    }

    /// The name under which a position is published.
    pub fn log_at(&self, position: i64) -> &str {
        let history = self.0.iter().rev().find(|history| history.after_position < position);
        history.map_or("", |history| &history.log_id)
    }

    /// Whether a message of that log with that position is, or may become, one of this log as it is now.
    pub fn is_ours(&self, position: i64, log_id: &str) -> bool {
        position > 0 && self.log_at(position) == log_id
    }

    /// How much of what a reader had seen, up to a position of a log, is still so.
    pub fn kept(&self, position: i64, log_id: &str) -> i64 {
        let Some(seen) = self.0.iter().position(|history| history.log_id == log_id) else { return 0 };
        let later = self.0[seen + 1..].iter().map(|history| history.after_position).min();
        later.unwrap_or(position).min(position)
    }

    /// Whether it was one of this log and was taken back when the log was restored.
    pub fn is_taken_back(&self, position: i64, log_id: &str) -> bool {
        !self.is_ours(position, log_id) && self.0.iter().any(|history| history.log_id == log_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histories(list: &[(i64, &str)]) -> Histories {
        let history = |(index, (after, id)): (usize, &(i64, &str))| History {
            number: i32::try_from(index).unwrap() + 1,
            after_position: *after,
            log_id: (*id).to_owned(),
        };
        Histories(list.iter().enumerate().map(history).collect())
    }

    #[test]
    fn positions_keep_the_name_they_were_written_under() {
        let once = histories(&[(0, "a"), (10, "b")]);
        assert_eq!((once.log_at(1), once.log_at(10), once.log_at(11)), ("a", "a", "b"));
        assert!(once.is_ours(10, "a") && once.is_ours(11, "b"));
        assert!(once.is_taken_back(11, "a") && !once.is_taken_back(11, "stranger") && !once.is_taken_back(3, "a"));
    }

    #[test]
    fn a_second_restore_to_an_earlier_moment_takes_back_what_the_first_one_led_to() {
        let twice = histories(&[(0, "a"), (10, "b"), (5, "c")]);
        assert_eq!((twice.log_at(5), twice.log_at(6), twice.log_at(12)), ("a", "c", "c"));
        assert!(twice.is_taken_back(7, "a") && twice.is_taken_back(11, "b"));
        assert_eq!((twice.kept(12, "a"), twice.kept(12, "b"), twice.kept(12, "c")), (5, 5, 12));
        assert_eq!((twice.kept(3, "a"), twice.kept(3, "stranger")), (3, 0));
        let at_the_same_place = histories(&[(0, "a"), (10, "b"), (10, "c")]);
        assert_eq!(at_the_same_place.log_at(11), "c");
    }
}
