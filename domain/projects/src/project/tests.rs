use super::*;
use crate::project_template;
use kernel::spec::given;
use proptest::prelude::*;
use uuid::Uuid;

fn task_id(n: u128) -> TaskId {
    TaskId(Uuid::from_u128(n))
}

fn milestone_id() -> MilestoneId {
    MilestoneId(Uuid::from_u128(50))
}

fn created() -> E {
    let task = |n, milestone_id| NewTask {
        id: task_id(n),
        title: format!("Task {n}").parse().unwrap(),
        description: None,
        milestone_id,
        due_on: None,
        role: None,
        assignee_id: None,
        priority: Priority::Normal,
    };
    E::Created {
        name: "Onboarding".parse().unwrap(),
        client_id: None,
        template: None,
        starts_on: Date::from_ymd(2026, 11, 2).unwrap(),
        milestones: vec![NewMilestone { id: milestone_id(), name: "Kick-off".parse().unwrap(), due_on: None }],
        tasks: vec![task(1, Some(milestone_id())), task(2, None)],
        engagement_id: None,
        description: None,
        priority: Priority::Normal,
    }
}

fn create(name: &str) -> C {
    C::Create {
        name: name.parse().unwrap(),
        client_id: None,
        starts_on: None,
        engagement_id: None,
        description: None,
        priority: Priority::Normal,
    }
}

fn copy(template: Slug, starts_on: Option<Date>) -> C {
    C::CreateFromTemplate {
        template,
        name: None,
        client_id: None,
        starts_on,
        engagement_id: None,
        description: None,
        priority: Priority::Normal,
    }
}

fn done(n: u128) -> E {
    E::TaskCompleted { task_id: task_id(n), title: format!("Task {n}").parse().unwrap() }
}

