//! One typed settings struct: defaults, then a TOML file, then the environment (`UBOS__DATABASE__COMMAND_URL`).

use crate::tls;
use anyhow::{Context, Result, bail};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// One's own machine; development tokens may be minted.
    Development,
    /// Customers' data.
    Production,
}

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// "development" or "production".
    pub environment: Environment,
    /// Whether production may talk to servers on other machines without TLS, because the network itself protects what it carries.
    pub allow_plaintext: bool,
    /// PostgreSQL.
    pub database: DatabaseSettings,
    /// NATS JetStream.
    pub nats: NatsSettings,
    /// Where the roles answer.
    pub listen: ListenSettings,
    /// The two HTTP services.
    pub http: HttpSettings,
    /// How often one may ask; each number may be used up at once and comes back evenly within the window. 0 is no limit.
    pub rate_limits: RateLimitSettings,
    /// Redis, for sessions and rate limits.
    pub redis: RedisSettings,
    /// Who may come in.
    pub auth: AuthSettings,
    /// How people log in.
    pub login: LoginSettings,
    /// The vault's key, of which the database never sees anything.
    pub vault: VaultSettings,
    /// How emails are sent.
    pub mail: MailSettings,
    /// Providers outside that firms connect with.
    pub providers: ProvidersSettings,
    /// Where firms' events may be sent: to public addresses, and to what is set here.
    pub webhooks: WebhooksSettings,
    /// Where files are kept. Without it no files are taken.
    pub objects: ObjectsSettings,
    /// The write path.
    pub append: AppendSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
}

/// PostgreSQL.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// A superuser's URL with which `ubos migrate` makes roles and database; leave it out where somebody else makes them.
    #[schemars(with = "Option<String>")]
    pub admin_url: Option<SecretString>,
    /// URL of a user with replication rights, for `ubos backup`; without it `admin_url` is used.
    #[schemars(with = "Option<String>")]
    pub backup_url: Option<SecretString>,
    /// URL of `ubos_owner`, which runs migrations.
    #[schemars(with = "String")]
    pub owner_url: SecretString,
    /// URL of `ubos_command`, as which command-api connects.
    #[schemars(with = "String")]
    pub command_url: SecretString,
    /// URL of `ubos_query`, as which query-api connects.
    #[schemars(with = "String")]
    pub query_url: SecretString,
    /// URL of `ubos_worker`, as which relay, projections and workflow connect.
    #[schemars(with = "String")]
    pub worker_url: SecretString,
    /// Connections per process at most.
    pub connections_max: u32,
    /// PEM file of the authorities whose certificates PostgreSQL shows; with it nothing is said to a server that shows another, or another host's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the certificate that we show, if PostgreSQL wants one.
    pub client_certificate_file: Option<PathBuf>,
    /// PEM file of its key.
    pub client_key_file: Option<PathBuf>,
}

/// NATS JetStream.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsSettings {
    /// Where the server is, for a user who may read the stream and make consumers: `nats://user:password@host:4222`, with TLS
    /// `tls://`; several of a cluster separated by commas.
    #[schemars(with = "String")]
    pub url: SecretString,
    /// The same for a user who may fill the stream, for the relay and operators; `url` unless set.
    #[schemars(with = "Option<String>")]
    pub relay_url: Option<SecretString>,
    /// The same for a user of NATS' system account, for the role `event-gateway`.
    #[schemars(with = "Option<String>")]
    pub system_url: Option<SecretString>,
    /// Seed of the key that signs what NATS is told about subscribers, `SA…`; `ubos event-gateway key` makes one.
    #[schemars(with = "Option<String>")]
    pub issuer_seed: Option<SecretString>,
    /// Name of the stream.
    pub stream: String,
    /// What every subject begins with.
    pub subject_prefix: String,
    /// Copies of the stream in the cluster.
    pub replicas: usize,
    /// Days that events stay in the stream; older ones are read from the log.
    pub max_age_days: u64,
    /// PEM file of the authorities whose certificates NATS shows; with it nothing is said to a server that shows another, or another host's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the certificate that we show, if NATS wants one.
    pub client_certificate_file: Option<PathBuf>,
    /// PEM file of its key.
    pub client_key_file: Option<PathBuf>,
}

