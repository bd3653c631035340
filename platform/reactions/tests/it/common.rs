//! A log of tallies, a receiver that does as it is told, and a reaction that tells the receiver of every addition.

#[path = "../../../event-store/tests/it/common.rs"]
#[allow(dead_code, reason = "a tally can do more than is asked here")]
mod tally;

pub use tally::{Tally, TallyCommand};

use event_store::{Log, RawEvent, Request, Store, StoreOptions};
use kernel::{Actor, TenantId};
use messaging::PolledLog;
use reactions::{
    Budget, Engine, EngineOptions, Filter, Found, Job, Lane, Listed, OnFailure, Outcome, Reaction, Retry, StartAt,
    State, list,
};
use sqlx::PgPool;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testing::TestDatabase;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const PATIENCE: Duration = Duration::from_secs(120);
/// What a test waits for is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a receiver does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Takes it.
    Takes,
    /// Takes it after a while.
    TakesItsTime(Duration),
    /// Takes it when so many calls have been in its lane at once.
    TakesTogether(usize),
    /// Says that it is busy.
    IsAway,
    /// Lets its caller wait, and then is away.
    Hangs(Duration),
    /// Lets its caller wait for as long as the test says.
    HangsOn,
    /// Says when to come again.
    SaysWhen(Duration),
    /// Takes it, and its answer is lost.
    TakesSilently,
    /// Its answer is lost, and so was the call.
    LosesIt,
    /// Refuses it for good.
    Refuses,
    /// Lets nobody in before a connection is mended.
    LocksOut,
    /// Brings the caller down.
    Panics,
}

/// A call as the receiver saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub lane: String,
    pub key: String,
    pub position: i64,
    pub is_probe: bool,
    pub did: Does,
}

#[derive(Debug, Default)]
struct Seen {
    /// Calls that have begun, by lane.
    begun: HashMap<String, usize>,
    calls: Vec<Call>,
    taken: HashMap<String, usize>,
    in_work: HashMap<String, usize>,
    most_in_work: usize,
    given_up: Vec<(String, String)>,
}

/// How a receiver answers the nth call of a lane.
type Manner = dyn Fn(&Job, usize) -> Does + Send + Sync;

/// Whoever is told. Shared by every process of a test.
pub struct Receiver {
    manner: Box<Manner>,
    /// Does it see for itself that a key comes again?
    knows_keys: bool,
    seen: Mutex<Seen>,
    /// Nobody is kept waiting any more.
    pub over: CancellationToken,
}

impl Receiver {
    pub fn new(manner: impl Fn(&Job, usize) -> Does + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            manner: Box::new(manner),
            knows_keys: true,
            seen: Mutex::default(),
            over: CancellationToken::new(),
        })
    }

    /// One that takes the same thing as often as it comes, and can be asked what it has.
    pub fn without_keys(manner: impl Fn(&Job, usize) -> Does + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            manner: Box::new(manner),
            knows_keys: false,
            seen: Mutex::default(),
            over: CancellationToken::new(),
        })
    }

    async fn call(&self, job: &Job) -> Outcome {
        let position = job.event.as_ref().map_or(0, |event| event.position);
        let nth = {
            let mut seen = self.seen.lock().unwrap();
            let begun = seen.begun.entry(job.lane.clone()).or_default();
            *begun += 1;
            *begun - 1
        };
        let did = (self.manner)(job, nth);
        let _working = Working::begin(self, &job.lane);
        match did {
            Does::TakesItsTime(time) | Does::Hangs(time) => tokio::time::sleep(time).await,
            Does::TakesTogether(count) => {
                while self.most_in_work() < count {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            Does::HangsOn => self.over.cancelled().await,
            _ => {}
        }
        let takes = matches!(did, Does::Takes | Does::TakesItsTime(_) | Does::TakesTogether(_) | Does::TakesSilently);
        {
            let mut seen = self.seen.lock().unwrap();
            seen.calls.push(Call {
                lane: job.lane.clone(),
                key: job.key.clone(),
                position,
                is_probe: job.is_probe,
                did,
            });
            if takes {
                *seen.taken.entry(job.key.clone()).or_default() += 1;
            }
        }
        match did {
            Does::Takes | Does::TakesItsTime(_) | Does::TakesTogether(_) => Outcome::Done,
            Does::IsAway | Does::Hangs(_) | Does::HangsOn => Outcome::Later(None, "away".to_owned()),
            Does::SaysWhen(when) => Outcome::Later(Some(when), "busy".to_owned()),
            Does::TakesSilently | Does::LosesIt => Outcome::Unknown("no answer".to_owned()),
            Does::Refuses => Outcome::Never("refused", "ada@example.com is unknown".to_owned()),
            Does::LocksOut => Outcome::Blocked("mailbox".to_owned()),
            Does::Panics => panic!("as it was told"),
        }
    }

    pub fn calls(&self) -> Vec<Call> {
        self.seen.lock().unwrap().calls.clone()
    }

    /// The positions that a lane was called for, in the order of the calls.
    pub fn of_lane(&self, lane: &str) -> Vec<i64> {
        self.calls().into_iter().filter(|call| call.lane == lane).map(|call| call.position).collect()
    }

    /// How often the receiver has each thing: once if it knows keys, however often it was called.
    pub fn taken(&self) -> HashMap<String, usize> {
        let seen = self.seen.lock().unwrap();
        seen.taken.iter().map(|(key, count)| (key.clone(), if self.knows_keys { 1 } else { *count })).collect()
    }

    /// How many things it has.
    pub fn taken_count(&self) -> usize {
        self.seen.lock().unwrap().taken.len()
    }

    pub fn most_in_work(&self) -> usize {
        self.seen.lock().unwrap().most_in_work
    }

    /// As if somebody had called.
    pub fn has_taken(&self, key: &str) {
        self.seen.lock().unwrap().taken.insert(key.to_owned(), 1);
    }

    pub fn given_up(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap().given_up.clone()
    }
}

/// A call on its way, also when its caller is killed meanwhile.
struct Working<'a>(&'a Receiver, String);

