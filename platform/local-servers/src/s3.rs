//! Object storage: SeaweedFS as one process.

use crate::dirs::Dirs;
use crate::install::Programs;
use crate::net::{http, http_get};
use crate::process::{Gone, Launch, Process};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const NAME: &str = "s3";
const START_PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(20);
const ACCESS_KEY: &str = "ubos";

/// How many ports the server needs: S3, master, volume, filer and admin, each with one for its internal calls.
pub const S3_PORTS: usize = 10;

/// An S3 server of our own.
#[derive(Debug)]
pub struct S3 {
    /// Where S3 is spoken on 127.0.0.1.
    pub port: u16,
    /// The S3 endpoint.
    pub url: String,
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// The bucket that exists from the start.
    pub bucket: &'static str,
    dirs: Dirs,
    ports: [u16; S3_PORTS],
    program: PathBuf,
    process: Process,
}

impl S3 {
    /// Starts it, or takes over the one that an earlier run started in the same folder. S3 is on the first port.
    pub fn start(programs: &Programs, dirs: &Dirs, ports: [u16; S3_PORTS]) -> Result<Self> {
        let secret_key = dirs.password(NAME)?;
        let process = match Process::recorded(NAME, &dirs.record(NAME)) {
            Some(process) if process.fingerprint() == fingerprint(&ports) => process,
            other => {
                if let Some(mut other) = other {
                    other.stop("TERM", STOP_PATIENCE)?;
                }
                launch(&programs.weed, dirs, &ports, &secret_key)?
            }
        };
        Ok(Self {
            port: ports[0],
            url: format!("http://127.0.0.1:{}", ports[0]),
            access_key: ACCESS_KEY.to_owned(),
            secret_key,
            bucket: "attachments",
            dirs: dirs.clone(),
            ports,
            program: programs.weed.clone(),
            process,
        })
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Stops it.
    pub fn stop(&mut self) -> Result<Gone> {
        self.process.stop("TERM", STOP_PATIENCE)
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again on the same data and ports; stops it first if it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.process = launch(&self.program, &self.dirs, &self.ports, &self.secret_key)?;
        Ok(())
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if self.dirs.is_throwaway() {
            self.kill().ok();
        }
    }
}

fn fingerprint(ports: &[u16; S3_PORTS]) -> String {
    format!("{ports:?}")
}

fn launch(program: &PathBuf, dirs: &Dirs, ports: &[u16; S3_PORTS], secret_key: &str) -> Result<Process> {
    let data = dirs.data(NAME)?;
    let [s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc, admin, admin_grpc] = ports;
    let mut command = Command::new(program);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", secret_key).current_dir(&data);
    command.args(["-logtostderr=true", "mini", "-bucket=attachments", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
    // It reports to its vendor unless told not to; without the pre-stop it ends in a second instead of ten.
    command.args(["-master.telemetry=false", "-volume.preStopSeconds=0", "-webdav=false", "-admin.ui=false"]);
    command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
    command.arg(format!("-dir={}", data.display()));
    for (option, port) in [
        ("s3.port", s3),
        ("s3.port.grpc", s3_grpc),
        ("master.port", master),
        ("master.port.grpc", master_grpc),
        ("volume.port", volume),
        ("volume.port.grpc", volume_grpc),
        ("filer.port", filer),
        ("filer.port.grpc", filer_grpc),
        ("admin.port", admin),
        ("admin.port.grpc", admin_grpc),
    ] {
        command.arg(format!("-{option}={port}"));
    }
    let log = dirs.log(NAME);
    let launch = Launch {
        name: "S3 (SeaweedFS)".to_owned(),
        log: log.clone(),
        record: dirs.record(NAME),
        fingerprint: fingerprint(ports),
    };
    let mut process = Process::start(&launch, command)?;
    process.wait_until(START_PATIENCE, &log, || http_get(*s3, "/healthz").is_ok_and(|(status, _)| status == 200))?;
    // The first write of all makes it grow volumes, which takes up to three seconds; better now than in somebody's upload.
    process.wait_until(START_PATIENCE, &log, || {
        let written = http(*filer, "PUT", "/buckets/attachments/.warm-up", "warm");
        written.is_ok_and(|(status, _)| (200..300).contains(&status))
    })?;
    http(*filer, "DELETE", "/buckets/attachments/.warm-up", "").ok();
    Ok(process)
}
