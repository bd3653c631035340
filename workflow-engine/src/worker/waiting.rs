//! What becomes of steps that wait.

use super::{Moved, Worker, behind};
use crate::actions::{TIMED_OUT, approval_due};
use crate::children;
use crate::hand::{Halt, Hand};
use crate::plan::Stands;
use crate::tasks::{Looked, Next, Task};
use crate::turn::{Failure, Turn};
use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use kernel::Timestamp;
use serde_json::json;
use workflow::Entry;
use workflow_events::Wait;

/// What became of one wait.
enum Became {
    Over(Vec<Entry>),
    /// It goes on, until then at most.
    GoesOn(Option<Timestamp>),
    /// Nothing may be concluded before the intake has read on.
    Unknown,
}

impl Worker {
    /// Nothing is to be done now: what has become of what the run waits for, or when to look again.
    pub(super) async fn waited(&self, task: &Task, hand: &mut Hand) -> Result<Moved, Halt> {
        let (mut entries, mut next, mut unknown) = (vec![], None::<Timestamp>, false);
        let (open, mut looked, mut waits, mut taken) = (hand.open(), None, false, vec![]);
        let mut later = |at: Option<Timestamp>| next = [next, at].into_iter().flatten().min();
        for open in &open {
            let path = &open.path;
            match open.stands {
                Stands::Again(due_at) => later(Some(due_at)),
                Stands::Ready => later(Some(Timestamp::of_clock(Utc::now()))),
                Stands::Waiting => {
                    waits = true;
                    let turn = self.turn(hand.standing(), path);
                    match self.became(task, &turn, &mut looked, &mut taken).await? {
                        Became::Over(over) => entries.extend(over),
                        Became::GoesOn(until) => later(until),
                        Became::Unknown => unknown = true,
                    }
                }
            }
        }
        if !entries.is_empty() {
            hand.note(entries).await?;
            return Ok(Moved::On);
        }
        if unknown {
            return Ok(Moved::LetGo(behind()));
        }
        Ok(Moved::LetGo(match (waits, next) {
            (false, Some(at)) => Next::At(at.into()),
            (_, at) => Next::Waiting(at.map(DateTime::from)),
        }))
    }

    /// `taken` are the signals that other steps take up in the same move, by their place.
    async fn became(
        &self,
        task: &Task,
        turn: &Turn<'_>,
        looked: &mut Option<Option<Looked>>,
        taken: &mut Vec<usize>,
    ) -> Result<Became> {
        let Some(step) = turn.step() else { return Ok(Became::GoesOn(None)) };
        let now = Timestamp::of_clock(Utc::now());
        if step.approval.is_some() {
            let entries = approval_due(turn, step);
            return Ok(if entries.is_empty() { Became::GoesOn(step.due_at) } else { Became::Over(entries) });
        }
        let Some(wait) = &step.wait else { return Ok(Became::GoesOn(step.due_at)) };
        if let Some(run) = wait.run {
            let entries = children::ended(turn, run).await.context("loading a run that was called")?;
            return Ok(if entries.is_empty() { Became::GoesOn(None) } else { Became::Over(entries) });
        }
        let over = wait.deadline.as_ref().filter(|deadline| deadline.at <= now);
        if !wait.events.is_empty() {
            if looked.is_none() {
                *looked = Some(self.look(task).await?);
            }
            let Some(Some(looked)) = looked else { return Ok(Became::Unknown) };
            let known = looked.of_step(&turn.path);
            let came = known.iter().filter_map(|condition| Some((&condition.name, condition.matched.as_ref()?)));
            if let Some((name, event)) = came.min_by_key(|(_, event)| event["position"].as_i64()) {
                return Ok(Became::Over(vec![turn.succeeded(json!({ "came": name, "event": event }))]));
            }
            // The intake does not know of the wait; it wakes the run if the event came already, but not for its end.
            if known.is_empty() && over.is_some() {
                return Ok(Became::Unknown);
            }
        }
        let signals = turn.standing.run.signals.iter().enumerate();
        let mut wanted =
            signals.filter(|(place, signal)| !taken.contains(place) && wait.signals.contains(&signal.name));
        if let Some((place, signal)) = wanted.next() {
            taken.push(place);
            let result = json!({ "came": signal.name, "signal": signal.payload.expose() });
            return Ok(Became::Over(vec![turn.succeeded(result)]));
        }
        Ok(match over {
            None => Became::GoesOn(step.due_at),
            Some(deadline) => Became::Over(match &deadline.name {
                Some(name) => vec![turn.succeeded(json!({ "came": name, "until": deadline.at }))],
                None => turn.failed(Failure::terminal(TIMED_OUT, in_vain(wait))),
            }),
        })
    }
}

fn in_vain(wait: &Wait) -> String {
    let kinds: Vec<&str> = wait.events.iter().map(|awaited| awaited.event_type.as_str()).collect();
    format!("no {} came in time", kinds.join(" or "))
}
