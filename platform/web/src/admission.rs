//! How much is done at once, and whose turn it is when more is wanted.
//!
//! A process takes a bounded number of requests into work. Beyond it a request waits, in a bounded queue; beyond that it is
//! shed with 503, which costs next to nothing. From then on, until the queue was empty once, waiting is short too: more is
//! wanted than can be done, and an answer that comes late helps nobody. Before, a disk that stalls for a moment makes
//! everybody wait and sheds nobody. A firm may use everything while nobody else wants it. When others do, whoever has least
//! in work goes first, and a full queue makes room for a firm that has little in it at the cost of the one that has most: a
//! noisy firm sheds its own requests. Where work may take long, no firm has all places: waiting for its turn would be waiting
//! for the longest of its requests.

mod pressure;
mod state;

use crate::problem::{Problem, code};
use kernel::TenantId;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use parking_lot::Mutex;
use pressure::Pressure;
use state::{State, Turn};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a request waits while nothing says that there is more than can be done.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bounds of one service.
#[derive(Debug, Clone)]
pub struct AdmissionSettings {
    /// Requests in work at most.
    pub in_flight_max: usize,
    /// Requests that may wait to be taken into work.
    pub waiting_max: usize,
    /// How long one may wait in overload before it is shed.
    pub wait_max: Duration,
}

/// Takes requests into work, or sheds them. Cheap to clone.
#[derive(Clone)]
pub struct Admission(Arc<Shared>);

struct Shared {
    settings: AdmissionSettings,
    inside: Mutex<Inside>,
    metrics: Metrics,
}

struct Inside {
    state: State<oneshot::Sender<Called>>,
    /// The queue has been full, and not empty since.
    overloaded: bool,
    pressure: Pressure,
}

/// Registered once, because a look-up by name for every request costs more than the admission itself.
struct Metrics {
    in_flight: Gauge,
    waiting: Gauge,
    waited: Histogram,
    shed_full: Counter,
    shed_displaced: Counter,
    shed_late: Counter,
}

/// The right to be in work; whoever drops it lets the next one in.
pub struct Permit {
    shared: Option<Arc<Shared>>,
    tenant: TenantId,
}

/// What becomes of a request that waits.
enum Called {
    /// It is taken into work.
    In(Permit),
    /// It has to leave the queue to somebody who has less in it.
    Out,
}

impl Admission {
    /// Nothing is in work yet. `service` names it in the metrics.
    pub fn new(service: &'static str, settings: AdmissionSettings) -> Self {
        let of_one_firm_max = settings.in_flight_max;
        Self::leaving_room(service, settings, of_one_firm_max)
    }

    /// The same with at most `of_one_firm_max` of one firm in work, so that others need not wait until what it asked for is
    /// done: for work that may take long.
    pub fn leaving_room(service: &'static str, settings: AdmissionSettings, of_one_firm_max: usize) -> Self {
        let shed = |reason| counter!("http_requests_shed_total", "service" => service, "reason" => reason);
        let metrics = Metrics {
            in_flight: gauge!("http_requests_in_flight", "service" => service),
            waiting: gauge!("http_requests_waiting", "service" => service),
            waited: histogram!("http_queue_wait_seconds", "service" => service),
            shed_full: shed("queue_full"),
            shed_displaced: shed("displaced"),
            shed_late: shed("waited_too_long"),
        };
        let state = State::new(settings.in_flight_max, settings.waiting_max).with_one_firm_max(of_one_firm_max);
        let inside = Mutex::new(Inside { state, overloaded: false, pressure: Pressure::new() });
        Self(Arc::new(Shared { settings, inside, metrics }))
    }

