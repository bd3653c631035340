//! `cargo xtask up` and `cargo xtask down`

mod lab;
mod plan;
mod roles;
mod settings;

use crate::command::{Profile, Workspace, capture, run_ok};
use crate::steps::{heading, seconds, step};
use anyhow::{Result, bail};
use clap::Args;
use local_servers::{
    Dirs, Gone, Maildev, Nats, NatsOptions, Oidc, Postgres, PostgresMode, Process, Programs, Redis, S3,
    ensure_installed, port_holder,
};
use plan::{Ports, SERVERS};
use roles::Role;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// How long a role may take to finish its work after SIGTERM.
const ROLE_PATIENCE: Duration = Duration::from_secs(25);

/// Where and what to start.
#[derive(Args)]
pub struct UpArguments {
    /// The first of about a hundred ports on 127.0.0.1.
    #[arg(long, default_value_t = 21_400)]
    base_port: u16,
    /// The folder for data, logs and settings; another one makes a second, independent stack.
    #[arg(long, default_value = ".ubos")]
    state: PathBuf,
    /// Only the servers; for work on the roles themselves.
    #[arg(long)]
    servers_only: bool,
    /// Also starts an OpenID provider, through which the demo tenant's people log in with a browser.
    #[arg(long)]
    login: bool,
    /// Also says where to agree by hand, in a browser, with `--login`, that the demo tenant is connected with DocuSign and Xero, for
    /// which a lab stands in.
    #[arg(long)]
    providers: bool,
    /// Ends when every role is ready and the demo tenant has its settings, without its history and without driving the flagships.
    #[arg(long)]
    no_flagship: bool,
}

/// What to stop.
#[derive(Args)]
pub struct DownArguments {
    /// The folder that `up` used.
    #[arg(long, default_value = ".ubos")]
    state: PathBuf,
    /// Also removes the folder with all data.
    #[arg(long)]
    wipe: bool,
}

/// Starts what does not run yet, and shows that it works.
pub fn up(workspace: &Workspace, arguments: &UpArguments) -> Result<ExitCode> {
    let begun = Instant::now();
    let dirs = Dirs::kept(&workspace.root.join(&arguments.state))?;
    let _lock = lock(&dirs)?;
    let ports = Ports::from_base(arguments.base_port)?;
    refuse_another_base(&dirs, arguments.base_port)?;
    refuse_taken_ports(&dirs, ports.of_servers())?;

    heading("servers");
    let programs = step("server programs are installed", |spinner| {
        ensure_installed(&mut |message| spinner.println(format!("    {message}")))
    })?;
    let servers = Servers::start(&programs, &dirs, &ports, arguments.login)?;
    let config = settings::write(&dirs, &ports, &servers)?;
    if arguments.servers_only {
        println!("\nsettings are in {}; stop with: {}", config.display(), stop_command(arguments));
        return Ok(ExitCode::SUCCESS);
    }

    heading("building ubos");
    let ubos = workspace.build("ubos", Profile::Debug)?;
    lab::ensure(workspace, &dirs, &ports)?;
    heading("roles");
    let fingerprint = roles::fingerprint(&ubos, &config)?;
    let verb = |arguments: &[&str]| {
        let mut command = Command::new(&ubos);
        command.arg("--config").arg(&config).args(arguments).current_dir(dirs.root());
        command
    };
    let roles = roles::wanted(verb(&[]))?;
    refuse_taken_ports(&dirs, roles.iter().map(|role| (&*role.name, role.name.clone(), role.bind.port())))?;
    step("the database is migrated", |_| capture(verb(&["migrate"])))?;
    for role in &roles {
        roles::ensure(role, &dirs, &fingerprint, verb(&[&role.name]))?;
    }
    // Through the front door, like anybody else, so the roles must be up. What is past comes before there are workflows, so that
    // nobody is written to because of it.
    if !arguments.no_flagship {
        step("the demo tenant has a history of two years", |_| capture(verb(&["demo", "history"])))?;
    }
    step("the demo tenant is seeded", |_| capture(verb(&["demo", "seed"])))?;
    let (lab, mail) = (lab::url(&ports), servers.maildev.url.clone());
    if !arguments.no_flagship {
        heading("the six flagships, one after the other");
        let papers = dirs.root().join("papers").display().to_string();
        run_ok(verb(&["demo", "flagships", "--lab", &lab, "--mail", &mail, "--papers", &papers]))?;
    }
    if arguments.login {
        let tenant = capture(verb(&["demo", "tenant"]))?;
        let start = format!("http://127.0.0.1:{}/v1/login/start", ports.command_api);
        println!("\n  log in as grace@advisors.example:\n  {start}?provider=development&tenant={}", tenant.trim());
    }
    if arguments.providers {
        heading("agree by hand: log in with a browser first, then open");
        run_ok(verb(&["demo", "connections"]))?;
    }
    let what = Summary { workspace, ubos: &ubos, config: &config, ports: &ports, roles: &roles, dirs: &dirs };
    what.print();
    println!("\nstop with: {}   (up took {})", stop_command(arguments), seconds(begun.elapsed()));
    Ok(ExitCode::SUCCESS)
}

