use super::*;
use kernel::Timestamp;
use kernel::spec::{Given, given};

/// No entries.
const NOTHING: [Uuid; 0] = [];

fn client() -> ClientId {
    ClientId(Uuid::from_u128(70))
}

fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap()).unwrap()
}

fn terms(kind: PlanKind) -> PlanTerms {
    let has_periods = matches!(kind, PlanKind::Retainer | PlanKind::Recurring);
    PlanTerms {
        kind,
        currency: "EUR".parse().unwrap(),
        amount: has_periods.then(|| eur(10_000)),
        every_months: (kind == PlanKind::Recurring).then_some(3),
        starts_on: has_periods.then(|| "2026-08-31".parse().unwrap()),
        ends_on: None,
        hourly_rate: None,
        tax_rate: None,
    }
}

fn created(kind: PlanKind) -> E {
    let (name, terms) = ("Care".parse().unwrap(), terms(kind));
    E::Created { name, client_id: client(), project_id: None, engagement_id: None, terms }
}

fn add(n: u128, milestone: Option<u128>, due_on: Option<&str>) -> C {
    C::AddEntry {
        plan_entry_id: Some(PlanEntryId(Uuid::from_u128(n))),
        name: "First half".parse().unwrap(),
        amount: eur(5000),
        milestone_id: milestone.map(Uuid::from_u128),
        task_id: None,
        due_on: due_on.map(|day| day.parse().unwrap()),
    }
}

fn played(events: &[E], commands: impl IntoIterator<Item = C>) -> Vec<E> {
    commands.into_iter().fold(events.to_vec(), |mut events, command| {
        let more = given::<InvoicePlan>(events.clone()).when(command).events().to_vec();
        events.extend(more);
        events
    })
}

fn there(events: &[E]) -> Given<InvoicePlan> {
    given::<InvoicePlan>(events.iter().cloned())
}

fn due(events: &[E]) -> Vec<Uuid> {
    there(events).state().due(100).into_iter().map(|entry| entry.id.0).collect()
}

#[test]
fn an_entry_is_due_after_its_milestone_on_its_day_or_at_once() {
    let begun = played(&[created(PlanKind::Milestone)], [add(1, None, None), add(2, Some(50), None)]);
    let begun = played(&begun, [add(3, None, Some("2026-11-02")), add(4, None, Some("2026-11-03"))]);
    assert_eq!(due(&begun), NOTHING, "nothing is due of a draft");
    let active = played(&begun, [C::Activate {}]);
    assert_eq!(due(&active), [1, 3].map(Uuid::from_u128));
    let reached = C::MarkMilestoneReached { milestone_id: Uuid::from_u128(50) };
    let active = played(&active, [reached.clone(), add(5, None, None)]);
    assert_eq!(due(&active), [1, 2, 3, 5].map(Uuid::from_u128));
    there(&active).when(reached).then_nothing();
    let unknown = C::MarkMilestoneReached { milestone_id: Uuid::from_u128(51) };
    there(&active).when(unknown).rejected("revenue.invoice_plan.unknown_milestone");
    there(&active).when(C::OpenPeriods {}).then_nothing();
    let tomorrow: Timestamp = "2026-11-03T00:00:00Z".parse().unwrap();
    assert_eq!(there(&active).at(tomorrow).when(C::OpenPeriods {}).events().len(), 1);
}

#[test]
fn a_retainer_is_due_each_month_and_comes_back_to_its_day() {
    let active = [created(PlanKind::Retainer), E::Activated {}];
    let when = there(&active).when(C::OpenPeriods {});
    let days = |events: &[E]| -> Vec<String> {
        let day = |event: &E| match event {
            E::EntryAdded { plan_entry } => plan_entry.due_on.map(|day| day.to_string()),
            _ => None,
        };
        events.iter().filter_map(day).collect()
    };
    assert_eq!(days(when.events()), ["2026-08-31", "2026-09-30", "2026-10-31"]);
    let opened = [active.to_vec(), when.events().to_vec()].concat();
    there(&opened).when(C::OpenPeriods {}).then_nothing();
    let later: Timestamp = "2026-11-30T00:00:00Z".parse().unwrap();
    assert_eq!(days(there(&opened).at(later).when(C::OpenPeriods {}).events()), ["2026-11-30"]);
    let quarterly = [created(PlanKind::Recurring), E::Activated {}];
    assert_eq!(days(there(&quarterly).at(later).when(C::OpenPeriods {}).events()), ["2026-08-31", "2026-11-30"]);
}