impl<'a> Working<'a> {
    fn begin(receiver: &'a Receiver, lane: &str) -> Self {
        let mut seen = receiver.seen.lock().unwrap();
        let now = seen.in_work.entry(lane.to_owned()).or_default();
        *now += 1;
        let now = *now;
        seen.most_in_work = seen.most_in_work.max(now);
        Self(receiver, lane.to_owned())
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let mut seen = self.0.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(now) = seen.in_work.get_mut(&self.1) {
            *now -= 1;
        }
    }
}

/// What becomes of what cannot be done.
pub const PARKS: u8 = 0;
pub const STOPS: u8 = 1;
pub const DROPS: u8 = 2;

/// Tells a receiver of every addition.
pub struct Tell<const ON_FAILURE: u8 = PARKS> {
    pub receiver: Arc<Receiver>,
    pub width: u16,
    pub budget: Option<Budget>,
}

impl Tell<PARKS> {
    pub fn to(receiver: &Arc<Receiver>) -> Self {
        Self { receiver: receiver.clone(), width: 1, budget: None }
    }
}

impl<const WHAT: u8> Reaction for Tell<WHAT> {
    const NAME: &'static str = "test.tell";
    const ON: &'static [&'static str] = &["tally.added"];
    const START: StartAt = StartAt::Beginning;
    const RETRY: Retry = Retry {
        first: Duration::from_millis(4),
        most: Duration::from_millis(40),
        within: if WHAT == DROPS { Some(Duration::from_secs(1)) } else { None },
    };
    const ON_FAILURE: OnFailure = match WHAT {
        STOPS => OnFailure::Stop,
        DROPS => OnFailure::Drop,
        _ => OnFailure::Park,
    };
    const AT_ONCE: usize = 8;

    fn lanes(&self, event: &RawEvent) -> Vec<Lane> {
        let lane = Lane::of(event.aggregate_id).wide(self.width);
        vec![match self.budget {
            Some(budget) => lane.within(budget),
            None => lane,
        }]
    }

    async fn perform(&self, job: &Job) -> Outcome {
        self.receiver.call(job).await
    }

    async fn look_up(&self, job: &Job) -> Found {
        let has = self.receiver.seen.lock().unwrap().taken.contains_key(&job.key);
        if !self.receiver.knows_keys && has { Found::Done } else { Found::Nothing }
    }

    async fn given_up(&self, job: &Job, code: &str, _: &str) -> anyhow::Result<()> {
        self.receiver.seen.lock().unwrap().given_up.push((job.key.clone(), code.to_owned()));
        Ok(())
    }
}

/// The same, of what comes from now on.
pub struct FromNow(pub Arc<Receiver>);

