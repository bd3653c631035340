//! Ten thousand jobs over a hundred lanes, with receivers of every kind and processes that are killed; and what dead lanes cost the
//! living ones.

use crate::common::{Does, PARKS, Process, Receiver, Tell, World, eventually};
use reactions::{Budget, State};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const FIRMS: usize = 5;
const LANES: usize = 100;
const JOBS_OF_A_LANE: usize = 100;
/// Processes at a time, and how often one of them is killed.
const PROCESSES: usize = 3;
const KILLS: usize = 12;
/// Long enough that a busy machine renews in time: a process that is late is not one that is dead.
const LEASE: Duration = Duration::from_secs(2);

/// What the receiver behind the nth lane is like.
fn manner(lane: usize, call: usize) -> Does {
    match lane % 20 {
        0..=7 => Does::Takes,
        8 | 9 => Does::TakesItsTime(Duration::from_millis(2)),
        10..=12 if call % 5 == 4 => Does::IsAway,
        13 | 14 if call % 7 == 3 => Does::TakesSilently,
        13 | 14 if call % 7 == 6 => Does::LosesIt,
        15 | 16 if call % 25 == 3 => Does::SaysWhen(Duration::from_millis(20)),
        17 if call == 10 => Does::Refuses,
        18 if call % 40 == 20 => Does::Panics,
        _ => Does::Takes,
    }
}

/// Of all lanes: enough not to last, little enough to be met.
const BUDGET: Budget = Budget { every: Duration::from_millis(3), burst: 20 };

fn process(world: &World, receiver: &Arc<Receiver>) -> Process {
    world.process(Tell::<PARKS> { receiver: receiver.clone(), width: 1, budget: Some(BUDGET) }, LEASE)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_jobs_over_a_hundred_lanes_none_is_lost_doubled_or_overtaken() {
    let world = World::new().await;
    let mut lanes = HashMap::new();
    for lane in 0..LANES {
        lanes.insert(world.tally((lane % FIRMS) as u128, JOBS_OF_A_LANE).await.to_string(), lane);
    }
    let of_lane = lanes.clone();
    let receiver = Receiver::new(move |job, call| manner(of_lane[&job.lane], call));
    let mut processes: Vec<_> = (0..PROCESSES).map(|_| process(&world, &receiver)).collect();
    for kill in 1..=KILLS {
        let done = kill * LANES * JOBS_OF_A_LANE / (KILLS + 2);
        eventually("the jobs stand still", async || receiver.taken_count() >= done).await;
        processes.remove(0).kill();
        processes.push(process(&world, &receiver));
    }
    eventually("not every job ends", async || {
        world.count(State::Done).await + world.count(State::Parked).await == LANES * JOBS_OF_A_LANE
    })
    .await;
    assert_eq!(world.open_jobs().await, 0);
    processes.iter().for_each(Process::stop);

    let parked = world.jobs(State::Parked).await;
    assert_eq!(parked.len(), LANES / 20, "one in each lane that refuses");
    let taken = receiver.taken();
    let keys = world.keys().await;
    assert_eq!(taken.len() + parked.len(), keys.len(), "nothing is lost");
    assert!(taken.iter().all(|(key, count)| *count == 1 && keys.contains(key)), "each once, and nothing else");
    let mut last: HashMap<&str, i64> = HashMap::new();
    let calls = receiver.calls();
    for call in &calls {
        let before = last.insert(&call.lane, call.position).unwrap_or(0);
        assert!(before <= call.position, "lane {}: {} after {before}", call.lane, call.position);
    }
    assert_eq!(receiver.most_in_work(), 1, "one at a time in each lane");
    // What was called again was not answered, refused a call, or was under way when its process was killed.
    let again = calls.len() - taken.len() - parked.len();
    let unanswered = |does| !matches!(does, Does::Takes | Does::TakesItsTime(_) | Does::Refuses);
    let unanswered = calls.iter().filter(|call| unanswered(call.did)).count();
    assert!(again <= unanswered + KILLS * 10, "{again} calls came again, {unanswered} for want of an answer");
}

const LIVING: usize = 80;
const DEAD: usize = 20;
const JOBS_OF_A_LIVING_LANE: usize = 50;

/// Does the jobs of the living lanes beside so many dead ones. Answers, for each living lane, how many rooms had been given by the
/// time of its last job: to it, to the others, to the dead.
async fn rooms_until_done(dead: usize) -> Vec<usize> {
    let world = World::new().await;
    let mut dead_lanes: HashSet<String> = HashSet::new();
    for lane in 0..LIVING + dead {
        // Dead and living ones of the same firms, in between each other.
        let is_dead = dead > 0 && lane % ((LIVING + dead) / dead) == 0;
        let additions = if is_dead { 3 } else { JOBS_OF_A_LIVING_LANE };
        let id: Uuid = world.tally((lane % FIRMS) as u128, additions).await;
        if is_dead {
            dead_lanes.insert(id.to_string());
        }
    }
    assert_eq!(dead_lanes.len(), dead);
    let dead_ones = dead_lanes.clone();
    let receiver = Receiver::new(move |job, _| match (dead_ones.contains(&job.lane), job.is_probe) {
        (false, _) => Does::Takes,
        (true, false) => Does::Hangs(Duration::from_millis(5)),
        (true, true) => Does::HangsOn,
    });
    let living = LIVING * JOBS_OF_A_LIVING_LANE;
    let process = world.process(Tell::to(&receiver), LEASE);
    eventually("dead lanes hold up the living", async || receiver.taken_count() == living).await;
    receiver.over.cancel();
    process.stop();
    let mut rooms = HashMap::new();
    // A probe has a room that no living lane could have.
    for (given, call) in receiver.calls().iter().filter(|call| !call.is_probe).enumerate() {
        rooms.insert(call.lane.clone(), given + 1);
    }
    let mut rooms: Vec<usize> =
        rooms.into_iter().filter(|(lane, _)| !dead_lanes.contains(lane)).map(|(_, given)| given).collect();
    rooms.sort_unstable();
    assert_eq!(rooms.len(), LIVING);
    rooms
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_dead_lanes_delay_no_living_one_by_more_than_a_tenth() {
    let (without, with) = (rooms_until_done(0).await, rooms_until_done(DEAD).await);
    for (lane, (without, with)) in without.iter().zip(&with).enumerate() {
        assert!(
            with * 10 <= without * 11,
            "the lane that ends as {lane}th: {without} rooms without dead lanes, {with} with"
        );
    }
}
