//! What comes next in a run: a walk over its definition, past everything that is done.

use crate::actions::{Action, Block, Undo};
use crate::document::Document;
use kernel::Timestamp;
use workflow::{Run, StepPath, StepStatus};

/// A step that something is to be done about.
#[derive(Debug, Clone)]
pub(crate) struct Open<'a> {
    pub path: StepPath,
    pub action: &'a Action,
    pub stands: Stands,
}

/// How such a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    /// It is next.
    Ready,
    /// It failed, and is tried again then.
    Again(Timestamp),
    /// It waits.
    Waiting,
}

/// Everything that is open; nothing if every step is done.
pub(crate) fn open<'a>(document: &'a Document, run: &Run) -> Vec<Open<'a>> {
    let mut open = vec![];
    let top = |id: &str| id.parse().unwrap_or_default();
    sequence(&document.actions, &top, run, &mut open);
    open
}

/// Walks steps that are taken one after the other. Whether all of them are done.
fn sequence<'a>(actions: &'a [Action], name: &dyn Fn(&str) -> StepPath, run: &Run, open: &mut Vec<Open<'a>>) -> bool {
    actions.iter().all(|action| is_done(action, name(action.id()), run, open))
}

fn is_done<'a>(action: &'a Action, path: StepPath, run: &Run, open: &mut Vec<Open<'a>>) -> bool {
    let step = run.step_at(&path);
    let stands = match step.map_or(StepStatus::Pending, |step| step.status) {
        StepStatus::Skipped => return true,
        // An incident is an operator's.
        StepStatus::Failed => return !run.incidents.contains_key(&path),
        StepStatus::Cancelled => return false,
        StepStatus::Succeeded => return chosen(action, &path, run, open),
        StepStatus::Running => {
            if !rounds(action, &path, run, open) {
                return false;
            }
            Stands::Ready
        }
        StepStatus::Pending => Stands::Ready,
        StepStatus::RetryScheduled => match step.and_then(|step| step.due_at) {
            Some(due_at) => Stands::Again(due_at),
            None => Stands::Ready,
        },
        StepStatus::Waiting => Stands::Waiting,
    };
    open.push(Open { path, action, stands });
    false
}

/// The steps of the case that was chosen.
fn chosen<'a>(action: &'a Action, path: &StepPath, run: &Run, open: &mut Vec<Open<'a>>) -> bool {
    let case = run.step_at(path).and_then(|step| step.case.clone());
    let taken = |block: &Block<'_>| !block.repeated && block.case.is_some() && block.case == case;
    match action.kind().blocks().into_iter().find(taken) {
        Some(block) => sequence(block.actions, &|id| path.child(id), run, open),
        None => true,
    }
}

/// The rounds of a loop, of which so many go on at a time.
fn rounds<'a>(action: &'a Action, path: &StepPath, run: &Run, open: &mut Vec<Open<'a>>) -> bool {
    let Action::ForEach(each) = action else { return true };
    let count = run.step_at(path).and_then(|step| step.items.expose()).map_or(0, Vec::len);
    let mut going_on = 0;
    for round in 0..count {
        if !sequence(&each.actions, &|id| path.item(round, id), run, open) {
            going_on += 1;
            if going_on >= each.parallel.max(1) {
                break;
            }
        }
    }
    going_on == 0
}

/// The paths of all steps inside of one that are known without its items.
pub(crate) fn inside(path: &StepPath, actions: &[Action]) -> Vec<StepPath> {
    let mut found = vec![];
    for action in actions {
        let path = path.child(action.id());
        for block in action.kind().blocks().iter().filter(|block| !block.repeated) {
            found.extend(inside(&path, block.actions));
        }
        found.push(path);
    }
    found
}

/// The step that is taken back next: of those that say how, the one that ended last.
pub(crate) fn undo<'a>(document: &'a Document, run: &Run) -> Option<(StepPath, &'a Undo)> {
    let done = run.steps.iter().filter(|(path, step)| step.status == StepStatus::Succeeded && !path.is_undo());
    let left = done.filter(|(path, _)| !run.step_status(&path.undo()).has_ended());
    let declared = left.filter_map(|(path, step)| Some((step.ended, path, document.undo(path)?)));
    declared.max_by_key(|(ended, ..)| *ended).map(|(_, path, undo)| (path.clone(), undo))
}
