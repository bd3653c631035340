//! Who is let in, who waits, who is sent away, and that no place is ever lost.

use super::*;
use actix_web::ResponseError;
use actix_web::body::to_bytes;
use futures::FutureExt;
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

fn firm(number: u128) -> TenantId {
    TenantId(Uuid::from_u128(number))
}

const NOISY: u128 = 1;
const QUIET: u128 = 2;

/// Waiters are told by nothing; the test looks at their numbers.
fn arrive(state: &mut State<u64>, tenant: u128, name: u64) -> Turn<u64, ()> {
    state.arrive(firm(tenant), || (name, ()))
}

fn fill(state: &mut State<u64>, tenant: u128, names: std::ops::Range<u64>) -> Vec<Turn<u64, ()>> {
    names.map(|name| arrive(state, tenant, name)).collect()
}

#[test]
fn a_firm_may_use_everything_while_nobody_else_wants_it() {
    let mut state = State::new(4, 2);
    let turns = fill(&mut state, NOISY, 0..7);
    assert!(turns[..4].iter().all(|turn| matches!(turn, Turn::Now)));
    assert!(turns[4..6].iter().all(|turn| matches!(turn, Turn::Waits { displaced: None, .. })));
    assert!(matches!(turns[6], Turn::Full));
    assert_eq!((state.running(), state.waiting()), (4, 2));
}

#[test]
fn where_a_firm_may_not_have_everything_others_come_in_at_once() {
    let mut state = State::new(4, 8).with_one_firm_max(3);
    let turns = fill(&mut state, NOISY, 0..6);
    assert!(turns[..3].iter().all(|turn| matches!(turn, Turn::Now)));
    assert!(turns[3..].iter().all(|turn| matches!(turn, Turn::Waits { displaced: None, .. })));
    assert!(matches!(arrive(&mut state, QUIET, 6), Turn::Now));
    assert_eq!(state.leave(firm(QUIET)), None, "the place is nobody's, although some wait");
    assert_eq!((state.running(), state.waiting()), (3, 3));
    assert_eq!(state.leave(firm(NOISY)), Some((firm(NOISY), 3)));
    assert!(matches!(arrive(&mut state, QUIET, 7), Turn::Now));
}

#[test]
fn whoever_has_least_in_work_goes_first_and_then_whoever_waits_longest() {
    let mut state = State::new(2, 10);
    fill(&mut state, NOISY, 0..5);
    fill(&mut state, QUIET, 5..7);
    let called: Vec<_> = (0..2).filter_map(|_| state.leave(firm(NOISY))).collect();
    assert_eq!(called, [(firm(QUIET), 5), (firm(NOISY), 2)], "one each, although three of the noisy firm came before");
    assert_eq!(state.leave(firm(QUIET)), Some((firm(QUIET), 6)));
    assert_eq!(state.leave(firm(QUIET)), Some((firm(NOISY), 3)));
}

#[test]
fn firms_that_want_everything_get_equal_shares() {
    let mut state = State::new(12, 60);
    let mut working = BTreeMap::from([(firm(0), 12)]);
    fill(&mut state, 0, 0..30);
    fill(&mut state, 1, 30..40);
    fill(&mut state, 2, 40..50);
    for turn in 0..100 {
        // One of the requests in work is done, whosever it is; that firm wants as much again.
        let mut in_work = working.iter().flat_map(|(firm, n)| std::iter::repeat_n(*firm, *n));
        let leaving = in_work.nth(turn * 5 % 12).unwrap();
        *working.get_mut(&leaving).unwrap() -= 1;
        let (next, _) = state.leave(leaving).unwrap();
        *working.entry(next).or_default() += 1;
        state.arrive(next, || (0, ()));
    }
    for number in 0..3 {
        assert!((3..=5).contains(&working[&firm(number)]), "{working:?}");
    }
}

