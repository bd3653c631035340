//! What is said about an upload, by a command.

use event_store::{ExecuteError, RawEvent, Request, Store};
use files::File;
use files::file::FileCommand;
use files_events::FileEvent;
use kernel::{Actor, TenantId, Text};
use reactions::{Job, Outcome};

/// Characters of a text that others wrote.
const TEXT_MAX: usize = 500;

/// Whoever keeps the bytes speaks for nobody else.
pub fn request(tenant: TenantId) -> Request {
    Request::new(tenant, Actor::System { name: "file-store".to_owned() })
}

/// The event that asks for a job, read.
pub fn asked(job: &Job) -> Result<(RawEvent, FileEvent), Outcome> {
    let Some(event) = job.event.clone() else {
        return Err(Outcome::Never("no_event", "the log has no such event".to_owned()));
    };
    match catalogue::decode(event.clone()).map(|event| event.payload) {
        Ok(catalogue::AnyEvent::File(read)) => Ok((event, read)),
        Ok(_) => Err(Outcome::Done),
        Err(error) => Err(Outcome::Never("unreadable", error.to_string())),
    }
}

/// Says it. What the file's state does not allow any more is not said again.
pub async fn say(store: &Store, event: &RawEvent, command: FileCommand) -> Outcome {
    match store.execute::<File>(Some(event.aggregate_id), command, &request(event.tenant_id)).await {
        Ok(_) => Outcome::Done,
        Err(ExecuteError::Rejected { code, .. }) => {
            tracing::info!(file = %event.aggregate_id, code, "an upload has come to another end meanwhile");
            Outcome::Done
        }
        Err(error @ (ExecuteError::Overloaded | ExecuteError::Conflict | ExecuteError::Unavailable(_))) => {
            Outcome::Later(None, error.to_string())
        }
        Err(error) => Outcome::Never("not_said", error.to_string()),
    }
}

/// What somebody else says as a text that can be kept.
pub fn text(of: &str) -> Text {
    let plain: String = of.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect();
    plain.parse().unwrap_or_else(|_| "-".parse().unwrap_or_else(|_| unreachable!("it is a text")))
}
