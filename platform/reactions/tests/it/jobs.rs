//! What a reaction promises, one promise at a time, on a real log.

use crate::common::{DROPS, Does, FromNow, PARKS, Receiver, STOPS, Tell, World, eventually, firm};
use messaging::PolledLog;
use reactions::{Budget, Engine, Filter, Lane, NewJob, State, put};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn every_event_leads_to_one_job_whoever_reads_along() {
    let world = World::new().await;
    let receiver = Receiver::new(|_, _| Does::Takes);
    let tally = world.tally(1, 30).await;
    let engines = [
        world.engine(Tell::to(&receiver)).await,
        world.engine(Tell::to(&receiver)).await,
        world.engine(Tell::to(&receiver)).await,
    ];
    let [one, two, three] = &engines;
    tokio::join!(world.round(one), world.round(two), world.round(three));
    world.round(one).await;
    let calls = receiver.of_lane(&tally.to_string());
    assert_eq!(calls.len(), 30, "each once");
    assert!(calls.is_sorted(), "in their order: {calls:?}");
    assert_eq!(receiver.taken().into_keys().collect::<std::collections::HashSet<_>>(), world.keys().await);
    assert_eq!(world.jobs(State::Done).await.len(), 30);
}

#[tokio::test]
async fn what_cannot_be_done_now_is_done_later_and_nothing_overtakes_it() {
    let world = World::new().await;
    let receiver = Receiver::new(|_, nth| if nth < 2 { Does::IsAway } else { Does::Takes });
    let tally = world.tally(1, 3).await;
    let engine = world.engine(Tell::to(&receiver)).await;
    for _ in 0..3 {
        world.make_due().await;
        world.round(&engine).await;
    }
    let calls = receiver.of_lane(&tally.to_string());
    let first = calls[0];
    assert_eq!(calls, [first, first, first, first + 1, first + 2]);
    assert_eq!(world.jobs(State::Done).await[0].attempts, 3);
}

#[tokio::test]
async fn a_parked_job_lets_its_lane_go_on_and_is_done_when_an_operator_says_so() {
    let world = World::new().await;
    let mended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_mended = mended.clone();
    let receiver = Receiver::new(move |_, nth| {
        let refuses = nth == 0 && !is_mended.load(std::sync::atomic::Ordering::Relaxed);
        if refuses { Does::Refuses } else { Does::Takes }
    });
    world.tally(1, 3).await;
    let engine = world.engine(Tell::to(&receiver)).await;
    world.round(&engine).await;
    let parked = world.jobs(State::Parked).await;
    assert_eq!((parked.len(), parked[0].attempts, parked[0].code.as_deref()), (1, 1, Some("refused")));
    assert_eq!(world.jobs(State::Done).await.len(), 2, "the others are done");
    assert_eq!(receiver.given_up().len(), 1, "whoever has to know was told");
    mended.store(true, std::sync::atomic::Ordering::Relaxed);
    let chosen = Filter { ids: vec![parked[0].id], ..Filter::default() };
    assert_eq!(reactions::retry(&world.worker, &chosen).await.unwrap(), 1);
    world.round(&engine).await;
    assert_eq!(world.jobs(State::Done).await.len(), 3);
    assert_eq!(reactions::retry(&world.worker, &chosen).await.unwrap(), 0, "what has ended stays");
}

#[tokio::test]
async fn where_a_reaction_says_so_a_parked_job_stops_its_lane_and_no_other() {
    let world = World::new().await;
    let (stopped, other) = (world.tally(1, 3).await, world.tally(1, 2).await);
    let lane = stopped.to_string();
    let receiver = Receiver::new(move |job, _| if job.lane == lane { Does::Refuses } else { Does::Takes });
    let tell = Tell::<STOPS> { receiver: receiver.clone(), width: 1, budget: None };
    let engine = world.engine(tell).await;
    world.round(&engine).await;
    assert_eq!(receiver.of_lane(&stopped.to_string()).len(), 1, "nothing comes after it");
    assert_eq!(receiver.of_lane(&other.to_string()).len(), 2);
    let parked = world.jobs(State::Parked).await;
    assert_eq!(parked.len(), 1);
    let chosen = Filter { ids: vec![parked[0].id], ..Filter::default() };
    assert_eq!(reactions::drop(&world.worker, &chosen, "nobody wants it").await.unwrap(), 1);
    world.round(&engine).await;
    assert_eq!(receiver.of_lane(&stopped.to_string()).len(), 2, "dropped, it lets the next one come");
}

