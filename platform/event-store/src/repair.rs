//! Puts something else in the place of an event that cannot be applied. The log is not touched: a repair lies beside it, and
//! every reader finds it there.

use crate::log::Log;
use crate::raw_event::RawEvent;
use crate::seal::{self, Place};
use anyhow::{Context, Result};
use kernel::EventEntry;
use std::collections::HashMap;

impl Log {
    /// Has every reader see `payload`, of today's version of `entry`, at the place of this event. What is personal in it is
    /// sealed with the key of the event's stream.
    ///
    /// # Errors
    /// When the payload says something personal of a stream that has no key, because its person was erased, and when database
    /// or keys are away.
    pub async fn repair(&self, event: &RawEvent, entry: &EventEntry, payload: &str, reason: &str) -> Result<()> {
        let sealed = self.seal(event, entry, payload).await?;
        sqlx::query("select eventstore.repair($1, $2, $3, $4, $5)")
            .bind(event.position)
            .bind(entry.event_type)
            .bind(i32::try_from(entry.version)?)
            .bind(sealed)
            .bind(reason)
            .execute(self.pool())
            .await
            .context("keeping the repair")?;
        Ok(())
    }

    async fn seal(&self, event: &RawEvent, entry: &EventEntry, payload: &str) -> Result<String> {
        let (Some(vault), Some(holes)) = (self.vault(), seal::holes(entry, payload)?) else {
            return Ok(payload.to_owned());
        };
        let stream = (event.tenant_id.0, event.aggregate_id);
        let subjects = vault.subjects(&HashMap::from([(stream, 1)])).await.context("asking for the stream's key")?;
        let key = subjects.get(&stream).and_then(|subject| subject.current().cloned());
        let key = key.context("the stream has no key to seal with: leave out what is personal")?;
        let place = Place {
            aggregate_type: &event.aggregate_type,
            sequence: event.sequence,
            event_type: entry.event_type,
            event_version: entry.version,
        };
        Ok(seal::seal(&key, place, payload, &holes))
    }
}
