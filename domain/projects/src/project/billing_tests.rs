use super::*;
use kernel::Currency;
use kernel::spec::{When, given};
use projects_events::UnbilledBatch;

const ADA: UserId = UserId(Uuid::from_u128(5));
const INVOICE: InvoiceId = InvoiceId(Uuid::from_u128(7));

fn money(minor: i64, currency: &str) -> Money {
    Money::new(minor, currency.parse::<Currency>().unwrap()).unwrap()
}

fn eur(minor: i64) -> Money {
    money(minor, "EUR")
}

fn created() -> E {
    E::Created {
        name: "Annual accounts".parse().unwrap(),
        client_id: Some(ClientId(Uuid::from_u128(9))),
        template: None,
        starts_on: Date::from_ymd(2026, 11, 2).unwrap(),
        milestones: vec![],
        tasks: vec![],
        engagement_id: None,
        description: None,
        priority: Priority::Normal,
    }
}

fn entry(n: u128) -> TimeEntryId {
    TimeEntryId(Uuid::from_u128(100 + n))
}

/// An hour at 100 euros for each `n`.
fn spend(n: u128) -> C {
    C::SpendTime {
        time_entry_id: entry(n),
        user_id: ADA,
        minutes: 60,
        billable: true,
        hourly_rate: Some(eur(10_000)),
        amount: Some(eur(10_000)),
    }
}

fn bill(n: u128) -> C {
    C::BillTime { time_entry_id: entry(n), invoice_id: INVOICE }
}

/// As the entry's own command brings it along.
fn counted(events: &[E], n: u128, command: C) -> When<Project> {
    given::<Project>(events.to_vec()).brought_by("projects.time_entry.approve", entry(n).0).when(command)
}

/// The same, and what happened is added.
fn count(events: &mut Vec<E>, n: u128, command: C) -> Vec<&'static str> {
    let new = counted(events, n, command).events().to_vec();
    events.extend(new.clone());
    new.iter().map(|event| kernel::Event::entry(event).event_type).collect()
}

/// The entries that the last event tells of, as lines of an invoice have them.
fn told(events: &[E]) -> Vec<Vec<TimeEntryId>> {
    batches(events).iter().map(|batch| batch.time_entry_ids.clone()).collect()
}

fn batches(events: &[E]) -> &[UnbilledBatch] {
    let Some(E::TimeThresholdReached { batches, .. }) = events.last() else { panic!("{:?}", events.last()) };
    batches
}

/// So many entries of a minute at 50 euros an hour, each of which is 0.83.
fn minutes(entries: std::ops::Range<u128>) -> impl Iterator<Item = E> {
    entries.map(|n| E::TimeSpent {
        time_entry_id: entry(n),
        user_id: ADA,
        minutes: 1,
        billable: true,
        hourly_rate: Some(eur(5_000)),
        amount: Some(eur(83)),
    })
}

/// A minute more.
fn minute(n: u128) -> C {
    C::SpendTime {
        time_entry_id: entry(n),
        user_id: ADA,
        minutes: 1,
        billable: true,
        hourly_rate: Some(eur(5_000)),
        amount: Some(eur(83)),
    }
}

fn threshold(amount: i64) -> C {
    C::SetUnbilledThreshold { minutes: None, amount: Some(eur(amount)) }
}

#[test]
fn time_counts_with_its_time_entry_alone() {
    given::<Project>([created()]).when(spend(1)).rejected("projects.project.only_with_time_entry");
    let foreign = given::<Project>([created()]).brought_by("projects.time_entry.approve", entry(2).0).when(bill(1));
    foreign.rejected("projects.project.only_with_time_entry");
}

