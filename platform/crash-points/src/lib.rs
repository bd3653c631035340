//! Named places between two durable steps at which a process can be made to die.
//!
//! A kill at a random moment rarely hits the few microseconds in which one store knows something that the next one does
//! not. With the feature `armed`, a process whose environment says `UBOS_CRASH_AT=append.committed:3` ends itself, without
//! unwinding and without a word, the third time it comes by `append.committed`. Without the feature a point costs nothing.

/// A place between two durable steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A batch is decided; nothing of it has left the process.
    AppendSending,
    /// A batch is in the log; none of its clients knows.
    AppendCommitted,
    /// The same, of a batch with commands that enter the log together.
    AppendUnitSending,
    /// They are in the log; nobody knows.
    AppendUnitCommitted,
    /// A relay has become the leader; nothing is published yet in its epoch.
    RelayElected,
    /// Messages are with NATS; whether it keeps them is not known yet.
    RelaySent,
    /// NATS has kept a message; the cursor does not say so.
    RelayAcknowledged,
    /// What the stream holds is known again after a loss; the cursor does not say so.
    RelayRewinding,
    /// The checkpoint has moved, not committed; the rows of its batch are not written.
    ProjectionAdvanced,
    /// The rows of the batch are written too, not committed.
    ProjectionWritten,
    /// Rows and checkpoint are committed; nobody has been told.
    ProjectionCommitted,
    /// The intake has noted what a batch of events means for runs, not committed.
    IntakeNoted,
    /// The intake's notes are committed; no worker is woken.
    IntakeCommitted,
    /// A worker has taken a run; nothing is done with it.
    WorkflowTaken,
    /// A segment of a run is decided; nothing of it is in the log.
    WorkflowDecided,
    /// It is in the log; the worker has not let go of the run.
    WorkflowAppended,
    /// A reaction has noted the jobs that a batch of events asks for, not committed.
    ReactionNoted,
    /// They are committed; nobody is woken.
    ReactionCommitted,
    /// A job is taken; nothing is done.
    ReactionTaken,
    /// It is done, outside; nothing of ours says so.
    ReactionPerformed,
    /// What became of it is noted; nobody has been told.
    ReactionSettled,
    /// Rebuilt tables are filled and follow the log; they are not switched in.
    ReplayBuilt,
    /// Rebuilt tables are compared with the live ones; they are not switched in.
    ReplayVerified,
}

/// Every point, in the order in which an event meets them.
pub const POINTS: [Point; 23] = [
    Point::AppendSending,
    Point::AppendCommitted,
    Point::AppendUnitSending,
    Point::AppendUnitCommitted,
    Point::RelayElected,
    Point::RelaySent,
    Point::RelayAcknowledged,
    Point::RelayRewinding,
    Point::ProjectionAdvanced,
    Point::ProjectionWritten,
    Point::ProjectionCommitted,
    Point::IntakeNoted,
    Point::IntakeCommitted,
    Point::WorkflowTaken,
    Point::WorkflowDecided,
    Point::WorkflowAppended,
    Point::ReactionNoted,
    Point::ReactionCommitted,
    Point::ReactionTaken,
    Point::ReactionPerformed,
    Point::ReactionSettled,
    Point::ReplayBuilt,
    Point::ReplayVerified,
];

impl Point {
    /// As the environment names it, `append.committed`; the first word says which role comes by.
    pub fn name(self) -> &'static str {
        match self {
            Self::AppendSending => "append.sending",
            Self::AppendCommitted => "append.committed",
            Self::AppendUnitSending => "append.unit_sending",
            Self::AppendUnitCommitted => "append.unit_committed",
            Self::RelayElected => "relay.elected",
            Self::RelaySent => "relay.sent",
            Self::RelayAcknowledged => "relay.acknowledged",
            Self::RelayRewinding => "relay.rewinding",
            Self::ProjectionWritten => "projection.written",
            Self::ProjectionAdvanced => "projection.advanced",
            Self::ProjectionCommitted => "projection.committed",
            Self::IntakeNoted => "intake.noted",
            Self::IntakeCommitted => "intake.committed",
            Self::WorkflowTaken => "workflow.taken",
            Self::WorkflowDecided => "workflow.decided",
            Self::WorkflowAppended => "workflow.appended",
            Self::ReactionNoted => "reaction.noted",
            Self::ReactionCommitted => "reaction.committed",
            Self::ReactionTaken => "reaction.taken",
            Self::ReactionPerformed => "reaction.performed",
            Self::ReactionSettled => "reaction.settled",
            Self::ReplayBuilt => "replay.built",
            Self::ReplayVerified => "replay.verified",
        }
    }
}

/// Comes by a point.
#[cfg(not(feature = "armed"))]
#[inline(always)]
pub fn reach(_: Point) {}

/// Comes by a point, and dies there if the environment says so.
#[cfg(feature = "armed")]
pub fn reach(point: Point) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static CHOSEN: LazyLock<Option<(Point, u64)>> = LazyLock::new(|| {
        let wanted = std::env::var("UBOS_CRASH_AT").ok()?;
        Some(parse(&wanted).unwrap_or_else(|| panic!("UBOS_CRASH_AT={wanted}: expected <point>:<nth time>")))
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);
    if let Some((chosen, nth)) = *CHOSEN
        && chosen == point
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == nth
    {
        std::process::abort();
    }
}

/// Whether points are compiled in.
pub const ARMED: bool = cfg!(feature = "armed");

/// `append.committed:3`: the point and the how manieth time counts.
#[cfg_attr(
    not(any(test, feature = "armed")),
    expect(dead_code, reason = "only armed processes read their environment")
)]
fn parse(wanted: &str) -> Option<(Point, u64)> {
    let (name, nth) = wanted.split_once(':')?;
    let point = POINTS.into_iter().find(|point| point.name() == name)?;
    Some((point, nth.parse().ok().filter(|nth| *nth > 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_chosen_by_its_name() {
        for point in POINTS {
            assert_eq!(parse(&format!("{}:2", point.name())), Some((point, 2)));
        }
        for garbage in ["", "append.committed", "append.committed:0", "append.commited:1", "append.committed:x"] {
            assert_eq!(parse(garbage), None, "{garbage}");
        }
    }
}
