//! What was not completed in time is given up.

use crate::Office;
use crate::say::{asked, say};
use chrono::Utc;
use files::file::FileCommand;
use files_events::FileEvent;
use reactions::{Job, Lane, Outcome, Reaction, Retry, StartAt};

/// Gives an upload up when its time is over, unless it has ended.
pub struct Expiry(pub Office);

impl Reaction for Expiry {
    const NAME: &'static str = "files.expiry";
    const ON: &'static [&'static str] = &["upload.begun"];
    const START: StartAt = StartAt::Beginning;
    const RETRY: Retry = Retry::FOR_EVER;

    /// Each upload waits for itself.
    fn lanes(&self, event: &event_store::RawEvent) -> Vec<Lane> {
        vec![Lane::of(event.event_id)]
    }

    async fn perform(&self, job: &Job) -> Outcome {
        let (event, read) = match asked(job) {
            Ok(asked) => asked,
            Err(outcome) => return outcome,
        };
        let FileEvent::UploadBegun { upload_id, expires_at, .. } = read else { return Outcome::Done };
        if Utc::now() < expires_at.utc() {
            return Outcome::Early(expires_at.utc());
        }
        say(&self.0.store, &event, FileCommand::ExpireUpload { upload_id }).await
    }
}