#[test]
fn a_threshold_that_is_crossed_again_is_told_of_with_what_was_not_told_of() {
    let mut events = vec![created()];
    let set = given::<Project>(events.clone()).when(threshold(20_000)).events().to_vec();
    events.extend(set);
    assert_eq!(count(&mut events, 1, spend(1)), ["project.time_spent"]);
    assert_eq!(count(&mut events, 2, spend(2)), ["project.time_spent", "time.threshold_reached"]);
    let Some(E::TimeThresholdReached { minutes, amount, lines, .. }) = events.last() else { panic!() };
    assert_eq!((*minutes, *amount), (120, Some(eur(20_000))));
    assert_eq!((lines.len(), lines[0].minutes, lines[0].amount), (1, 120, Some(eur(20_000))));
    assert_eq!(told(&events), [vec![entry(1), entry(2)]]);
    // The draft is pending; more time comes.
    assert_eq!(count(&mut events, 3, spend(3)), ["project.time_spent"]);
    // What is billed of what was told of says nothing of the rest.
    assert_eq!(count(&mut events, 1, bill(1)), ["project.time_billed"]);
    assert_eq!(count(&mut events, 4, spend(4)), ["project.time_spent", "time.threshold_reached"]);
    assert_eq!(told(&events), [vec![entry(3), entry(4)]], "the second entry is on the draft");
    for n in 2..=4 {
        assert_eq!(count(&mut events, n, bill(n)), ["project.time_billed"]);
    }
    assert_eq!(count(&mut events, 5, spend(5)), ["project.time_spent"]);
    assert_eq!(count(&mut events, 6, spend(6)), ["project.time_spent", "time.threshold_reached"]);
    assert_eq!(told(&events), [vec![entry(5), entry(6)]]);
}

#[test]
fn time_of_a_void_invoice_is_unbilled_again_and_can_cross_the_threshold() {
    let mut events = vec![created()];
    for n in 1..=2 {
        count(&mut events, n, spend(n));
    }
    for n in 1..=2 {
        count(&mut events, n, bill(n));
        assert!(counted(&events, n, bill(n)).events().is_empty(), "once");
    }
    let set = given::<Project>(events.clone()).when(threshold(20_000)).events().to_vec();
    assert_eq!(set.len(), 1, "nothing is unbilled");
    events.extend(set);
    let unbill = |n| C::UnbillTime {
        time_entry_id: entry(n),
        user_id: ADA,
        minutes: 60,
        hourly_rate: Some(eur(10_000)),
        amount: Some(eur(10_000)),
        invoice_id: INVOICE,
    };
    assert_eq!(count(&mut events, 1, unbill(1)), ["project.time_unbilled"]);
    assert_eq!(count(&mut events, 2, unbill(2)), ["project.time_unbilled", "time.threshold_reached"]);
}

#[test]
fn a_threshold_that_is_reached_when_it_is_set_is_told_of_then() {
    let mut events = vec![created()];
    count(&mut events, 1, spend(1));
    let when = given::<Project>(events.clone()).when(threshold(10_000));
    assert!(matches!(when.events(), [E::UnbilledThresholdSet { .. }, E::TimeThresholdReached { .. }]));
    // Another one is about other time.
    events.extend(when.events().to_vec());
    for amount in [30_000, 5_000] {
        let another = given::<Project>(events.clone()).when(threshold(amount)).events().to_vec();
        assert_eq!(another.len(), 1);
        events.extend(another);
    }
}

#[test]
fn without_a_threshold_in_between_everything_that_is_left_is_told_of_again() {
    let mut events = vec![created()];
    for n in 1..=2 {
        count(&mut events, n, spend(n));
    }
    events.extend(given::<Project>(events.clone()).when(threshold(10_000)).events().to_vec());
    assert_eq!(told(&events), [vec![entry(1), entry(2)]]);
    count(&mut events, 1, bill(1));
    let none = C::SetUnbilledThreshold { minutes: None, amount: None };
    events.extend(given::<Project>(events.clone()).when(none).events().to_vec());
    assert_eq!(count(&mut events, 3, spend(3)), ["project.time_spent"]);
    events.extend(given::<Project>(events.clone()).when(threshold(10_000)).events().to_vec());
    assert_eq!(told(&events), [vec![entry(2), entry(3)]]);
}

#[test]
fn five_hundred_entries_are_one_line_and_one_more_is_another_one() {
    for (entries, expected) in [(499, vec![499]), (500, vec![500]), (501, vec![500, 1]), (1_200, vec![500, 500, 200])] {
        let of = C::SetUnbilledThreshold { minutes: Some(entries), amount: None };
        let mut events = vec![created()];
        events.extend(given::<Project>(events.clone()).when(of).events().to_vec());
        let last = u128::from(entries) - 1;
        events.extend(minutes(0..last));
        assert_eq!(count(&mut events, last, minute(last)), ["project.time_spent", "time.threshold_reached"]);
        let batches = batches(&events);
        assert_eq!(batches.iter().map(|batch| batch.time_entry_ids.len()).collect::<Vec<_>>(), expected);
        // Each line asks for what its own entries come to, and not for the minutes at the rate, which is 4.17 for five of them.
        for batch in batches {
            let count = batch.time_entry_ids.len();
            assert_eq!((batch.minutes, batch.amount), (count as u64, Some(eur(83 * count as i64))));
        }
        let all: Vec<_> = batches.iter().flat_map(|batch| batch.time_entry_ids.clone()).collect();
        assert_eq!(all, (0..=last).map(entry).collect::<Vec<_>>(), "each once");
        let Some(E::TimeThresholdReached { minutes, amount, .. }) = events.last() else { panic!() };
        assert_eq!((*minutes, *amount), (entries.into(), Some(eur(83 * i64::from(entries)))));
    }
}

