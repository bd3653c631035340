//! What was sent to JetStream and is not answered yet, and what may be sent meanwhile.

use async_nats::jetstream::context::{PublishAckFuture, PublishError};
use async_nats::jetstream::publish::PublishAck;
use std::collections::VecDeque;
use std::future::IntoFuture;
use std::time::{Duration, Instant};

/// Events in a batch at most, which is what JetStream takes.
const BATCH_MAX: usize = 1_000;
/// Events in a batch at least.
const BATCH_MIN: usize = 16;
/// What JetStream takes to open a batch, to stage it and to sweep up, and what it takes for each of its messages.
const BATCH_COST: Duration = Duration::from_millis(6);
const STAGING_COST: Duration = Duration::from_micros(50);
/// Events on their way, at most.
const IN_FLIGHT_MAX: usize = 4 * BATCH_MAX;
/// Messages that are sent one by one before it is known how long one takes, and afterwards at most.
const LEARNED_FROM: u32 = 64;
const SINGLES_MAX: usize = 1_024;

/// The stream's answer; none for what is in it already.
pub(crate) type Answer = Result<Option<PublishAck>, PublishError>;
type Sent = <PublishAckFuture as IntoFuture>::IntoFuture;

/// Events that are stored together and share an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sending {
    /// Position of the last one.
    pub upto: i64,
    /// How many there are.
    pub events: usize,
}

/// Sendings in order, oldest first. The stream answers in order, so only the oldest is waited for: all of them at once
/// would each want a wake-up and a timer.
#[derive(Default)]
pub(crate) struct Flight {
    sendings: VecDeque<(Sending, Instant, Option<Sent>)>,
    events: usize,
    batches: usize,
    pace: Pace,
}

/// How long JetStream takes for a message alone. One that it syncs takes several times as long as one that it does not, and
/// only then do batches pay.
#[derive(Debug, Default)]
struct Pace {
    service_time: Duration,
    answers: u32,
    last: Option<Instant>,
    is_fixed: bool,
}

impl Flight {
    /// `service_time` is how long a message alone takes, if that is not to be measured.
    pub fn new(service_time: Option<Duration>) -> Self {
        let pace = match service_time {
            Some(service_time) => Pace { service_time, answers: LEARNED_FROM, is_fixed: true, ..Pace::default() },
            None => Pace::default(),
        };
        Self { pace, ..Self::default() }
    }

    /// `sent` is none for what is in the stream already.
    pub fn push(&mut self, sending: Sending, sent: Option<PublishAckFuture>) {
        self.events += sending.events;
        self.batches += usize::from(sending.events > 1);
        self.sendings.push_back((sending, Instant::now(), sent.map(IntoFuture::into_future)));
    }

    /// How many of the events that wait may go next, as one sending; none if they are to wait for answers.
    ///
    /// Whatever arrives while a batch is on its way shares the next one, so batches grow with the load, and an event
    /// alone waits for nothing.
    pub fn room(&self, waiting: usize) -> Option<usize> {
        let batch_min = self.pace.batch_min();
        let enough = if self.batches == 0 { batch_min } else { BATCH_MAX };
        match waiting {
            0 => None,
            _ if self.events >= IN_FLIGHT_MAX => None,
            _ if waiting >= enough => Some(waiting.min(BATCH_MAX)),
            _ if waiting < batch_min && self.events < self.pace.singles_max() => Some(1),
            _ => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.sendings.is_empty()
    }

    /// The answer to the oldest; never comes if there is none. Nothing is lost if it is not waited for to the end.
    pub async fn answered(&mut self) -> (Sending, Answer) {
        let Some((sending, at, sent)) = self.sendings.front_mut() else { return std::future::pending().await };
        let (sending, at) = (*sending, *at);
        let answer = match sent {
            Some(sent) => sent.await.map(Some),
            None => Ok(None),
        };
        if sending.events == 1 {
            self.pace.note(at, Instant::now());
        }
        self.events -= sending.events;
        self.batches -= usize::from(sending.events > 1);
        self.sendings.pop_front();
        (sending, answer)
    }

    /// Waits until everything is answered, whatever the answers are.
    pub async fn settle(self) {
        futures::future::join_all(self.sendings.into_iter().filter_map(|(_, _, sent)| sent)).await;
    }
}

impl Pace {
    /// An answer to what was sent at `sent`. If that had to wait for the answer before, the time between the two is what
    /// it took.
    fn note(&mut self, sent: Instant, answered: Instant) {
        if let Some(before) = self.last.replace(answered)
            && sent <= before
            && !self.is_fixed
        {
            self.answers = (self.answers + 1).min(LEARNED_FROM);
            let known = self.service_time * (self.answers - 1);
            self.service_time = (known + answered.duration_since(before)) / self.answers;
        }
    }