impl NatsSettings {
    /// Where whoever may fill the stream finds NATS.
    pub fn relay(&self) -> &SecretString {
        self.relay_url.as_ref().unwrap_or(&self.url)
    }
}

/// Where the roles answer: whatever they serve, and the health and metrics of each.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenSettings {
    /// The address that every role answers on.
    pub address: IpAddr,
    /// The first of their ports; `ubos roles` says which is whose.
    pub base_port: u16,
    /// Where a single role answers instead: { query_api = "10.0.0.4:8080" }.
    pub roles: BTreeMap<String, SocketAddr>,
}

/// The two HTTP services.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Where clients find query-api, `https://query.example.com`: what a command has made is named there in `Location`.
    /// Empty where both services are behind one host.
    pub query_public_url: String,
    /// Bytes of a request body at most.
    pub max_body_bytes: usize,
    /// How long after SIGTERM connections are still accepted, so that load balancers notice first, milliseconds.
    pub drain_delay_ms: u64,
    /// How long requests in flight may take after that, milliseconds.
    pub drain_timeout_ms: u64,
    /// How long a read waits for `Min-Position`, milliseconds.
    pub min_position_wait_ms: u64,
    /// Threads that serve connections; 0 is one per core.
    pub workers: usize,
    /// Connections open at the same time at most, and as many requests whose body is on its way; further ones wait to be accepted.
    pub connections_max: usize,
    /// Connections open at the same time from one address, or one network of 64 bits in IPv6; further ones end at once. 0 is no bound, and `trusted_proxies` have none.
    pub connections_per_address_max: usize,
    /// How long the headers of a request may take to arrive, milliseconds; then 408.
    pub header_timeout_ms: u64,
    /// How long a request body may take to arrive, milliseconds; then 408.
    pub body_timeout_ms: u64,
    /// Commands that command-api works on at the same time; whoever comes then waits. More than fit one append batch only wait longer.
    pub commands_in_flight_max: usize,
    /// Reads that query-api works on at the same time; more than `database.connections_max` only keep its connections busy.
    pub reads_in_flight_max: usize,
    /// Requests that may wait to be worked on; beyond it the answer is 503. A full queue makes room for a firm that has little in it.
    pub waiting_max: usize,
    /// How long a request waits to be worked on once the queue was full, milliseconds; then the answer is 503.
    /// Until then, a second.
    pub waiting_ms_max: u64,
    /// How long a connection stays open without a request, milliseconds; 0 ends it with each answer.
    pub keep_alive_ms: u64,
    /// How long a client may take no byte of an answer, milliseconds; then the connection ends.
    pub answer_timeout_ms: u64,
    /// Bytes of path and query at most; beyond it the answer is 414.
    pub uri_bytes_max: usize,
    /// Headers of a request at most; beyond it the answer is 431. More than 96 never come through.
    pub headers_max: usize,
    /// Bytes of the headers of a request at most; beyond it the answer is 431. More than 131,072 never come through.
    pub header_bytes_max: usize,
    /// Networks that proxies of yours stand in, `10.0.0.0/8`. Only what they say about where a request comes from is believed.
    pub trusted_proxies: Vec<String>,
    /// The header in which they say it: "x-forwarded-for" or "forwarded". The other one is not looked at.
    pub forwarded_header: ForwardedHeader,
    /// Origins of other hosts whose pages may read answers, `https://app.example.com`, also with a session.
    pub cors_origins: Vec<String>,
    /// How long browsers are to come through TLS only, seconds; 31536000 where TLS ends before this service. 0 says nothing.
    pub hsts_seconds: u64,
}

/// A header that names where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// A list of addresses.
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// How often one may ask.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimitSettings {
    /// Whether there are any limits. With `redis.url` all copies share them; else, and while Redis is away, each copy counts alone.
    pub enabled: bool,
    /// Seconds in which a quota that is used up comes back.
    pub window_seconds: u64,
    /// Requests of one address, or one network of 64 bits in IPv6, in a window.
    pub address_requests: u32,
    /// Requests of one user or service account in a window.
    pub caller_requests: u32,
    /// Requests with one API key in a window.
    pub key_requests: u32,
    /// Requests of one firm in a window. In all of these a body counts once more for each further 16 KiB.
    pub tenant_requests: u32,
    /// Tokens, keys and sessions from one address that are not good, in a minute. Beyond it what is not good is answered 429; what is good comes in all the same.
    pub address_failures: u32,
    /// Logins that begin at one address, and links that are asked for from there, in a minute.
    pub address_logins: u32,
    /// How long a request waits for Redis, milliseconds; then this copy counts alone until Redis answers.
    pub redis_timeout_ms: u64,
}

