//! One run from its first server to its report.

use crate::converge::converge;
use crate::copies::{self, Copies, operate, operator};
use crate::durable::Durable;
use crate::evidence::{Evidence, rounded};
use crate::inject::{self, Injector, Locks};
use crate::load::{self, Load, clients, wire};
use crate::report::{self, Facts};
use crate::schedule::{Battlefield, Kind, plan};
use crate::servers::Servers;
use crate::subscriber;
use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use local_servers::NatsUser;
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

/// Firms.
const TENANTS: usize = 4;
/// Users of each.
const CLIENTS_PER_TENANT: usize = 12;
/// How long what is under way when the load ends may take.
const FINISH: Duration = Duration::from_secs(45);
/// How long everything may take to come to rest.
const CONVERGE: Duration = Duration::from_secs(180);
/// Without faults, so that what they left under way can be seen to end.
const QUIET_TAIL: f64 = 10.0;

/// What to attack, for how long, and where to write it down.
#[derive(Debug, Parser)]
#[command(name = "faults", about = "Attacks the whole product under load")]
pub struct Options {
    /// How long.
    #[arg(long, default_value_t = 5.0)]
    pub minutes: f64,
    /// The same seed attacks in the same way.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Commands a second.
    #[arg(long, default_value_t = 500)]
    pub rate: u32,
    /// One node of NATS, or three with three copies of the stream.
    #[arg(long, value_enum, default_value_t = NatsShape::Single)]
    pub nats: NatsShape,
    /// The folder for the evidence.
    #[arg(long, default_value = "faults-evidence")]
    pub out: PathBuf,
    /// Only these kinds of faults, as the schedule names them; all unless given.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// The program under attack.
    #[arg(long, env = "UBOS_BIN")]
    pub ubos: PathBuf,
    /// The commit that it was built from, for the report.
    #[arg(long, default_value = "unknown")]
    pub commit: String,
    /// The folder in which `python -m checker` works; without it the evidence is left unjudged.
    #[arg(long)]
    pub checker: Option<PathBuf>,
    /// The Python that has what the checker needs.
    #[arg(long, default_value = "python3")]
    pub python: PathBuf,
}

/// How NATS is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NatsShape {
    /// One node.
    Single,
    /// Three nodes.
    Cluster,
}

/// Whether nothing was violated. An error is a harness that could not do its work.
pub async fn run(options: Options) -> Result<bool> {
    let nodes = if options.nats == NatsShape::Cluster { 3 } else { 1 };
    let field = battlefield(&options, nodes).await?;
    let seconds = options.minutes * 60.0;
    let plan = plan(options.seed, seconds - QUIET_TAIL, &field);
    std::fs::create_dir_all(&options.out)?;
    println!("seed {}, {} faults in {seconds:.0} s:", options.seed, plan.len());
    plan.iter().for_each(|planned| println!("{planned}"));
    for (kind, why) in &field.impossible {
        println!("left out: {} ({why})", kind.name());
    }

    let servers = Arc::new(tokio::task::block_in_place(|| Servers::start(nodes)).context("starting the servers")?);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let copies = tokio::select! {
        ended = Box::pin(attack(&options, &servers, plan, &field, seconds)) => return ended,
        _ = interrupt.recv() => "interrupted",
        _ = terminate.recv() => "terminated",
    };
    anyhow::bail!("{copies}")
}

async fn battlefield(options: &Options, nodes: usize) -> Result<Battlefield> {
    let mut impossible = vec![];
    if let Err(error) = inject::blocking(local_servers::ensure_faketime) {
        println!("{error:#}");
        impossible.push((Kind::ClockJump, "libfaketime cannot be installed"));
    }
    // A binary without crash points does not know the verb.
    let listed = tokio::process::Command::new(&options.ubos).arg("crash-points").output().await;
    let listed = listed.with_context(|| format!("running {}", options.ubos.display()))?;
    let crash_points: Vec<String> = match listed.status.success() {
        true => String::from_utf8_lossy(&listed.stdout).lines().map(|line| line.trim().to_owned()).collect(),
        false => vec![],
    };
    if crash_points.is_empty() {
        impossible.push((Kind::CrashPoint, "this binary was built without crash points"));
    }
    Ok(Battlefield {
        nats_nodes: (1..=nodes).map(|n| format!("nats-{n}")).collect(),
        crash_points,
        impossible,
        only: options.only.clone(),
    })
}