#[test]
fn a_line_of_time_that_costs_nothing_asks_for_nothing_while_others_cost_something() {
    let free = |n| E::TimeSpent {
        time_entry_id: entry(n),
        user_id: ADA,
        minutes: 1,
        billable: true,
        hourly_rate: None,
        amount: None,
    };
    let events = [vec![created()], minutes(0..500).collect(), vec![free(500)]].concat();
    let of = |minutes| C::SetUnbilledThreshold { minutes: Some(minutes), amount: None };
    let when = given::<Project>(events).when(of(501));
    assert_eq!(
        batches(when.events()).iter().map(|one| one.amount).collect::<Vec<_>>(),
        [Some(eur(41_500)), Some(eur(0))]
    );
    let when = given::<Project>([created(), free(0)]).when(of(1));
    assert_eq!(batches(when.events()).iter().map(|one| one.amount).collect::<Vec<_>>(), [None]);
}

#[test]
fn many_entries_are_told_of_before_there_is_no_room_for_others() {
    let events = [vec![created()], minutes(0..1_499).collect()].concat();
    let mut without = events.clone();
    assert_eq!(count(&mut without, 1_499, minute(1_499)), ["project.time_spent"], "nobody has set a threshold");
    let mut events = [events.clone(), given::<Project>(events).when(threshold(10_000_000)).events().to_vec()].concat();
    assert_eq!(count(&mut events, 1_499, minute(1_499)), ["project.time_spent", "time.threshold_reached"]);
    assert_eq!(told(&events).len(), 3);
    assert_eq!(count(&mut events, 1_500, minute(1_500)), ["project.time_spent"]);
}

#[test]
fn what_an_event_has_no_room_for_is_told_of_with_the_next_one() {
    // Void invoices bring back more than a project has by itself.
    let events = [vec![created()], minutes(0..2_001).collect()].concat();
    let mut events = [events.clone(), given::<Project>(events).when(threshold(83)).events().to_vec()].concat();
    assert_eq!(told(&events).iter().map(Vec::len).collect::<Vec<_>>(), [500; 4]);
    assert_eq!(count(&mut events, 0, bill(0)), ["project.time_billed", "time.threshold_reached"]);
    assert_eq!(told(&events), [vec![entry(2_000)]]);
    assert_eq!(count(&mut events, 1, bill(1)), ["project.time_billed"]);
}

#[test]
fn a_budget_is_told_of_at_eighty_and_at_a_hundred_percent_in_hours_or_in_money() {
    let budgets = [(Some(300), None), (None, Some(eur(50_000)))];
    for (minutes, amount) in budgets {
        let mut events = vec![created()];
        let set = given::<Project>(events.clone()).when(C::SetBudget { minutes, amount }).events().to_vec();
        events.extend(set);
        for n in 1..=3 {
            assert_eq!(count(&mut events, n, spend(n)), ["project.time_spent"]);
        }
        assert_eq!(count(&mut events, 4, spend(4)), ["project.time_spent", "budget.threshold_reached"]);
        assert!(matches!(events.last(), Some(E::BudgetThresholdReached { percent: 80, .. })));
        assert_eq!(count(&mut events, 5, spend(5)), ["project.time_spent", "budget.threshold_reached"]);
        assert!(matches!(events.last(), Some(E::BudgetThresholdReached { percent: 100, minutes: 300, .. })));
        assert_eq!(count(&mut events, 6, spend(6)), ["project.time_spent"]);
        // What is invoiced was spent all the same.
        assert_eq!(count(&mut events, 1, bill(1)), ["project.time_billed"]);
        for n in 5..=6 {
            let back =
                C::TakeTimeBack { time_entry_id: entry(n), minutes: 60, billable: true, amount: Some(eur(10_000)) };
            assert_eq!(count(&mut events, n, back), ["project.time_taken_back"]);
        }
        assert_eq!(count(&mut events, 7, spend(7)), ["project.time_spent", "budget.threshold_reached"]);
        let half = C::SetBudget { minutes: minutes.map(|_| 150), amount: amount.map(|_| eur(25_000)) };
        assert_eq!(given::<Project>(events.clone()).when(half).events().len(), 1, "a hundred percent were told of");
        let none = C::SetBudget { minutes: None, amount: None };
        assert_eq!(given::<Project>(events).when(none).events().len(), 1);
    }
}

