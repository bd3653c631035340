//! Sessions of browsers: a cookie that says nothing, and in Redis what it stands for. Redis may lose it, which costs a login;
//! it can never bring a session back that was ended, because that is in the log.

use crate::problem::{Problem, code};
use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::header::ORIGIN;
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kernel::{Principal, SecretHash, SessionId, TenantId};
use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// A browser only takes it from this very host, over TLS or from this machine (RFC 6265bis §4.1.3.2).
pub const SESSION_COOKIE: &str = "__Host-ubos_session";
/// The same for a portal user: a cookie of its own, so that one kind of session is never taken for the other.
pub const PORTAL_COOKIE: &str = "__Host-ubos_portal";
/// Where a request that changes something shows the token that only the session's own pages can read.
pub const CSRF_HEADER: &str = "x-csrf-token";
/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long sessions last, and whose pages may use them.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// A session that is not used for so long is over.
    pub idle: Duration,
    /// A session is over after so long, however much it is used.
    pub absolute: Duration,
    /// The same two for a portal user.
    pub portal_idle: Duration,
    /// See above.
    pub portal_absolute: Duration,
    /// Sessions of one person at the same time; the oldest ends when there is one more.
    pub per_person_max: usize,
    /// Origins whose pages may ask for changes: `https://app.example.com`.
    pub origins: Vec<String>,
}

/// What a cookie stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session's id in the log.
    pub id: SessionId,
    /// The firm.
    pub tenant: TenantId,
    /// Who came in.
    pub principal: Principal,
    /// When it ends however much it is used, in seconds since 1970.
    pub ends_at: i64,
    /// What a page of the session shows when it asks for a change.
    pub csrf_token: String,
}

/// Whose sessions: each kind has its own cookie, its own place in Redis and its own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A user of the firm.
    Staff,
    /// A portal user.
    Portal,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Staff, Self::Portal];

    fn of(principal: Principal) -> Self {
        match principal {
            Principal::PortalUser { .. } => Self::Portal,
            Principal::User { .. } | Principal::ServiceAccount { .. } => Self::Staff,
        }
    }

    fn cookie(self) -> &'static str {
        match self {
            Self::Staff => SESSION_COOKIE,
            Self::Portal => PORTAL_COOKIE,
        }
    }

    /// Whoever reads Redis finds no cookie to show, and nothing that a browser sends gets into a key.
    fn key(self, value: &str) -> String {
        let name = match self {
            Self::Staff => "session",
            Self::Portal => "portal",
        };
        format!("ubos:{name}:{}", SecretHash::of(value))
    }
}

/// What a browser shows.
#[derive(Debug, Clone)]
pub struct Shown {
    kind: Kind,
    value: String,
}