/// Redis, for sessions and rate limits. Needed where people log in here, without it nobody does, and where several copies
/// share their limits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// Where the server is: `redis://:password@host:6379/0`, with TLS `rediss://`.
    #[schemars(with = "Option<String>")]
    pub url: Option<SecretString>,
    /// PEM file of the authorities whose certificates Redis shows; with it nothing is said to a server that shows another, or another host's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the certificate that we show, if Redis wants one.
    pub client_certificate_file: Option<PathBuf>,
    /// PEM file of its key.
    pub client_key_file: Option<PathBuf>,
}

/// How people log in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginSettings {
    /// Where browsers find command-api, without a slash at the end.
    pub public_url: String,
    /// Where browsers go when they are in, without a slash at the end.
    pub app_url: String,
    /// Where portal users go when they are in, and where their invitations lead, without a slash at the end.
    pub portal_url: String,
    /// Origins whose pages may ask for changes with a session: `https://app.example.com`.
    pub origins: Vec<String>,
    /// Minutes after which a session is over that is not used.
    pub idle_minutes: u64,
    /// Hours after which a session is over however much it is used, 1,440 at most.
    pub absolute_hours: u64,
    /// Minutes after which a portal user's session is over that is not used.
    pub portal_idle_minutes: u64,
    /// Hours after which a portal user's session is over however much it is used, 1,440 at most.
    pub portal_absolute_hours: u64,
    /// Sessions of one person at the same time; the oldest ends when there is one more.
    pub sessions_per_person_max: usize,
    /// OpenID providers, each as `[[login.providers]]`; without any only portal users come in here.
    pub providers: Vec<ProviderSettings>,
}

/// One OpenID provider.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// What it is called in links: `google`.
    pub name: String,
    /// Its `iss`, below which it describes itself.
    pub issuer: String,
    /// Who we are to it.
    pub client_id: String,
    /// How we show that.
    #[schemars(with = "String")]
    pub client_secret: SecretString,
}

/// Who may come in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// The keys that tokens are verified with: a JWKS file or an http(s) URL.
    pub jwks: String,
    /// How often the keys are read again, seconds.
    pub jwks_refresh_seconds: u64,
    /// The `iss` that tokens must carry.
    pub issuer: String,
    /// The `aud` that tokens must carry.
    pub audience: String,
    /// Clock difference that is forgiven, seconds.
    pub leeway_seconds: u64,
    /// PKCS#8 Ed25519 key with which `ubos token` signs; refused in production.
    pub dev_signing_key: Option<PathBuf>,
}

/// The vault's key-encryption key, of which the database never sees anything. Each key is 32 bytes in base64:
/// `openssl rand -base64 32`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultSettings {
    /// File with the key. In production this or `key` must be set; without either nothing personal is sealed.
    pub key_file: Option<PathBuf>,
    /// The key itself, for environments that hand secrets over as variables.
    #[schemars(with = "Option<String>")]
    pub key: Option<SecretString>,
    /// File with the key before this one, until `ubos vault rotate` has ended.
    pub previous_key_file: Option<PathBuf>,
    /// The key before this one itself.
    #[schemars(with = "Option<String>")]
    pub previous_key: Option<SecretString>,
}

/// How emails are sent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// Where emails are handed in: `smtp://user:password@host:587?tls=required` or `smtps://user:password@host`. Without it no emails are sent.
    #[schemars(with = "Option<String>")]
    pub smtp_url: Option<SecretString>,
    /// Whom emails are from: `UBOS <no-reply@ubos.example>`.
    pub from: String,
}

/// Providers outside that firms connect with. One without a `client_id` is not set up here. What a firm agrees to is sealed, so the vault
/// has a key; connecting happens in a browser, so people log in here.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvidersSettings {
    /// DocuSign eSignature, which has papers signed.
    pub docusign: DocusignSettings,
    /// Dropbox Sign, which has papers signed.
    pub dropbox_sign: DropboxSignSettings,
    /// QuickBooks Online, which keeps books.
    pub quickbooks: QuickbooksSettings,
    /// Xero, which keeps books.
    pub xero: XeroSettings,
}

