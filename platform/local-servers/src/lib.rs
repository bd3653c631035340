//! Starts real PostgreSQL, NATS, Redis and S3 servers on this machine, for `up` and for tests.
//!
//! Every server is a child process on 127.0.0.1 with its data, log and process record under one folder. Only processes
//! that the record proves to be ours are ever stopped.

mod certificate;
mod dirs;
mod install;
mod maildev;
mod nats;
mod net;
mod npm;
mod oidc;
mod postgres;
mod process;
mod redis;
mod s3;
mod user;

pub use certificate::Certificate;
pub use dirs::{Dirs, sweep_leftovers};
pub use install::{Programs, cache_folder, ensure_faketime, ensure_installed};
pub use maildev::Maildev;
pub use nats::{ClusterNode, Nats, NatsLogins, NatsOptions, NatsUser, nats_node, nats_python};
pub use net::{free_port, free_ports, http_get, port_holder};
pub use npm::npm_tools;
pub use oidc::Oidc;
pub use postgres::{Postgres, PostgresMode};
pub use process::{Gone, Launch, Process};
pub use redis::Redis;
pub use s3::{S3, S3_PORTS};