/// Where sessions are kept. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    redis: ConnectionManager,
    settings: SessionSettings,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Connects to Redis, now and again whenever the connection is lost.
    pub async fn connect(url: &str, settings: SessionSettings) -> Result<Self> {
        Self::connect_with(redis::Client::open(url).context("settings: redis.url")?, settings).await
    }

    /// The same with a client that knows more than a URL: files for TLS.
    pub async fn connect_with(client: redis::Client, settings: SessionSettings) -> Result<Self> {
        let config =
            ConnectionManagerConfig::new().set_response_timeout(Some(PATIENCE)).set_connection_timeout(Some(PATIENCE));
        // The address alone: what is shown of a client's URL may not be its password.
        let place = client.get_connection_info().addr().to_string();
        let redis = ConnectionManager::new_with_config(client, config).await;
        let redis = redis.with_context(|| format!("Redis at {place}, where sessions are kept, cannot be reached"))?;
        Ok(Self { redis, settings })
    }

    /// How long sessions last.
    pub fn settings(&self) -> &SessionSettings {
        &self.settings
    }

    /// How long sessions of this person last at most.
    pub fn absolute(&self, principal: Principal) -> Duration {
        match Kind::of(principal) {
            Kind::Staff => self.settings.absolute,
            Kind::Portal => self.settings.portal_absolute,
        }
    }

    /// Keeps a session of a person who has just shown who they are. Answers the cookie for the browser, and the person's
    /// oldest sessions that are too many now: nothing shows them any more, and whoever called says so in the log.
    pub async fn start(
        &self,
        id: SessionId,
        tenant: TenantId,
        principal: Principal,
    ) -> Result<(Cookie<'static>, Vec<SessionId>)> {
        let (kind, shown, absolute) = (Kind::of(principal), random(), self.absolute(principal));
        let ends_at = chrono::Utc::now().timestamp() + seconds(absolute);
        let session = Session { id, tenant, principal, ends_at, csrf_token: random() };
        let (text, key) = (serde_json::to_string(&session)?, kind.key(&shown));
        let () = self.redis.clone().set_ex(&key, text, self.idle_seconds(kind)).await?;
        let too_many = self.note(tenant, principal, &format!("{id} {key}"), absolute).await?;
        Ok((cookie(kind, shown, Some(absolute)), too_many))
    }

    /// Notes a session among those of its person, takes the oldest out that are too many, and forgets them.
    async fn note(
        &self,
        tenant: TenantId,
        principal: Principal,
        session: &str,
        absolute: Duration,
    ) -> Result<Vec<SessionId>> {
        let mut redis = self.redis.clone();
        let list = list_of(tenant, principal);
        let mut pipe = redis::pipe();
        pipe.zadd(&list, session, chrono::Utc::now().timestamp_micros()).ignore();
        pipe.expire(&list, seconds(absolute)).ignore().zrange(&list, 0, -1);
        let (noted,): (Vec<String>,) = pipe.query_async(&mut redis).await?;
        if noted.len() <= self.settings.per_person_max {
            return Ok(vec![]);
        }
        // Those that have ended since are not counted.
        let mut live = vec![];
        for entry in noted {
            match entry.split_once(' ') {
                Some((id, key)) if redis.exists::<_, bool>(key).await? => {
                    live.push((id.parse::<SessionId>().ok(), key.to_owned(), entry.clone()));
                }
                _ => redis.zrem::<_, _, ()>(&list, &entry).await?,
            }
        }
        let too_many = live.len().saturating_sub(self.settings.per_person_max);
        let mut ended = vec![];
        for (id, key, entry) in live.into_iter().take(too_many) {
            redis::pipe().del(key).ignore().zrem(&list, entry).ignore().query_async::<()>(&mut redis).await?;
            ended.extend(id);
        }
        Ok(ended)
    }

    /// What a cookie stands for, which lives on for being used.
    pub async fn find(&self, shown: &Shown) -> Result<Option<Session>> {
        let idle = redis::Expiry::EX(self.idle_seconds(shown.kind));
        let text: Option<String> = self.redis.clone().get_ex(shown.kind.key(&shown.value), idle).await?;
        // Whatever cannot be read was written by another version, and costs a login.
        let session = text.and_then(|text| serde_json::from_str::<Session>(&text).ok());
        let now = chrono::Utc::now().timestamp();
        Ok(session.filter(|session| now < session.ends_at && Kind::of(session.principal) == shown.kind))
    }

    /// Forgets what a cookie stands for; answers the cookie that takes it from the browser.
    pub async fn forget(&self, shown: &Shown) -> Result<Cookie<'static>> {
        let () = self.redis.clone().del(shown.kind.key(&shown.value)).await?;
        Ok(cookie(shown.kind, String::new(), Some(Duration::ZERO)))
    }

    /// Forgets whatever a browser had before somebody comes in, so that nobody can have planted it, and so that it has one
    /// session at most; answers the cookies that take it from the browser.
    pub async fn forget_all(&self, request: &HttpRequest) -> Result<Vec<Cookie<'static>>> {
        let mut taken = vec![];
        for shown in all_shown(request) {
            taken.push(self.forget(&shown).await?);
        }
        Ok(taken)
    }

    /// Keeps something for a login under way.
    pub async fn put_aside(&self, name: &str, text: &str, time: Duration) -> Result<()> {
        let time = u64::try_from(seconds(time)).unwrap_or(1);
        Ok(self.redis.clone().set_ex(aside(name), text, time).await?)
    }

    /// Takes it back; whoever comes second finds nothing.
    pub async fn take_back(&self, name: &str) -> Result<Option<String>> {
        Ok(self.redis.clone().get_del(aside(name)).await?)
    }

    /// Refuses a change that the session's own pages did not ask for (OWASP CSRF: synchroniser token, and the page's origin).
    pub fn guard(&self, request: &HttpRequest, session: &Session) -> Result<(), Problem> {
        if request.method().is_safe() {
            return Ok(());
        }
        let header = |name: &str| {
            let mut all = request.headers().get_all(name).map(|value| value.to_str().unwrap_or_default());
            all.next().filter(|_| all.next().is_none())
        };
        let refuse = |detail: &str| Err(Problem::new(&code::CSRF_REFUSED, detail));
        if !header(ORIGIN.as_str()).is_some_and(|origin| self.settings.origins.iter().any(|known| known == origin)) {
            return refuse("expected an Origin header of one of the pages that may ask for changes");
        }
        let shown = header(CSRF_HEADER).unwrap_or_default();
        // Hashes are compared, so that the time it takes tells nothing about the token.
        if SecretHash::of(shown) != SecretHash::of(&session.csrf_token) {
            return refuse("expected the session's csrf_token in X-CSRF-Token; GET /v1/login/session tells it");
        }
        Ok(())
    }

    fn idle_seconds(&self, kind: Kind) -> u64 {
        let idle = match kind {
            Kind::Staff => self.settings.idle,
            Kind::Portal => self.settings.portal_idle,
        };
        idle.as_secs().max(1)
    }
}