#[tokio::test]
async fn what_nobody_wants_after_a_while_is_dropped() {
    let world = World::new().await;
    let receiver = Receiver::new(|_, _| Does::IsAway);
    world.tally(1, 1).await;
    let tell = Tell::<DROPS> { receiver: receiver.clone(), width: 1, budget: None };
    let engine = world.engine(tell).await;
    eventually("it is not given up", async || {
        world.make_due().await;
        world.round(&engine).await;
        world.jobs(State::Dropped).await.len() == 1
    })
    .await;
    assert!(receiver.calls().len() > 1, "it was tried again");
    assert_eq!(receiver.given_up()[0].1, reactions::EXHAUSTED);
}

#[tokio::test]
async fn nothing_is_sent_again_whose_end_nobody_knows_before_the_receiver_was_asked() {
    let world = World::new().await;
    let receiver = Receiver::without_keys(|_, nth| match nth {
        0 => Does::TakesSilently,
        1 => Does::LosesIt,
        _ => Does::Takes,
    });
    world.tally(1, 3).await;
    let engine = world.engine(Tell::to(&receiver)).await;
    for _ in 0..4 {
        world.make_due().await;
        world.round(&engine).await;
    }
    let taken = receiver.taken();
    assert!(taken.len() == 3 && taken.values().all(|count| *count == 1), "{taken:?}");
    assert_eq!(receiver.calls().len(), 4, "the lost one twice, the taken one once");
}

#[tokio::test]
async fn a_try_whose_process_died_is_looked_up_too() {
    let world = World::new().await;
    let receiver = Receiver::without_keys(|_, _| Does::Takes);
    world.tally(1, 1).await;
    let engine = world.engine(Tell::to(&receiver)).await;
    engine.take_in().await.unwrap();
    // It has taken the job, called the receiver and died.
    let sql = "select count(*) from reactions.take(gen_random_uuid(), 'test.tell', false, interval '0', 1)";
    let taken: i64 = sqlx::query_scalar(sql).fetch_one(&world.worker).await.unwrap();
    assert_eq!(taken, 1);
    let key = world.keys().await.into_iter().next().unwrap();
    receiver.has_taken(&key);
    world.round(&engine).await;
    assert_eq!(world.jobs(State::Done).await.len(), 1);
    assert!(receiver.calls().is_empty(), "it was not called again");
}

#[tokio::test]
async fn a_broken_connection_costs_no_attempts_and_its_lanes_go_on_when_it_is_mended() {
    let world = World::new().await;
    let mended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_mended = mended.clone();
    let receiver =
        Receiver::new(
            move |_, _| {
                if is_mended.load(std::sync::atomic::Ordering::Relaxed) { Does::Takes } else { Does::LocksOut }
            },
        );
    let tally = world.tally(1, 3).await;
    let engine = world.engine(Tell::to(&receiver)).await;
    world.round(&engine).await;
    world.round(&engine).await;
    assert_eq!(receiver.calls().len(), 1, "the lane waits");
    let blocked = world.jobs(State::Blocked).await;
    assert_eq!((blocked.len(), blocked[0].attempts, blocked[0].code.as_deref()), (3, 0, Some("mailbox")));
    assert_eq!(reactions::release(&world.worker, firm(2), "mailbox").await.unwrap(), 0, "another firm's is another");
    mended.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(reactions::release(&world.worker, firm(1), "mailbox").await.unwrap(), 1);
    eventually("the lane does not go on", async || {
        world.round(&engine).await;
        world.jobs(State::Done).await.len() == 3
    })
    .await;
    assert!(receiver.of_lane(&tally.to_string()).is_sorted());
}

#[tokio::test]
async fn what_waited_in_many_lanes_goes_on_at_a_rate_that_rises_the_oldest_first() {
    let world = World::new().await;
    let receiver = Receiver::new(|_, _| Does::LocksOut);
    let mut tallies = vec![];
    for _ in 0..8 {
        tallies.push(world.tally(1, 1).await.to_string());
    }
    let engine = world.engine(Tell::to(&receiver)).await;
    world.round(&engine).await;
    assert_eq!(world.jobs(State::Blocked).await.len(), 8);
    assert_eq!(reactions::release(&world.worker, firm(1), "mailbox").await.unwrap(), 8);
    let sql = "select lane, round(extract(epoch from not_before - min(not_before) over ()))::bigint
               from reactions.lanes order by not_before, array_position($1, lane)";
    let begin: Vec<(String, i64)> = sqlx::query_as(sql).bind(&tallies).fetch_all(&world.worker).await.unwrap();
    let (lanes, waits): (Vec<String>, Vec<i64>) = begin.into_iter().unzip();
    assert_eq!(waits, [0, 2, 2, 4, 4, 4, 4, 6]);
    assert_eq!(lanes, tallies, "whoever has waited longest is first");
    assert_eq!(reactions::release(&world.worker, firm(1), "mailbox").await.unwrap(), 0, "once");
}

