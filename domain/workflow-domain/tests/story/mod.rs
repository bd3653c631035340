//! What a run's stream may tell, written down once more and without a look at `Run`: steps in order, each done once,
//! nothing after the end.

use serde_json::Value;

/// Where a run stands after its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its step has not begun.
    Pending,
    /// Its step is at work, after so many failed attempts.
    Running(u64),
    /// Its step waits.
    Waiting,
    /// Its step failed just now; it is parked, or the run goes on.
    Failed,
    /// It stands still.
    Parked,
    /// An operator let it go on, and the same command says how.
    Resumed,
    /// It has ended.
    Succeeded,
    /// It was ended.
    Cancelled,
}

/// A run as its stream tells it.
#[derive(Debug)]
pub struct Story {
    /// Its steps, in order.
    pub steps: Vec<String>,
    /// The step it stands at.
    pub current: usize,
    /// Where it stands.
    pub standing: Standing,
}

/// Reads a whole stream; the error says which event cannot be.
pub fn tell<'a>(events: impl IntoIterator<Item = (&'a str, Value)>) -> Result<Story, String> {
    let mut events = events.into_iter();
    let first = events.next().ok_or("a run without events")?;
    if first.0 != "run.started" {
        return Err(format!("a run begins with {}", first.0));
    }
    let steps = first.1["steps"].as_array().ok_or("a run without steps")?.iter();
    let steps = steps.map(|step| step.as_str().unwrap_or_default().to_owned()).collect();
    let mut story = Story { steps, current: 0, standing: Standing::Pending };
    for (event_type, event) in events {
        let before = format!("{:?} at step {}", story.standing, story.current);
        story.go_on(event_type, &event).map_err(|why| format!("{event_type} {event} when {before}: {why}"))?;
    }
    match story.standing {
        Standing::Resumed => Err("a run was resumed, but nobody said how".to_owned()),
        Standing::Pending | Standing::Failed if story.current == story.steps.len() => {
            Err("the last step is done, but the run has not ended".to_owned())
        }
        _ => Ok(story),
    }
}

impl Story {
    fn go_on(&mut self, event_type: &str, event: &Value) -> Result<(), &'static str> {
        use Standing::{Cancelled, Failed, Parked, Pending, Resumed, Running, Succeeded, Waiting};
        if matches!(self.standing, Succeeded | Cancelled) {
            return Err("the run has ended");
        }
        let done = self.current == self.steps.len();
        if let Some(index) = event["action_index"].as_u64() {
            let parks = event_type == "run.parked";
            let here = if parks { self.current.saturating_sub(1) } else { self.current };
            if usize::try_from(index) != Ok(here) {
                return Err("another step");
            }
            if event["step"].as_str() != self.steps.get(here).map(String::as_str) {
                return Err("a step of another name");
            }
        }
        match (event_type, self.standing) {
            ("run.cancelled", _) => self.standing = Cancelled,
            ("run.succeeded", Pending | Failed) if done => self.standing = Succeeded,
            ("run.parked", Failed) => {
                self.current -= 1;
                self.standing = Parked;
            }
            ("run.resumed", Parked) => self.standing = Resumed,
            (_, _) if done => return Err("there is no step any more"),
            ("step.started", Pending | Failed | Resumed) => self.standing = Running(0),
            ("step.skipped", Pending | Failed | Resumed) => self.leave(Pending),
            ("step.failed", Pending | Failed | Running(_) | Waiting) => self.leave(Failed),
            ("step.succeeded", Running(_) | Waiting) => self.leave(Pending),
            ("step.waiting", Running(_)) => self.standing = Waiting,
            ("step.retry_scheduled", Running(attempts)) if event["attempt"].as_u64() == Some(attempts + 1) => {
                self.standing = Running(attempts + 1);
            }
            ("run.notification_requested", Running(_)) => {}
            _ => return Err("not now"),
        }
        Ok(())
    }

    fn leave(&mut self, standing: Standing) {
        self.current += 1;
        self.standing = standing;
    }
}
