//! The links that portal users asked for. Each is made when its email is written, so that it stands nowhere else; an email that is
//! tried again has another one.

use crate::addresses::Addresses;
use crate::email::{self, LINK_MINUTES};
use crate::note::Noted;
use crate::people::Person;
use crate::{Office, note};
use anyhow::Result;
use chrono::{DateTime, Utc};
use credentials::magic_link::MagicLink;
use event_store::Log;
use kernel::{PortalUserId, TenantId};
use reactions::{EXHAUSTED, Job, Lane, NewJob, OnFailure, Outcome, Reaction, Retry, catch_up, put};
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

/// Hours for which it is known that an address has asked.
const KEPT_HOURS: i32 = 1;

/// Sends links.
pub struct MagicLinks(pub Office);

impl Reaction for MagicLinks {
    const NAME: &'static str = "email.magic_link";
    /// Requests come from people, not from events.
    const ON: &'static [&'static str] = &[];
    /// After ten minutes of trying whoever asked has asked again or gone. A link that waits for its turn is not given up.
    const RETRY: Retry =
        Retry { first: Duration::from_secs(20), most: Duration::from_secs(30), within: Some(Duration::from_secs(600)) };
    const ON_FAILURE: OnFailure = OnFailure::Drop;

    async fn perform(&self, job: &Job) -> Outcome {
        let person = match self.person(job).await {
            Ok(Some(person)) => person,
            Ok(None) => return Outcome::Done,
            Err(error) => return Outcome::Later(None, format!("{error:#}")),
        };
        let Office { people, store, server, links, .. } = &self.0;
        let link = MagicLink::make(person.tenant, person.id);
        let firm = match people.firm(person.tenant).await {
            Ok(firm) => firm.unwrap_or_else(|| "a firm".to_owned()),
            Err(error) => return Outcome::Later(None, format!("{error:#}")),
        };
        let email = match email::magic_link(&person, &firm, &link, &server.from, links) {
            Ok(email) => email,
            Err(error) => return Outcome::Never("not_written", format!("{error:#}")),
        };
        if let Err(error) = keep(people.0.pool(), &link).await {
            return Outcome::Later(None, error.to_string());
        }
        let outcome = server.send(email).await;
        // Most emails reach whom they are for, as before.
        if outcome == Outcome::Done
            && person.email_failed
            && let Err(error) = note::magic_link(store, &person, Noted::Sent).await
        {
            return Outcome::Later(None, format!("{error:#}"));
        }
        outcome
    }

    /// Only what a mail server refuses for good is on the record: one that is away says nothing about the person.
    async fn given_up(&self, job: &Job, code: &str, why: &str) -> Result<()> {
        match self.person(job).await? {
            Some(person) if code != EXHAUSTED => note::magic_link(&self.0.store, &person, Noted::Failed(why)).await,
            _ => Ok(()),
        }
    }
}

impl MagicLinks {
    /// Whom the link is for, if the person comes in.
    async fn person(&self, job: &Job) -> Result<Option<Person>> {
        let Some(id) = job.subject else { return Ok(None) };
        let person = self.0.people.portal_user(job.tenant, PortalUserId(id)).await?;
        Ok(person.filter(|person| person.comes_in))
    }
}

/// Keeps what a link hashes to; the person's older one is void from now on.
async fn keep(pool: &PgPool, link: &MagicLink) -> sqlx::Result<()> {
    let sql = "insert into login.magic_links as l (tenant_id, portal_user_id, purpose, secret_hash, expires_at)
               values ($1, $2, 'login', $3, now() + make_interval(mins => $4))
               on conflict (tenant_id, portal_user_id, purpose) do update
               set secret_hash = excluded.secret_hash, made_at = now(), expires_at = excluded.expires_at, used_at = null";
    let kept = sqlx::query(sql).bind(link.tenant.0).bind(link.portal_user.0).bind(link.hash());
    kept.bind(i32::try_from(LINK_MINUTES).unwrap_or(i32::MAX)).execute(pool).await.map(drop)
}

/// Makes a job of every portal user whose address asks for a link; answers how many. Whoever asks for an address that nobody has, or
/// for a firm that there is not, waits for nothing: all of them are done in one statement, however many they are.
pub async fn take_in_requests(log: &Log) -> Result<usize> {
    let pool = log.pool();
    let open = "select max(asked_at) from login.portal_requests where is_open";
    let asked: Option<DateTime<Utc>> = sqlx::query_scalar(open).fetch_one(pool).await?;
    let mut found: Vec<(Uuid, Uuid)> = vec![];
    if let Some(asked) = asked {
        // What was asked before the log was looked at is answered by what is in it.
        catch_up(log, &Addresses(log.clone())).await?;
        let mut tx = event_store::begin(pool).await?;
        let sql = "with answered as (
                       update login.portal_requests r set is_open = false where r.is_open and r.asked_at <= $1
                       returning r.tenant_id, r.address_hash)
                   select distinct a.tenant_id, a.portal_user_id
                   from answered join login.portal_addresses a using (tenant_id, address_hash)";
        found = sqlx::query_as(sql).bind(asked).fetch_all(&mut *tx).await?;
        let job = |(tenant, id): &(Uuid, Uuid)| NewJob {
            tenant: TenantId(*tenant),
            lane: Lane::of(id),
            // Whoever asks while a link is due or on its way gets that one.
            key: id.to_string(),
            position: None,
            subject: Some(*id),
        };
        let jobs: Vec<NewJob> = found.iter().map(job).collect();
        put(&mut tx, MagicLinks::NAME, &jobs, true).await?;
        tx.commit().await?;
    }
    let sql = "delete from login.portal_requests where asked_at < now() - make_interval(hours => $1) and not is_open";
    sqlx::query(sql).bind(KEPT_HOURS).execute(pool).await?;
    Ok(found.len())
}
