use super::*;
use kernel::Currency;
use kernel::spec::{Given, given};
use projects_events::{ProjectEvent, TimeLimit, UserRate};

const PROJECT: ProjectId = ProjectId(Uuid::from_u128(20));
const ADA: UserId = UserId(Uuid::from_u128(5));
const INVOICE: InvoiceId = InvoiceId(Uuid::from_u128(7));

fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse::<Currency>().unwrap()).unwrap()
}

fn begun() -> ProjectEvent {
    ProjectEvent::Created {
        name: "Annual accounts".parse().unwrap(),
        client_id: Some(ClientId(Uuid::from_u128(9))),
        template: None,
        starts_on: "2026-11-02".parse().unwrap(),
        milestones: vec![],
        tasks: vec![],
        engagement_id: None,
        description: None,
        priority: Default::default(),
    }
}

fn rated() -> ProjectEvent {
    let user_rates = vec![UserRate { user_id: ADA, hourly_rate: eur(12_000) }];
    ProjectEvent::RatesSet { hourly_rate: Some(eur(9_000)), user_rates }
}

fn project(events: impl IntoIterator<Item = ProjectEvent>) -> Project {
    let mut project = Project::default();
    events.into_iter().for_each(|event| project.apply(&event));
    project
}

fn entry(events: impl IntoIterator<Item = E>, of: Project) -> Given<TimeEntry> {
    given::<TimeEntry>(events).knowing(Reference::id::<Project>(PROJECT), PROJECT, of)
}

fn log(minutes: u32) -> C {
    C::Log {
        project_id: PROJECT,
        user_id: ADA,
        task_id: None,
        date: None,
        minutes,
        description: None,
        billable: None,
        hourly_rate: None,
    }
}

fn worked(minutes: u32, amount: i64) -> TimeWorked {
    TimeWorked {
        task_id: None,
        date: "2026-11-02".parse().unwrap(),
        minutes,
        description: None,
        billable: true,
        hourly_rate: Some(eur(12_000)),
        amount: Some(eur(amount)),
    }
}

fn logged() -> E {
    let client_id = Some(ClientId(Uuid::from_u128(9)));
    E::Logged { project_id: PROJECT, client_id, engagement_id: None, user_id: ADA, worked: worked(50, 10_000) }
}

fn approved() -> Vec<E> {
    vec![logged(), E::Submitted {}, E::Approved {}]
}

#[test]
fn time_costs_what_the_project_says_for_whoever_worked_unless_another_rate_is_given() {
    let when = entry([], project([begun(), rated()])).when(log(50)).then([logged()]);
    assert_eq!(when.forbidden_by(), [(Flag::CLIENT_BLOCKED, Uuid::from_u128(9))]);
    let given_rate = C::Log {
        project_id: PROJECT,
        user_id: UserId(Uuid::from_u128(6)),
        task_id: None,
        date: None,
        minutes: 1,
        description: None,
        billable: None,
        hourly_rate: Some(eur(90)),
    };
    let when = entry([], project([begun(), rated()])).when(given_rate);
    let E::Logged { worked, .. } = &when.events()[0] else { panic!() };
    assert_eq!(worked.amount, Some(eur(2)), "a minute at 0.90 is 1.5 cents, and half a cent goes away from zero");
}

#[test]
fn time_belongs_to_the_engagement_that_its_project_was_a_part_of_when_it_was_written_down() {
    let engagement_id = EngagementId(Uuid::from_u128(11));
    let linked = project([begun(), ProjectEvent::LinkedToEngagement { engagement_id }]);
    let when = entry([], linked).when(log(60));
    let event = when.events()[0].clone();
    let mut entry = TimeEntry::default();
    entry.apply(&event);
    assert!(entry.belongs_to(Uuid::nil()).contains(&engagement_id.into()), "{event:?}");
}

#[test]
fn time_without_any_rate_is_unbilled_all_the_same() {
    let when = entry([], project([begun()])).when(log(60));
    let E::Logged { worked, .. } = &when.events()[0] else { panic!() };
    assert_eq!((worked.billable, worked.hourly_rate, worked.amount), (true, None, None));
}

#[test]
fn what_cannot_have_been_worked_is_refused() {
    let with = |change: fn(&mut C)| {
        let mut command = log(60);
        change(&mut command);
        command
    };
    let of = || project([begun(), rated()]);
    for (minutes, code) in [(0, "minutes_out_of_range"), (1_441, "minutes_out_of_range")] {
        entry([], of()).when(log(minutes)).rejected(&format!("projects.time_entry.{code}"));
    }
    let cases: [(C, &str); 5] = [
        (
            with(|c| {
                if let C::Log { date, .. } = c {
                    *date = "2026-11-04".parse().ok()
                }
            }),
            "date_in_future",
        ),
        (
            with(|c| {
                if let C::Log { task_id, .. } = c {
                    *task_id = Some(TaskId(Uuid::from_u128(1)))
                }
            }),
            "unknown_task",
        ),
        (
            with(|c| {
                if let C::Log { hourly_rate, .. } = c {
                    *hourly_rate = Some(eur(0))
                }
            }),
            "rate_out_of_range",
        ),
        (
            with(|c| {
                if let C::Log { hourly_rate, .. } = c {
                    *hourly_rate = Some(Money::new(1, "JPY".parse().unwrap()).unwrap());
                }
            }),
            "currency_mismatch",
        ),
        (
            with(|c| {
                if let C::Log { hourly_rate, billable, .. } = c {
                    (*hourly_rate, *billable) = (Some(eur(1)), Some(false));
                }
            }),
            "not_billable",
        ),
    ];
    for (command, code) in cases {
        entry([], of()).when(command).rejected(&format!("projects.time_entry.{code}"));
    }
    let tomorrow = with(|c| {
        if let C::Log { date, .. } = c {
            *date = "2026-11-03".parse().ok()
        }
    });
    assert_eq!(entry([], of()).when(tomorrow).events().len(), 1, "somewhere it is tomorrow already");
    let closed = project([begun(), ProjectEvent::Cancelled { reason: None }]);
    entry([], closed).when(log(60)).rejected("projects.time_entry.project_closed");
    given::<TimeEntry>([]).when(log(60)).rejected("projects.time_entry.unknown_project");
}