/// DocuSign eSignature.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocusignSettings {
    /// Who we are to it: the integration key.
    pub client_id: Option<String>,
    /// How we show that.
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<SecretString>,
    /// What its messages are signed with: a key of Connect. Without it no message is believed, and changes are found by sweeps alone.
    #[schemars(with = "Option<String>")]
    pub webhook_key: Option<SecretString>,
    /// Where browsers are sent so that somebody agrees.
    pub authorise_url: String,
    /// Where codes and refresh tokens are worth something.
    pub token_url: String,
    /// Where it says which accounts a grant reaches.
    pub userinfo_url: String,
    /// What is asked for.
    pub scopes: Vec<String>,
}

/// Dropbox Sign.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropboxSignSettings {
    /// Who we are to it: the API app's client id.
    pub client_id: Option<String>,
    /// How we show that.
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<SecretString>,
    /// What its messages are signed with: the primary API key of the app's owner. Without it no message is believed, and changes are found by sweeps alone.
    #[schemars(with = "Option<String>")]
    pub webhook_key: Option<SecretString>,
    /// The API key that was the primary one before, or is about to be no more: while they change, both are believed.
    #[schemars(with = "Option<String>")]
    pub previous_webhook_key: Option<SecretString>,
    /// Where browsers are sent so that somebody agrees.
    pub authorise_url: String,
    /// Where codes and refresh tokens are worth something.
    pub token_url: String,
    /// Where its API is, without a slash at the end.
    pub api_url: String,
    /// What is asked for, unless the app says it.
    pub scopes: Vec<String>,
    /// Whether requests are sent in test mode: what is signed binds nobody. Not in production.
    pub test_mode: bool,
}

/// QuickBooks Online.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuickbooksSettings {
    /// Who we are to it.
    pub client_id: Option<String>,
    /// How we show that.
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<SecretString>,
    /// What its messages are signed with: the verifier token. Without it no message is believed, and changes are found by sweeps alone.
    #[schemars(with = "Option<String>")]
    pub webhook_key: Option<SecretString>,
    /// Where browsers are sent so that somebody agrees.
    pub authorise_url: String,
    /// Where codes and refresh tokens are worth something.
    pub token_url: String,
    /// Where grants are given back.
    pub revoke_url: String,
    /// Where its API is, without a slash at the end.
    pub api_url: String,
    /// What is asked for.
    pub scopes: Vec<String>,
}

/// Xero.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct XeroSettings {
    /// Who we are to it.
    pub client_id: Option<String>,
    /// How we show that.
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<SecretString>,
    /// What its messages are signed with. Without it no message is believed, and changes are found by sweeps alone.
    #[schemars(with = "Option<String>")]
    pub webhook_key: Option<SecretString>,
    /// Where browsers are sent so that somebody agrees.
    pub authorise_url: String,
    /// Where codes and refresh tokens are worth something.
    pub token_url: String,
    /// Where its API is, without a slash at the end.
    pub api_url: String,
    /// What is asked for.
    pub scopes: Vec<String>,
}

/// Where firms' events may be sent: to public addresses, and to what is set here. What signs them is derived from the vault's key, without
/// which nothing is sent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhooksSettings {
    /// Whether they may go over `http`, which anybody on the way can read; for development.
    pub allow_http: bool,
    /// Networks besides those of the internet, `10.1.0.0/16`. Whoever adds an endpoint reaches whatever answers there.
    pub allowed_networks: Vec<String>,
    /// The ports they may go to; any if there are none.
    pub ports: Vec<u16>,
}

