//! What a run's stream may tell, written down once more and without a look at `Run`: each step done once, those of the beginning
//! in order, nothing after the end but what takes back.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Where a run stands after its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It goes on, or waits.
    Going,
    /// A step failed just now; the next event says whether that parks the run.
    Failed,
    /// It stands still.
    Parked,
    /// It is taken back.
    Compensating,
    /// It has ended.
    Succeeded,
    /// It was ended.
    Cancelled,
    /// It is taken back.
    Compensated,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// Tried so often.
    Open(u64),
    /// Its rounds go on.
    Rounds,
    Waiting,
    Done,
    Failed,
    LeftOut,
    Never,
}

/// A run as its stream tells it.
#[derive(Debug)]
pub struct Story {
    /// Its steps of the beginning, in order.
    pub order: Vec<String>,
    /// Every step that something came of.
    pub steps: BTreeMap<String, Stands>,
    /// The steps that it stands still at.
    pub parked: BTreeSet<String>,
    /// Where it stands.
    pub standing: Standing,
    /// It is taken back, even if that stands still.
    taken_back: bool,
}

/// Reads a whole stream; the error says which event cannot be.
pub fn tell<'a>(events: impl IntoIterator<Item = (&'a str, Value)>) -> Result<Story, String> {
    let mut events = events.into_iter();
    let first = events.next().ok_or("a run without events")?;
    if first.0 != "run.started" {
        return Err(format!("a run begins with {}", first.0));
    }
    let order = texts(&first.1["steps"]);
    let mut story =
        Story { order, steps: BTreeMap::new(), parked: BTreeSet::new(), standing: Standing::Going, taken_back: false };
    for (event_type, event) in events {
        let before = format!("{:?} with {:?}", story.standing, story.steps);
        story.go_on(event_type, &event).map_err(|why| format!("{event_type} {event} when {before}: {why}"))?;
    }
    Ok(story)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

impl Story {
    /// Where a step stands.
    pub fn stands(&self, step: &str) -> Stands {
        self.steps.get(step).copied().unwrap_or(Stands::Open(0))
    }

    fn go_on(&mut self, event_type: &str, event: &Value) -> Result<(), &'static str> {
        use Standing::{Cancelled, Compensated, Compensating, Failed, Going, Parked, Succeeded};
        let step = event["step"].as_str().unwrap_or_default().to_owned();
        match (event_type, self.standing) {
            ("run.compensation_started", Cancelled | Succeeded) => {
                self.parked.clear();
                self.taken_back = true;
                self.standing = Compensating;
                return Ok(());
            }
            // What waited ends with its run.
            ("approval.closed", Cancelled) if event["outcome"] == "withdrawn" => {
                return self.step(event_type, event, step);
            }
            ("step.cancelled", Cancelled) if self.stands(&step) == Stands::Waiting => {
                return self.step(event_type, event, step);
            }
            (_, Succeeded | Cancelled | Compensated) => return Err("the run has ended"),
            ("run.compensation_started", _) => return Err("not ended before"),
            ("run.cancelled", Going | Parked | Failed) if !self.taken_back => self.standing = Cancelled,
            ("run.succeeded", Going) => self.standing = Succeeded,
            ("run.compensated", Compensating) => self.standing = Compensated,
            ("run.parked", _) if self.stands(&step) == Stands::Failed => {
                self.parked.insert(step);
                self.standing = Parked;
            }
            ("run.resumed", Parked) => {
                for step in texts(&event["steps"]) {
                    if !self.parked.remove(&step) {
                        return Err("it did not stand still there");
                    }
                    self.steps.remove(&step);
                }
                self.standing = match (self.parked.is_empty(), self.taken_back) {
                    (false, _) => Parked,
                    (true, true) => Compensating,
                    (true, false) => Going,
                };
            }
            ("run.input_amended", Parked) | ("run.signal_received", _) => {}
            ("run.rerun" | "run.moved", _) => {}
            ("step.left_out", _) => {
                for inner in texts(&event["steps"]) {
                    if self.steps.insert(inner, Stands::LeftOut).is_some() {
                        return Err("something had come of it");
                    }
                }
            }
            _ if step.is_empty() => return Err("not now"),
            _ => self.step(event_type, event, step)?,
        }
        Ok(())
    }

    fn step(&mut self, event_type: &str, event: &Value, step: String) -> Result<(), &'static str> {
        use Stands::{Done, Failed, LeftOut, Never, Open, Rounds, Waiting};
        if let Some(place) = self.order.iter().position(|listed| *listed == step) {
            let over = |step: &String| {
                matches!(self.stands(step), Done | LeftOut)
                    || self.stands(step) == Failed && !self.parked.contains(step)
            };
            if !self.order[..place].iter().all(over) {
                return Err("a step before it is not over");
            }
        }
        let next = match (event_type, self.stands(&step)) {
            ("step.succeeded", Open(_) | Waiting | Rounds) => Done,
            ("step.chosen", Open(0)) => Done,
            ("step.failed", Open(_) | Waiting | Rounds) => Failed,
            ("step.skipped", Open(_)) => LeftOut,
            ("step.cancelled", Open(_)) => Never,
            ("step.cancelled", Waiting) if self.standing == Standing::Cancelled => Never,
            ("step.waiting" | "approval.requested", Open(_)) => Waiting,
            ("step.expanded", Open(0)) => Rounds,
            ("step.retry_scheduled", Open(attempts)) if event["attempt"].as_u64() == Some(attempts + 1) => {
                Open(attempts + 1)
            }
            ("run.notification_requested", stands @ Open(_)) => stands,
            (
                "approval.granted" | "approval.rejected" | "approval.delegated" | "approval.reminded"
                | "approval.escalated" | "approval.closed",
                Waiting,
            ) => Waiting,
            _ => return Err("not now"),
        };
        self.steps.insert(step, next);
        if self.standing == Standing::Failed {
            self.standing = Standing::Going;
        }
        Ok(())
    }
}