/// Stops the roles, then the servers that they talk to.
pub fn down(workspace: &Workspace, arguments: &DownArguments) -> Result<ExitCode> {
    let folder = workspace.root.join(&arguments.state);
    if !folder.exists() {
        println!("nothing was started in {}", arguments.state.display());
        return Ok(ExitCode::SUCCESS);
    }
    let dirs = Dirs::kept(&folder)?;
    let _lock = lock(&dirs)?;
    let is_server = |name: &str| SERVERS.iter().any(|(server, _)| *server == name);
    let roles = dirs.recorded().into_iter().filter(|name| !is_server(name));
    let mut running: Vec<Process> = roles.filter_map(|role| Process::recorded(&role, &dirs.record(&role))).collect();
    // All at once, so that the slowest decides how long it takes and not their sum.
    for role in &mut running {
        role.signal("TERM")?;
    }
    for role in &mut running {
        stop(role, "TERM")?;
    }
    // PostgreSQL last, because the others may still want to write; SIGINT is its "fast" shutdown.
    for (server, signal) in SERVERS {
        if let Some(mut process) = Process::recorded(server, &dirs.record(server)) {
            stop(&mut process, signal)?;
            running.push(process);
        }
    }
    if running.is_empty() {
        println!("nothing runs that was started in {}", arguments.state.display());
    }
    if arguments.wipe {
        dirs.remove()?;
        println!("  ✓ {} is removed", arguments.state.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn stop(process: &mut Process, signal: &str) -> Result<()> {
    let name = process.name().to_owned();
    step(&format!("{name} is stopped"), |spinner| {
        if process.stop(signal, ROLE_PATIENCE)? == Gone::ByForce {
            spinner.set_message(format!("{name} did not end within {} s and was killed", ROLE_PATIENCE.as_secs()));
        }
        Ok(())
    })
}

/// The servers of a stack.
struct Servers {
    postgres: Postgres,
    nats: Nats,
    redis: Redis,
    s3: S3,
    oidc: Option<Oidc>,
    maildev: Maildev,
}

impl Servers {
    fn start(programs: &Programs, dirs: &Dirs, ports: &Ports, login: bool) -> Result<Self> {
        let options = NatsOptions { sync_always: true };
        Ok(Self {
            postgres: step(&format!("PostgreSQL on 127.0.0.1:{}", ports.postgres), |_| {
                Postgres::start(programs, dirs, ports.postgres, PostgresMode::Durable)
            })?,
            nats: step(&format!("NATS on 127.0.0.1:{}", ports.nats), |_| {
                Nats::start(programs, dirs, ports.nats, ports.nats_monitor, options)
            })?,
            redis: step(&format!("Redis on 127.0.0.1:{}", ports.redis), |_| Redis::start(programs, dirs, ports.redis))?,
            s3: step(&format!("S3 on 127.0.0.1:{}", ports.s3[0]), |_| S3::start(programs, dirs, ports.s3))?,
            oidc: match login {
                true => Some(step(&format!("the OpenID provider on 127.0.0.1:{}", ports.oidc), |_| {
                    Oidc::start(
                        dirs,
                        ports.oidc,
                        &[format!("http://127.0.0.1:{}/v1/login/callback", ports.command_api)],
                    )
                })?),
                false => None,
            },
            maildev: step(&format!("the mail server on 127.0.0.1:{}", ports.smtp), |_| {
                Maildev::start(dirs, ports.smtp, ports.mail)
            })?,
        })
    }
}

/// Two runs at the same time would start everything twice.
fn lock(dirs: &Dirs) -> Result<File> {
    let lock = File::create(dirs.root().join("lock"))?;
    if lock.try_lock().is_err() {
        bail!("another `cargo xtask up` or `down` works on {} right now", dirs.root().display());
    }
    Ok(lock)
}

fn refuse_another_base(dirs: &Dirs, base: u16) -> Result<()> {
    let file = dirs.root().join("base-port");
    let before: Option<u16> = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
    let recorded = dirs.recorded();
    let mut running = recorded.iter().filter_map(|name| Process::recorded(name, &dirs.record(name)));
    if let Some(before) = before
        && before != base
        && running.next().is_some()
    {
        bail!(
            "this stack runs on ports from {before}; stop it first with `cargo xtask down`, or use --base-port {before}"
        );
    }
    Ok(fs::write(file, base.to_string())?)
}

/// Each is the process that wants a port, what a message calls it, and the port.
fn refuse_taken_ports<'p>(dirs: &Dirs, ports: impl IntoIterator<Item = (&'p str, String, u16)>) -> Result<()> {
    let mut taken = Vec::new();
    for (process, service, port) in ports {
        if Process::recorded(process, &dirs.record(process)).is_some() {
            continue;
        }
        if let Some(holder) = port_holder(port) {
            taken.push(format!("port {port}, which {service} needs, is taken by {holder}"));
        }
    }
    if !taken.is_empty() {
        bail!("{}\nEnd whoever holds it, or choose other ports with --base-port.", taken.join("\n"));
    }
    Ok(())
}

fn stop_command(arguments: &UpArguments) -> String {
    if arguments.state == Path::new(".ubos") {
        "cargo xtask down".to_owned()
    } else {
        format!("cargo xtask down --state {}", arguments.state.display())
    }
}

/// What to do with a stack that runs.
struct Summary<'a> {
    workspace: &'a Workspace,
    ubos: &'a Path,
    config: &'a Path,
    ports: &'a Ports,
    roles: &'a [Role],
    dirs: &'a Dirs,
}

impl Summary<'_> {
    fn print(&self) {
        let Ports { command_api, query_api, nats_monitor, mail, .. } = self.ports;
        let short = |path: &Path| {
            let below = path.strip_prefix(&self.workspace.root).unwrap_or(path);
            below.display().to_string()
        };
        heading("it runs");
        println!("  commands      http://127.0.0.1:{command_api}   try /openapi.json and /docs");
        println!("  queries       http://127.0.0.1:{query_api}   try /openapi.json and /docs");
        for Role { name, bind, .. } in self.roles {
            println!("  {name:<13} http://{bind}/ready and /metrics");
        }
        println!("  providers     {}   the lab that stands in for DocuSign and Xero", lab::url(self.ports));
        println!("  emails        http://127.0.0.1:{mail}");
        println!("  NATS          http://127.0.0.1:{nats_monitor}/jsz");
        println!("  logs          {}", short(&self.dirs.root().join("log")));
        println!("  operator      {} --config {} --help", short(self.ubos), short(self.config));
    }
}