fn opens_on(events: &[E]) -> Option<String> {
    there(events).state().opens_on().map(|day| day.to_string())
}

#[test]
fn an_active_plan_knows_the_next_day_on_which_something_is_due() {
    let retainer = [created(PlanKind::Retainer), E::Activated {}];
    assert_eq!(opens_on(&retainer[..1]), None, "a draft opens nothing");
    assert_eq!(opens_on(&retainer).as_deref(), Some("2026-08-31"));
    let opened = [retainer.to_vec(), there(&retainer).when(C::OpenPeriods {}).events().to_vec()].concat();
    assert_eq!(opens_on(&opened).as_deref(), Some("2026-11-30"));
    let earlier = played(&opened, [add(7, None, Some("2026-11-20"))]);
    assert_eq!(opens_on(&earlier).as_deref(), Some("2026-11-20"));
    assert_eq!(opens_on(&played(&earlier, [C::Pause { reason: None }])), None);
    let by_hand = played(&[created(PlanKind::Milestone)], [add(1, Some(50), None), C::Activate {}]);
    assert_eq!(opens_on(&by_hand), None, "a milestone is no day");
}

#[test]
fn an_entry_is_invoiced_once_and_again_when_its_invoice_is_given_up() {
    let active = played(&[created(PlanKind::Time)], [add(1, None, None), C::Activate {}]);
    let ids = || vec![PlanEntryId(Uuid::from_u128(1))];
    let note = |n| C::NoteInvoiced { plan_entry_ids: ids(), invoice_id: InvoiceId(Uuid::from_u128(n)) };
    let release = |n| C::ReleaseEntries { plan_entry_ids: ids(), invoice_id: InvoiceId(Uuid::from_u128(n)) };
    there(&active).when(note(7)).rejected("revenue.invoice_plan.not_alone");
    let brought = |events: &[E]| there(events).brought_by("revenue.invoice.draft_from_plan", Uuid::from_u128(7));
    let noted = [active.clone(), brought(&active).when(note(7)).events().to_vec()].concat();
    brought(&noted).when(note(7)).then_nothing();
    brought(&noted).when(note(8)).rejected("revenue.invoice_plan.entry_not_due");
    brought(&noted).when(release(8)).then_nothing();
    let drop = C::DropEntry { plan_entry_id: ids()[0] };
    there(&noted).when(drop).rejected("revenue.invoice_plan.entry_invoiced");
    let free = [noted.clone(), brought(&noted).when(release(7)).events().to_vec()].concat();
    assert_eq!(brought(&free).when(note(8)).events().len(), 1);
    there(&noted).when(C::Complete {}).then([E::Completed {}]);
    there(&free).when(C::Complete {}).rejected("revenue.invoice_plan.open_entries");
}

