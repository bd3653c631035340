//! What commands that belong together may rely on.

use crate::common::{Tally, TallyCommand as C, assert_sound, keyed, request, tenant};
use event_store::{
    CommandBus, ExecuteError, Executed, Log, NamedCommand, RawEvent, Request, Store, StoreOptions, UNIT_BYTES_MAX,
    UNIT_EVENTS_MAX, Unit, UnitCommand, UnitError,
};
use kernel::{ClientId, Grant, Permissions, TenantId};
use std::sync::Arc;
use testing::TestDatabase;
use uuid::Uuid;

async fn store() -> (TestDatabase, Store) {
    let database = TestDatabase::create().await;
    let store = Store::start(database.command().await, StoreOptions::default());
    (database, store)
}

async fn open(store: &Store, label: Option<&str>) -> Uuid {
    let open = C::Open { label: label.map(str::to_owned) };
    store.execute::<Tally>(None, open, &request()).await.unwrap().id
}

fn to(id: impl Into<Option<Uuid>>, command: C) -> UnitCommand {
    UnitCommand::new::<Tally>(id.into(), command)
}

fn add(id: Uuid, amount: i64) -> UnitCommand {
    to(id, C::Add { amount })
}

fn labelled(label: &str) -> UnitCommand {
    to(None, C::Open { label: Some(label.into()) })
}

async fn events(database: &TestDatabase) -> Vec<RawEvent> {
    Log::new(database.worker().await).read(0, 1000).await.unwrap()
}

/// Which command was refused, and why.
fn refused(result: Result<Vec<Executed>, UnitError>) -> (Option<usize>, ExecuteError) {
    let error = result.unwrap_err();
    (error.command, error.error)
}

#[tokio::test]
async fn each_command_is_decided_on_what_those_before_it_left() {
    let (database, store) = store().await;
    let (first, second) = (open(&store, None).await, open(&store, None).await);
    let unit = [add(first, 1), add(second, 2), add(first, 0), add(first, 3), to(None, C::Open { label: None })];
    let asked = request();
    let done = store.execute_unit(&unit, &asked).await.unwrap();
    let seen: Vec<_> = done.iter().map(|e| (e.version, e.position, e.created, e.replayed)).collect();
    let expected =
        [(2, 3, false, false), (2, 4, false, false), (2, 3, false, false), (3, 5, false, false), (1, 6, true, false)];
    assert_eq!(seen, expected);
    let written = events(&database).await;
    let places: Vec<_> = written.iter().map(|e| e.metadata.unit.map(|u| (u.id, u.index, u.size))).collect();
    let place = |index| Some((asked.command_id, index, 4));
    assert_eq!(places, [None, None, place(1), place(2), place(3), place(4)]);
    assert_eq!(written[4].metadata.command, "test.tally.add");
    // What is remembered is what is in the log.
    let cold = Store::start(database.command().await, StoreOptions::default());
    for id in [first, second, done[4].id] {
        assert_eq!(store.load::<Tally>(tenant(), id).await.unwrap(), cold.load::<Tally>(tenant(), id).await.unwrap());
        let next = store.execute_unit(&[add(id, 1)], &request()).await.unwrap();
        assert_eq!(next[0].version, cold.load::<Tally>(tenant(), id).await.unwrap().1);
    }
    assert_sound(&database.owner().await).await;
}

