//! What happens when: made from a seed alone, so that the same seed attacks in the same way.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::fmt;

/// What can be done to the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// SIGKILL, and a start after a short pause.
    Kill,
    /// SIGSTOP for longer than any lease, then SIGCONT.
    Pause,
    /// SIGTERM, and a start when it has ended.
    Restart,
    /// Everything between a process and a server takes longer.
    ProxyLatency,
    /// Nothing passes between a process and a server.
    ProxyBlackhole,
    /// Requests arrive at a server, its answers are lost.
    ProxyAnswersLost,
    /// A server's side of a process' connections is closed, the process' own side looks open.
    ProxyHalfOpen,
    /// A process' connections to a server are reset.
    ProxyReset,
    /// Redis forgets everything.
    RedisFlush,
    /// The stream is deleted.
    StreamDelete,
    /// The stream's store is put back to what it was a while ago.
    StreamRollback,
    /// No space is left on a server's disk.
    DiskFull,
    /// A process' clock jumps, and back.
    ClockJump,
    /// Old messages are published again, in order.
    Duplicate,
    /// Old messages are published again, backwards.
    Reorder,
    /// Messages that are no events of this log are put into the stream; the operator rebuilds it afterwards.
    Poison,
    /// Many clients hang up in the middle of a request.
    Storm,
    /// A process ends itself at a named place between two durable steps.
    CrashPoint,
}

impl Kind {
    /// As the evidence names it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kill => "kill",
            Kind::Pause => "pause",
            Kind::Restart => "restart",
            Kind::ProxyLatency => "proxy-latency",
            Kind::ProxyBlackhole => "proxy-blackhole",
            Kind::ProxyAnswersLost => "proxy-answers-lost",
            Kind::ProxyHalfOpen => "proxy-half-open",
            Kind::ProxyReset => "proxy-reset",
            Kind::RedisFlush => "redis-flush",
            Kind::StreamDelete => "stream-delete",
            Kind::StreamRollback => "stream-rollback",
            Kind::DiskFull => "disk-full",
            Kind::ClockJump => "clock-jump",
            Kind::Duplicate => "duplicate",
            Kind::Reorder => "reorder",
            Kind::Poison => "poison",
            Kind::Storm => "storm",
            Kind::CrashPoint => "crash-point",
        }
    }
}

/// One fault, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Seconds after the start of the load.
    pub at: f64,
    pub fault: Fault,
}

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub kind: Kind,
    /// `relay-1`, `relay-leader`, `postgres`, `command-api-2 > postgres`, `append.committed:3`.
    pub target: String,
    /// How long it lasts, or how long the victim stays down.
    pub seconds: f64,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { kind, target, seconds } = &self.fault;
        write!(f, "{:8.1} s  {:<18} {target} ({seconds:.1} s)", self.at, kind.name())
    }
}