#[test]
fn a_full_queue_makes_room_at_the_cost_of_the_firm_that_has_most_in_it() {
    let mut state = State::new(1, 4);
    fill(&mut state, NOISY, 0..5);
    let Turn::Waits { displaced, .. } = arrive(&mut state, QUIET, 5) else { panic!("there is no room") };
    assert_eq!(displaced, Some(4), "the newest of the noisy firm, which has waited for nothing yet");
    let Turn::Waits { displaced, .. } = arrive(&mut state, QUIET, 6) else { panic!("there is no room") };
    assert_eq!(displaced, Some(3));
    assert!(matches!(arrive(&mut state, QUIET, 7), Turn::Full), "they have half of it each");
    assert!(matches!(arrive(&mut state, NOISY, 8), Turn::Full));
    assert_eq!(state.waiting(), 4);
}

#[test]
fn whatever_happens_bounds_hold_and_nobody_is_lost() {
    let mut seed = 0x5eed_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..200 {
        let (running_max, waiting_max) = (1 + random(5) as usize, random(8) as usize);
        let mut state = State::new(running_max, waiting_max);
        let mut working: Vec<TenantId> = vec![];
        let mut waiting: Vec<(TenantId, u64, u64)> = vec![];
        let mut expected: HashSet<u64> = HashSet::new();
        for name in 0..200 {
            match random(5) {
                0..=2 => {
                    let tenant = u128::from(random(3));
                    match arrive(&mut state, tenant, name) {
                        Turn::Now => working.push(firm(tenant)),
                        Turn::Full => assert_eq!(waiting.len(), waiting_max),
                        Turn::Waits { number, displaced, .. } => {
                            waiting.push((firm(tenant), number, name));
                            expected.insert(name);
                            if let Some(displaced) = displaced {
                                assert!(expected.remove(&displaced));
                                waiting.retain(|(_, _, name)| *name != displaced);
                            }
                        }
                    }
                }
                3 if !waiting.is_empty() => {
                    let (tenant, number, name) = waiting.swap_remove(random(waiting.len() as u64) as usize);
                    state.give_up(tenant, number);
                    expected.remove(&name);
                }
                4 if !working.is_empty() => {
                    let leaving = working.swap_remove(random(working.len() as u64) as usize);
                    if let Some((tenant, name)) = state.leave(leaving) {
                        assert!(expected.remove(&name), "{name} was called once");
                        waiting.retain(|(_, _, waiter)| *waiter != name);
                        working.push(tenant);
                    }
                }
                _ => {}
            }
            assert_eq!((state.running(), state.waiting()), (working.len(), waiting.len()));
            assert!(working.len() <= running_max && waiting.len() <= waiting_max);
            assert!(waiting.is_empty() || working.len() == running_max, "somebody waits although there is room");
        }
        while let Some(leaving) = working.pop() {
            working.extend(state.leave(leaving).map(|(tenant, _)| tenant));
        }
        assert_eq!((state.running(), state.waiting()), (0, 0));
    }
}

