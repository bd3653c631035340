//! Answers that are kept in Redis for a moment, so that what was put together just now is not put together again.
//!
//! Redis decides nothing. An answer is kept with how far every read model was *before* it was read, and it is given again only if
//! the log has no event since then that concerns whom it is about: PostgreSQL says so for each request, after `Min-Position` was reached. So
//! no answer is older than one that would be read now, whatever Redis lost, kept too long or was given by somebody else; what
//! changes rows without an event (an erasure, a stream that is no longer parked) is bounded by how long the
//! [`Cache`] keeps anything. What is kept is sealed with the firm's keys.

use crate::api::Api;
use crate::cache::Cache;
use crate::question::read;
use ::web::{Caller, Problem};
use kernel::Resource;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Positions that are looked through for an event that concerns somebody; where more came since, the answer is read anew.
const POSITIONS_MAX: i64 = 2_000;
/// Bytes of an answer that is kept.
const BYTES_MAX: usize = 512 << 10;

/// How far each read model is: its version and its position.
type Seen = BTreeMap<String, (i32, i64)>;

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    seen: Seen,
    body: String,
}

/// An answer that may be kept: what it is, for whom it is the same, and whom it is about.
pub(crate) struct Keeping<'a> {
    cache: &'a Cache,
    key: String,
    about: Resource,
    streams: Vec<&'static str>,
    seen: Seen,
}

impl<'a> Keeping<'a> {
    /// None if nothing is kept here. `what` says everything that the answer depends on besides the log: the question, its
    /// parameters, the caller's rights, the shape of the rows. An event concerns the answer if it concerns `about`, or is of one of
    /// `streams`. It is called before anything of the answer is read.
    pub async fn begin(
        api: &'a Api,
        caller: &Caller,
        what: &str,
        (about, streams): (Resource, Vec<&'static str>),
        groups: &[&str],
    ) -> Result<Option<Self>, Problem> {
        let (Some(cache), Some(_)) = (api.cache(), api.vault()) else { return Ok(None) };
        let seen = seen(api, caller, groups).await?;
        let digest: String = Sha256::digest(what).iter().map(|byte| format!("{byte:02x}")).collect();
        let key = format!("ubos:answer:{}:{about}:{digest}", caller.tenant);
        Ok(Some(Self { cache, key, about, streams, seen }))
    }

    /// The answer, if it is kept and would be the same now.
    pub async fn kept(&self, api: &Api, caller: &Caller) -> Result<Option<String>, Problem> {
        let Some(sealed) = self.cache.get(&self.key).await else { return Ok(None) };
        let Some(vault) = api.vault() else { return Ok(None) };
        // What does not open was sealed with other keys, or by nobody who has them.
        let Ok(keys) = vault.tenant(caller.tenant.0).await else { return Ok(None) };
        let Ok(text) = keys.open_copy(&self.key, &sealed) else { return Ok(None) };
        let Ok(kept) = serde_json::from_slice::<Kept>(&text) else { return Ok(None) };
        let Some((from, to)) = between(&kept.seen, &self.seen) else { return Ok(None) };
        if from < to && self.concerned(api, caller, (from, to)).await? {
            return Ok(None);
        }
        Ok(Some(kept.body))
    }

    /// Keeps the answer, which was read after [`Keeping::begin`].
    pub async fn keep(self, api: &Api, caller: &Caller, body: &str) {
        if body.len() > BYTES_MAX {
            return;
        }
        let Some(vault) = api.vault() else { return };
        let Ok(keys) = vault.tenant(caller.tenant.0).await else { return };
        let kept = Kept { seen: self.seen, body: body.to_owned() };
        let sealed = serde_json::to_vec(&kept).ok().and_then(|text| keys.seal_copy(&self.key, &text).ok());
        if let Some(sealed) = sealed {
            self.cache.put(&self.key, sealed).await;
        }
    }

    /// Is there an event of the firm after the one position and up to the other that concerns the answer?
    async fn concerned(&self, api: &Api, caller: &Caller, (after, until): (i64, i64)) -> Result<bool, Problem> {
        let sql = "select exists (
                       select from eventstore.events e
                       where e.tenant_id = t.tenant::uuid and e.position > $2 and e.position <= $3
                         and ((e.metadata -> 'concerns')::jsonb @> $4::jsonb or e.aggregate_type = any($5)))";
        let concerns = json!([self.about]).to_string();
        let streams = self.streams.clone();
        let found =
            read::<(bool,)>(api, caller, sql, |asked| asked.bind(after).bind(until).bind(concerns).bind(streams));
        Ok(found.await?.first().is_none_or(|(concerned,)| *concerned))
    }
}

/// The positions that nobody has looked at, if what was kept may still be right: it is of the same read models, none of which is
/// further back than it was, and not too much has happened.
fn between(kept: &Seen, now: &Seen) -> Option<(i64, i64)> {
    let same = kept.len() == now.len()
        && kept.iter().all(|(group, (version, position))| {
            now.get(group).is_some_and(|(now, reached)| now == version && reached >= position)
        });
    let from = kept.values().map(|(_, position)| *position).min()?;
    let to = now.values().map(|(_, position)| *position).max()?;
    (same && to - from <= POSITIONS_MAX).then_some((from, to))
}

async fn seen(api: &Api, caller: &Caller, groups: &[&str]) -> Result<Seen, Problem> {
    let sql = "select c.group_name, c.version, c.position from projections.checkpoints c
               where c.slot = 'live' and c.group_name = any($2) and t.tenant is not null";
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let rows: Vec<(String, i32, i64)> = read(api, caller, sql, |asked| asked.bind(groups)).await?;
    Ok(rows.into_iter().map(|(group, version, position)| (group, (version, position))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(all: &[(&str, i32, i64)]) -> Seen {
        all.iter().map(|(group, version, position)| ((*group).to_owned(), (*version, *position))).collect()
    }

    #[test]
    fn what_was_kept_counts_for_the_same_read_models_that_went_on() {
        let kept = seen(&[("crm", 1, 10), ("projects", 2, 30)]);
        assert_eq!(between(&kept, &kept), Some((10, 30)), "the slower one may have missed what the faster one knew");
        assert_eq!(between(&kept, &seen(&[("crm", 1, 40), ("projects", 2, 30)])), Some((10, 40)));
        for other in [
            seen(&[("crm", 1, 9), ("projects", 2, 30)]),
            seen(&[("crm", 2, 10), ("projects", 2, 30)]),
            seen(&[("crm", 1, 10)]),
            seen(&[("crm", 1, 10), ("files", 2, 30)]),
            seen(&[("crm", 1, 10), ("projects", 2, 10 + POSITIONS_MAX + 1)]),
            Seen::new(),
        ] {
            assert_eq!(between(&kept, &other), None, "{other:?}");
        }
    }
}
