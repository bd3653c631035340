//! A run in a worker's hands: as the log has it, and the segment of it that is being decided.
//!
//! A segment goes as far as the run can go at once. Its steps' commands and the records of what came of them are decided in
//! memory, each on what those before it left, and enter the log as one unit. So a step's effect and its record are never
//! apart, and whoever decided on a run that has moved on meanwhile is refused all of it: docs/adr/0037.

use crate::document::Document;
use crate::hot::{Hot, Place};
use crate::plan::{self, Open};
use crate::turn::{DENIED, OneOfSeveral, Sending, Standing};
use anyhow::{Context as _, anyhow};
use crash_points::Point;
use event_store::{
    CommandBus, DecidedCommand, ExecuteError, Request, Store, UNIT_COMMANDS_MAX, UNIT_EVENTS_MAX, Unit, UnitCommand,
    UnitError, count_command,
};
use kernel::{Permissions, TenantId};
use metrics::{counter, histogram};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;
use workflow::run::RunCommand;
use workflow::{Entry, Run, StepPath};

/// Conflicts in a row before a segment is no more than one step, so that it is about no more streams than it must.
const CONFLICTS_BEFORE_SMALL: u32 = 1;

/// Conflicts in a row after which a step has failed for now: it is tried again as its definition says.
const CONFLICTS_MAX: u32 = 8;

/// Why a segment came to nothing.
#[derive(Debug)]
pub(crate) enum Halt {
    /// What it was decided on is not so any more: it is to be decided again.
    Stale(ExecuteError),
    /// Another run for the same goes on, so this one does not start.
    Beside(Uuid),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Halt {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// What the log said to the run's own record.
fn of_record(error: ExecuteError) -> Halt {
    match error {
        ExecuteError::VersionMismatch { .. }
        | ExecuteError::Conflict
        | ExecuteError::AlreadyExists
        | ExecuteError::Rejected { .. } => Halt::Stale(error),
        error => Halt::Failed(anyhow::Error::from(error).context("recording a step")),
    }
}

/// What the log said to a step's command.
#[derive(Debug)]
struct Refused {
    fingerprint: [u8; 32],
    error: ExecuteError,
    /// The segment counts on it.
    is_used: bool,
}

/// A command of the segment that is a step's.
#[derive(Debug)]
struct Sent {
    path: StepPath,
    name: &'static str,
    fingerprint: [u8; 32],
}

/// The segment that is being decided.
struct Segment {
    unit: Unit,
    /// Its commands, by their place; none for the run's own.
    commands: Vec<Option<Sent>>,
    /// Whether a command changes something besides the run.
    has_effects: bool,
    /// Whether a command was decided on the run.
    has_run: bool,
    /// The run's version after it.
    version: i64,
    parks: bool,
    /// Steps that `runs_as` does not allow.
    denied: Vec<Entry>,
    /// The run's turn at a record that others change at the same moment.
    place: Option<Place>,
    begun: Instant,
}

/// A run with everything that was decided, in the log or not.
pub(crate) struct Hand {
    pub tenant: TenantId,
    pub run_id: Uuid,
    pub run: Arc<Run>,
    pub document: Arc<Document>,
    /// What the log has.
    pub version: i64,
    store: Store,
    hot: Hot,
    segment: Segment,
    /// The run as it begins, and what happens to it at once, while the log has nothing of it.
    beginning: Option<(Arc<Run>, Vec<Entry>)>,
    /// What the log said to steps' commands, until that is recorded.
    refused: BTreeMap<StepPath, Refused>,
    /// Segments in a row for which somebody else was faster, and those that were decided for nothing.
    conflicts: u32,
    tries: u32,
    /// Whether a segment is no more than one step.
    is_small: bool,
}

impl Segment {
    fn begin(store: &Store, tenant: TenantId, version: i64, fresh: bool) -> Self {
        Self {
            unit: Unit::begin(store, tenant, Uuid::now_v7(), fresh),
            commands: vec![],
            has_effects: false,
            has_run: false,
            version,
            parks: false,
            denied: vec![],
            place: None,
            begun: Instant::now(),
        }
    }

    fn steps(&self) -> impl Iterator<Item = &Sent> {
        self.commands.iter().flatten()
    }
}

impl Hand {
    /// A run that the log has.
    pub fn new(
        (store, hot): (&Store, &Hot),
        tenant: TenantId,
        run_id: Uuid,
        run: Run,
        document: Arc<Document>,
        version: i64,
    ) -> Self {
        Self {
            tenant,
            run_id,
            run: Arc::new(run),
            document,
            version,
            store: store.clone(),
            hot: hot.clone(),
            segment: Segment::begin(store, tenant, version, false),
            beginning: None,
            refused: BTreeMap::new(),
            conflicts: 0,
            tries: 0,
            is_small: false,
        }
    }

    /// A run that the log does not have yet. `entries` happen to it at once.
    pub async fn start(
        log: (&Store, &Hot),
        tenant: TenantId,
        run_id: Uuid,
        run: Run,
        document: Arc<Document>,
        entries: Vec<Entry>,
    ) -> Result<Self, Halt> {
        let mut hand = Self::new(log, tenant, run_id, run, document, 0);
        hand.beginning = Some((hand.run.clone(), entries.clone()));
        hand.note(entries).await?;
        Ok(hand)
    }

    pub fn standing(&self) -> Standing<'_> {
        Standing { tenant: self.tenant, run_id: self.run_id, run: &self.run, document: &self.document }
    }

    /// What is to be done; nothing while the run stands still, is taken back or has ended.
    pub fn open(&self) -> Vec<Open<'_>> {
        if self.run.has_ended() || !self.run.incidents.is_empty() || self.run.progress.compensating {
            return vec![];
        }
        plan::open(&self.document, &self.run)
    }