#[test]
fn time_that_jumps_over_both_marks_is_told_of_at_both() {
    let mut events = vec![created()];
    let budget = C::SetBudget { minutes: Some(50), amount: None };
    events.extend(given::<Project>(events.clone()).when(budget).events().to_vec());
    let types = count(&mut events, 1, spend(1));
    assert_eq!(types, ["project.time_spent", "budget.threshold_reached", "budget.threshold_reached"]);
}

#[test]
fn a_project_has_one_currency() {
    let rates = |rate| C::SetRates { hourly_rate: Some(rate), user_rates: vec![] };
    let set = given::<Project>([created()]).when(rates(eur(9_000))).events().to_vec();
    let events = [vec![created()], set].concat();
    let yen = C::SetBudget { minutes: None, amount: Some(money(1, "JPY")) };
    given::<Project>(events.clone()).when(yen).rejected("projects.project.currency_mismatch");
    // Nothing else has an amount yet, so the rates may change theirs.
    assert_eq!(given::<Project>(events.clone()).when(rates(money(5_000, "JPY"))).events().len(), 1);
    given::<Project>(events.clone()).when(rates(eur(9_000))).then_nothing();
    let mut spent = events;
    count(&mut spent, 1, spend(1));
    given::<Project>(spent).when(rates(money(5_000, "JPY"))).rejected("projects.project.currency_mismatch");
    let twice = UserRate { user_id: ADA, hourly_rate: eur(1) };
    let rates = C::SetRates { hourly_rate: None, user_rates: vec![twice.clone(), twice] };
    given::<Project>([created()]).when(rates).rejected("projects.project.user_listed_twice");
    let free = C::SetRates { hourly_rate: Some(eur(0)), user_rates: vec![] };
    given::<Project>([created()]).when(free).rejected("projects.project.rate_out_of_range");
    let nothing = C::SetBudget { minutes: Some(0), amount: None };
    given::<Project>([created()]).when(nothing).rejected("projects.project.limit_out_of_range");
}

#[test]
fn time_that_was_worked_counts_after_the_project_is_over() {
    let mut events = vec![created(), E::Cancelled { reason: None }];
    assert_eq!(count(&mut events, 1, spend(1)), ["project.time_spent"]);
    given::<Project>(events).when(threshold(1)).rejected("projects.project.closed");
}

#[test]
fn more_than_two_thousand_entries_are_not_left_unbilled() {
    let mut project = Project::default();
    project.apply(&created());
    for n in 0..2_000 {
        let C::SpendTime { time_entry_id, user_id, minutes, billable, hourly_rate, amount } = spend(n) else {
            panic!()
        };
        project.apply(&E::TimeSpent { time_entry_id, user_id, minutes, billable, hourly_rate, amount });
    }
    assert_eq!(project.may_count(1, true, None), Err(NotCounted::TooMuchUnbilled));
    assert_eq!(project.may_count(1, false, None), Ok(()));
}

#[test]
fn a_project_is_described_prioritised_and_linked_once() {
    let engagement_id = EngagementId(Uuid::from_u128(4));
    let cases = [
        (C::Describe { description: "All of it".parse().ok() }, E::Described { description: "All of it".parse().ok() }),
        (C::Prioritise { priority: Priority::Urgent }, E::Prioritised { priority: Priority::Urgent }),
        (C::LinkToEngagement { engagement_id }, E::LinkedToEngagement { engagement_id }),
    ];
    for (command, event) in cases {
        given::<Project>([created()]).when(command.clone()).then([event.clone()]);
        given::<Project>([created(), event]).when(command).then_nothing();
    }
    let another = EngagementId(Uuid::from_u128(99));
    let moved = given::<Project>([created(), E::LinkedToEngagement { engagement_id }]);
    let moved = moved.when(C::LinkToEngagement { engagement_id: another });
    let left = E::UnlinkedFromEngagement { engagement_id };
    moved.then([left, E::LinkedToEngagement { engagement_id: another }]);
    let linked = [created(), E::LinkedToEngagement { engagement_id }];
    given::<Project>(linked).when(C::UnlinkFromEngagement {}).then([E::UnlinkedFromEngagement { engagement_id }]);
    given::<Project>([created()]).when(C::UnlinkFromEngagement {}).then_nothing();
}
