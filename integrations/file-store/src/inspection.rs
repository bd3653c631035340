//! What came is read back and looked at before anybody else sees it.

use crate::kind::{HEAD, contradiction};
use crate::say::{asked, say, text};
use crate::scanner::Verdict;
use crate::{Office, key};
use files::file::FileCommand as C;
use files_events::{Announced, FileEvent, RejectReason};
use futures::TryStreamExt as _;
use objects::{Key, ObjectError};
use reactions::{Job, Outcome, Reaction, Retry, StartAt};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// Looks at what was uploaded: is it there, and whole, and what was announced, and harmless?
pub struct Inspection(pub Office);

/// What was found.
enum Found {
    Good,
    Bad(RejectReason, String),
    Infected(String),
}

impl Reaction for Inspection {
    const NAME: &'static str = "files.inspection";
    const ON: &'static [&'static str] = &["upload.completed"];
    /// Nothing leaves the quarantine without it.
    const START: StartAt = StartAt::Beginning;
    const RETRY: Retry = Retry { first: Duration::from_secs(2), ..Retry::TWO_DAYS };
    /// The largest file, read at a few megabytes a second.
    const PATIENCE: Duration = Duration::from_secs(3_600);

    async fn perform(&self, job: &Job) -> Outcome {
        let (event, read) = match asked(job) {
            Ok(asked) => asked,
            Err(outcome) => return outcome,
        };
        let FileEvent::UploadCompleted { upload_id, announced, store_upload, etags } = read else {
            return Outcome::Done;
        };
        let key = key(event.tenant_id, event.aggregate_id, upload_id);
        let found = match self.put_together(&key, store_upload.as_deref(), &etags).await {
            Ok(Some(bad)) => Ok(bad),
            Ok(None) => self.look_at(&key, &announced).await,
            Err(error) => Err(error),
        };
        let command = match found {
            Ok(Found::Good) => C::AcceptUpload { upload_id },
            Ok(Found::Bad(reason, detail)) => C::RejectUpload { upload_id, reason, detail: text(&detail) },
            Ok(Found::Infected(signature)) => C::NoteInfected { upload_id, signature: text(&signature) },
            Err(outcome) => return outcome,
        };
        say(&self.0.store, &event, command).await
    }
}

impl Inspection {
    /// Has the store make one object of the parts, if there are any. It may have done so at an earlier try, which it does not
    /// know any more; whether the object is there is seen next.
    async fn put_together(&self, key: &Key, upload: Option<&str>, etags: &[String]) -> Result<Option<Found>, Outcome> {
        let Some(upload) = upload else { return Ok(None) };
        match self.0.objects.complete_parts(key, upload, etags).await {
            Ok(()) | Err(ObjectError::Unknown(_)) => Ok(None),
            Err(error @ ObjectError::Invalid(_)) => match self.0.objects.find(key).await {
                Ok(Some(_)) => Ok(None),
                Ok(None) => Ok(Some(Found::Bad(RejectReason::WrongParts, error.to_string()))),
                Err(error) => Err(later(&error)),
            },
            Err(error) => Err(later(&error)),
        }
    }

    async fn look_at(&self, key: &Key, announced: &Announced) -> Result<Found, Outcome> {
        let bytes = self.0.objects.read(key).await.map_err(|error| later(&error))?;
        let Some(mut bytes) = bytes else {
            return Ok(Found::Bad(RejectReason::Missing, "the store has no such object".to_owned()));
        };
        let away = |error: anyhow::Error| Outcome::Later(None, format!("{error:#}"));
        let mut scan = match &self.0.scanner {
            Some(scanner) => Some(scanner.begin().await.map_err(away)?),
            None => None,
        };
        let (mut head, mut size, mut hash) = (vec![], 0_u64, Sha256::new());
        while let Some(piece) = bytes.try_next().await.map_err(|error| later(&error))? {
            let wanted = HEAD.saturating_sub(head.len()).min(piece.len());
            head.extend_from_slice(&piece[..wanted]);
            size += piece.len() as u64;
            if size > announced.size {
                break;
            }
            hash.update(&piece);
            if let Some(scan) = &mut scan {
                scan.show(&piece).await;
            }
        }
        if size != announced.size {
            let more = if size > announced.size { "at least " } else { "" };
            let detail = format!("{} bytes were announced, {more}{size} came", announced.size);
            return Ok(Found::Bad(RejectReason::WrongSize, detail));
        }
        if let Some(scan) = scan {
            match scan.end().await.map_err(away)? {
                Verdict::Clean => {}
                Verdict::Found(signature) => return Ok(Found::Infected(signature)),
                Verdict::TooLarge => {
                    let why = "the scanner takes no file of this size: raise its StreamMaxLength and try again";
                    return Err(Outcome::Never("not_scanned", why.to_owned()));
                }
            }
        }
        let sha256 = hex::encode(hash.finalize());
        if sha256 != announced.sha256.as_str() {
            return Ok(Found::Bad(RejectReason::WrongChecksum, format!("what came hashes to {sha256}")));
        }
        Ok(match contradiction(&announced.content_type, &head) {
            Some(is) => {
                let detail = format!("{} was announced, and it is {is}", announced.content_type);
                Found::Bad(RejectReason::WrongType, detail)
            }
            None => Found::Good,
        })
    }
}

/// What cannot be asked of the store now is asked again; a store that refuses us is for an operator, and mends itself then.
pub fn later(error: &ObjectError) -> Outcome {
    match error {
        ObjectError::Refused(_) => Outcome::Blocked(error.to_string()),
        _ => Outcome::Later(None, error.to_string()),
    }
}
