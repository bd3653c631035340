//! Who has how many messages on their way. An endpoint that lets us wait gets no further one, so that those that take what they are sent
//! find room.

use chrono::TimeDelta;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// So long a message may be on its way before its endpoint gets no other besides.
const SLOW: Duration = Duration::from_secs(1);
/// How soon it is looked again whether there is room, at least and at most. In between as long as nothing has moved: whoever takes long is
/// asked about rarely.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

/// See above.
#[derive(Debug, Default)]
pub struct Rooms(Mutex<HashMap<Uuid, Busy>>);

/// What is on its way to one endpoint.
#[derive(Debug)]
struct Busy {
    count: u16,
    /// When that last changed.
    since: Instant,
}

/// A message that is on its way.
#[derive(Debug)]
pub struct Room<'a> {
    rooms: &'a Rooms,
    endpoint: Uuid,
}

impl Rooms {
    /// One more for the endpoint, which may have so many.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn enter(&self, endpoint: Uuid, at_once: u16) -> Result<Room<'_>, TimeDelta> {
        let mut all = self.0.lock();
        let busy = all.entry(endpoint).or_insert_with(|| Busy { count: 0, since: Instant::now() });
        let still = busy.since.elapsed();
        if busy.count > 0 && (busy.count >= at_once || still > SLOW) {
            let wait = still.clamp(LOOK_AGAIN.0, LOOK_AGAIN.1);
            return Err(TimeDelta::from_std(wait).unwrap_or(TimeDelta::seconds(1)));
        }
        (busy.count, busy.since) = (busy.count + 1, Instant::now());
        Ok(Room { rooms: self, endpoint })
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut all = self.rooms.0.lock();
        if let Some(busy) = all.get_mut(&self.endpoint) {
            (busy.count, busy.since) = (busy.count.saturating_sub(1), Instant::now());
            if busy.count == 0 {
                all.remove(&self.endpoint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_so_many_on_their_way_and_no_other_is_in_its_way() {
        let (rooms, one, other) = (Rooms::default(), Uuid::from_u128(1), Uuid::from_u128(2));
        let first = rooms.enter(one, 2).unwrap();
        let _second = rooms.enter(one, 2).unwrap();
        let wait = rooms.enter(one, 2).unwrap_err();
        assert!(wait >= TimeDelta::milliseconds(20) && wait <= TimeDelta::seconds(5), "{wait}");
        assert!(rooms.enter(other, 1).is_ok());
        drop(first);
        assert!(rooms.enter(one, 2).is_ok());
    }
}
