//! TLS to PostgreSQL, NATS and Redis: the right server is spoken to, another one is told nothing. Attack G-03.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use async_nats::connection::State;
use local_servers::{Certificate, Dirs, Nats, NatsOptions, Postgres, PostgresMode, Redis, ensure_installed, free_port};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use runtime::settings::Settings;
use runtime::tls::{TlsFiles, redis_client};
use sqlx::{Connection, PgConnection};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// Two authorities, one of which nobody knows, and a server's certificate of the first: for 127.0.0.1, or for somebody else.
struct Papers {
    known: PathBuf,
    unknown: PathBuf,
    ours: Certificate,
    elsewheres: Certificate,
    client: (PathBuf, PathBuf),
}

impl Papers {
    fn make(folder: &Path) -> Self {
        let authority = |name: &str| {
            let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let file = folder.join(format!("{name}.pem"));
            fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
            (file, Issuer::new(params, key))
        };
        let (known, issuer) = authority("known");
        let (unknown, _) = authority("unknown");
        let signed = |name: &str, host: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
            let (certificate, key_file) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
            fs::write(&certificate, params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
            fs::write(&key_file, key.serialize_pem()).unwrap();
            (certificate, key_file)
        };
        let server = |(certificate, key)| Certificate { certificate, key, authorities: known.clone() };
        let (ours, elsewheres) = (server(signed("ours", "127.0.0.1")), server(signed("elsewhere", "db.example")));
        Self { client: signed("client", "ubos"), unknown, ours, elsewheres, known }
    }
}

/// Settings whose servers are all at these URLs and show certificates of this authority.
fn settings(authority: &Path, database: &str, nats: &str, redis: &str, more: &str) -> Settings {
    let (folder, ca) = (tempfile::tempdir().unwrap(), authority.display());
    let file = folder.path().join("config.toml");
    let toml = format!(
        "environment = \"production\"\n[database]\nowner_url = \"{database}\"\ncommand_url = \"{database}\"\n\
         query_url = \"{database}\"\nworker_url = \"{database}\"\nca_file = \"{ca}\"\n{more}\
         [nats]\nurl = \"{nats}\"\nca_file = \"{ca}\"\n{more}[redis]\nurl = \"{redis}\"\nca_file = \"{ca}\"\n{more}\
         [vault]\nkey = \"{}\"\n[auth]\njwks = \"x\"\nissuer = \"x\"\naudience = \"x\"\n",
        "A".repeat(43)
    );
    fs::write(&file, toml).unwrap();
    Settings::load(Some(&file)).unwrap()
}

const NOWHERE: [&str; 3] = ["postgres://u:p@127.0.0.1:9/x", "tls://127.0.0.1:9", "rediss://127.0.0.1:9/0"];

fn options() -> NatsOptions {
    NatsOptions { sync_always: false }
}

#[tokio::test]
async fn g_03_postgresql_is_spoken_to_only_with_the_right_certificate() {
    let (programs, folder) = (ensure_installed(&mut |_| {}).unwrap(), tempfile::tempdir().unwrap());
    let papers = Papers::make(folder.path());
    let ask = async |authority: &Path, postgres: &Postgres, more: &str| {
        let settings = settings(authority, &postgres.url, NOWHERE[1], NOWHERE[2], more);
        let url = secrecy::ExposeSecret::expose_secret(&settings.database.command_url).to_owned();
        let mut connection = PgConnection::connect(&url).await?;
        let sql = "select coalesce(client_dn, '') from pg_stat_ssl where pid = pg_backend_pid() and ssl";
        sqlx::query_scalar::<_, String>(sql).fetch_one(&mut connection).await
    };
    let dirs = Dirs::throwaway().unwrap();
    let mode = PostgresMode::Throwaway;
    let postgres = Postgres::start_tls(&programs, &dirs, free_port().unwrap(), mode, &papers.ours).unwrap();
    assert_eq!(ask(&papers.known, &postgres, "").await.unwrap(), "", "through TLS");
    let (certificate, key) = &papers.client;
    let shown =
        format!("client_certificate_file = \"{}\"\nclient_key_file = \"{}\"\n", certificate.display(), key.display());
    assert!(ask(&papers.known, &postgres, &shown).await.unwrap().starts_with("/CN="), "with a certificate of ours");
    let refused = ask(&papers.unknown, &postgres, "").await.unwrap_err();
    assert!(refused.to_string().contains("UnknownIssuer"), "{refused}");
    // PostgreSQL's own programs go by the same URL.
    let psql = |authority: &Path| {
        let settings = settings(authority, &postgres.url, NOWHERE[1], NOWHERE[2], "");
        let url = secrecy::ExposeSecret::expose_secret(&settings.database.command_url).to_owned();
        std::process::Command::new(postgres.bin.join("psql")).arg(url).args(["-c", "select 1"]).output().unwrap()
    };
    assert!(psql(&papers.known).status.success());
    assert!(!psql(&papers.unknown).status.success());

    let dirs = Dirs::throwaway().unwrap();
    let elsewhere = Postgres::start_tls(&programs, &dirs, free_port().unwrap(), mode, &papers.elsewheres).unwrap();
    let refused = ask(&papers.known, &elsewhere, "").await.unwrap_err();
    assert!(refused.to_string().contains("not valid for name"), "{refused}");

    let dirs = Dirs::throwaway().unwrap();
    let plain = Postgres::start(&programs, &dirs, free_port().unwrap(), mode).unwrap();
    let refused = ask(&papers.known, &plain, "").await.unwrap_err();
    assert!(refused.to_string().contains("does not support TLS"), "{refused}");
}

