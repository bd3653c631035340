//! The links that portal users asked for. Addresses are compared by what they hash to; the email's own address is read from
//! the log when it is written.

use crate::queue::Queue;
use anyhow::Result;
use catalogue::AnyEvent;
use chrono::{DateTime, Utc};
use credentials::magic_link::{MagicLink, address_hash, login_hash};
use identity_events::UserEvent;
use kernel::{Email, Name, PortalUserId, TenantId};
use portal_events::PortalUserEvent;
use uuid::Uuid;

/// How long a link is good.
pub const LINK_MINUTES: u32 = 15;
/// How long an email is tried to be sent, from the first time; after that whoever asked has asked again or gone. An email
/// that waits for its turn is not given up.
const TRIED_MINUTES: u32 = 10;
/// Seconds for which a mailer has a request to itself; a mail server may take 20 of them for each email.
const LEASE_SECONDS: u32 = 120;
/// Seconds after which an email is tried again that could not be sent.
const AGAIN_SECONDS: u32 = 20;
/// Hours for which it is known that an address has asked.
const KEPT_HOURS: u32 = 1;
/// Events of the log that are looked through at once.
const PIECE: i64 = 100_000;

/// An address that asks for a link.
#[derive(Debug, sqlx::FromRow)]
pub struct Asked {
    tenant_id: Uuid,
    address_hash: Vec<u8>,
}

/// Somebody with a place in a portal, as the log says.
#[derive(Debug)]
pub struct Person {
    /// The firm.
    pub tenant: TenantId,
    /// Who.
    pub id: PortalUserId,
    /// What the person is called.
    pub name: Name,
    /// Where emails go.
    pub email: Email,
    /// Does the person come in, or would with the open invitation?
    comes_in: bool,
    /// Could the newest email to the person not be sent?
    pub email_failed: bool,
}

impl Queue {
    /// Notes the addresses of users and portal users that the log has since the last time, and which of the requests since
    /// then are theirs. Whoever asks for an address that nobody has, or for a firm that there is not, waits for nothing: all of
    /// them are done in one statement, however many they are.
    pub async fn take_in_addresses(&self) -> Result<()> {
        // What was asked before the log was looked at is answered by what is in it.
        let asked: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp()").fetch_one(&self.pool).await?;
        self.follow_addresses().await?;
        let sql = "update login.portal_requests r
                   set is_known = found.is_known, due_at = case when found.is_known then r.due_at end
                   from (select n.tenant_id, n.address_hash, exists (
                             select from login.portal_addresses a
                             where a.tenant_id = n.tenant_id and a.address_hash = n.address_hash) as is_known
                         from login.portal_requests n
                         where n.due_at is not null and not n.is_known and n.asked_at <= $1) found
                   where r.tenant_id = found.tenant_id and r.address_hash = found.address_hash and not r.is_known";
        sqlx::query(sql).bind(asked).execute(&self.pool).await?;
        let sql = "delete from login.portal_requests
                   where asked_at < now() - make_interval(hours => $1) and due_at is null";
        sqlx::query(sql).bind(KEPT_HOURS as i32).execute(&self.pool).await?;
        Ok(())
    }

    async fn follow_addresses(&self) -> Result<()> {
        loop {
            let mut tx = event_store::begin(&self.pool).await?;
            let sql = "select i.position, h.position from login.intake i, eventstore.head h for update of i";
            let (after, head): (i64, i64) = sqlx::query_as(sql).fetch_one(&mut *tx).await?;
            let upto = head.min(after + PIECE);
            if upto == after {
                return Ok(());
            }
            let sql = "select e.position from eventstore.events e
                       where (e.domain = 'portal' and e.event_type = 'portal_user.created'
                              or e.domain = 'identity' and e.event_type = 'user.invited')
                         and e.position > $1 and e.position <= $2";
            let created: Vec<i64> = sqlx::query_scalar(sql).bind(after).bind(upto).fetch_all(&mut *tx).await?;
            for position in created {
                let event = catalogue::decode(self.event(position).await?)?;
                let (sql, hash) = match &event.payload {
                    AnyEvent::PortalUser(PortalUserEvent::Created { email, .. }) => (
                        "insert into login.portal_addresses (tenant_id, address_hash, portal_user_id) values ($1, $2, $3)
                         on conflict do nothing",
                        email.expose().map(|email| address_hash(event.tenant_id, email)),
                    ),
                    AnyEvent::User(UserEvent::Invited { email, .. }) => (
                        "insert into login.addresses (tenant_id, address_hash, user_id) values ($1, $2, $3)
                         on conflict do nothing",
                        email.expose().map(login_hash),
                    ),
                    _ => continue,
                };
                // Whoever was erased is found by no address.
                let Some(hash) = hash else { continue };
                let insert = sqlx::query(sql).bind(event.tenant_id.0).bind(hash).bind(event.aggregate_id);
                insert.execute(&mut *tx).await?;
            }
            sqlx::query("update login.intake set position = $1").bind(upto).execute(&mut *tx).await?;
            tx.commit().await?;
        }
    }