/// Where files are kept: anything that speaks S3.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectsSettings {
    /// Where the services find it: `https://s3.eu-central-1.amazonaws.com`. Without it no files are taken.
    pub endpoint: Option<String>,
    /// Where browsers find it, if elsewhere.
    pub public_endpoint: Option<String>,
    /// Its region.
    pub region: String,
    /// The bucket. Its CORS rules let the origins of your pages `PUT` and `GET`, with any header, and read `ETag`.
    pub bucket: String,
    /// Who we are to it.
    #[schemars(with = "Option<String>")]
    pub access_key: Option<SecretString>,
    /// How we show that.
    #[schemars(with = "Option<String>")]
    pub secret_key: Option<SecretString>,
    /// Whether the bucket is a step of the path, `https://host/bucket/`, rather than a part of the host's name.
    pub path_style: bool,
    /// Minutes that a request is good which sends bytes to the store.
    pub upload_minutes: u64,
    /// Minutes that a request is good which fetches bytes from it.
    pub download_minutes: u64,
    /// Where clamd looks for what is harmful: `tcp://127.0.0.1:3310` or `unix:///run/clamav/clamd.ctl`. Its `StreamMaxLength` bounds
    /// what is taken. Without it only size, checksum and type are looked at.
    pub scanner: Option<String>,
}

/// The write path.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppendSettings {
    /// Commands in one append batch at most.
    pub batch_commands_max: usize,
    /// Commands that may wait; beyond it the answer is 503.
    pub queue_commands_max: usize,
    /// Streams kept in memory.
    pub cached_streams_max: usize,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// Logs and traces.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    /// "json" or "text".
    pub log_format: LogFormat,
    /// What is logged, in `tracing` filter syntax.
    pub log_filter: String,
    /// OTLP/HTTP endpoint for traces (`http://127.0.0.1:4318`); none exports nothing.
    pub otlp_endpoint: Option<String>,
}

/// What is so unless set; everything that is not here must be set.
fn defaults() -> serde_json::Value {
    serde_json::json!({
        "environment": "production", "allow_plaintext": false,
        "database": { "connections_max": 16 },
        "nats": { "url": "nats://127.0.0.1:21422", "stream": "EVENTS", "subject_prefix": "ubos.events", "replicas": 1, "max_age_days": 30 },
        "listen": { "address": "127.0.0.1", "base_port": 21_400, "roles": {} },
        "http": {
            "query_public_url": "", "max_body_bytes": 1_048_576,
            "drain_delay_ms": 3_000, "drain_timeout_ms": 20_000, "min_position_wait_ms": 2_000,
            "workers": 0, "connections_max": 10_000, "connections_per_address_max": 2_000, "header_timeout_ms": 5_000, "body_timeout_ms": 10_000,
            "commands_in_flight_max": 128, "reads_in_flight_max": 32, "waiting_max": 256, "waiting_ms_max": 40,
            "keep_alive_ms": 5_000, "answer_timeout_ms": 30_000, "uri_bytes_max": 8_192, "headers_max": 64, "header_bytes_max": 32_768,
            "trusted_proxies": [], "forwarded_header": "x-forwarded-for", "cors_origins": [], "hsts_seconds": 0
        },
        "rate_limits": {
            "enabled": true, "window_seconds": 10, "address_requests": 5_000, "caller_requests": 2_000,
            "key_requests": 1_000, "tenant_requests": 10_000, "address_failures": 60, "address_logins": 120, "redis_timeout_ms": 50
        },
        "auth": { "jwks_refresh_seconds": 300, "leeway_seconds": 30 },
        "redis": {},
        "vault": {},
        "login": {
            "public_url": "http://127.0.0.1:21400", "app_url": "http://127.0.0.1:21400", "origins": [],
            "portal_url": "http://127.0.0.1:21400", "idle_minutes": 720, "absolute_hours": 336, "portal_idle_minutes": 60,
            "portal_absolute_hours": 12, "sessions_per_person_max": 20, "providers": []
        },
        "mail": { "from": "UBOS <no-reply@ubos.example>" },
        "providers": {
            "docusign": {
                "authorise_url": "https://account.docusign.com/oauth/auth", "token_url": "https://account.docusign.com/oauth/token",
                "userinfo_url": "https://account.docusign.com/oauth/userinfo", "scopes": ["signature", "extended"]
            },
            "dropbox_sign": {
                "authorise_url": "https://app.hellosign.com/oauth/authorize", "token_url": "https://app.hellosign.com/oauth/token",
                "api_url": "https://api.hellosign.com", "scopes": ["basic_account_info", "request_signature", "signature_request_access"],
                "test_mode": false
            },
            "quickbooks": {
                "authorise_url": "https://appcenter.intuit.com/connect/oauth2",
                "token_url": "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer",
                "revoke_url": "https://developer.api.intuit.com/v2/oauth2/tokens/revoke",
                "api_url": "https://quickbooks.api.intuit.com", "scopes": ["com.intuit.quickbooks.accounting"]
            },
            "xero": {
                "authorise_url": "https://login.xero.com/identity/connect/authorize", "token_url": "https://identity.xero.com/connect/token",
                "api_url": "https://api.xero.com",
                "scopes": ["offline_access", "accounting.invoices", "accounting.contacts", "accounting.payments", "accounting.settings.read"]
            }
        },
        "webhooks": { "allow_http": false, "allowed_networks": [], "ports": [443, 8443] },
        "objects": { "region": "us-east-1", "bucket": "attachments", "path_style": false, "upload_minutes": 60, "download_minutes": 5 },
        "append": { "batch_commands_max": 128, "queue_commands_max": 4_096, "cached_streams_max": 20_000 },
        "telemetry": { "log_format": "json", "log_filter": "info" },
    })
}

