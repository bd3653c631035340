//! Whose turn it is, without clocks and channels.

use kernel::TenantId;
use std::collections::{HashMap, VecDeque};

/// Who is in work and who waits; `S` is how a waiter is told.
pub(super) struct State<S> {
    running_max: usize,
    of_one_firm_max: usize,
    waiting_max: usize,
    running: usize,
    waiting: usize,
    /// Counts arrivals, so that every waiter has a number and the older one has the smaller.
    arrivals: u64,
    /// The firms that have something in work or waiting; nothing is kept of the others.
    firms: HashMap<TenantId, Firm<S>>,
}

struct Firm<S> {
    running: usize,
    queue: VecDeque<(u64, S)>,
}

/// What an arrival is told.
pub(super) enum Turn<S, R> {
    /// It goes into work now.
    Now,
    /// It waits; if the queue was full, somebody had to leave for it.
    Waits { number: u64, called: R, displaced: Option<S> },
    /// There is no room.
    Full,
}

impl<S> State<S> {
    pub fn new(running_max: usize, waiting_max: usize) -> Self {
        Self {
            running_max: running_max.max(1),
            of_one_firm_max: usize::MAX,
            waiting_max,
            running: 0,
            waiting: 0,
            arrivals: 0,
            firms: HashMap::new(),
        }
    }

    /// No firm has more than so many in work, however few others have.
    pub fn with_one_firm_max(self, of_one_firm_max: usize) -> Self {
        Self { of_one_firm_max: of_one_firm_max.max(1), ..self }
    }

    pub fn running(&self) -> usize {
        self.running
    }

    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// A request comes; `channel` is only made for one that waits.
    pub fn arrive<R>(&mut self, tenant: TenantId, channel: impl FnOnce() -> (S, R)) -> Turn<S, R> {
        if self.running < self.running_max && self.may_have_more(tenant) {
            // Nobody who may have more waits while there is room: whoever leaves calls the next one in.
            self.running += 1;
            self.firm(tenant).running += 1;
            return Turn::Now;
        }
        let displaced = if self.waiting < self.waiting_max {
            None
        } else {
            match self.displace_for(tenant) {
                Some(displaced) => Some(displaced),
                None => return Turn::Full,
            }
        };
        let (sender, called) = channel();
        self.arrivals += 1;
        let number = self.arrivals;
        self.waiting += 1;
        self.firm(tenant).queue.push_back((number, sender));
        Turn::Waits { number, called, displaced }
    }

    /// A request of `tenant` is done. Answers who is called in for it.
    pub fn leave(&mut self, tenant: TenantId) -> Option<(TenantId, S)> {
        self.running -= 1;
        if let Some(firm) = self.firms.get_mut(&tenant) {
            firm.running -= 1;
        }
        self.forget_idle(tenant);
        // Whoever has least in work; of those, whoever waits longest.
        let waiting = self.firms.iter().filter_map(|(tenant, firm)| {
            let (number, _) = firm.queue.front().filter(|_| firm.running < self.of_one_firm_max)?;
            Some((firm.running, *number, *tenant))
        });
        let (_, _, next) = waiting.min_by_key(|(running, number, _)| (*running, *number))?;
        let firm = self.firms.get_mut(&next)?;
        let (_, sender) = firm.queue.pop_front()?;
        firm.running += 1;
        self.waiting -= 1;
        self.running += 1;
        Some((next, sender))
    }

    /// A waiter does not want to wait any longer.
    pub fn give_up(&mut self, tenant: TenantId, number: u64) {
        let Some(firm) = self.firms.get_mut(&tenant) else { return };
        // Numbers ascend, and nearly always it is the first that gives up.
        let Ok(index) = firm.queue.binary_search_by_key(&number, |(number, _)| *number) else { return };
        drop(firm.queue.remove(index));
        self.waiting -= 1;
        self.forget_idle(tenant);
    }

    /// Takes the newest waiter of the firm that has most waiting out of the queue, if `tenant` has less.
    fn displace_for(&mut self, tenant: TenantId) -> Option<S> {
        let has = self.firms.get(&tenant).map_or(0, |firm| firm.queue.len());
        let (most, longest) =
            self.firms.iter().map(|(tenant, firm)| (firm.queue.len(), *tenant)).max_by_key(|(l, _)| *l)?;
        // With one more it must not have the longest queue itself, or two firms would displace each other in turn.
        if has + 1 > most.saturating_sub(1) {
            return None;
        }
        let (_, displaced) = self.firms.get_mut(&longest)?.queue.pop_back()?;
        self.waiting -= 1;
        self.forget_idle(longest);
        Some(displaced)
    }

    fn may_have_more(&self, tenant: TenantId) -> bool {
        self.firms.get(&tenant).is_none_or(|firm| firm.running < self.of_one_firm_max)
    }

    fn firm(&mut self, tenant: TenantId) -> &mut Firm<S> {
        self.firms.entry(tenant).or_insert_with(|| Firm { running: 0, queue: VecDeque::new() })
    }

    fn forget_idle(&mut self, tenant: TenantId) {
        if self.firms.get(&tenant).is_some_and(|firm| firm.running == 0 && firm.queue.is_empty()) {
            self.firms.remove(&tenant);
        }
    }
}