#[test]
fn a_draft_is_corrected_and_comes_to_something_else() {
    let change = || C::Change {
        task_id: Patch::Unchanged,
        date: None,
        minutes: Some(30),
        description: Patch::Unchanged,
        billable: None,
        hourly_rate: Patch::Unchanged,
    };
    let changed = E::Changed { worked: worked(30, 6_000) };
    entry([logged()], project([begun(), rated()])).when(change()).then([changed.clone()]);
    entry([logged(), changed], project([begun(), rated()])).when(change()).then_nothing();
    let events = [logged(), E::Submitted {}];
    entry(events, project([begun(), rated()])).when(change()).rejected("projects.time_entry.not_draft");
}

#[test]
fn approved_time_counts_on_the_project_in_the_same_append() {
    let spend = ProjectCommand::SpendTime {
        time_entry_id: TimeEntryId(Uuid::from_u128(3)),
        user_id: ADA,
        minutes: 50,
        billable: true,
        hourly_rate: Some(eur(12_000)),
        amount: Some(eur(10_000)),
    };
    let events = [logged(), E::Submitted {}];
    let when = entry(events, project([begun(), rated()])).when(C::Approve {});
    when.then([E::Approved {}]).together_with::<Project>(PROJECT, spend);
    entry(approved(), project([begun()])).when(C::Approve {}).then_nothing().alone();
    entry([logged()], project([begun()])).when(C::Approve {}).rejected("projects.time_entry.not_submitted");
}

#[test]
fn time_of_another_currency_than_the_project_has_got_since_does_not_count() {
    let yen = Money::new(5_000, "JPY".parse().unwrap()).unwrap();
    let budget = ProjectEvent::BudgetSet { budget: TimeLimit { minutes: None, amount: Some(yen) } };
    let events = [logged(), E::Submitted {}];
    entry(events, project([begun(), budget])).when(C::Approve {}).rejected("projects.time_entry.currency_mismatch");
}

#[test]
fn time_is_on_one_invoice_at_a_time_and_free_again_when_that_is_void() {
    let mark = |invoice_id| C::MarkInvoiced { invoice_id };
    let bill = ProjectCommand::BillTime { time_entry_id: TimeEntryId(Uuid::from_u128(3)), invoice_id: INVOICE };
    let invoiced = E::Invoiced { invoice_id: INVOICE };
    let when = given::<TimeEntry>(approved()).when(mark(INVOICE)).then([invoiced.clone()]);
    when.together_with::<Project>(PROJECT, bill);
    let on_invoice = || [approved(), vec![invoiced.clone()]].concat();
    given::<TimeEntry>(on_invoice()).when(mark(INVOICE)).then_nothing().alone();
    let other = InvoiceId(Uuid::from_u128(8));
    given::<TimeEntry>(on_invoice()).when(mark(other)).rejected("projects.time_entry.on_another_invoice");
    given::<TimeEntry>(on_invoice()).when(C::Release { invoice_id: other }).then_nothing().alone();
    let released = E::Released { invoice_id: INVOICE };
    given::<TimeEntry>(on_invoice()).when(C::Release { invoice_id: INVOICE }).then([released.clone()]);
    let free = [on_invoice(), vec![released]].concat();
    given::<TimeEntry>(free.clone()).when(C::Release { invoice_id: INVOICE }).then_nothing();
    assert_eq!(given::<TimeEntry>(free).when(mark(other)).events().len(), 1);
    given::<TimeEntry>([logged()]).when(mark(INVOICE)).rejected("projects.time_entry.not_approved");
}

#[test]
fn approved_time_that_is_rejected_counts_no_more_and_can_be_corrected() {
    let reject = || C::Reject { reason: "not agreed".parse().unwrap() };
    let back = ProjectCommand::TakeTimeBack {
        time_entry_id: TimeEntryId(Uuid::from_u128(3)),
        minutes: 50,
        billable: true,
        amount: Some(eur(10_000)),
    };
    let rejected = E::Rejected { reason: "not agreed".parse().unwrap() };
    let when = given::<TimeEntry>(approved()).when(reject()).then([rejected.clone()]);
    when.together_with::<Project>(PROJECT, back);
    given::<TimeEntry>([logged(), E::Submitted {}]).when(reject()).then([rejected.clone()]).alone();
    let events = [approved(), vec![rejected]].concat();
    given::<TimeEntry>(events.clone()).when(C::Reopen {}).then([E::Reopened {}]);
    given::<TimeEntry>(events).when(C::Discard {}).rejected("projects.time_entry.not_draft");
}

#[test]
fn only_a_draft_is_thrown_away_and_then_nothing_is_done_with_it() {
    given::<TimeEntry>([logged()]).when(C::Discard {}).then([E::Discarded {}]);
    let gone = || [logged(), E::Discarded {}];
    given::<TimeEntry>(gone()).when(C::Discard {}).then_nothing();
    given::<TimeEntry>(gone()).when(C::Submit {}).rejected("projects.time_entry.not_draft");
    given::<TimeEntry>(gone()).when(C::Reopen {}).rejected("projects.time_entry.not_submitted");
    given::<TimeEntry>(approved()).when(C::Discard {}).rejected("projects.time_entry.not_draft");
}
