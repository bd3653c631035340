//! What is said about a contract, by a command.

use event_store::{ExecuteError, Executed, RawEvent, Request};
use kernel::{Actor, TenantId, Text};
use reactions::{Job, Outcome};

/// Characters of a text that others wrote.
const TEXT_MAX: usize = 500;

/// Whoever has contracts signed speaks for nobody else.
pub fn request(tenant: TenantId) -> Request {
    Request::new(tenant, Actor::System { name: "signatures".to_owned() })
}

/// The event that asks for a job, read.
pub fn asked(job: &Job) -> Result<(RawEvent, agreements_events::ContractEvent), Outcome> {
    let Some(event) = job.event.clone() else {
        return Err(Outcome::Never("no_event", "the log has no such event".to_owned()));
    };
    match catalogue::decode(event.clone()).map(|event| event.payload) {
        Ok(catalogue::AnyEvent::Contract(read)) => Ok((event, read)),
        Ok(_) => Err(Outcome::Done),
        Err(error) => Err(Outcome::Never("unreadable", error.to_string())),
    }
}

/// What became of a command: nothing more, or the code with which it was refused.
pub fn told(done: Result<Executed, ExecuteError>) -> Result<Option<&'static str>, Outcome> {
    match done {
        Ok(_) => Ok(None),
        Err(ExecuteError::Rejected { code, .. }) => Ok(Some(code)),
        Err(error) => Err(unsaid(&error)),
    }
}

/// What a command that was not taken makes of a job.
pub fn unsaid(error: &ExecuteError) -> Outcome {
    match error {
        ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_) => {
            Outcome::Later(None, error.to_string())
        }
        ExecuteError::Rejected { code, message, .. } => Outcome::Never(code, (*message).to_owned()),
        error => Outcome::Never("not_said", error.to_string()),
    }
}

/// The database is away.
pub fn away(error: sqlx::Error) -> Outcome {
    Outcome::Later(None, error.to_string())
}

/// What somebody else says as a text that can be kept.
pub fn text(of: &str) -> Text {
    let plain: String = of.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect();
    plain.parse().unwrap_or_else(|_| "-".parse().unwrap_or_else(|_| unreachable!("it is a text")))
}
