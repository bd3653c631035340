//! Who used the processor: read from `/proc` before and after, and summed up by role.

use anyhow::Result;
use sqlx::PgPool;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// One tick of `/proc`'s clock.
const TICK: Duration = Duration::from_millis(10);
/// Whoever was busy on less of a core is not named.
const WORTH_NAMING: f64 = 0.02;

/// What every process had used at a moment.
#[derive(Debug)]
pub struct Used {
    at: Instant,
    processes: HashMap<u32, (String, Duration)>,
}

impl Used {
    /// Until now. A session of PostgreSQL counts for the service whose name it carries.
    pub async fn now(superuser: &PgPool) -> Result<Self> {
        let sql = "select pid, application_name from pg_stat_activity where backend_type = 'client backend'";
        let sessions: Vec<(i32, String)> = sqlx::query_as(sql).fetch_all(superuser).await?;
        let sessions: HashMap<u32, String> =
            sessions.into_iter().map(|(pid, name)| (pid.unsigned_abs(), name)).collect();
        let mut processes = HashMap::new();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // A process may end meanwhile.
            let Ok(command) = std::fs::read_to_string(entry.path().join("cmdline")) else { continue };
            if let Some(name) = name_of(pid, &command, &sessions) {
                processes.insert(pid, (name, time_of(&entry.path().join("stat").to_string_lossy())));
            }
        }
        Ok(Self { at: Instant::now(), processes })
    }

    /// On how many cores each was busy since `before`, the busiest first: `command-api 0.41, NATS 0.19`.
    pub fn since(&self, before: &Self) -> String {
        let mut cores: BTreeMap<&str, f64> = BTreeMap::new();
        for (pid, (name, used)) in &self.processes {
            let already = before.processes.get(pid).map_or(Duration::ZERO, |(_, used)| *used);
            *cores.entry(name).or_default() += used.saturating_sub(already).as_secs_f64();
        }
        let elapsed = (self.at - before.at).as_secs_f64();
        let mut cores: Vec<(&str, f64)> = cores.into_iter().map(|(name, used)| (name, used / elapsed)).collect();
        cores.retain(|(_, cores)| *cores >= WORTH_NAMING);
        cores.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        cores.iter().map(|(name, cores)| format!("{name} {cores:.2}")).collect::<Vec<_>>().join(", ")
    }
}

/// Processor time that this process has used.
pub fn own_time() -> Duration {
    time_of("/proc/self/stat")
}

/// User and system time of a process; nothing of one that has ended since it was listed, which then counts as little as one
/// that ended before.
fn time_of(stat: &str) -> Duration {
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    // The command's name, in brackets, may hold spaces. After it, user and system time are fields 12 and 13.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).map(|ticks| TICK * ticks).sum()
}

/// `None` for a process that has nothing to do with the product.
fn name_of(pid: u32, command: &str, sessions: &HashMap<u32, String>) -> Option<String> {
    if pid == std::process::id() {
        return Some("this bench".to_owned());
    }
    let mut words = command.split('\0').filter(|word| !word.is_empty());
    let program = words.next()?;
    if program.starts_with("postgres:") {
        let service = sessions.get(&pid).filter(|name| !name.is_empty());
        return Some(service.map_or("the rest of PostgreSQL".to_owned(), |name| format!("PostgreSQL for {name}")));
    }
    match program.rsplit('/').next()? {
        "nats-server" => Some("NATS".to_owned()),
        "ubos" => words.next_back().map(str::to_owned),
        _ => None,
    }
}