async fn attack(
    options: &Options,
    servers: &Arc<Servers>,
    plan: Vec<crate::schedule::Planned>,
    field: &Battlefield,
    seconds: f64,
) -> Result<bool> {
    let ubos = options.ubos.as_path();
    copies::write_operator_settings(servers)?;
    operate(servers, ubos, &["migrate"]).await?;
    let tenants: Vec<Uuid> = (0..TENANTS).map(|_| Uuid::now_v7()).collect();
    let mut tokens = vec![];
    for client in 0..TENANTS * CLIENTS_PER_TENANT {
        let tenant = tenants[client % TENANTS];
        tokens.push((tenant, token(servers, ubos, tenant, seconds).await?));
    }
    let copies = Copies::prepare(servers, ubos).await?;
    copies.start().await.context("starting the roles")?;
    for (tenant, token) in tokens.iter().take(TENANTS) {
        load::seed(copies.ports("command-api")[0], token).await?;
        operate(servers, ubos, &["workflow", "publish", "--tenant", &tenant.to_string()]).await?;
    }

    let evidence = Arc::new(Evidence::create(&options.out)?);
    let started_at = chrono::Utc::now();
    let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(3));
    let pool = pool.connect(&servers.database_url()).await?;
    let demo_until: i64 = sqlx::query_scalar("select position from eventstore.head").fetch_one(&pool).await?;
    let received = Arc::new(subscriber::Received::default());
    let nats_url = servers.nats_url(NatsUser::Operator, &servers.nats_ports);
    let follower = subscriber::follow(nats_url.clone(), "EVENTS".to_owned(), evidence.clone(), received.clone());
    let durable = Arc::new(Durable::default());
    let followers =
        [tokio::spawn(follower), tokio::spawn(durable.clone().follow(nats_url.clone(), "EVENTS".to_owned()))];
    let keeper = tokio::spawn(copies.clone().keep(evidence.clone()));
    let wire = wire(&evidence, copies.ports("command-api"), copies.ports("query-api"))?;
    let clients = clients(tokens, &wire);
    let injector = Arc::new(Injector {
        servers: servers.clone(),
        copies: copies.clone(),
        ubos: ubos.to_owned(),
        evidence: evidence.clone(),
        wire: wire.clone(),
        clients: clients.clone(),
        received: received.clone(),
        pool: pool.clone(),
        measured: parking_lot::Mutex::default(),
        failed: parking_lot::Mutex::default(),
        active: AtomicUsize::new(0),
        begun: AtomicUsize::new(0),
        locks: Locks::default(),
    });

    let load_began = evidence.now();
    let load = Load::start(clients, wire.clone(), options.rate, options.seed);
    let progress = tokio::spawn(report::progress(injector.clone()));
    let end = evidence.moment(load_began + seconds);
    let attacking = injector.carry_out(plan, load_began);
    let load_ends = async {
        tokio::time::sleep_until(end.into()).await;
        load.finish(FINISH).await;
    };
    tokio::join!(attacking, load_ends);
    progress.abort();

    println!("{:8.1} quiet: healing everything, waiting for rest", evidence.now());
    servers.mailbox.behave();
    injector.heal().await.context("healing")?;
    let rest = converge(&pool, CONVERGE).await;
    let (converged, converge_seconds) = match &rest {
        Ok(took) => (true, took.as_secs_f64()),
        Err(error) => {
            eprintln!("{error:#}");
            (false, CONVERGE.as_secs_f64())
        }
    };
    // What the consumers outside have not taken yet. One of them reads a stream that went back from its beginning again,
    // which takes minutes after an hour; so it is given up only when it takes nothing any more.
    let head: i64 = sqlx::query_scalar("select position from eventstore.head").fetch_one(&pool).await?;
    let all_taken = || received.newest.load(Ordering::Relaxed) >= head && durable.count() >= head;
    let taken = || (received.messages.load(Ordering::Relaxed), durable.count());
    let mut last = (taken(), Instant::now());
    while !all_taken() && last.1.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if taken() != last.0 {
            last = (taken(), Instant::now());
        }
    }
    followers.iter().for_each(tokio::task::JoinHandle::abort);
    durable.write(&evidence.folder)?;
    servers.mailbox.write(&evidence.folder)?;
    println!("{:8.1} verifying", evidence.now());
    let (verify, verified) = operator(servers, ubos, &["verify", "--wait-seconds", "60"]).await?;
    std::fs::write(evidence.folder.join("verify.txt"), &verified)?;
    keeper.abort();
    evidence.flush()?;
    evidence.write_run(&json!({
        "seed": options.seed, "seconds": seconds, "commit": options.commit, "tenants": tenants,
        "started_at": started_at.to_rfc3339(), "load_per_second": options.rate, "demo_until_position": demo_until,
        "nats_nodes": nodes_of(options), "converged": converged, "converge_seconds": rounded(converge_seconds),
        "verify": verify, "vault_key": copies::VAULT_KEY,
    }))?;
    copies.stop().await;
    keep_logs(servers, &evidence.folder)?;

    let judged = match &options.checker {
        Some(checker) => Some(judge(options, checker, servers, &nats_url, &evidence.folder).await?),
        None => None,
    };
    let facts = Facts {
        options,
        field,
        seconds,
        converged: rest.as_ref().map(|took| took.as_secs_f64()).map_err(|error| format!("{error:#}")),
        head,
        verify,
        verified: &verified,
        judged: judged.as_ref(),
    };
    let (text, fine) = report::report(&injector, &facts);
    std::fs::write(evidence.folder.join("report.md"), &text)?;
    println!("\n{text}");
    Ok(fine)
}