#[tokio::test]
async fn a_refusal_names_its_command_and_nothing_is_done() {
    let (database, store) = store().await;
    let (id, label) = (open(&store, None).await, open(&store, Some("taken")).await);
    let head = events(&database).await.len();
    let holding = |pattern| Request { permissions: Some(Arc::new(Permissions::patterns([pattern]))), ..request() };
    let unit = |last: UnitCommand| [add(id, 1), labelled("free"), last];
    let (command, error) = refused(store.execute_unit(&unit(add(id, -1)), &request()).await);
    assert!(matches!(error, ExecuteError::Rejected { code: "test.tally.negative", .. }), "{error:?}");
    assert_eq!(command, Some(2));
    let (command, error) = refused(store.execute_unit(&unit(add(Uuid::now_v7(), 1)), &request()).await);
    assert!(matches!(error, ExecuteError::NotFound) && command == Some(2), "{error:?}");
    let (command, error) = refused(store.execute_unit(&unit(to(id, C::Open { label: None })), &request()).await);
    assert!(matches!(error, ExecuteError::AlreadyExists) && command == Some(2), "{error:?}");
    let (command, error) = refused(store.execute_unit(&unit(labelled("taken")), &request()).await);
    assert!(matches!(error, ExecuteError::Claimed { holder, .. } if holder == label), "{error:?}");
    assert_eq!(command, Some(2), "found by the append");
    let (command, error) = refused(store.execute_unit(&unit(labelled("free")), &request()).await);
    assert!(
        matches!(error, ExecuteError::Claimed { .. }) && command == Some(2),
        "held by the second command: {error:?}"
    );
    let (command, error) = refused(store.execute_unit(&unit(labelled("a\0b")), &request()).await);
    assert!(matches!(error, ExecuteError::Invalid(_)) && command == Some(2), "{error:?}");
    let (command, error) = refused(store.execute_unit(&unit(add(id, 1)), &holding("*.add")).await);
    assert!(matches!(error, ExecuteError::Denied) && command == Some(1), "{error:?}");
    let unmet = unit(add(id, 1).expecting(Some(vec![1])));
    let (command, error) = refused(store.execute_unit(&unmet, &request()).await);
    assert!(matches!(error, ExecuteError::VersionMismatch { actual: 2, .. }) && command == Some(2), "{error:?}");
    assert_eq!(events(&database).await.len(), head, "nothing was left behind");
    let met = unit(add(id, 1).expecting(Some(vec![2])));
    assert_eq!(store.execute_unit(&met, &request()).await.unwrap()[2].version, 3);
    assert_sound(&database.owner().await).await;
}

#[tokio::test]
async fn a_right_for_some_records_is_asked_for_with_each_of_them_in_hand() {
    let (_database, store) = store().await;
    let client = Uuid::now_v7();
    let (own, other) = (open(&store, Some(&client.to_string())).await, open(&store, None).await);
    let grant = Grant { pattern: "test.*".parse().unwrap(), resource: ClientId(client).into() };
    let permissions = Permissions::patterns([]).granted([&grant]);
    let asked = || Request { permissions: Some(Arc::new(permissions.clone())), ..request() };
    let (command, error) = refused(store.execute_unit(&[add(own, 1), add(other, 1)], &asked()).await);
    assert!(matches!(error, ExecuteError::NotFound) && command == Some(1), "{error:?}");
    store.execute_unit(&[add(own, 1), add(own, 1)], &asked()).await.unwrap();
    // What stops to belong to it is gone for the commands after the one that does it.
    let (command, error) = refused(store.execute_unit(&[to(own, C::Unlabel {}), add(own, 1)], &asked()).await);
    assert!(matches!(error, ExecuteError::NotFound) && command == Some(1), "{error:?}");
}

#[tokio::test]
async fn what_one_gives_up_another_takes() {
    let (database, store) = store().await;
    let holder = open(&store, Some("label")).await;
    let unit = [to(holder, C::Unlabel {}), labelled("label")];
    let next = store.execute_unit(&unit, &request()).await.unwrap()[1].id;
    let (_, error) = refused(store.execute_unit(&[labelled("label")], &request()).await);
    assert!(matches!(error, ExecuteError::Claimed { holder, .. } if holder == next), "{error:?}");
    // Too late is too late, as it would be one after the other.
    let late = [labelled("label"), to(next, C::Unlabel {})];
    let (command, error) = refused(store.execute_unit(&late, &request()).await);
    assert!(matches!(error, ExecuteError::Claimed { holder, .. } if holder == next) && command == Some(0), "{error:?}");
    // Round and back to nobody.
    let made = request();
    let round = [to(next, C::Unlabel {}), labelled("label"), labelled("other")];
    let last = store.execute_unit(&round, &made).await.unwrap()[1].id;
    store.execute_unit(&[to(last, C::Unlabel {}), to(last, C::Unlabel {})], &request()).await.unwrap();
    open(&store, Some("label")).await;
    assert_sound(&database.owner().await).await;
}