impl Settings {
    /// Reads file and environment. The error names the setting that is missing, unknown or wrong.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(defaults()));
        if let Some(file) = file {
            let text = std::fs::read_to_string(file);
            let text = text.with_context(|| format!("settings: the file {} cannot be read", file.display()))?;
            figment = figment.merge(Toml::string(&text));
        }
        Self::extract(figment.merge(Env::prefixed("UBOS__").split("__"))).with_context(|| match file {
            Some(file) => format!("reading {} and the environment", file.display()),
            None => "reading the environment alone, because no file was named with --config or UBOS_CONFIG".to_owned(),
        })
    }

    fn extract(figment: Figment) -> Result<Self> {
        let mut settings: Settings = figment.extract().map_err(|error| {
            let mut reasons = error.into_iter().map(|e| {
                let path = e.path.join(".");
                let place = if path.is_empty() { String::new() } else { format!(" (in {path})") };
                format!("settings: {}{place}", e.kind)
            });
            anyhow::anyhow!(reasons.next().unwrap_or_default())
        })?;
        if settings.environment == Environment::Production && settings.auth.dev_signing_key.is_some() {
            bail!("settings: auth.dev_signing_key must not be set in production");
        }
        let vault = &settings.vault;
        if settings.environment == Environment::Production && vault.key.is_none() && vault.key_file.is_none() {
            bail!("settings: vault.key_file or vault.key must be set in production");
        }
        if vault.key.is_some() && vault.key_file.is_some()
            || vault.previous_key.is_some() && vault.previous_key_file.is_some()
        {
            bail!("settings: set the vault's key or the file that holds it, not both");
        }
        let ProvidersSettings { docusign, dropbox_sign, quickbooks, xero, .. } = &settings.providers;
        for (name, id, secret) in [
            ("docusign", &docusign.client_id, &docusign.client_secret),
            ("dropbox_sign", &dropbox_sign.client_id, &dropbox_sign.client_secret),
            ("quickbooks", &quickbooks.client_id, &quickbooks.client_secret),
            ("xero", &xero.client_id, &xero.client_secret),
        ] {
            if id.is_some() != secret.is_some() {
                bail!("settings: providers.{name} has client_id and client_secret, or neither");
            }
            if id.is_some() && vault.key.is_none() && vault.key_file.is_none() {
                bail!(
                    "settings: vault.key_file or vault.key must be set where providers.{name} is, because what firms agree to is sealed"
                );
            }
        }
        if settings.environment == Environment::Production && dropbox_sign.test_mode {
            bail!(
                "settings: providers.dropbox_sign.test_mode must not be set in production: what is signed would bind nobody"
            );
        }
        if settings.environment == Environment::Production && settings.webhooks.allow_http {
            bail!("settings: webhooks.allow_http must not be set in production");
        }
        if !settings.login.providers.is_empty() && settings.redis.url.is_none() {
            bail!("settings: redis.url must be set where people log in, because sessions are kept there");
        }
        tls::apply(&mut settings)?;
        if !(1..=3_600).contains(&settings.rate_limits.window_seconds) {
            bail!("settings: rate_limits.window_seconds must be 1 to 3600");
        }
        // A hundred ports are a stack's: those of the roles, and in development those of the servers.
        if !(1..=65_436).contains(&settings.listen.base_port) {
            bail!("settings: listen.base_port must be 1 to 65436");
        }
        let records_at = &settings.http.query_public_url;
        if !(records_at.is_empty() || records_at.starts_with("https://") || records_at.starts_with("http://")) {
            bail!("settings: http.query_public_url must begin with https:// or http://, or be empty");
        }
        // The log tells for 90 days which sessions were ended.
        let objects = &settings.objects;
        if objects.endpoint.is_some() && (objects.access_key.is_none() || objects.secret_key.is_none()) {
            bail!("settings: objects.access_key and objects.secret_key must be set where objects.endpoint is");
        }
        // S3 takes no signature that is good for more than a week.
        for (name, minutes) in
            [("upload_minutes", objects.upload_minutes), ("download_minutes", objects.download_minutes)]
        {
            if !(1..=1_440).contains(&minutes) {
                bail!("settings: objects.{name} must be 1 to 1440");
            }
        }
        let login = &settings.login;
        for (name, hours) in
            [("absolute_hours", login.absolute_hours), ("portal_absolute_hours", login.portal_absolute_hours)]
        {
            if !(1..=1_440).contains(&hours) {
                bail!("settings: login.{name} must be 1 to 1440");
            }
        }
        if login.sessions_per_person_max == 0 {
            bail!("settings: login.sessions_per_person_max must be 1 or more");
        }
        Ok(settings)
    }
}

