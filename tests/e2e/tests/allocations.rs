//! What deciding and folding cost in memory: allocations are counted, not timed, so this is the same on every machine.
//!
//! A change that raises a number here makes every command dearer; one that lowers it may lower the number too.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may fail loudly")]

use crm::Client;
use crm::client::ClientCommand;
use dhat::{Alloc, HeapStats, Profiler};
use kernel::{Actor, Aggregate, Context, TenantId};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: Alloc = Alloc;

/// Allocations that deciding a rename may take: the event's name, and the list that holds the event.
const DECIDE_MAX: u64 = 2;
/// Allocations that folding a rename may take: the state's own copy of the name.
const FOLD_MAX: u64 = 1;

#[test]
fn deciding_and_folding_a_rename_allocates_no_more_than_it_must() {
    let _profiler = Profiler::builder().testing().build();
    let mut client = created();
    let rename = ClientCommand::Rename { name: "Difference Engines".parse().unwrap() };
    let context = context();
    let before = HeapStats::get().total_blocks;
    let events = client.decide(rename, &context).unwrap();
    let decided = HeapStats::get().total_blocks;
    assert_eq!(events.len(), 1);
    events.iter().for_each(|event| client.apply(event));
    let folded = HeapStats::get().total_blocks;
    let seen = (decided - before, folded - decided);
    assert!(seen.0 <= DECIDE_MAX && seen.1 <= FOLD_MAX, "decide allocated {} times, fold {} times", seen.0, seen.1);
}

fn created() -> Client {
    let mut client = Client::default();
    let create = ClientCommand::Create {
        name: "Analytical Engines".parse().unwrap(),
        kind: Default::default(),
        email: None,
        phone: None,
    };
    let events = client.decide(create, &context()).unwrap();
    events.iter().for_each(|event| client.apply(event));
    client
}

fn context() -> Context {
    let actor = Actor::System { name: "test".into() };
    Context::new(TenantId(Uuid::nil()), actor, chrono::DateTime::UNIX_EPOCH, Uuid::nil(), Uuid::nil())
}
