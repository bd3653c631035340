//! All servers on free ports, gone when dropped.

use crate::steps::step;
use anyhow::Result;
use local_servers::{
    Dirs, Nats, NatsOptions, Oidc, Postgres, PostgresMode, Redis, S3, S3_PORTS, ensure_installed, free_port,
    free_ports, sweep_leftovers,
};
use std::process::Command;

/// Servers for one run.
pub struct ThrowawayServers {
    postgres: Postgres,
    nats: Nats,
    redis: Redis,
    s3: S3,
    oidc: Option<Oidc>,
}

impl ThrowawayServers {
    /// Starts them; those of earlier runs that were killed are cleared away first.
    pub fn start(mode: PostgresMode) -> Result<Self> {
        sweep_leftovers();
        let programs = step("server programs are installed", |spinner| {
            ensure_installed(&mut |message| spinner.println(format!("    {message}")))
        })?;
        step("throw-away servers run", |_| {
            let dirs = Dirs::throwaway()?;
            let options = NatsOptions { sync_always: mode == PostgresMode::Durable };
            Ok(Self {
                postgres: Postgres::start(&programs, &dirs, free_port()?, mode)?,
                nats: Nats::start(&programs, &dirs, free_port()?, free_port()?, options)?,
                redis: Redis::start(&programs, &dirs, free_port()?)?,
                s3: S3::start(&programs, &dirs, free_ports::<S3_PORTS>()?)?,
                oidc: match mode {
                    // Tests register clients of their own; nobody logs in while something is measured.
                    PostgresMode::Throwaway => {
                        Some(Oidc::start(&dirs, free_port()?, &["http://127.0.0.1:1/none".to_owned()])?)
                    }
                    PostgresMode::Durable => None,
                },
            })
        })
    }

    /// Tells a command where they are.
    pub fn tell(&self, command: &mut Command) {
        command
            .env("UBOS_TEST_POSTGRES_URL", &self.postgres.url)
            .env("UBOS_TEST_POSTGRES_BIN", &self.postgres.bin)
            .env("UBOS_TEST_NATS_URL", &self.nats.url)
            .env("UBOS_TEST_NATS_MONITOR_URL", format!("http://127.0.0.1:{}", self.nats.monitor_port))
            .env("UBOS_TEST_REDIS_URL", &self.redis.url)
            .env("UBOS_TEST_S3_URL", &self.s3.url)
            .env("UBOS_TEST_S3_ACCESS_KEY", &self.s3.access_key)
            .env("UBOS_TEST_S3_SECRET_KEY", &self.s3.secret_key)
            .env("UBOS_TEST_S3_BUCKET", self.s3.bucket);
        if let Some(oidc) = &self.oidc {
            command.env("UBOS_TEST_OIDC_URL", &oidc.url);
        }
    }
}