#[tokio::test]
async fn g_03_redis_is_spoken_to_only_with_the_right_certificate() {
    runtime::install_crypto();
    let (programs, folder) = (ensure_installed(&mut |_| {}).unwrap(), tempfile::tempdir().unwrap());
    let papers = Papers::make(folder.path());
    let ask = async |authority: &Path, redis: &Redis, more: &str| {
        let settings = settings(authority, NOWHERE[0], NOWHERE[1], &redis.url, more);
        let client = redis_client(&settings.redis).unwrap().unwrap();
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<String>(&mut connection).await
    };
    let dirs = Dirs::throwaway().unwrap();
    let redis = Redis::start_tls(&programs, &dirs, free_port().unwrap(), &papers.ours).unwrap();
    assert_eq!(ask(&papers.known, &redis, "").await.unwrap(), "PONG");
    let (certificate, key) = &papers.client;
    let shown =
        format!("client_certificate_file = \"{}\"\nclient_key_file = \"{}\"\n", certificate.display(), key.display());
    assert_eq!(ask(&papers.known, &redis, &shown).await.unwrap(), "PONG");
    let refused = ask(&papers.unknown, &redis, "").await.unwrap_err();
    assert!(refused.to_string().contains("UnknownIssuer"), "{refused}");
    let dirs = Dirs::throwaway().unwrap();
    let elsewhere = Redis::start_tls(&programs, &dirs, free_port().unwrap(), &papers.elsewheres).unwrap();
    let refused = ask(&papers.known, &elsewhere, "").await.unwrap_err();
    assert!(refused.to_string().contains("not valid for name"), "{refused}");
}

#[tokio::test]
async fn g_03_nats_is_spoken_to_only_with_the_right_certificate() {
    runtime::install_crypto();
    let (programs, folder) = (ensure_installed(&mut |_| {}).unwrap(), tempfile::tempdir().unwrap());
    let papers = Papers::make(folder.path());
    let start = |certificate: Option<&Certificate>| {
        let (dirs, port, monitor) = (Dirs::throwaway().unwrap(), free_port().unwrap(), free_port().unwrap());
        let nats = match certificate {
            Some(certificate) => Nats::start_tls(&programs, &dirs, port, monitor, options(), certificate),
            None => Nats::start(&programs, &dirs, port, monitor, options()),
        };
        (nats.unwrap(), dirs.log("nats"))
    };
    let connect = async |authority: &Path, nats: &Nats, more: &str| {
        let settings = settings(authority, NOWHERE[0], &nats.url, NOWHERE[2], more);
        let files = TlsFiles::of_nats(&settings.nats).unwrap();
        messaging::connect_with(&nats.url, "test", &files).await.unwrap()
    };
    let (nats, log) = start(Some(&papers.ours));
    connect(&papers.known, &nats, "").await.flush().await.unwrap();
    let (certificate, key) = &papers.client;
    let shown =
        format!("client_certificate_file = \"{}\"\nclient_key_file = \"{}\"\n", certificate.display(), key.display());
    connect(&papers.known, &nats, &shown).await.flush().await.unwrap();
    // A client goes on trying for ever; the server says that it hung up instead of shaking hands.
    let unknown = connect(&papers.unknown, &nats, "").await;
    hung_up(&log).await;
    assert_ne!(unknown.connection_state(), State::Connected);
    let (elsewhere, log) = start(Some(&papers.elsewheres));
    let client = connect(&papers.known, &elsewhere, "").await;
    hung_up(&log).await;
    assert_ne!(client.connection_state(), State::Connected);
}

async fn hung_up(log: &Path) {
    let begun = Instant::now();
    while !fs::read_to_string(log).unwrap_or_default().contains("TLS handshake error") {
        assert!(begun.elapsed() < PATIENCE, "nobody tried: {}", fs::read_to_string(log).unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