fn admission(in_flight_max: usize, waiting_max: usize) -> Admission {
    Admission::new("test", AdmissionSettings { in_flight_max, waiting_max, wait_max: Duration::from_millis(40) })
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_place_and_gets_the_one_that_is_given_back() {
    let admission = admission(1, 1);
    let first = admission.admit(firm(NOISY)).await.unwrap();
    let mut second = Box::pin(admission.admit(firm(NOISY)));
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(admission.load(), (1, 1));
    drop(first);
    let second = second.await.unwrap();
    assert_eq!(admission.load(), (1, 0));
    drop(second);
    assert_eq!(admission.load(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_shed_is_told_when_to_come_again() {
    let admission = admission(1, 0);
    let _held = admission.admit(firm(NOISY)).await.unwrap();
    let shed = admission.admit(firm(QUIET)).now_or_never().expect("at once").unwrap_err();
    let response = shed.error_response();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers().get("retry-after").unwrap(), "1");
    assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
    let body = to_bytes(response.into_body()).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((body["code"].as_str(), body["retryable"].as_bool()), (Some("overloaded"), Some(true)));
}

#[tokio::test(start_paused = true)]
async fn the_more_are_turned_away_the_later_they_are_told_to_come() {
    let admission = admission(1, 0);
    let after = async || {
        let problem = admission.admit(firm(NOISY)).await.unwrap_err();
        let response = problem.error_response();
        response.headers().get("retry-after").unwrap().to_str().unwrap().parse::<u32>().unwrap()
    };
    let held = admission.admit(firm(NOISY)).await.unwrap();
    let mut told = vec![];
    for _ in 0..9 {
        told.push(after().await);
    }
    // For the one that was taken in, so many were turned away; and spread over as long again.
    assert!(told.iter().zip(1..).all(|(told, away)| (away..2 * away).contains(told)), "{told:?}");
    for _ in 0..100 {
        assert!(after().await < 2 * pressure::SECONDS_MAX);
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(after().await >= pressure::SECONDS_MAX, "the second before counts too");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(after().await, 1, "what was longer ago does not");
    drop(held);
    drop(admission.admit(firm(NOISY)).await.unwrap());
    drop(admission.admit(firm(NOISY)).await.unwrap());
    let _held = admission.admit(firm(NOISY)).await.unwrap();
    assert_eq!((after().await, after().await), (1, 1), "as many were taken in");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_too_long_is_shed_and_leaves_no_trace() {
    let admission = admission(1, 5);
    let held = admission.admit(firm(NOISY)).await.unwrap();
    let waits = async || {
        let before = tokio::time::Instant::now();
        assert_eq!(admission.admit(firm(QUIET)).await.unwrap_err().code(), "overloaded");
        before.elapsed().as_millis()
    };
    assert_eq!(waits().await, 1_000, "it may be a hiccup");
    let at = async |milliseconds| {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        waits().await
    };
    let gives_up = tokio::time::timeout(Duration::from_millis(20), waits());
    let waiting = futures::future::join_all((0..4).map(|_| waits()));
    let (waiting, gone, refused, late) = tokio::join!(waiting, gives_up, at(10), at(30));
    assert_eq!((waiting, refused), (vec![1_000; 4], 0), "they came before the queue was full");
    assert!(gone.is_err());
    assert_eq!(late, 40, "it was full");
    assert_eq!(waits().await, 1_000, "it was empty again");
    assert_eq!(admission.load(), (1, 0));
    drop(held);
    assert_eq!(admission.load(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_firm_displaces_a_waiter_of_a_noisy_one_at_once() {
    let admission = admission(2, 2);
    let held = admission.admit(firm(NOISY)).await.unwrap();
    let _held_on = admission.admit(firm(NOISY)).await.unwrap();
    let mut noisy: Vec<_> = (0..2).map(|_| Box::pin(admission.admit(firm(NOISY)))).collect();
    assert!(noisy.iter_mut().all(|waiter| waiter.now_or_never().is_none()));
    let mut quiet = Box::pin(admission.admit(firm(QUIET)));
    assert!((&mut quiet).now_or_never().is_none());
    let displaced = noisy.pop().unwrap().now_or_never().expect("told at once");
    assert_eq!(displaced.unwrap_err().code(), "overloaded");
    drop(held);
    assert_eq!(quiet.now_or_never().expect("goes first").unwrap().tenant, firm(QUIET));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_gives_back_its_place_wherever_it_is() {
    let admission = admission(1, 5);
    let held = admission.admit(firm(NOISY)).await.unwrap();
    let mut waiting = Box::pin(admission.admit(firm(NOISY)));
    let mut called = Box::pin(admission.admit(firm(QUIET)));
    assert!((&mut waiting).now_or_never().is_none());
    assert!((&mut called).now_or_never().is_none());
    drop(waiting);
    assert_eq!(admission.load(), (1, 1), "gone from the queue");
    drop(held);
    assert_eq!(admission.load(), (1, 0), "called in, but it has not heard of it");
    drop(called);
    assert_eq!(admission.load(), (0, 0), "hung up before it heard");
}

#[tokio::test(start_paused = true)]
async fn thousands_that_hang_up_at_any_moment_leave_every_place_free() {
    let admission = admission(8, 50);
    let tasks: Vec<_> = (0..5_000u64)
        .map(|number| {
            let admission = admission.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number % 97)).await;
                let work = async {
                    if let Ok(_permit) = admission.admit(firm(u128::from(number % 7))).await {
                        tokio::time::sleep(Duration::from_millis(number % 5)).await;
                    }
                };
                // Hangs up after so long, wherever it is.
                drop(tokio::time::timeout(Duration::from_millis(number % 11), work).await);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(admission.load(), (0, 0));
}