    /// From how many events on a batch takes less time than these one by one.
    fn batch_min(&self) -> usize {
        let saved = self.service_time.saturating_sub(STAGING_COST).as_nanos();
        if self.answers < LEARNED_FROM || saved == 0 {
            return usize::MAX;
        }
        let events = usize::try_from(BATCH_COST.as_nanos() / saved).unwrap_or(usize::MAX);
        if events > BATCH_MAX { usize::MAX } else { events.max(BATCH_MIN) }
    }

    fn singles_max(&self) -> usize {
        if self.answers < LEARNED_FROM { LEARNED_FROM as usize } else { self.batch_min().min(SINGLES_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers that come every `each`, to messages that were all sent at once.
    fn pace(each: Duration, answers: u32) -> Pace {
        let (mut pace, sent) = (Pace::default(), Instant::now());
        (0..=answers).for_each(|n| pace.note(sent, sent + each * n));
        pace
    }

    #[test]
    fn batches_are_for_servers_that_sync_each_message() {
        let micros = Duration::from_micros;
        assert_eq!(pace(micros(25), 1_000).batch_min(), usize::MAX, "a message alone costs no more than a staged one");
        assert_eq!(pace(micros(250), 1_000).batch_min(), 30);
        assert_eq!(pace(micros(900), 1_000).batch_min(), BATCH_MIN);
    }

    #[test]
    fn nothing_is_batched_before_it_is_known_what_one_takes() {
        let pace = pace(Duration::from_millis(1), LEARNED_FROM - 1);
        assert_eq!((pace.batch_min(), pace.singles_max()), (usize::MAX, LEARNED_FROM as usize));
    }

    #[test]
    fn a_message_that_was_sent_after_the_last_answer_says_nothing() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        for second in (0..1_000).map(Duration::from_secs) {
            pace.note(begun + second, begun + second + Duration::from_micros(200));
        }
        assert_eq!(pace.answers, 0);
    }

    #[test]
    fn a_slow_disk_that_becomes_a_quick_one_is_noticed() {
        let mut pace = pace(Duration::from_millis(1), 500);
        let sent = pace.last.expect("answers");
        (1..=500).for_each(|n| pace.note(sent, sent + Duration::from_micros(30) * n));
        assert_eq!(pace.batch_min(), usize::MAX);
    }

    #[test]
    fn what_comes_while_a_batch_is_on_its_way_shares_the_next_one() {
        let mut flight = Flight { pace: pace(Duration::from_millis(1), 100), ..Flight::default() };
        assert_eq!(flight.room(BATCH_MIN - 1), Some(1));
        assert_eq!(flight.room(50), Some(50));
        flight.push(Sending { upto: 50, events: 50 }, None);
        assert_eq!((flight.room(1), flight.room(999)), (None, None));
        assert_eq!(flight.room(5_000), Some(BATCH_MAX), "a backlog waits for nothing");
        (0..4).for_each(|_| flight.push(Sending { upto: 0, events: BATCH_MAX }, None));
        assert_eq!(flight.room(5_000), None);
    }
}