/// The only session that a request shows: of two, one is not meant.
pub fn shown(request: &HttpRequest) -> Option<Shown> {
    let mut all = all_shown(request).into_iter();
    all.next().filter(|_| all.next().is_none())
}

fn all_shown(request: &HttpRequest) -> Vec<Shown> {
    let Ok(cookies) = request.cookies() else { return vec![] };
    let kind = |name: &str| Kind::ALL.into_iter().find(|kind| kind.cookie() == name);
    let shown = |cookie: &Cookie<'_>| Some(Shown { kind: kind(cookie.name())?, value: cookie.value().to_owned() });
    cookies.iter().filter_map(shown).collect()
}

/// A cookie that no script reads and no other site's form sends.
pub fn private_cookie(name: impl Into<Cow<'static, str>>, value: String, lives: Option<Duration>) -> Cookie<'static> {
    let cookie = Cookie::build(name, value).path("/").http_only(true).secure(true).same_site(SameSite::Lax);
    match lives {
        Some(lives) => cookie.max_age(time::Duration::seconds(seconds(lives))).finish(),
        None => cookie.finish(),
    }
}

/// 256 bits of chance as text.
pub fn random() -> String {
    BASE64.encode(rand::random::<[u8; 32]>())
}

fn cookie(kind: Kind, value: String, lives: Option<Duration>) -> Cookie<'static> {
    private_cookie(kind.cookie(), value, lives)
}

/// The sessions of one person, the oldest first.
fn list_of(tenant: TenantId, principal: Principal) -> String {
    let who = match principal {
        Principal::User { id } => id.0,
        Principal::ServiceAccount { id } => id.0,
        Principal::PortalUser { id } => id.0,
    };
    format!("ubos:sessions:{tenant}:{who}")
}

fn aside(name: &str) -> String {
    format!("ubos:login:{}", SecretHash::of(name))
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