/// The commented file that shows every setting: `deploy/config.default.toml`.
pub fn documented_defaults() -> String {
    let schema = schemars::generate::SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let schema = schema.into_generator().into_root_schema_for::<Settings>().to_value();
    let mut text = String::from(
        "# Every setting with what it is unless set. A setting shown without a value must be set.\n\
         # The environment overrides the file: UBOS__DATABASE__COMMAND_URL is database.command_url.\n\
         # Generated by `cargo xtask gen`; do not edit.\n\n",
    );
    let defaults = defaults();
    let empty = serde_json::Map::new();
    let properties = |schema: &serde_json::Value| schema["properties"].as_object().unwrap_or(&empty).clone();
    let mut sections = String::new();
    for (name, setting) in properties(&schema) {
        if properties(&setting).is_empty() {
            text.push_str(&format!("{}\n{}\n", comment(&setting), line(&name, &defaults[&name])));
            continue;
        }
        sections.push_str(&format!("\n{}\n[{name}]\n", comment(&setting)));
        let mut below = String::new();
        for (field, setting) in properties(&setting) {
            let default = &defaults[&name][&field];
            if properties(&setting).is_empty() {
                sections.push_str(&format!("{}\n{}\n", comment(&setting), line(&field, default)));
                continue;
            }
            below.push_str(&format!("\n{}\n[{name}.{field}]\n", comment(&setting)));
            for (field, setting) in properties(&setting) {
                below.push_str(&format!("{}\n{}\n", comment(&setting), line(&field, &default[&field])));
            }
        }
        sections.push_str(&below);
    }
    text + &sections
}

fn comment(setting: &serde_json::Value) -> String {
    format!("# {}", setting["description"].as_str().unwrap_or_default().replace('\n', "\n# "))
}

