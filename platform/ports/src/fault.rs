//! Why a provider did not do what was asked.

use kernel::ConnectionId;
use reactions::{Found, Outcome};
use std::fmt;
use std::time::Duration;

/// Why a provider did not do what was asked, and what that means for whoever asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Not now; with a time, not before it. Nothing was done.
    Later(Option<Duration>, String),
    /// Nobody knows whether it was done: it is looked up before it is asked for again.
    Unknown(String),
    /// Nothing goes through the connection before somebody of the firm mends it.
    Blocked(ConnectionId),
    /// Asking again changes nothing: a code and why.
    Never(&'static str, String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later(_, why) | Self::Unknown(why) => f.write_str(why),
            Self::Blocked(connection) => write!(f, "the connection {connection} does not work"),
            Self::Never(code, why) => write!(f, "{code}: {why}"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Later(after, why) => Self::Later(after, why),
            Fault::Unknown(why) => Self::Unknown(why),
            Fault::Blocked(connection) => Self::Blocked(connection.to_string()),
            Fault::Never(code, why) => Self::Never(code, why),
        }
    }
}

impl From<Fault> for Found {
    /// What a look-up that failed says of what it looked for: nothing.
    fn from(fault: Fault) -> Self {
        Self::Unclear(fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_fault_of_a_connection_blocks_the_lane_under_its_id() {
        let connection = ConnectionId(Uuid::from_u128(7));
        assert_eq!(Outcome::from(Fault::Blocked(connection)), Outcome::Blocked(connection.to_string()));
        assert_eq!(Found::from(Fault::Unknown("no answer".to_owned())), Found::Unclear("no answer".to_owned()));
    }
}
