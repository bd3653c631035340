//! Sessions of browsers: a cookie that says nothing, and in Redis what it stands for. Redis may lose it, which costs a login;
//! it can never bring a session back that was ended, because that is in the log.

use crate::problem::{Problem, code};
use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::header::ORIGIN;
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kernel::{SecretHash, SessionId, TenantId, UserId};
use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A browser only takes it from this very host, over TLS or from this machine (RFC 6265bis §4.1.3.2).
pub const SESSION_COOKIE: &str = "__Host-ubos_session";
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
    /// Who logged in.
    pub user: UserId,
    /// When it ends however much it is used, in seconds since 1970.
    pub ends_at: i64,
    /// What a page of the session shows when it asks for a change.
    pub csrf_token: String,
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
        let redis = ConnectionManager::new_with_config(client, config).await.context("connecting to Redis")?;
        Ok(Self { redis, settings })
    }

    /// How long sessions last.
    pub fn settings(&self) -> &SessionSettings {
        &self.settings
    }

    /// Keeps a session of a person who has just shown who they are; answers the cookie for the browser.
    pub async fn start(&self, id: SessionId, tenant: TenantId, user: UserId) -> Result<Cookie<'static>> {
        let shown = random();
        let ends_at = chrono::Utc::now().timestamp() + seconds(self.settings.absolute);
        let session = Session { id, tenant, user, ends_at, csrf_token: random() };
        let text = serde_json::to_string(&session)?;
        let () = self.redis.clone().set_ex(key(&shown), text, self.idle_seconds()).await?;
        Ok(cookie(shown, Some(self.settings.absolute)))
    }

    /// What a cookie stands for, which lives on for being used.
    pub async fn find(&self, shown: &str) -> Result<Option<Session>> {
        let text: Option<String> =
            self.redis.clone().get_ex(key(shown), redis::Expiry::EX(self.idle_seconds())).await?;
        // Whatever cannot be read was written by another version, and costs a login.
        let session = text.and_then(|text| serde_json::from_str::<Session>(&text).ok());
        Ok(session.filter(|session| chrono::Utc::now().timestamp() < session.ends_at))
    }

    /// Forgets what a cookie stands for; answers the cookie that takes it from the browser.
    pub async fn forget(&self, shown: &str) -> Result<Cookie<'static>> {
        let () = self.redis.clone().del(key(shown)).await?;
        Ok(cookie(String::new(), Some(Duration::ZERO)))
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

    fn idle_seconds(&self) -> u64 {
        self.settings.idle.as_secs().max(1)
    }
}

/// The value of the only session cookie that a request shows: of two, one is not ours.
pub fn shown(request: &HttpRequest) -> Option<String> {
    let cookies = request.cookies().ok()?;
    let mut ours = cookies.iter().filter(|cookie| cookie.name() == SESSION_COOKIE);
    let (only, None) = (ours.next()?, ours.next()) else { return None };
    Some(only.value().to_owned())
}

/// A cookie that no script reads and no other site's form sends.
pub fn private_cookie(name: &'static str, value: String, lives: Option<Duration>) -> Cookie<'static> {
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

fn cookie(value: String, lives: Option<Duration>) -> Cookie<'static> {
    private_cookie(SESSION_COOKIE, value, lives)
}

/// Whoever reads Redis finds no cookie to show, and nothing that a browser sends gets into a key.
fn key(shown: &str) -> String {
    format!("ubos:session:{}", SecretHash::of(shown))
}

fn aside(name: &str) -> String {
    format!("ubos:login:{}", SecretHash::of(name))
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
