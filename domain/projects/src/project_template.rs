//! A project template: a skeleton of milestones and tasks to copy from.

use kernel::{
    Aggregate, ClaimChange, Context, Decision, Keyed, Machine, Name, Patch, Retirable, Slug, command, rejection,
};
use projects_events::{ProjectTemplateEvent as E, TemplateMilestone, TemplateTask};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use ProjectTemplateCommand as C;
use ProjectTemplateRejection as R;

/// Milestones of one template.
const MILESTONES_MAX: usize = 50;
/// Tasks of one template.
const TASKS_MAX: usize = 300;
/// Ten years; beyond it a date is a typing error.
const DUE_DAYS_MAX: u32 = 3_650;

/// What may be asked of a project template.
#[command("projects.project_template", !member)]
pub enum ProjectTemplateCommand {
    /// Defines a project skeleton to copy from.
    #[creates]
    #[refused(
        TooManyMilestones,
        TooManyTasks,
        MilestoneTooFarAhead,
        TaskTooFarAhead,
        DuplicateMilestone,
        UnknownMilestone,
        "key.taken"
    )]
    Define {
        /// What definitions call it; unique in the firm.
        key: Slug,
        /// What people call it.
        name: Name,
        /// Its milestones.
        #[serde(default)]
        milestones: Vec<TemplateMilestone>,
        /// Its tasks.
        #[serde(default)]
        tasks: Vec<TemplateTask>,
    },
    /// Changes the skeleton; projects made earlier stay as they are.
    #[refused(
        Retired,
        TooManyMilestones,
        TooManyTasks,
        MilestoneTooFarAhead,
        TaskTooFarAhead,
        DuplicateMilestone,
        UnknownMilestone
    )]
    Revise {
        /// What people call it.
        name: Name,
        /// Its milestones; they stay if left out.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        milestones: Patch<Vec<TemplateMilestone>>,
        /// Its tasks; they stay if left out.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        tasks: Patch<Vec<TemplateTask>>,
    },
    /// Ends that new projects are made from it.
    Retire {},
    /// Allows new projects to be made from it again.
    Reinstate {},
}

/// Why a project template's command may be refused.
#[rejection("projects.project_template")]
pub enum ProjectTemplateRejection {
    /// The template is retired; reinstate it first.
    Retired,
    /// A template has at most 50 milestones.
    #[invalid("/milestones")]
    TooManyMilestones,
    /// A template has at most 300 tasks.
    #[invalid("/tasks")]
    TooManyTasks,
    /// A milestone is due within 3,650 days.
    #[invalid("/milestones")]
    MilestoneTooFarAhead,
    /// A task is due within 3,650 days.
    #[invalid("/tasks")]
    TaskTooFarAhead,
    /// Two milestones have the same name.
    #[invalid("/milestones")]
    DuplicateMilestone,
    /// A task names a milestone that the template does not have.
    #[invalid("/tasks")]
    UnknownMilestone,
}

/// What is remembered of a project template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProjectTemplate {
    name: String,
    milestones: Vec<TemplateMilestone>,
    tasks: Vec<TemplateTask>,
    retired: Retirable,
}

impl ProjectTemplate {
    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its milestones.
    pub fn milestones(&self) -> &[TemplateMilestone] {
        &self.milestones
    }

    /// Its tasks.
    pub fn tasks(&self) -> &[TemplateTask] {
        &self.tasks
    }

    /// May no new projects be made from it?
    pub fn is_retired(&self) -> bool {
        self.retired.is_retired()
    }
}

impl Keyed for ProjectTemplate {
    const KEY: &'static str = "projects.project_template.key";
}