#[tokio::test]
async fn a_repeat_with_the_same_key_is_answered_the_same_for_each() {
    let (database, store) = store().await;
    let id = open(&store, None).await;
    let unit = || [add(id, 1), labelled("once"), add(id, 0), add(id, 2)];
    let first = store.execute_unit(&unit(), &keyed("k", 1)).await.unwrap();
    store.execute::<Tally>(Some(id), C::Add { amount: 5 }, &request()).await.unwrap();
    let head = events(&database).await.len();
    for store in [&store, &Store::start(database.command().await, StoreOptions::default())] {
        let again = store.execute_unit(&unit(), &keyed("k", 1)).await.unwrap();
        let as_first: Vec<_> = again.into_iter().map(|e| Executed { replayed: false, ..e }).collect();
        assert_eq!(as_first, first);
    }
    assert_eq!(events(&database).await.len(), head);
    let (command, error) = refused(store.execute_unit(&unit(), &keyed("k", 2)).await);
    assert!(matches!(error, ExecuteError::KeyReused) && command.is_none(), "{error:?}");
    // That nothing was to be done is remembered too.
    let idle = || [add(id, 0), add(id, 0)];
    let first = store.execute_unit(&idle(), &keyed("idle", 1)).await.unwrap();
    store.execute::<Tally>(Some(id), C::Add { amount: 5 }, &request()).await.unwrap();
    let again = store.execute_unit(&idle(), &keyed("idle", 1)).await.unwrap();
    assert_eq!(again.iter().map(|e| (e.version, e.position)).collect::<Vec<_>>(), [(4, 5); 2]);
    assert_eq!(again.len(), first.len());
}

#[tokio::test]
async fn nobody_is_refused_because_of_what_was_remembered() {
    let (database, store) = store().await;
    let (id, other) = (open(&store, None).await, open(&store, Some("label")).await);
    let elsewhere = Store::start(database.command().await, StoreOptions::default());
    elsewhere.execute::<Tally>(Some(id), C::Add { amount: 1 }, &request()).await.unwrap();
    elsewhere.execute::<Tally>(Some(other), C::Unlabel {}, &request()).await.unwrap();
    let unit = [add(other, 1), add(id, 1).expecting(Some(vec![2])), labelled("label")];
    let done = store.execute_unit(&unit, &request()).await.unwrap();
    assert_eq!(done.iter().map(|e| e.version).collect::<Vec<_>>(), [3, 3, 1]);
    assert_sound(&database.owner().await).await;
}

#[tokio::test]
async fn a_unit_has_bounds_and_one_large_command_alone_has_none() {
    let (database, store) = store().await;
    let id = open(&store, None).await;
    let many: Vec<_> = (0..=UNIT_EVENTS_MAX).map(|_| add(id, 1)).collect();
    let (_, error) = refused(store.execute_unit(&many, &request()).await);
    assert!(matches!(error, ExecuteError::UnitTooLarge), "{error:?}");
    assert_eq!(store.execute_unit(&many[1..], &request()).await.unwrap().len(), UNIT_EVENTS_MAX);
    let long = |n: usize| labelled(&n.to_string().repeat(UNIT_BYTES_MAX / 60));
    let large: Vec<_> = (100..160).map(long).collect();
    let (command, error) = refused(store.execute_unit(&large, &request()).await);
    assert!(matches!(error, ExecuteError::UnitTooLarge) && command.is_some_and(|n| n > 10), "{error:?}");
    let each = || to(id, C::AddEach { amounts: vec![1; UNIT_EVENTS_MAX + 1] });
    let (command, error) = refused(store.execute_unit(&[add(id, 1), each()], &request()).await);
    assert!(matches!(error, ExecuteError::UnitTooLarge) && command == Some(1), "{error:?}");
    store.execute_unit(&[add(id, 0), each()], &request()).await.unwrap();
    assert_eq!(store.execute_unit(&[], &request()).await.unwrap(), []);
    // What has to be told of a command comes with it, however large it is.
    let mut unit = Unit::begin(&store, tenant(), Uuid::now_v7(), false);
    unit.decide(&each(), &request()).await.unwrap();
    assert!(matches!(unit.decide(&add(id, 1), &request()).await, Err(ExecuteError::UnitTooLarge)));
    unit.decide(&add(id, 1).unbounded(), &request()).await.unwrap();
    assert_eq!(unit.append(None).await.unwrap().len(), 2);
    assert_sound(&database.owner().await).await;
}