#[test]
fn a_project_begins_on_the_firms_day_unless_it_says_when() {
    let template = given::<ProjectTemplate>([]).when(project_template::tests::define("Kick-off")).state();
    for (now, zone, today, in_a_week) in [
        ("2026-11-02T23:59:59Z", "UTC", (11, 2), (11, 9)),
        ("2026-11-03T00:00:00Z", "UTC", (11, 3), (11, 10)),
        ("2026-11-02T09:59:59Z", "Pacific/Kiritimati", (11, 2), (11, 9)),
        ("2026-11-02T10:00:00Z", "Pacific/Kiritimati", (11, 3), (11, 10)),
        ("2026-11-02T07:59:59Z", "America/Los_Angeles", (11, 1), (11, 8)),
        ("2026-11-02T08:00:00Z", "America/Los_Angeles", (11, 2), (11, 9)),
        // The last hour of the day on which the clocks go back, and the first of the day on which they go forward.
        ("2026-11-01T07:00:00Z", "America/Los_Angeles", (11, 1), (11, 8)),
        ("2026-03-08T07:59:59Z", "America/Los_Angeles", (3, 7), (3, 14)),
        ("2026-03-08T08:00:00Z", "America/Los_Angeles", (3, 8), (3, 15)),
    ] {
        let day = |(month, day)| Date::from_ymd(2026, month, day).unwrap();
        let world = || given::<Project>([]).at(now.parse().unwrap()).in_zone(&zone.parse().unwrap());
        let create = create("Books");
        match world().when(create).events() {
            [E::Created { starts_on, .. }] => assert_eq!(*starts_on, day(today), "{now} in {zone}"),
            other => panic!("{other:?}"),
        }
        let template_key = "onboarding_project".parse().unwrap();
        let copy = copy(template_key, None);
        let reference = Project::default().references(&copy).remove(0);
        match world().knowing(reference, Uuid::from_u128(9), template.clone()).when(copy).events() {
            [E::Created { starts_on, milestones, .. }] => {
                assert_eq!((*starts_on, milestones[0].due_on), (day(today), Some(day(in_a_week))), "{now} in {zone}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_template_becomes_a_skeleton_with_dates() {
    let command = || copy("onboarding_project".parse().unwrap(), Date::from_ymd(2026, 12, 1));
    given::<Project>([]).when(command()).rejected("projects.project.unknown_template");
    let template = given::<ProjectTemplate>([]).when(project_template::tests::define("Kick-off")).state();
    let reference = Project::default().references(&command()).remove(0);
    let when = given::<Project>([]).knowing(reference, Uuid::from_u128(9), template).when(command());
    match when.events() {
        [E::Created { name, milestones, tasks, .. }] => {
            assert_eq!(name.as_str(), "Onboarding");
            assert_eq!(milestones[0].due_on, Date::from_ymd(2026, 12, 8));
            assert_eq!(tasks[0].due_on, Date::from_ymd(2026, 12, 4));
            assert_eq!(tasks[0].milestone_id, Some(milestones[0].id));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_template_makes_due_lies_within_the_calendar() {
    let command = |starts_on| copy("onboarding_project".parse().unwrap(), Some(starts_on));
    let template = || given::<ProjectTemplate>([]).when(project_template::tests::define("Kick-off")).state();
    let reference = || Project::default().references(&command(Date::MAX)).remove(0);
    let project = || given::<Project>([]).knowing(reference(), Uuid::from_u128(9), template());
    // The milestone is due after seven days.
    let last = Date::from_ymd(9_999, 12, 24).unwrap();
    assert_eq!(project().when(command(last)).events().len(), 1);
    project().when(command(last.checked_add_days(1).unwrap())).rejected("projects.project.due_date_out_of_range");
    project().when(command(Date::MAX)).rejected("projects.project.due_date_out_of_range");
}

#[test]
fn a_milestone_is_reached_when_its_tasks_are_done() {
    let complete = || C::CompleteMilestone { milestone_id: milestone_id() };
    given::<Project>([created()]).when(complete()).rejected("projects.project.milestone_has_open_tasks");
    let reached = E::MilestoneCompleted { milestone_id: milestone_id(), name: "Kick-off".parse().unwrap() };
    given::<Project>([created(), done(1)]).when(complete()).then([reached.clone()]);
    given::<Project>([created(), done(1), reached]).when(complete()).then_nothing();
}

#[test]
fn a_reached_milestone_takes_no_open_tasks() {
    let reached = E::MilestoneCompleted { milestone_id: milestone_id(), name: "Kick-off".parse().unwrap() };
    let history = [created(), done(1), reached];
    let reopen = C::ReopenTask { task_id: task_id(1) };
    given::<Project>(history.clone()).when(reopen).rejected("projects.project.milestone_completed");
    let add = C::AddTask {
        task_id: None,
        title: "One more".parse().unwrap(),
        description: None,
        milestone_id: Some(milestone_id()),
        due_on: None,
        assignee_id: None,
        priority: Priority::Normal,
    };
    given::<Project>(history).when(add).rejected("projects.project.milestone_completed");
}

#[test]
fn only_a_reached_milestone_is_accepted() {
    let accept = C::AcceptMilestone { milestone_id: milestone_id() };
    given::<Project>([created()]).when(accept).rejected("projects.project.milestone_not_completed");
}

#[test]
fn a_project_with_open_tasks_is_not_finished() {
    let active = [created(), E::Activated {}];
    given::<Project>(active.clone()).when(C::Complete {}).rejected("projects.project.open_tasks");
    let all_done = active.into_iter().chain([done(1), E::TaskCancelled { task_id: task_id(2) }]);
    given::<Project>(all_done).when(C::Complete {}).then([E::Completed {}]);
    given::<Project>([created()]).when(C::Complete {}).rejected("projects.project.not_active");
}

#[test]
fn a_closed_task_must_be_reopened_first() {
    let assign = C::AssignTask { task_id: task_id(1), assignee_id: UserId(Uuid::from_u128(6)) };
    given::<Project>([created(), done(1)]).when(assign).rejected("projects.project.task_closed");
    let reopen = C::ReopenTask { task_id: task_id(1) };
    given::<Project>([created(), done(1)]).when(reopen).then([E::TaskReopened { task_id: task_id(1) }]);
    given::<Project>([created()]).when(C::StartTask { task_id: task_id(9) }).rejected("projects.project.unknown_task");
}

#[test]
fn a_finished_project_takes_no_changes_and_can_be_archived() {
    let over = || [created(), E::Cancelled { reason: None }];
    given::<Project>(over()).when(C::Rename { name: "x".parse().unwrap() }).rejected("projects.project.closed");
    given::<Project>(over()).when(C::Archive {}).then([E::Archived {}]);
    given::<Project>([created()]).when(C::Archive {}).rejected("projects.project.not_closed");
}

#[test]
fn an_archived_project_comes_back_as_it_ended() {
    let archived = || [created(), E::Cancelled { reason: None }, E::Archived {}];
    given::<Project>(archived()).when(C::Archive {}).then_nothing();
    given::<Project>(archived()).when(C::Restore {}).then([E::Restored {}]);
    let back = archived().into_iter().chain([E::Restored {}]);
    let back = given::<Project>(back).when(C::Restore {});
    back.then_nothing();
    let state =
        given::<Project>(archived().into_iter().chain([E::Restored {}])).when(C::Cancel { reason: None }).state();
    assert_eq!((state.status, state.archived.is_archived()), (ProjectStatus::Cancelled, false));
    given::<Project>(archived()).when(C::Activate {}).rejected("projects.project.closed");
}

fn any_command() -> impl Strategy<Value = C> {
    let id = || (1u128..4).prop_map(task_id);
    prop_oneof![
        Just(C::Activate {}),
        Just(C::Hold { reason: None }),
        Just(C::Complete {}),
        Just(C::CompleteMilestone { milestone_id: milestone_id() }),
        id().prop_map(|task_id| C::StartTask { task_id }),
        id().prop_map(|task_id| C::CompleteTask { task_id }),
        id().prop_map(|task_id| C::ReopenTask { task_id }),
        id().prop_map(|task_id| C::CancelTask { task_id }),
    ]
}

proptest! {
    /// Whatever is asked: asking twice changes nothing more, and a finished project has no open tasks.
    #[test]
    fn commands_are_idempotent_and_a_finished_project_is_finished(commands in prop::collection::vec(any_command(), 0..30)) {
        let mut history = vec![created()];
        for command in commands {
            let mut state = Project::default();
            history.iter().for_each(|event| state.apply(event));
            let actor = kernel::Actor::System { name: "spec".into() };
            let ctx = Context::new(Default::default(), actor, kernel::spec::spec_time(), Uuid::nil(), Uuid::nil());
            if let Ok(events) = state.decide(command.clone(), &ctx) {
                history.extend(events.clone());
                events.iter().for_each(|event| state.apply(event));
                prop_assert_eq!(state.decide(command, &ctx), Ok(vec![]));
            }
            if state.status == ProjectStatus::Completed {
                prop_assert!(!state.tasks.values().any(|task| task.status.is_open()));
            }
        }
    }
}