impl Aggregate for ProjectTemplate {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "projects/project-templates";

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Define { key, name, milestones, tasks } => {
                check(&milestones, &tasks)?;
                vec![E::Defined { key, name, milestones, tasks }]
            }
            C::Reinstate {} => self.retired.reinstate(),
            C::Retire {} => self.retired.retire(),
            _ if self.is_retired() => return Err(R::Retired),
            C::Revise { name, milestones, tasks } => {
                let (milestones, tasks) = (milestones.over_list(&self.milestones), tasks.over_list(&self.tasks));
                if name.as_str() == self.name && milestones == self.milestones && tasks == self.tasks {
                    return Ok(vec![]);
                }
                check(&milestones, &tasks)?;
                vec![E::Revised { name, milestones, tasks }]
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.retired = self.retired.after(event);
        match event {
            E::Defined { key: _, name, milestones, tasks } | E::Revised { name, milestones, tasks } => {
                self.name = name.as_str().to_owned();
                self.milestones = milestones.clone();
                self.tasks = tasks.clone();
            }
            E::Retired {} | E::Reinstated {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Defined { key, .. } => vec![ClaimChange::Take(Self::key_claim(key))],
            _ => vec![],
        }
    }
}

fn check(milestones: &[TemplateMilestone], tasks: &[TemplateTask]) -> Result<(), R> {
    if milestones.len() > MILESTONES_MAX {
        return Err(R::TooManyMilestones);
    }
    if tasks.len() > TASKS_MAX {
        return Err(R::TooManyTasks);
    }
    if milestones.iter().any(|milestone| milestone.due_after_days > DUE_DAYS_MAX) {
        return Err(R::MilestoneTooFarAhead);
    }
    if tasks.iter().any(|task| task.due_after_days.is_some_and(|days| days > DUE_DAYS_MAX)) {
        return Err(R::TaskTooFarAhead);
    }
    let names: BTreeSet<&Name> = milestones.iter().map(|milestone| &milestone.name).collect();
    if names.len() < milestones.len() {
        return Err(R::DuplicateMilestone);
    }
    let known = |task: &TemplateTask| task.milestone.as_ref().is_none_or(|name| names.contains(name));
    if tasks.iter().all(known) { Ok(()) } else { Err(R::UnknownMilestone) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kernel::Claim;
    use kernel::spec::given;

    pub(crate) fn define(milestone_of_task: &str) -> C {
        C::Define {
            key: "onboarding_project".parse().unwrap(),
            name: "Onboarding".parse().unwrap(),
            milestones: vec![TemplateMilestone { name: "Kick-off".parse().unwrap(), due_after_days: 7 }],
            tasks: vec![TemplateTask {
                title: "Collect documents".parse().unwrap(),
                description: None,
                milestone: Some(milestone_of_task.parse().unwrap()),
                due_after_days: Some(3),
                role: Some("assistant".parse().unwrap()),
            }],
        }
    }

    #[test]
    fn a_template_claims_its_key() {
        let claims = given::<ProjectTemplate>([]).when(define("Kick-off")).claims();
        assert_eq!(claims, [ClaimChange::Take(Claim::new("projects.project_template.key", "onboarding_project"))]);
    }

    #[test]
    fn a_task_towards_an_unknown_milestone_is_refused() {
        let lost = given::<ProjectTemplate>([]).when(define("Landing"));
        lost.rejected("projects.project_template.unknown_milestone");
    }

    #[test]
    fn a_date_that_is_a_typing_error_is_refused() {
        let define = |milestone: u32, task: u32| {
            let milestones = vec![TemplateMilestone { name: "Some day".parse().unwrap(), due_after_days: milestone }];
            let tasks = format!(r#"[{{"title":"Call","due_after_days":{task}}}]"#);
            let tasks = serde_json::from_str(&tasks).unwrap();
            C::Define { key: "x".parse().unwrap(), name: "X".parse().unwrap(), milestones, tasks }
        };
        let refused = |milestone, task, by| {
            given::<ProjectTemplate>([]).when(define(milestone, task)).rejected(by);
        };
        refused(DUE_DAYS_MAX + 1, 0, "projects.project_template.milestone_too_far_ahead");
        refused(u32::MAX, u32::MAX, "projects.project_template.milestone_too_far_ahead");
        refused(DUE_DAYS_MAX, DUE_DAYS_MAX + 1, "projects.project_template.task_too_far_ahead");
        assert!(check(&[], &[]).is_ok());
        let C::Define { milestones, tasks, .. } = define(DUE_DAYS_MAX, DUE_DAYS_MAX) else { panic!("a definition") };
        assert!(check(&milestones, &tasks).is_ok(), "ten years are fine");
    }

    #[test]
    fn a_retired_template_cannot_be_revised() {
        let revise = C::Revise { name: "Other".parse().unwrap(), milestones: Patch::Removed, tasks: Patch::Removed };
        given::<ProjectTemplate>([E::Retired {}]).when(revise).rejected("projects.project_template.retired");
    }

    #[test]
    fn what_a_revision_leaves_out_stays() {
        let milestones: Vec<TemplateMilestone> =
            serde_json::from_str(r#"[{"name":"Kick-off","due_after_days":7}]"#).unwrap();
        let tasks: Vec<TemplateTask> = serde_json::from_str(r#"[{"title":"Call"}]"#).unwrap();
        let name = || "Onboarding".parse::<Name>().unwrap();
        let defined = || E::Defined {
            key: "onboarding".parse().unwrap(),
            name: name(),
            milestones: milestones.clone(),
            tasks: tasks.clone(),
        };
        let revise = |body: &str| <C as kernel::Command>::parse("revise", body).unwrap();
        let renamed =
            E::Revised { name: "Welcome".parse().unwrap(), milestones: milestones.clone(), tasks: tasks.clone() };
        given::<ProjectTemplate>([defined()]).when(revise(r#"{"name":"Welcome"}"#)).then([renamed]);
        given::<ProjectTemplate>([defined()]).when(revise(r#"{"name":"Onboarding"}"#)).then_nothing();
        let emptied = E::Revised { name: name(), milestones: milestones.clone(), tasks: vec![] };
        given::<ProjectTemplate>([defined()]).when(revise(r#"{"name":"Onboarding","tasks":null}"#)).then([emptied]);
    }
}