    /// Is everything done, and not said yet?
    pub fn is_finished(&self) -> bool {
        !self.run.has_ended()
            && self.run.incidents.is_empty()
            && !self.run.progress.compensating
            && plan::open(&self.document, &self.run).is_empty()
    }

    /// Whether nothing of the next segment is decided.
    pub fn begins(&self) -> bool {
        self.segment.commands.is_empty()
    }

    /// Everything so far is in the log.
    pub fn is_recorded(&self) -> bool {
        self.begins() && self.version > 0
    }

    /// Whether the segment is as long as it may be.
    pub fn is_full(&self) -> bool {
        let Segment { unit, commands, .. } = &self.segment;
        let is_full = unit.events() >= UNIT_EVENTS_MAX || commands.len() >= UNIT_COMMANDS_MAX;
        is_full || self.is_small && self.segment.steps().next().is_some()
    }

    /// Whether no more than one step is taken at a time.
    pub fn is_small(&self) -> bool {
        self.is_small
    }

    /// Steps of the segment that were denied.
    pub fn denied(&self) -> &[Entry] {
        &self.segment.denied
    }

    /// Takes up what has happened.
    pub async fn note(&mut self, entries: Vec<Entry>) -> Result<(), Halt> {
        if entries.is_empty() {
            return Ok(());
        }
        self.begin().await?;
        self.segment.parks |= entries.iter().any(|entry| matches!(entry, Entry::Failed { go_on: false, .. }));
        let denied = |entry: &&Entry| matches!(entry, Entry::Failed { code, .. } if code == DENIED);
        self.segment.denied.extend(entries.iter().filter(denied).cloned());
        let mut request = self.standing().request();
        if !self.segment.has_run {
            request.expected_versions = Some(vec![self.version]);
        }
        self.decide(RunCommand::Record { entries }, &request).await
    }