    /// Waits for the turn of `tenant`; the permit goes with the work, not with the connection.
    ///
    /// Dropping the future gives up the place in the queue.
    pub async fn admit(&self, tenant: TenantId) -> Result<Permit, Problem> {
        let shared = &self.0;
        let (number, called, wait_max) = match shared.arrive(tenant) {
            Arrival::In(permit) => return Ok(permit),
            Arrival::Shed => return Err(shared.shed(&shared.metrics.shed_full)),
            Arrival::Waits { number, called, wait_max } => (number, called, wait_max),
        };
        let place = Place { shared, tenant, number };
        let since = Instant::now();
        let called = tokio::time::timeout(wait_max, called).await;
        drop(place);
        match called {
            Ok(Ok(Called::In(permit))) => {
                shared.metrics.waited.record(since.elapsed());
                Ok(permit)
            }
            Ok(Ok(Called::Out) | Err(_)) => Err(shared.shed(&shared.metrics.shed_displaced)),
            Err(_) => Err(shared.shed(&shared.metrics.shed_late)),
        }
    }

    /// How many requests are in work, and how many wait.
    pub fn load(&self) -> (usize, usize) {
        let inside = self.0.inside.lock();
        (inside.state.running(), inside.state.waiting())
    }
}

enum Arrival {
    In(Permit),
    Waits { number: u64, called: oneshot::Receiver<Called>, wait_max: Duration },
    Shed,
}

impl Shared {
    fn arrive(self: &Arc<Self>, tenant: TenantId) -> Arrival {
        let mut inside = self.inside.lock();
        let turn = inside.state.arrive(tenant, oneshot::channel::<Called>);
        inside.overloaded |= matches!(turn, Turn::Full | Turn::Waits { displaced: Some(_), .. });
        let overloaded = self.changed(&mut inside);
        if matches!(turn, Turn::Now) {
            inside.pressure.taken_in();
        }
        drop(inside);
        match turn {
            Turn::Now => Arrival::In(self.permit(tenant)),
            Turn::Full => Arrival::Shed,
            Turn::Waits { number, called, displaced } => {
                if let Some(displaced) = displaced {
                    // Whoever has hung up meanwhile needs no answer.
                    drop(displaced.send(Called::Out));
                }
                let wait_max = self.settings.wait_max;
                let wait_max = if overloaded { wait_max } else { wait_max.max(PATIENCE) };
                Arrival::Waits { number, called, wait_max }
            }
        }
    }

    /// One request of `tenant` is done: the next one takes its place.
    fn leave(self: &Arc<Self>, mut tenant: TenantId) {
        loop {
            let mut inside = self.inside.lock();
            let next = inside.state.leave(tenant);
            self.changed(&mut inside);
            if next.is_some() {
                inside.pressure.taken_in();
            }
            drop(inside);
            let Some((next, sender)) = next else { return };
            let Err(Called::In(mut permit)) = sender.send(Called::In(self.permit(next))) else { return };
            // It gave up between being called and hearing it: its place goes on to the one after it.
            permit.shared = None;
            tenant = next;
        }
    }

    fn permit(self: &Arc<Self>, tenant: TenantId) -> Permit {
        Permit { shared: Some(self.clone()), tenant }
    }

    /// The answer to a request that is turned away, the later the more are.
    fn shed(&self, counter: &Counter) -> Problem {
        counter.increment(1);
        let after = self.inside.lock().pressure.turned_away();
        // Spread, so that those who were turned away together do not come back together.
        let after = rand::random_range(after..2 * after);
        Problem::new(&code::OVERLOADED, "nothing was done; repeat after Retry-After").after(after)
    }

    /// Keeps what follows from who is in work and who waits; is more wanted than can be done?
    fn changed(&self, inside: &mut Inside) -> bool {
        let (running, waiting) = (inside.state.running(), inside.state.waiting());
        inside.overloaded &= waiting > 0;
        self.metrics.in_flight.set(running as f64);
        self.metrics.waiting.set(waiting as f64);
        inside.overloaded
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.leave(self.tenant);
        }
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// A place in the queue, given up when dropped; harmless for one that was called already.
struct Place<'a> {
    shared: &'a Shared,
    tenant: TenantId,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inside = self.shared.inside.lock();
        inside.state.give_up(self.tenant, self.number);
        self.shared.changed(&mut inside);
    }
}

#[cfg(test)]
mod tests;
