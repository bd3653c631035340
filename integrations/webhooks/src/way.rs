//! The lanes in which what is to be sent waits. Each endpoint has lanes of its own, so one that is away holds up no other.

use kernel::TenantId;
use reactions::{Budget, Lane};
use std::time::Duration;
use uuid::Uuid;

/// Messages on their way to one endpoint at once.
pub const AT_ONCE: u16 = 8;
/// And a second.
const BUDGET: Budget = Budget { every: Duration::from_millis(20), burst: 50 };
/// What is sent again leaves room for what is new.
const REPLAYED_AT_ONCE: u16 = 4;
const REPLAY_BUDGET: Budget = Budget { every: Duration::from_millis(50), burst: 20 };

/// Why something is sent, and what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It has just happened.
    New,
    /// It has just happened, and comes after what happened to the same record.
    InTurn(Uuid),
    /// It was not taken while others were, and waits for its next try in nobody's way.
    Again(Uuid),
    /// Somebody asked for it again.
    Replay,
    /// The same, after what was asked for again of the same record.
    ReplayInTurn(Uuid),
    /// Somebody wants to see whether it comes.
    Test(Uuid),
}

impl Way {
    /// The lane of an endpoint.
    pub fn lane(self, endpoint: Uuid) -> Lane {
        match self {
            Self::New => Lane::of(endpoint).wide(AT_ONCE).within(BUDGET),
            Self::InTurn(record) => Lane::of(format!("{endpoint}/record/{record}")),
            Self::Again(event) => Lane::of(format!("{endpoint}/again/{event}")),
            Self::Replay => Lane::of(format!("{endpoint}/replay")).wide(REPLAYED_AT_ONCE).within(REPLAY_BUDGET),
            Self::ReplayInTurn(record) => Lane::of(format!("{endpoint}/replay/{record}")),
            Self::Test(event) => Lane::of(format!("{endpoint}/test/{event}")),
        }
    }

    /// Reads a lane's name: the endpoint, and why.
    pub fn read(lane: &str) -> Option<(Uuid, Self)> {
        let mut parts = lane.split('/');
        let endpoint = parts.next()?.parse().ok()?;
        let (kind, what) = (parts.next(), parts.next().map(str::parse::<Uuid>));
        let way = match (kind, what) {
            (None, _) => Self::New,
            (Some("record"), Some(Ok(record))) => Self::InTurn(record),
            (Some("again"), Some(Ok(event))) => Self::Again(event),
            (Some("replay"), None) => Self::Replay,
            (Some("replay"), Some(Ok(record))) => Self::ReplayInTurn(record),
            (Some("test"), Some(Ok(event))) => Self::Test(event),
            _ => return None,
        };
        Some((endpoint, way))
    }

    /// Was it asked for again?
    pub fn is_replay(self) -> bool {
        matches!(self, Self::Replay | Self::ReplayInTurn(_))
    }

    /// Is it there to see whether anything comes?
    pub fn is_test(self) -> bool {
        matches!(self, Self::Test(_))
    }

    /// Does something else wait behind it that may as well go before it?
    pub fn may_step_aside(self) -> bool {
        matches!(self, Self::New | Self::Replay)
    }
}

/// What of a paused endpoint waits for.
pub fn blocked_on(endpoint: Uuid) -> String {
    format!("webhook {endpoint}")
}

/// What an event is known by to every endpoint.
pub fn job(tenant: TenantId, endpoint: Uuid, way: Way, event: (Uuid, i64, Uuid)) -> reactions::NewJob {
    let (event_id, position, record) = event;
    reactions::NewJob {
        tenant,
        lane: way.lane(endpoint),
        key: event_id.to_string(),
        position: Some(position),
        subject: Some(record),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lanes_name_says_whose_it_is_and_why() {
        let (endpoint, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let names = [
            (format!("{endpoint}"), Way::New),
            (format!("{endpoint}/record/{other}"), Way::InTurn(other)),
            (format!("{endpoint}/again/{other}"), Way::Again(other)),
            (format!("{endpoint}/replay"), Way::Replay),
            (format!("{endpoint}/replay/{other}"), Way::ReplayInTurn(other)),
            (format!("{endpoint}/test/{other}"), Way::Test(other)),
        ];
        for (name, way) in names {
            assert_eq!(Way::read(&name), Some((endpoint, way)));
            let lane = format!("{:?}", way.lane(endpoint));
            assert!(lane.contains(&format!("\"{name}\"")), "{lane}");
        }
        for wrong in
            ["", "x", "00000000-0000-0000-0000-000000000001/other", "00000000-0000-0000-0000-000000000001/again"]
        {
            assert_eq!(Way::read(wrong), None, "{wrong}");
        }
    }
}