/// What there is to attack.
#[derive(Debug, Clone)]
pub struct Battlefield {
    /// Names of the nodes of NATS.
    pub nats_nodes: Vec<String>,
    pub crash_points: Vec<String>,
    /// Faults that this machine cannot have.
    pub impossible: Vec<(Kind, &'static str)>,
    /// Names of the only kinds that are wanted; all if there is none.
    pub only: Vec<String>,
}

impl Battlefield {
    fn has(&self, kind: Kind) -> bool {
        let wanted = self.only.is_empty() || self.only.iter().any(|name| name == kind.name());
        wanted && !self.impossible.iter().any(|(impossible, _)| *impossible == kind)
    }
}

/// Nothing happens before the load has begun to flow.
const FIRST_AT: f64 = 8.0;
/// Two faults of three are kills.
const KILLS_OF_THREE: u32 = 2;
/// On average so long after one fault begins the next, besides what a long one lasts.
const MEAN_PAUSE: f64 = 6.5;

const COPIES: [&str; 12] = [
    "command-api-1",
    "command-api-2",
    "query-api-1",
    "query-api-2",
    "relay-1",
    "relay-2",
    "projections-1",
    "projections-2",
    "workflow-1",
    "workflow-2",
    "mailer-1",
    "mailer-2",
];

/// The faults of so many seconds.
pub fn plan(seed: u64, seconds: f64, field: &Battlefield) -> Vec<Planned> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut victims: VecDeque<String> = VecDeque::new();
    let mut specials: VecDeque<Fault> = essentials(&mut random, field).into();
    let mut rest = Some(others(&mut random, field));
    let nothing_else = specials.is_empty() && rest.as_ref().is_none_or(Vec::is_empty);
    let (mut plan, mut at, mut turn) = (vec![], FIRST_AT, 0);
    while at < seconds {
        let kills = field.has(Kind::Kill) && (turn % 3 < KILLS_OF_THREE || nothing_else);
        let fault = if kills {
            if victims.is_empty() {
                victims = kill_targets(&mut random, field).into();
            }
            let Some(target) = victims.pop_front() else { break };
            Fault { kind: Kind::Kill, target, seconds: random.random_range(0.2..1.2) }
        } else {
            if specials.is_empty() {
                // First everything once in an order that puts the rare ones first, then everything anew.
                let mut all = rest.take().unwrap_or_default();
                if all.is_empty() {
                    all = essentials(&mut random, field);
                    all.extend(others(&mut random, field));
                    all.shuffle(&mut random);
                }
                specials = all.into();
            }
            let Some(fault) = specials.pop_front() else { break };
            fault
        };
        let lasts = if fault.kind == Kind::Kill { 0.0 } else { fault.seconds };
        turn += 1;
        // What would end after the load begins a quiet time too late.
        if at + lasts < seconds {
            plan.push(Planned { at: (at * 10.0).round() / 10.0, fault });
        }
        at += lasts + MEAN_PAUSE * random.random_range(0.5..1.5);
    }
    plan
}

/// Every process and every server once, leaders one time more.
fn kill_targets(random: &mut StdRng, field: &Battlefield) -> Vec<String> {
    let servers = ["postgres", "redis", "replica", "relay-leader"].map(str::to_owned);
    let mut targets: Vec<String> = COPIES.map(str::to_owned).into_iter().chain(servers).collect();
    targets.extend(field.nats_nodes.iter().cloned());
    targets.shuffle(random);
    targets
}

/// One of each kind, for the shortest run.
fn essentials(random: &mut StdRng, field: &Battlefield) -> Vec<Fault> {
    let fault = |kind, target: &str, seconds| Fault { kind, target: target.to_owned(), seconds };
    let mut faults = vec![
        fault(Kind::Pause, "relay-leader", 8.0),
        fault(Kind::StreamDelete, "nats", 3.0),
        fault(Kind::StreamRollback, "nats", 10.0),
        fault(Kind::DiskFull, "nats-1", 8.0),
        fault(Kind::DiskFull, "postgres", 8.0),
        fault(Kind::ProxyBlackhole, "relay-leader > postgres", 6.0),
        fault(Kind::ProxyAnswersLost, "command-api-1 > postgres", 5.0),
        fault(Kind::ProxyHalfOpen, "projections-1 > postgres", 5.0),
        fault(Kind::ProxyReset, "workflow-1 > postgres", 0.5),
        fault(Kind::ProxyLatency, "command-api-2 > postgres", 6.0),
        fault(Kind::ClockJump, "command-api-1", 6.0),
        fault(Kind::Storm, "command-api", 2.0),
        fault(Kind::RedisFlush, "redis", 0.5),
        fault(Kind::Duplicate, "nats", 2.0),
        fault(Kind::Poison, "nats", 4.0),
    ];
    faults.retain(|fault| field.has(fault.kind));
    faults.shuffle(random);
    faults
}