    /// Sends a step's command. None: the segment is to end before it.
    ///
    /// A refusal counts if nothing that is not in the log yet may have brought it about; otherwise what there is goes to the log
    /// first.
    pub async fn send(
        &mut self,
        bus: &CommandBus,
        path: &StepPath,
        sending: &Sending,
    ) -> Result<Option<Result<DecidedCommand, ExecuteError>>, Halt> {
        self.begin().await?;
        if !self.takes_its_turn(sending).await {
            return Ok(None);
        }
        let (name, fingerprint) = (sending.info.entry.name, sending.fingerprint());
        let known = self.refused.get_mut(path).filter(|known| known.fingerprint == fingerprint);
        let is_known = known.is_some();
        let known = known.map(|known| {
            known.is_used = true;
            again(&known.error)
        });
        let mut request = self.standing().request_of(path);
        if let Some(OneOfSeveral { command_id, permission }) = sending.one_of_several {
            request.command_id = command_id;
            request.permissions = Some(Arc::new(Permissions::patterns([permission])));
        }
        let before = self.segment.unit.events();
        let decided = match known {
            Some(error) => Err(error),
            None => match bus.read(&sending.info, sending.target, &sending.body) {
                Err(errors) => Err(ExecuteError::Invalid(errors)),
                Ok(command) => match self.segment.unit.decide(&command, &request).await {
                    Err(error @ ExecuteError::Conflict) => return Err(Halt::Stale(error)),
                    Err(error @ (ExecuteError::Unavailable(_) | ExecuteError::Overloaded)) => {
                        return Err(Halt::Failed(error.into()));
                    }
                    decided => decided,
                },
            },
        };
        let error = match decided {
            Ok(decided) => {
                self.segment.commands.push(Some(Sent { path: path.clone(), name, fingerprint }));
                self.segment.has_effects |= self.segment.unit.events() > before;
                return Ok(Some(Ok(decided)));
            }
            Err(error) => error,
        };
        match error {
            ExecuteError::UnitTooLarge if before > 0 => Ok(None),
            error if self.segment.has_effects && !sending.wants(&error) => {
                self.refused.insert(path.clone(), Refused { fingerprint, error, is_used: false });
                Ok(None)
            }
            error => {
                if !is_known {
                    count_command(name, Err(&error));
                }
                Ok(Some(Err(error)))
            }
        }
    }

    /// Waits for the run's turn at the record that a command goes to, if others are there. False if the segment is to end first,
    /// because whoever holds one place does not wait for another.
    async fn takes_its_turn(&mut self, sending: &Sending) -> bool {
        let Some(target) = sending.target.filter(|_| !sending.info.entry.creates) else { return true };
        let record = (self.tenant.0, target);
        match &self.segment.place {
            Some(place) => place.is_at(record) || !self.hot.is_hot(record),
            None => {
                self.segment.place = self.hot.turn(record, self.is_small).await;
                true
            }
        }
    }

    /// Appends the segment.
    pub async fn append(&mut self) -> Result<(), Halt> {
        self.begin().await?;
        crash_points::reach(Point::WorkflowDecided);
        let next = Segment::begin(&self.store, self.tenant, self.segment.version, false);
        let Segment { unit, commands, version, parks, begun, place: _place, .. } =
            std::mem::replace(&mut self.segment, next);
        let appended = unit.append(None).await;
        let name = |sent: &Option<Sent>| sent.as_ref().map_or("workflow.run.record", |sent| sent.name);
        match appended {
            Ok(_) => {
                crash_points::reach(Point::WorkflowAppended);
                commands.iter().for_each(|sent| count_command(name(sent), Ok(())));
                histogram!("workflow_segment_duration_seconds").record(begun.elapsed());
                if self.beginning.take().is_some() {
                    counter!("workflow_runs_total", "status" => "started").increment(1);
                }
                if parks {
                    counter!("workflow_runs_total", "status" => "parked").increment(1);
                }
                self.version = version;
                self.refused.retain(|_, refused| !refused.is_used);
                (self.conflicts, self.tries, self.is_small) = (0, 0, false);
                Ok(())
            }
            Err(UnitError { error, command }) => Err(self.not_appended(commands, command, error)),
        }
    }

    /// What follows from what the log said to a segment.
    fn not_appended(&mut self, commands: Vec<Option<Sent>>, at: Option<usize>, error: ExecuteError) -> Halt {
        let is_alone = commands.iter().flatten().count() == 1;
        let at = at.and_then(|at| commands.get(at));
        if let (Some(None), ExecuteError::Claimed { holder, .. }) = (at, &error) {
            return Halt::Beside(*holder);
        }
        let culprit = match &error {
            // One command of the batch was refused: when its step is decided again, this is the answer.
            ExecuteError::Claimed { .. } | ExecuteError::Rejected { .. } => at.and_then(Option::as_ref),
            ExecuteError::Conflict => {
                counter!("append_conflicts_total").increment(1);
                self.conflicts += 1;
                self.is_small |= self.conflicts > CONFLICTS_BEFORE_SMALL;
                let of_step = is_alone && self.conflicts > CONFLICTS_MAX;
                commands.iter().flatten().next().filter(|_| of_step)
            }
            ExecuteError::Fault(_) if is_alone => commands.iter().flatten().next(),
            ExecuteError::Fault(_) if commands.iter().any(Option::is_some) => {
                // Which one of them it is shows when each goes alone.
                self.is_small = true;
                None
            }
            _ => return of_record(error),
        };
        let Some(Sent { path, name, fingerprint }) = culprit else { return Halt::Stale(error) };
        count_command(name, Err(&error));
        let told = again(&error);
        self.refused.insert(path.clone(), Refused { fingerprint: *fingerprint, error, is_used: false });
        Halt::Stale(told)
    }