/// What the processes said, for whoever looks for the reason of something.
fn keep_logs(servers: &Servers, folder: &Path) -> Result<()> {
    let kept = folder.join("logs");
    std::fs::create_dir_all(&kept)?;
    for entry in std::fs::read_dir(servers.dirs.root().join("log"))? {
        let file = entry?.path();
        std::fs::copy(&file, kept.join(file.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

fn nodes_of(options: &Options) -> usize {
    if options.nats == NatsShape::Cluster { 3 } else { 1 }
}

async fn token(servers: &Servers, ubos: &Path, tenant: Uuid, seconds: f64) -> Result<String> {
    let (tenant, subject) = (tenant.to_string(), Uuid::now_v7().to_string());
    // Longer than the run, also for a role whose clock is an hour ahead.
    let ttl = ((seconds as u64) + 3 * 3_600).to_string();
    operate(servers, ubos, &["token", "--tenant", &tenant, "--subject", &subject, "--ttl-seconds", &ttl]).await
}

/// What the checker said.
#[derive(Debug)]
pub struct Judged {
    pub fine: bool,
    pub text: String,
}

/// Lets the checker add the dumps while the servers still run, then judge the folder by itself.
async fn judge(options: &Options, checker: &Path, servers: &Servers, nats_url: &str, folder: &Path) -> Result<Judged> {
    let folder = folder.display().to_string();
    let database = servers.database_url();
    let collect = ["collect", "--postgres", &database, "--nats", nats_url, "--stream", "EVENTS", "--out", &folder];
    let mut text = String::new();
    for arguments in [&collect[..], &["judge", &folder]] {
        let mut python = tokio::process::Command::new(&options.python);
        python.args(["-m", "checker"]).args(arguments).current_dir(checker).stdin(Stdio::null()).kill_on_drop(true);
        let output = python.output().await.context("running the checker")?;
        text += &String::from_utf8_lossy(&output.stdout);
        text += &String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Ok(Judged { fine: false, text });
        }
    }
    Ok(Judged { fine: true, text })
}
