//! What somebody is told whose login cannot go on; the log says more.

use crate::user::Refused;
use ::web::{Problem, code, may_say_of_this};
use kernel::TenantId;
use metrics::counter;

pub(crate) fn invalid(parameter: &str, expected: &str) -> Problem {
    Problem::new(&code::INVALID_PARAMETER, format!("{parameter}: {expected}")).with("parameter", parameter)
}

/// What came back from a provider is of no use. Which part, the log says.
pub(crate) fn refused(why: &str) -> Problem {
    saying(why, "The login cannot be finished; begin again.")
}

/// The same, with what the person is told.
pub(crate) fn saying(why: &str, told: &str) -> Problem {
    counter!("logins_total", "outcome" => "refused").increment(1);
    if may_say_of_this() {
        tracing::info!(why, "a login was refused");
    }
    Problem::new(&code::LOGIN_REFUSED, told)
}

/// The same words for everybody who is not let in, so that nobody learns who has an account.
pub(crate) fn not_in(tenant: Option<TenantId>, why: &Refused) -> Problem {
    if let Refused::Unavailable(error) = why {
        return unavailable(&anyhow::anyhow!("{error}"));
    }
    counter!("logins_total", "outcome" => "not_in").increment(1);
    if may_say_of_this() {
        tracing::info!(tenant = tenant.map(tracing::field::display), why = %why, "not let in");
    }
    Problem::new(&code::FORBIDDEN, "no firm that was asked knows an active user with this login; ask for an invitation")
}

pub(crate) fn unreachable(error: &anyhow::Error) -> Problem {
    tracing::error!(error = format!("{error:#}"), "a provider cannot be reached");
    Problem::new(&code::UNAVAILABLE, "the provider cannot be reached; repeat in a moment")
}

pub(crate) fn unavailable(error: &anyhow::Error) -> Problem {
    tracing::error!(error = format!("{error:#}"), "a login cannot be kept");
    Problem::new(&code::UNAVAILABLE, "logins are not possible at the moment; repeat in a moment")
}