    /// Takes a request that is due, if one is: of the firm whose turn is longest ago the one that is due for longest.
    pub async fn take_request(&self) -> Result<Option<Asked>> {
        let sql = "with recursive firms as (
                       (select tenant_id from login.portal_requests where is_known and due_at <= now()
                        order by tenant_id limit 1)
                       union all
                       select (select r.tenant_id from login.portal_requests r
                               where r.is_known and r.due_at <= now() and r.tenant_id > f.tenant_id
                               order by r.tenant_id limit 1)
                       from firms f where f.tenant_id is not null),
                   turn as (
                       select firm.tenant_id, request.address_hash
                       from (select f.tenant_id from firms f left join mail.turns t using (tenant_id)
                             where f.tenant_id is not null order by t.taken_at nulls first) firm
                       cross join lateral (
                           select r.address_hash from login.portal_requests r
                           where r.tenant_id = firm.tenant_id and r.is_known and r.due_at <= now()
                           order by r.due_at limit 1 for update skip locked) request
                       limit 1),
                   taken as (
                       update login.portal_requests r
                       set due_at = now() + make_interval(secs => $1), tried_since = coalesce(r.tried_since, now())
                       from turn where r.tenant_id = turn.tenant_id and r.address_hash = turn.address_hash
                       returning r.tenant_id, r.address_hash),
                   noted as (
                       insert into mail.turns (tenant_id, taken_at) select tenant_id, clock_timestamp() from taken
                       on conflict (tenant_id) do update set taken_at = excluded.taken_at)
                   select tenant_id, address_hash from taken";
        Ok(sqlx::query_as(sql).bind(f64::from(LEASE_SECONDS)).fetch_optional(&self.pool).await?)
    }

    /// There is nothing to do for it any more, unless an email is to be tried again.
    pub async fn request_done(&self, asked: &Asked, put_off: bool) -> Result<()> {
        let sql = "update login.portal_requests
                   set due_at = case when $3 and tried_since > now() - make_interval(mins => $5)
                                     then now() + make_interval(secs => $4) end
                   where tenant_id = $1 and address_hash = $2";
        let done = sqlx::query(sql).bind(asked.tenant_id).bind(&asked.address_hash).bind(put_off);
        done.bind(f64::from(AGAIN_SECONDS)).bind(TRIED_MINUTES as i32).execute(&self.pool).await?;
        Ok(())
    }

    /// Who has a place in the firm's portal at this address and comes in, at every client.
    pub async fn portal_users_at(&self, asked: &Asked) -> Result<Vec<Person>> {
        let sql = "select portal_user_id from login.portal_addresses where tenant_id = $1 and address_hash = $2";
        let found = sqlx::query_scalar(sql).bind(asked.tenant_id).bind(&asked.address_hash);
        let ids: Vec<Uuid> = found.fetch_all(&self.pool).await?;
        let mut people = vec![];
        for id in ids {
            let person = self.portal_user(TenantId(asked.tenant_id), PortalUserId(id)).await?;
            people.extend(person.filter(|person| person.comes_in));
        }
        Ok(people)
    }

    /// A portal user as the log has it.
    pub async fn portal_user(&self, tenant: TenantId, id: PortalUserId) -> Result<Option<Person>> {
        let mut found = None;
        for event in self.log.read_stream(tenant, id.0, 0, i64::MAX).await? {
            let AnyEvent::PortalUser(event) = catalogue::decode(event)?.payload else { continue };
            match (event, &mut found) {
                (PortalUserEvent::Created { name, email, .. }, _) => {
                    // Nobody writes to whoever was erased.
                    let Some((name, email)) = name.expose().cloned().zip(email.expose().cloned()) else {
                        return Ok(None);
                    };
                    found = Some(Person { tenant, id, name, email, comes_in: false, email_failed: false });
                }
                (PortalUserEvent::Invited { .. }, Some(person)) => {
                    (person.comes_in, person.email_failed) = (true, false);
                }
                (PortalUserEvent::Activated { .. } | PortalUserEvent::Unlocked {}, Some(person)) => {
                    person.comes_in = true;
                }
                (
                    PortalUserEvent::InvitationRevoked { .. }
                    | PortalUserEvent::Locked { .. }
                    | PortalUserEvent::Disabled {},
                    Some(person),
                ) => person.comes_in = false,
                (PortalUserEvent::EmailFailed { .. }, Some(person)) => person.email_failed = true,
                (PortalUserEvent::EmailSent {}, Some(person)) => person.email_failed = false,
                _ => {}
            }
        }
        Ok(found)
    }

    /// Keeps what a link hashes to; the person's older one is void from now on.
    pub async fn keep_link(&self, link: &MagicLink) -> Result<()> {
        let sql = "insert into login.magic_links as l (tenant_id, portal_user_id, purpose, secret_hash, expires_at)
                   values ($1, $2, 'login', $3, now() + make_interval(mins => $4))
                   on conflict (tenant_id, portal_user_id, purpose) do update
                   set secret_hash = excluded.secret_hash, made_at = now(), expires_at = excluded.expires_at, used_at = null";
        let kept = sqlx::query(sql).bind(link.tenant.0).bind(link.portal_user.0).bind(link.hash());
        kept.bind(LINK_MINUTES as i32).execute(&self.pool).await?;
        Ok(())
    }
}