impl Reaction for FromNow {
    const NAME: &'static str = "test.from_now";
    const ON: &'static [&'static str] = &["tally.added"];

    async fn perform(&self, job: &Job) -> Outcome {
        self.0.call(job).await
    }
}

/// A log, and the processes that react to it.
pub struct World {
    pub store: Store,
    pub worker: PgPool,
    pub database: TestDatabase,
}

impl World {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::start(database.command().await, StoreOptions::default());
        Self { store, worker: database.worker().await, database }
    }

    /// A tally of a firm with so many additions.
    pub async fn tally(&self, tenant: u128, additions: usize) -> Uuid {
        let id = Uuid::now_v7();
        let open = TallyCommand::Open { label: None };
        self.send(tenant, id, open).await;
        self.add(tenant, id, additions).await;
        id
    }

    /// So many additions more.
    pub async fn add(&self, tenant: u128, id: Uuid, additions: usize) {
        self.send(tenant, id, TallyCommand::AddEach { amounts: vec![1; additions] }).await;
    }

    async fn send(&self, tenant: u128, id: Uuid, command: TallyCommand) {
        let request = Request::new(firm(tenant), Actor::System { name: "test".to_owned() });
        self.store.execute::<Tally>(Some(id), command, &request).await.unwrap();
    }

    pub fn log(&self) -> Log {
        Log::new(self.worker.clone())
    }

    pub async fn engine(&self, reaction: impl Reaction) -> Engine {
        Engine::new(self.log()).with(reaction)
    }

    /// Takes in the log and does what is due, once.
    pub async fn round(&self, engine: &Engine) {
        engine.take_in().await.unwrap();
        engine.perform_due().await.unwrap();
    }

    pub async fn jobs(&self, state: State) -> Vec<Listed> {
        list(&self.worker, &Filter { state: Some(state), ..Filter::default() }, 1_000_000).await.unwrap()
    }

    /// How many jobs are there; quick, for whoever asks again and again.
    pub async fn count(&self, state: State) -> usize {
        let sql = "select count(*) from reactions.jobs where state = $1";
        let count: i64 = sqlx::query_scalar(sql).bind(state.name()).fetch_one(&self.worker).await.unwrap();
        usize::try_from(count).unwrap()
    }

    pub async fn open_jobs(&self) -> i64 {
        let sql = "select count(*) from reactions.jobs where ended_at is null and state <> 'parked'";
        sqlx::query_scalar(sql).fetch_one(&self.worker).await.unwrap()
    }

    /// The event ids of all additions, which are the keys of their jobs.
    pub async fn keys(&self) -> HashSet<String> {
        let sql = "select event_id::text from eventstore.events where event_type = 'tally.added'";
        sqlx::query_scalar::<_, String>(sql).fetch_all(&self.worker).await.unwrap().into_iter().collect()
    }

    /// As if every back-off was over.
    pub async fn make_due(&self) {
        let due = Filter { state: Some(State::Due), ..Filter::default() };
        let unknown = Filter { state: Some(State::Unknown), ..Filter::default() };
        for filter in [due, unknown] {
            reactions::retry(&self.worker, &filter).await.unwrap();
        }
    }

    /// A process that reacts, with a runtime and connections of its own.
    pub fn process(&self, reaction: impl Reaction, lease: Duration) -> Process {
        Process::start(self.database.url("ubos_worker"), reaction, lease)
    }
}

pub fn firm(number: u128) -> TenantId {
    TenantId(Uuid::from_u128(0xf1_0000 + number))
}

/// Waits for something; fails with `otherwise` if it does not come.
pub async fn eventually(otherwise: &str, mut look: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !look().await {
        assert!(Instant::now() < deadline, "{otherwise}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A process of its own, as far as threads, tasks and connections go.
pub struct Process {
    runtime: Option<Runtime>,
    stop: CancellationToken,
}

impl Process {
    fn start(url: String, reaction: impl Reaction, lease: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        runtime.spawn(async move {
            let pool = sqlx::postgres::PgPoolOptions::new().max_connections(6).connect(&url).await.unwrap();
            let options = EngineOptions { lease, poll_every: Duration::from_millis(50) };
            let log = Log::new(pool);
            let engine = Engine::with_options(log.clone(), options).with(reaction);
            engine.run(Arc::new(PolledLog(log)), stopping).await;
        });
        Self { runtime: Some(runtime), stop }
    }

    /// Lets it finish what it has begun.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends it where it stands: nothing of it is finished, no connection is closed.
    pub fn kill(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