/// The many ways to do the same things elsewhere, and every crash point.
fn others(random: &mut StdRng, field: &Battlefield) -> Vec<Fault> {
    let fault = |kind, target: &str, seconds| Fault { kind, target: target.to_owned(), seconds };
    let mut faults: Vec<Fault> = vec![];
    for name in &field.crash_points {
        // What happens once in a process' life must be met the first time.
        let once = ["elected", "rewinding", "built", "verified"].iter().any(|rare| name.ends_with(rare));
        let nth = if once { 1 } else { random.random_range(1..=12) };
        faults.push(fault(Kind::CrashPoint, &format!("{name}:{nth}"), 5.0));
    }
    // Longer than the leases: a run's is 15 s, a job's 30 s.
    let pauses = [
        ("workflow-1", 20.0),
        ("workflow-2", 20.0),
        ("projections-1", 9.0),
        ("projections-2", 9.0),
        ("mailer-1", 35.0),
        ("mailer-2", 35.0),
    ];
    faults.extend(pauses.map(|(target, seconds)| fault(Kind::Pause, target, seconds)));
    for target in ["command-api-1", "query-api-1", "relay-leader", "postgres", "nats-1"] {
        faults.push(fault(Kind::Pause, target, random.random_range(4.0..8.0)));
    }
    for target in ["command-api-2", "query-api-2", "relay-1", "relay-2", "projections-2", "workflow-2", "mailer-2"] {
        faults.push(fault(Kind::Restart, target, 1.0));
    }
    for server in ["postgres", "nats-1"] {
        faults.push(fault(Kind::Restart, server, 1.0));
    }
    let harms = [
        (Kind::ProxyLatency, 8.0),
        (Kind::ProxyBlackhole, 6.0),
        (Kind::ProxyAnswersLost, 5.0),
        (Kind::ProxyHalfOpen, 6.0),
        (Kind::ProxyReset, 0.5),
    ];
    for (kind, seconds) in harms {
        for role in ["relay", "projections", "workflow", "mailer"] {
            let copy = random.random_range(1..=2);
            faults.push(fault(kind, &format!("{role}-{copy} > nats"), seconds));
            faults.push(fault(kind, &format!("{role}-{copy} > postgres"), seconds));
        }
        for role in ["command-api", "query-api"] {
            faults.push(fault(kind, &format!("{role}-{} > postgres", random.random_range(1..=2)), seconds));
        }
    }
    for target in ["relay-leader", "projections-1", "workflow-1", "query-api-2"] {
        faults.push(fault(Kind::ClockJump, target, 6.0));
    }
    faults.push(fault(Kind::Reorder, "nats", 2.0));
    faults.push(fault(Kind::StreamDelete, "nats", 3.0));
    faults.push(fault(Kind::StreamRollback, "nats", 15.0));
    faults.push(fault(Kind::Storm, "command-api", 2.0));
    for node in &field.nats_nodes {
        faults.push(fault(Kind::DiskFull, node, 8.0));
    }
    faults.retain(|fault| field.has(fault.kind));
    faults.shuffle(random);
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn field() -> Battlefield {
        let crash_points = (0..20).map(|n| format!("point-{n}")).collect();
        Battlefield { nats_nodes: vec!["nats-1".to_owned()], crash_points, impossible: vec![], only: vec![] }
    }

    #[test]
    fn the_same_seed_is_the_same_schedule_and_another_seed_another() {
        assert_eq!(plan(7, 600.0, &field()), plan(7, 600.0, &field()));
        assert_ne!(plan(7, 600.0, &field()), plan(8, 600.0, &field()));
    }

    #[test]
    fn an_hour_holds_two_hundred_kills_and_everything_else() {
        for seed in 0..20 {
            let plan = plan(seed, 3_600.0, &field());
            let kills = plan.iter().filter(|planned| planned.fault.kind == Kind::Kill).count();
            assert!(kills >= 200, "seed {seed}: {kills}");
            let points = plan.iter().filter(|planned| planned.fault.kind == Kind::CrashPoint);
            let points: HashSet<_> = points.filter_map(|planned| planned.fault.target.split(':').next()).collect();
            assert_eq!(points.len(), 20, "seed {seed}");
        }
    }

    #[test]
    fn only_what_is_wanted_happens() {
        for kind in [Kind::Kill, Kind::CrashPoint, Kind::Pause] {
            let plan = plan(1, 300.0, &Battlefield { only: vec![kind.name().to_owned()], ..field() });
            assert!(plan.len() > 10 && plan.iter().all(|planned| planned.fault.kind == kind), "{kind:?}");
        }
    }

    #[test]
    fn five_minutes_hold_most_kinds() {
        for seed in 0..20 {
            let plan = plan(seed, 300.0, &field());
            let kinds: HashSet<_> = plan.iter().map(|planned| planned.fault.kind).collect();
            assert!(kinds.len() >= 8 && plan.len() >= 20, "seed {seed}: {} faults of {kinds:?}", plan.len());
        }
    }
}