#[test]
fn a_plan_says_what_its_kind_needs_and_nothing_else() {
    let create = |terms: PlanTerms| {
        let command = C::Create {
            name: "Care".parse().unwrap(),
            client_id: client(),
            project_id: None,
            engagement_id: None,
            terms,
        };
        given::<InvoicePlan>([]).when(command)
    };
    let retainer = || terms(PlanKind::Retainer);
    create(PlanTerms { amount: None, ..retainer() }).rejected("revenue.invoice_plan.amount_missing");
    create(PlanTerms { starts_on: None, ..retainer() }).rejected("revenue.invoice_plan.start_missing");
    create(PlanTerms { every_months: Some(2), ..retainer() }).rejected("revenue.invoice_plan.not_for_this_kind");
    create(PlanTerms { amount: Some(eur(0)), ..retainer() }).rejected("revenue.invoice_plan.not_positive");
    let ends_on = "2026-08-30".parse().ok();
    create(PlanTerms { ends_on, ..retainer() }).rejected("revenue.invoice_plan.ends_before_start");
    let recurring = || terms(PlanKind::Recurring);
    create(PlanTerms { every_months: None, ..recurring() }).rejected("revenue.invoice_plan.period_missing");
    create(PlanTerms { every_months: Some(61), ..recurring() }).rejected("revenue.invoice_plan.period_too_long");
    let amount = Some(Money::new(1, "JPY".parse().unwrap()).unwrap());
    create(PlanTerms { amount, ..recurring() }).rejected("revenue.invoice_plan.currency_mismatch");
    let amount = Some(eur(1));
    create(PlanTerms { amount, ..terms(PlanKind::Time) }).rejected("revenue.invoice_plan.not_for_this_kind");
    assert_eq!(create(retainer()).forbidden_by(), [(Flag::CLIENT_BLOCKED, client().0)]);
}

#[test]
fn an_entry_that_is_added_again_is_added_once() {
    let begun = played(&[created(PlanKind::Milestone)], [add(1, Some(50), None)]);
    there(&begun).when(add(1, Some(50), None)).then_nothing();
    there(&begun).when(add(1, None, None)).rejected("revenue.invoice_plan.entry_exists");
    there(&begun).when(add(2, Some(50), None)).rejected("revenue.invoice_plan.milestone_twice");
}

/// An entry that waits for a task.
fn after_task(n: u128, task: u128) -> C {
    match add(n, None, None) {
        C::AddEntry { plan_entry_id, name, amount, milestone_id, due_on, .. } => {
            let task_id = Some(Uuid::from_u128(task));
            C::AddEntry { plan_entry_id, name, amount, milestone_id, task_id, due_on }
        }
        other => other,
    }
}

#[test]
fn an_entry_is_due_after_its_task_and_waits_for_one_thing_alone() {
    let active = played(&[created(PlanKind::Milestone)], [after_task(1, 60), C::Activate {}]);
    assert_eq!(due(&active), NOTHING);
    there(&active).when(after_task(2, 60)).rejected("revenue.invoice_plan.task_twice");
    let both = match add(3, Some(50), None) {
        C::AddEntry { plan_entry_id, name, amount, milestone_id, due_on, .. } => {
            C::AddEntry { plan_entry_id, name, amount, milestone_id, task_id: milestone_id, due_on }
        }
        other => other,
    };
    there(&active).when(both).rejected("revenue.invoice_plan.waits_for_two");
    let unknown = C::MarkTaskDone { task_id: Uuid::from_u128(61) };
    there(&active).when(unknown).rejected("revenue.invoice_plan.unknown_task");
    let done = C::MarkTaskDone { task_id: Uuid::from_u128(60) };
    let after = played(&active, [done.clone()]);
    assert_eq!(due(&after), [Uuid::from_u128(1)]);
    there(&after).when(done).then_nothing();
}

#[test]
fn what_is_reached_while_a_plan_is_not_active_is_due_when_it_is() {
    let reached = || C::MarkMilestoneReached { milestone_id: Uuid::from_u128(50) };
    let drafted = played(&[created(PlanKind::Milestone)], [add(1, Some(50), None)]);
    let said = E::EntryReached { plan_entry_id: PlanEntryId(Uuid::from_u128(1)) };
    there(&drafted).when(reached()).then([said]);
    let noted = played(&drafted, [reached()]);
    there(&noted).when(reached()).then_nothing();
    assert_eq!(due(&played(&noted, [C::Activate {}])), [Uuid::from_u128(1)]);
    let paused = played(&drafted, [C::Activate {}, C::Pause { reason: None }, reached()]);
    assert_eq!(due(&paused), NOTHING);
    assert_eq!(due(&played(&paused, [C::Activate {}])), [Uuid::from_u128(1)]);
}