    /// Goes back to what the log has: nothing, if there is no `logged`. Answers how often in a row that has been so.
    pub async fn again(&mut self, logged: Option<(Arc<Document>, Run, i64)>) -> Result<u32, Halt> {
        self.tries += 1;
        let entries = match (logged, &self.beginning) {
            (Some((document, run, version)), _) => {
                (self.run, self.version, self.document) = (Arc::new(run), version, document);
                self.beginning = None;
                vec![]
            }
            (None, Some((run, entries))) => {
                self.run = run.clone();
                entries.clone()
            }
            (None, None) => return Err(Halt::Failed(anyhow!("a run is not in the log any more"))),
        };
        self.segment = Segment::begin(&self.store, self.tenant, self.version, true);
        self.note(entries).await?;
        Ok(self.tries)
    }

    /// The run begins, if the log has nothing of it.
    async fn begin(&mut self) -> Result<(), Halt> {
        if self.version > 0 || self.segment.has_run {
            return Ok(());
        }
        let run = &self.run;
        let (definition, trigger) =
            run.definition.clone().zip(run.trigger.as_deref().cloned()).context("a run of nothing")?;
        let command = RunCommand::Start {
            definition_id: run.definition_id,
            definition,
            definition_version: run.definition_version,
            definition_hash: run.definition_hash.clone(),
            document: (*run.document).clone(),
            steps: run.order.clone(),
            compensates: run.compensates,
            trigger,
            depth: run.depth,
            correlation_key: run.correlation_key.as_ref().and_then(|key| key.expose().cloned()),
            parent: run.parent.clone(),
        };
        // The command has the run's id, so that nothing is loaded first: nearly always there is nothing yet.
        let request = Request { command_id: self.run_id, ..self.standing().request() };
        self.decide(command, &request).await
    }

    /// Decides one of the run's own commands.
    async fn decide(&mut self, command: RunCommand, request: &Request) -> Result<(), Halt> {
        // However full the segment is: what was done is recorded.
        let command = UnitCommand::new::<Run>(Some(self.run_id), command).unbounded();
        let decided = self.segment.unit.decide(&command, request).await.map_err(of_record)?;
        self.segment.commands.push(None);
        (self.segment.has_run, self.segment.version) = (true, decided.version);
        self.run = self.segment.unit.state(self.run_id).context("a run that was decided on is not there")?;
        Ok(())
    }
}

/// The same refusal once more.
fn again(error: &ExecuteError) -> ExecuteError {
    match error {
        ExecuteError::Invalid(errors) => ExecuteError::Invalid(errors.clone()),
        ExecuteError::Denied => ExecuteError::Denied,
        ExecuteError::NotFound => ExecuteError::NotFound,
        ExecuteError::AlreadyExists => ExecuteError::AlreadyExists,
        ExecuteError::Rejected { code, message, invalid } => {
            ExecuteError::Rejected { code, message, invalid: *invalid }
        }
        ExecuteError::Claimed { scope, holder } => ExecuteError::Claimed { scope: scope.clone(), holder: *holder },
        ExecuteError::VersionMismatch { expected, actual } => {
            ExecuteError::VersionMismatch { expected: expected.clone(), actual: *actual }
        }
        ExecuteError::Conflict => ExecuteError::Conflict,
        ExecuteError::KeyReused => ExecuteError::KeyReused,
        ExecuteError::UnitTooLarge => ExecuteError::UnitTooLarge,
        ExecuteError::Overloaded => ExecuteError::Overloaded,
        ExecuteError::Unavailable(cause) => ExecuteError::Unavailable(anyhow!("{cause:#}")),
        ExecuteError::Fault(cause) => ExecuteError::Fault(anyhow!("{cause:#}")),
    }
}
