//! The bytes of a file that is to become a bill.

use crate::{End, Reading};
use chrono::Utc;
use files::File;
use futures::TryStreamExt as _;
use kernel::{FileId, TenantId};
use objects::{Key, ObjectError};
use papers::read::PAPER_MAX;
use reactions::Outcome;
use revenue_events::BillFileProblem as P;
use std::time::Duration;

/// When a file is looked at again that is on its way, or waits to be inspected.
const AGAIN: Duration = Duration::from_secs(3);

/// What a file is.
pub(crate) enum Fetched {
    Bytes(Vec<u8>),
    /// Nothing that could be read: why.
    Not(P, &'static str),
}

impl Reading {
    /// All of the current version. A file of a client or a project is theirs, and others may see it than those who see bills: what stands on it
    /// is not told to these.
    pub(crate) async fn fetch(&self, tenant: TenantId, id: FileId) -> Result<Fetched, End> {
        let Some(file) = self.state::<File>(tenant, id.0).await? else {
            return Ok(Fetched::Not(P::FileMissing, "there is no such file"));
        };
        if file.client_id().is_some() || file.project_id().is_some() {
            return Ok(Fetched::Not(P::NotTheFirms, "the file is a client's or a project's"));
        }
        let Some((version, announced)) = file.current().filter(|_| file.is_available()) else {
            if file.is_awaited() && file.current().is_none() {
                return Err(Outcome::Early(Utc::now() + AGAIN).into());
            }
            return Ok(Fetched::Not(P::FileMissing, "no version of the file is there"));
        };
        let too_large = Fetched::Not(P::TooLarge, "it is larger than 20 MiB");
        if announced.size > PAPER_MAX as u64 {
            return Ok(too_large);
        }
        let key = Key::of(tenant, "files", "file", id, version);
        let Some(mut stream) = self.objects.read(&key).await.map_err(|error| later(&error))? else {
            return Ok(Fetched::Not(P::FileMissing, "the store does not have the file"));
        };
        let mut bytes = vec![];
        while let Some(piece) = stream.try_next().await.map_err(|error| later(&error))? {
            if bytes.len() + piece.len() > PAPER_MAX {
                return Ok(too_large);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Fetched::Bytes(bytes))
    }
}

fn later(error: &ObjectError) -> Outcome {
    match error {
        ObjectError::Refused(_) => Outcome::Blocked(error.to_string()),
        _ => Outcome::Later(None, error.to_string()),
    }
}
