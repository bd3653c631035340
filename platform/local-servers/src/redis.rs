//! Redis from the distribution's package.

use crate::certificate::Certificate;
use crate::dirs::Dirs;
use crate::install::{Programs, private};
use crate::process::{Gone, Launch, Process};
use anyhow::Result;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const NAME: &str = "redis";
const START_PATIENCE: Duration = Duration::from_secs(30);
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// A Redis server of our own.
#[derive(Debug)]
pub struct Redis {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// The clients' URL, with password.
    pub url: String,
    dirs: Dirs,
    program: PathBuf,
    password: String,
    process: Process,
}

impl Redis {
    /// Starts it, or takes over the one that an earlier run started in the same folder.
    pub fn start(programs: &Programs, dirs: &Dirs, port: u16) -> Result<Self> {
        Self::start_with(programs, dirs, port, None)
    }

    /// The same, speaking nothing but TLS.
    pub fn start_tls(programs: &Programs, dirs: &Dirs, port: u16, certificate: &Certificate) -> Result<Self> {
        Self::start_with(programs, dirs, port, Some(certificate))
    }

    fn start_with(programs: &Programs, dirs: &Dirs, port: u16, certificate: Option<&Certificate>) -> Result<Self> {
        let data = dirs.data(NAME)?;
        let password = dirs.password(NAME)?;
        let scheme = if certificate.is_some() { "rediss" } else { "redis" };
        let url = format!("{scheme}://:{password}@127.0.0.1:{port}/0");
        let listen = match certificate {
            None => format!("port {port}"),
            Some(Certificate { certificate, key, authorities }) => format!(
                "port 0\ntls-port {port}\ntls-auth-clients optional\ntls-cert-file \"{}\"\ntls-key-file \"{}\"\n\
                 tls-ca-cert-file \"{}\"",
                certificate.display(),
                key.display(),
                authorities.display()
            ),
        };
        // A file and not arguments, because every user of the machine can read arguments.
        let config = dirs.root().join("redis.conf");
        let text = format!(
            "bind 127.0.0.1\n{listen}\ndir \"{}\"\nsave \"\"\nappendonly yes\nappendfsync everysec\nrequirepass {password}\n",
            data.display()
        );
        let fingerprint = format!("{:016x}", crate::dirs::fnv1a(text.as_bytes()));
        fs::write(&config, text)?;
        private(&config)?;
        let process = match Process::recorded(NAME, &dirs.record(NAME)) {
            Some(process) if process.fingerprint() == fingerprint => process,
            other => {
                if let Some(mut other) = other {
                    other.stop("TERM", STOP_PATIENCE)?;
                }
                launch(programs.redis_server.clone(), dirs, port, &password, fingerprint)?
            }
        };
        let program = programs.redis_server.clone();
        Ok(Self { port, url, dirs: dirs.clone(), program, password, process })
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops it after writing its file.
    pub fn stop(&mut self) -> Result<Gone> {
        self.process.stop("TERM", STOP_PATIENCE)
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Sends a signal by name (`STOP`, `CONT`).
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        self.process.signal(signal)
    }

    /// Starts it again on the same data and port; stops it first if it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        let fingerprint = self.process.fingerprint().to_owned();
        self.process = launch(self.program.clone(), &self.dirs, self.port, &self.password, fingerprint)?;
        Ok(())
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if self.dirs.is_throwaway() {
            self.kill().ok();
        }
    }
}

fn launch(program: PathBuf, dirs: &Dirs, port: u16, password: &str, fingerprint: String) -> Result<Process> {
    let speaks_tls = fs::read_to_string(dirs.root().join("redis.conf"))?.contains("tls-port");
    let mut command = Command::new(program);
    command.arg(dirs.root().join("redis.conf"));
    let log = dirs.log(NAME);
    let launch = Launch { name: "Redis".to_owned(), log: log.clone(), record: dirs.record(NAME), fingerprint };
    let mut process = Process::start(&launch, command)?;
    process.wait_until(START_PATIENCE, &log, || {
        // What it says in TLS is for those who have a library for it.
        if speaks_tls { said_ready(&log) } else { ping(port, password).unwrap_or(false) }
    })?;
    Ok(process)
}

fn said_ready(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|log| log.contains("Ready to accept connections"))
}

/// Whether it answers; while it reads its file after a start it answers LOADING instead.
fn ping(port: u16, password: &str) -> Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut connection = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(connection, "AUTH {password}\r\nPING\r\nQUIT\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.contains("+PONG"))
}
