//! What is no version is taken away from the store.

use crate::inspection::later;
use crate::say::asked;
use crate::{Office, key};
use chrono::{TimeDelta, Utc};
use files_events::FileEvent as E;
use reactions::{Job, Lane, Outcome, Reaction, Retry, StartAt};

/// Takes away the bytes of an upload that came to nothing.
pub struct Discard(pub Office);

impl Reaction for Discard {
    const NAME: &'static str = "files.discard";
    const ON: &'static [&'static str] = &["upload.rejected", "upload.infected", "upload.aborted", "upload.expired"];
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
        let (upload_id, store_upload, may_come_again) = match read {
            E::UploadRejected { upload_id, .. } | E::UploadInfected { upload_id, .. } => (upload_id, None, true),
            E::UploadAborted { upload_id, store_upload } => (upload_id, store_upload, true),
            // No request is good for longer than the upload.
            E::UploadExpired { upload_id, store_upload } => (upload_id, store_upload, false),
            _ => return Outcome::Done,
        };
        let key = key(event.tenant_id, event.aggregate_id, upload_id);
        if let Some(upload) = &store_upload
            && let Err(error) = self.0.objects.abort_parts(&key, upload).await
        {
            return later(&error);
        }
        if let Err(error) = self.0.objects.remove(&key).await {
            return later(&error);
        }
        // A request that was given out is good for a while: what it brings until then is taken away too.
        let lasts = TimeDelta::from_std(self.0.requests_last).unwrap_or_default();
        let over = event.recorded_at + lasts;
        if may_come_again && Utc::now() < over { Outcome::Early(over) } else { Outcome::Done }
    }
}