#[tokio::test]
async fn a_lane_keeps_to_its_budget() {
    let world = World::new().await;
    let receiver = Receiver::new(|_, _| Does::Takes);
    world.tally(1, 25).await;
    let budget = Budget { every: Duration::from_millis(20), burst: 5 };
    let tell = Tell::<PARKS> { receiver: receiver.clone(), width: 1, budget: Some(budget) };
    let (engine, began) = (world.engine(tell).await, Instant::now());
    eventually("not all are done", async || {
        world.round(&engine).await;
        world.jobs(State::Done).await.len() == 25
    })
    .await;
    assert!(began.elapsed() >= 20 * budget.every, "{:?} for 25 jobs, 5 of them at once", began.elapsed());
}

#[tokio::test]
async fn a_receiver_that_says_when_to_come_again_is_not_called_before() {
    let world = World::new().await;
    let pause = Duration::from_millis(300);
    let receiver = Receiver::new(move |_, nth| if nth == 0 { Does::SaysWhen(pause) } else { Does::Takes });
    world.tally(1, 2).await;
    let tell = Tell::<PARKS> { receiver: receiver.clone(), width: 4, budget: None };
    let (engine, began) = (world.engine(tell).await, Instant::now());
    eventually("not all are done", async || {
        world.round(&engine).await;
        world.jobs(State::Done).await.len() == 2
    })
    .await;
    assert!(began.elapsed() >= pause, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_wide_lane_has_as_many_in_work_as_it_may_and_a_narrow_one_one() {
    for (width, most) in [(1, 1), (3, 3)] {
        let world = World::new().await;
        let receiver = Receiver::new(move |_, _| Does::TakesTogether(most));
        world.tally(1, 24).await;
        let tell = Tell::<PARKS> { receiver: receiver.clone(), width, budget: None };
        let engine = world.engine(tell).await;
        eventually("not all are done", async || {
            world.round(&engine).await;
            world.jobs(State::Done).await.len() == 24
        })
        .await;
        assert_eq!(receiver.most_in_work(), most, "of {width}");
    }
}

#[tokio::test]
async fn firms_take_turns_however_much_one_has_to_do() {
    let world = World::new().await;
    let receiver = Receiver::new(|_, _| Does::Takes);
    for _ in 0..60 {
        world.tally(1, 1).await;
    }
    let quiet = world.tally(2, 3).await;
    let engine = world.engine(Tell::to(&receiver)).await;
    world.round(&engine).await;
    let calls = receiver.calls();
    let last = calls.iter().rposition(|call| call.lane == quiet.to_string()).unwrap();
    // Eight rooms may each have begun one of the other firm's; after that every second call is the quiet firm's.
    assert!(calls.len() == 63 && last < 24, "the quiet firm's last is call {last} of {}", calls.len());
}

#[tokio::test]
async fn lanes_of_a_firm_take_turns_however_much_one_has_to_do() {
    let world = World::new().await;
    let receiver = Receiver::new(|_, _| Does::Takes);
    world.tally(1, 200).await;
    let quiet = world.tally(1, 3).await;
    let engine = world.engine(Tell::to(&receiver)).await;
    world.round(&engine).await;
    let calls = receiver.calls();
    let last = calls.iter().rposition(|call| call.lane == quiet.to_string()).unwrap();
    assert!(calls.len() == 203 && last < 24, "the quiet lane's last is call {last} of {}", calls.len());
}

#[tokio::test]
async fn a_job_that_brings_its_caller_down_holds_up_only_its_lane() {
    let world = World::new().await;
    let (bad, good) = (world.tally(1, 2).await, world.tally(1, 2).await);
    let lane = bad.to_string();
    let receiver = Receiver::new(move |job, _| if job.lane == lane { Does::Panics } else { Does::Takes });
    let engine = world.engine(Tell::to(&receiver)).await;
    world.round(&engine).await;
    assert_eq!(receiver.of_lane(&good.to_string()).len(), 2);
    let unknown = world.jobs(State::Unknown).await;
    assert_eq!(unknown.len(), 1, "the other one waits behind it: {unknown:?}");
    let called = receiver.of_lane(&bad.to_string());
    assert!(called.iter().all(|position| *position == called[0]), "{called:?}");
}

#[tokio::test]
async fn what_a_receiver_said_of_somebody_is_forgotten_with_them() {
    let world = World::new().await;
    let receiver = Receiver::new(|_, _| Does::Refuses);
    let (erased, other) = (world.tally(1, 1).await, world.tally(1, 1).await);
    let engine = world.engine(Tell::to(&receiver)).await;
    world.round(&engine).await;
    assert!(world.jobs(State::Parked).await.iter().all(|job| job.why.is_some()));
    assert_eq!(reactions::forget(&world.worker, firm(2), &[erased]).await.unwrap(), 0);
    assert_eq!(reactions::forget(&world.worker, firm(1), &[erased]).await.unwrap(), 1);
    let said: Vec<_> = world.jobs(State::Parked).await.into_iter().filter(|job| job.why.is_some()).collect();
    assert_eq!(said.iter().map(|job| job.lane.as_str()).collect::<Vec<_>>(), [other.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_finishes_what_it_has_begun_and_begins_nothing() {
    let world = World::new().await;
    let receiver = Receiver::new(|_, _| Does::TakesItsTime(Duration::from_millis(100)));
    for _ in 0..20 {
        world.tally(1, 1).await;
    }
    let stop = CancellationToken::new();
    let engine = Engine::new(world.log()).with(Tell::to(&receiver));
    let events = Arc::new(PolledLog(world.log()));
    let stopping = async {
        eventually("nothing is begun", async || world.jobs(State::Due).await.iter().any(|job| job.attempts > 0)).await;
        stop.cancel();
    };
    tokio::join!(engine.run(events, stop.clone()), stopping);
    let (done, due) = (world.jobs(State::Done).await, world.jobs(State::Due).await);
    assert!(!done.is_empty() && done.len() + due.len() == 20, "{} done, {} due", done.len(), due.len());
    assert!(due.iter().all(|job| job.attempts == 0), "nothing is left half done");
    assert_eq!(receiver.calls().len(), done.len());
}

#[tokio::test]
async fn a_new_reaction_begins_where_it_says() {
    let world = World::new().await;
    world.tally(1, 2).await;
    let receiver = Receiver::new(|_, _| Does::Takes);
    let engine = Engine::new(world.log()).with(FromNow(receiver.clone()));
    world.round(&engine).await;
    assert!(receiver.calls().is_empty(), "what was before is no business of its");
    world.tally(1, 2).await;
    world.round(&engine).await;
    assert_eq!(receiver.calls().len(), 2);
}

#[tokio::test]
async fn what_has_ended_long_ago_is_forgotten_with_its_lane() {
    let world = World::new().await;
    let receiver = Receiver::new(|_, _| Does::Takes);
    world.tally(1, 3).await;
    let engine = world.engine(Tell::to(&receiver)).await;
    world.round(&engine).await;
    let tidy = async |kept: &str| {
        let sql = format!("select reactions.tidy(interval '{kept}')");
        sqlx::query_scalar::<_, i64>(&sql).fetch_one(&world.worker).await.unwrap()
    };
    assert_eq!(tidy("1 hour").await, 0);
    assert_eq!(tidy("0").await, 3);
    let sql = "select (select count(*) from reactions.jobs) + (select count(*) from reactions.lanes)";
    let left: i64 = sqlx::query_scalar(sql).fetch_one(&world.worker).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_is_asked_for_again_while_it_is_in_work_is_done_once_more() {
    let world = World::new().await;
    let receiver = Receiver::new(|_, _| Does::TakesItsTime(Duration::from_millis(500)));
    let engine = world.engine(Tell::to(&receiver)).await;
    let ask = async || {
        let (lane, key) = (Lane::of("provider"), "thing".to_owned());
        let job = NewJob { tenant: firm(1), lane, key, position: None, subject: None };
        let mut tx = event_store::begin(&world.worker).await.unwrap();
        put(&mut tx, "test.tell", &[job], true).await.unwrap();
        tx.commit().await.unwrap();
    };
    ask().await;
    let again = async {
        eventually("it is not in work", async || receiver.most_in_work() > 0).await;
        ask().await;
        ask().await;
    };
    let (done, ()) = tokio::join!(engine.perform_due(), again);
    done.unwrap();
    engine.perform_due().await.unwrap();
    assert_eq!(receiver.calls().len(), 2, "once more, however often it was asked for");
    assert_eq!(world.jobs(State::Done).await.len(), 1);
}