#[tokio::test]
async fn a_snapshot_is_of_what_the_whole_unit_left() {
    let (database, store) = store().await;
    let id = open(&store, None).await;
    let unit: Vec<_> = (1..=25).map(|amount| add(id, amount)).collect();
    store.execute_unit(&unit, &request()).await.unwrap();
    let cold = Store::start(database.command().await, StoreOptions::default());
    let (tally, version) = cold.load::<Tally>(tenant(), id).await.unwrap();
    assert_eq!((tally.sum, tally.additions, version), (325, 25, 26));
    let sql = "select version from eventstore.snapshots";
    assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_all(&database.owner().await).await.unwrap(), [26]);
}

#[tokio::test]
async fn whoever_decides_step_by_step_goes_on_without_what_was_refused() {
    let (database, store) = store().await;
    let id = open(&store, None).await;
    let asked = request();
    let mut unit = Unit::begin(&store, tenant(), asked.command_id, false);
    assert_eq!(unit.decide(&add(id, 1), &asked).await.unwrap().version, 2);
    let negative = unit.decide(&add(id, -1), &request()).await;
    assert!(matches!(negative, Err(ExecuteError::Rejected { .. })), "{negative:?}");
    assert_eq!(unit.decide(&add(id, 2), &request()).await.unwrap().version, 3);
    let foreign = Request { tenant: TenantId(Uuid::from_u128(9)), ..request() };
    assert!(matches!(unit.decide(&add(id, 2), &foreign).await, Err(ExecuteError::Fault(_))));
    assert_eq!(unit.events(), 2);
    assert_eq!(unit.state::<Tally>(id).map(|tally| tally.sum), Some(3), "before anybody else can see it");
    assert!(unit.state::<Tally>(Uuid::now_v7()).is_none());
    let done = unit.append(None).await.unwrap();
    assert_eq!(done.iter().map(|e| (e.version, e.position)).collect::<Vec<_>>(), [(2, 2), (3, 3)]);
    // Decided on what is no longer so.
    let mut stale = Unit::begin(&store, tenant(), Uuid::now_v7(), false);
    stale.decide(&add(id, 1), &request()).await.unwrap();
    store.execute::<Tally>(Some(id), C::Add { amount: 1 }, &request()).await.unwrap();
    let (command, error) = refused(stale.append(None).await);
    assert!(matches!(error, ExecuteError::Conflict) && command.is_none(), "{error:?}");
    // Whoever was told of a conflict learns that an id is taken that it took for its own.
    let mut again = Unit::begin(&store, tenant(), Uuid::now_v7(), true);
    let own = Request { command_id: id, ..request() };
    let taken = again.decide(&to(id, C::Open { label: None }), &own).await;
    assert!(matches!(taken, Err(ExecuteError::AlreadyExists)), "{taken:?}");
    assert_sound(&database.owner().await).await;
}

fn take(label: &str) -> C {
    C::TakeLabel { label: label.to_owned() }
}

#[tokio::test]
async fn a_command_brings_along_what_it_cannot_do_without() {
    let (database, store) = store().await;
    let (first, second) = (open(&store, Some("label")).await, open(&store, None).await);
    let keyed = keyed("k", 1);
    let taken = store.execute::<Tally>(Some(second), take("label"), &keyed).await.unwrap();
    assert_eq!((taken.id, taken.version, taken.position, taken.created), (second, 2, 4, false));
    let again = store.execute::<Tally>(Some(second), take("label"), &keyed).await.unwrap();
    assert_eq!(again, Executed { replayed: true, ..taken });
    let written = events(&database).await;
    let said: Vec<_> = written[2..].iter().map(|e| (e.event_type.as_str(), e.aggregate_id, e.metadata.unit)).collect();
    let unit = |index| Some(kernel::Unit { id: keyed.command_id, index, size: 2 });
    assert_eq!(said, [("tally.unlabelled", first, unit(1)), ("tally.labelled", second, unit(2))]);
    assert_eq!(written[2].metadata.command, "test.tally.unlabel");
    // Of two in one unit the second one finds what the first one left.
    let unit = [to(first, take("label")), to(second, take("label")), to(first, take("other"))];
    let done = store.execute_unit(&unit, &request()).await.unwrap();
    assert_eq!(done.iter().map(|e| (e.version, e.position)).collect::<Vec<_>>(), [(3, 6), (4, 8), (5, 9)]);
    // Alone where nobody is in the way, and nothing where it is so already.
    assert_eq!(store.execute::<Tally>(Some(second), take("label"), &request()).await.unwrap().position, 8);
    assert_sound(&database.owner().await).await;
}