fn line(name: &str, value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => format!("# {name} ="),
        value => format!("{name} = {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
        environment = "development"
        [database]
        owner_url = "postgres://ubos_owner:s3cret@localhost/ubos"
        command_url = "postgres://ubos_command:s3cret@localhost/ubos"
        query_url = "postgres://ubos_query:s3cret@localhost/ubos"
        worker_url = "postgres://ubos_worker:s3cret@localhost/ubos"
        [auth]
        jwks = "jwks.json"
        issuer = "https://id.example"
        audience = "ubos"
    "#;

    fn read(toml: &str) -> Result<Settings> {
        Settings::extract(Figment::from(Serialized::defaults(defaults())).merge(Toml::string(toml)))
    }

    fn error(toml: &str) -> String {
        read(toml).unwrap_err().to_string()
    }

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let shown: serde_json::Value = Figment::from(Toml::string(&documented_defaults())).extract().unwrap();
        assert_eq!(shown["http"], defaults()["http"]);
        assert_eq!(shown["listen"], defaults()["listen"]);
        assert_eq!(shown["rate_limits"], defaults()["rate_limits"]);
    }

    #[test]
    fn what_has_no_sensible_default_is_all_that_must_be_set() {
        let settings = read(MINIMAL).unwrap();
        assert_eq!(settings.http.max_body_bytes, 1_048_576);
    }

    #[test]
    fn a_file_that_is_not_there_is_named_with_the_reason() {
        let missing = Settings::load(Some(Path::new("/nowhere/ubos.toml"))).unwrap_err();
        let message = format!("{missing:#}");
        assert!(message.contains("/nowhere/ubos.toml") && message.contains("No such file"), "{message}");
        let folder = Settings::load(Some(&std::env::temp_dir())).unwrap_err();
        assert!(format!("{folder:#}").contains("directory"), "{folder:#}");
        let none = format!("{:#}", Settings::load(None).unwrap_err());
        assert!(none.contains("--config") && none.contains("UBOS_CONFIG"), "{none}");
    }

    #[test]
    fn a_missing_setting_is_named() {
        let message = error(&MINIMAL.replace("issuer = \"https://id.example\"", ""));
        assert!(message.contains("issuer"), "{message}");
    }

    #[test]
    fn an_unknown_setting_is_named() {
        let message = error(&format!("{MINIMAL}\nissure = \"typo\""));
        assert!(message.contains("issure"), "{message}");
    }

    #[test]
    fn a_setting_of_the_wrong_type_is_named() {
        let message = error(&format!("{MINIMAL}\nleeway_seconds = \"soon\""));
        assert!(message.contains("leeway_seconds"), "{message}");
    }

    #[test]
    fn roles_have_room_above_the_first_port() {
        assert!(error(&format!("{MINIMAL}\n[listen]\nbase_port = 65500")).contains("listen.base_port"));
        assert!(error(&format!("{MINIMAL}\n[listen]\nbase_port = 0")).contains("listen.base_port"));
        let settings = read(&format!("{MINIMAL}\n[listen.roles]\nrelay = \"[::1]:9000\"")).unwrap();
        assert_eq!(settings.listen.roles["relay"].port(), 9_000);
    }

    #[test]
    fn a_development_key_is_refused_in_production() {
        let toml = MINIMAL.replace("development", "production") + "\ndev_signing_key = \"dev.pk8\"";
        assert!(error(&toml).contains("dev_signing_key"));
    }

    #[test]
    fn production_has_a_vault() {
        let production = MINIMAL.replace("development", "production");
        assert!(error(&production).contains("vault.key_file"));
        read(&(production.clone() + "\n[vault]\nkey_file = \"kek\"")).unwrap();
        assert!(error(&(production + "\n[vault]\nkey_file = \"kek\"\nkey = \"x\"")).contains("not both"));
    }

    #[test]
    fn what_is_signed_in_production_binds() {
        let test = "\n[vault]\nkey_file = \"kek\"\n[providers.dropbox_sign]\ntest_mode = true";
        assert!(read(&format!("{MINIMAL}{test}")).unwrap().providers.dropbox_sign.test_mode);
        assert!(error(&(MINIMAL.replace("development", "production") + test)).contains("test_mode"));
    }

    #[test]
    fn a_provider_is_set_up_whole_and_with_a_vault() {
        let xero = |rest: &str| format!("{MINIMAL}\n[providers.xero]\nclient_id = \"us\"\n{rest}");
        assert!(error(&xero("")).contains("client_secret"));
        let whole = xero("client_secret = \"shh\"");
        assert!(error(&whole).contains("vault.key_file"));
        let settings = read(&(whole + "\n[vault]\nkey_file = \"kek\"")).unwrap();
        assert_eq!(settings.providers.xero.api_url, "https://api.xero.com");
        assert!(settings.providers.docusign.client_id.is_none());
    }

    #[test]
    fn secrets_do_not_print() {
        let toml = MINIMAL.replace("[auth]", "[nats]\nurl = \"nats://ubos:s3cret@localhost:4222\"\n[auth]");
        assert!(!format!("{:?}", read(&toml).unwrap()).contains("s3cret"));
    }

    #[test]
    fn the_documented_defaults_show_every_setting_with_a_sentence() {
        let text = documented_defaults();
        for setting in ["command_url", "max_body_bytes", "otlp_endpoint", "batch_commands_max"] {
            assert!(text.contains(setting), "{setting}");
        }
        assert!(!text.contains("# \n"), "every setting has a sentence:\n{text}");
        read(&format!("{text}\n")).unwrap_err();
    }
}