#[tokio::test]
async fn what_comes_along_needs_the_same_rights_and_the_versions_of_nobody_else() {
    let (database, store) = store().await;
    let client = Uuid::now_v7();
    let (own, other) = (open(&store, Some(&client.to_string())).await, open(&store, Some("label")).await);
    let asked = |permissions: Permissions| Request { permissions: Some(Arc::new(permissions)), ..request() };
    let grant = Grant { pattern: "test.*".parse().unwrap(), resource: ClientId(client).into() };
    let limited = asked(Permissions::patterns([]).granted([&grant]));
    let denied = store.execute::<Tally>(Some(own), take("label"), &limited).await;
    assert!(matches!(denied, Err(ExecuteError::Denied)), "somebody else's record: {denied:?}");
    let narrow = asked(Permissions::patterns(["test.tally.take_label"]));
    let denied = store.execute::<Tally>(Some(own), take("label"), &narrow).await;
    assert!(matches!(denied, Err(ExecuteError::Denied)), "nobody does by a companion what they may not: {denied:?}");
    let seen = |version| Request { expected_versions: Some(vec![version]), ..request() };
    let stale = store.execute::<Tally>(Some(own), take("label"), &seen(2)).await;
    assert!(matches!(stale, Err(ExecuteError::VersionMismatch { actual: 1, .. })), "{stale:?}");
    assert_eq!(events(&database).await.len(), 2, "nothing was left behind");
    store.execute::<Tally>(Some(other), C::Add { amount: 1 }, &request()).await.unwrap();
    assert_eq!(store.execute::<Tally>(Some(own), take("label"), &seen(1)).await.unwrap().version, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_take_it_over_at_once_one_has_it_in_the_end() {
    let (database, store) = store().await;
    let stores = [store, Store::start(database.command().await, StoreOptions::default())];
    let mut ids = vec![];
    for _ in 0..12 {
        ids.push(open(&stores[0], None).await);
    }
    let takers = ids.iter().enumerate().map(|(n, id)| {
        let (store, id) = (stores[n % 2].clone(), *id);
        tokio::spawn(async move { store.execute::<Tally>(Some(id), take("label"), &request()).await })
    });
    let mut done = 0;
    for taken in futures::future::join_all(takers).await {
        match taken.unwrap() {
            Ok(_) => done += 1,
            // Others were faster, every time; never that it is taken.
            Err(ExecuteError::Conflict) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(done > 0);
    let mut holders = 0;
    for id in &ids {
        holders += usize::from(stores[0].load::<Tally>(tenant(), *id).await.unwrap().0.label.is_some());
    }
    assert_eq!(holders, 1);
    let labelled = events(&database).await.iter().filter(|e| e.event_type == "tally.labelled").count();
    assert_eq!(labelled, done);
    assert_sound(&database.owner().await).await;
}

#[tokio::test]
async fn commands_by_name_are_answered_each() {
    let (database, store) = store().await;
    let mut bus = CommandBus::new(store);
    kernel::Mounts::mount::<Tally>(&mut bus);
    let named = |action: &str, id, body: &str| NamedCommand {
        info: *bus.command(&format!("test.tally.{action}")).unwrap(),
        id,
        body: body.to_owned(),
        expected_versions: None,
    };
    let id = Uuid::now_v7();
    let unit = vec![named("open", Some(id), "{}"), named("add", Some(id), r#"{"amount": 3}"#)];
    let done = bus.execute_unit(unit, &request()).await.unwrap();
    assert_eq!(done.iter().map(|e| (e.id, e.version, e.position)).collect::<Vec<_>>(), [(id, 1, 1), (id, 2, 2)]);
    let wrong = vec![named("add", Some(id), r#"{"amount": 3}"#), named("add", Some(id), r#"{"amount": "3"}"#)];
    let (command, error) = refused(bus.execute_unit(wrong, &request()).await);
    assert!(matches!(error, ExecuteError::Invalid(_)) && command == Some(1), "{error:?}");
    assert_eq!(events(&database).await.len(), 2);
}

#[tokio::test]
async fn a_drained_store_takes_no_unit() {
    let (_database, store) = store().await;
    store.drain().await;
    let (_, error) = refused(store.execute_unit(&[labelled("late")], &request()).await);
    assert!(matches!(error, ExecuteError::Overloaded), "{error:?}");
}
