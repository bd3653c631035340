//! The files that come with an email: the newest version of each, as it is when the email goes out.

use catalogue::AnyEvent;
use event_store::Log;
use files_events::FileEvent;
use futures::TryStreamExt as _;
use kernel::{ClientId, FileId, FileName, MediaType, TenantId};
use objects::{Key, ObjectStore};

/// Bytes of all files of one email together. In an email they are a third more, and most mail servers take 25 MB.
const BYTES_MAX: u64 = 15 << 20;

/// Fetches files.
#[derive(Debug, Clone)]
pub struct Attachments {
    /// What is known of them.
    pub log: Log,
    /// Where they are, if files are kept at all.
    pub objects: Option<ObjectStore>,
}

/// A file that comes along.
#[derive(Debug)]
pub struct Attached {
    /// What it is called.
    pub name: FileName,
    /// What it is.
    pub content_type: MediaType,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// Why an email cannot go out with its files.
#[derive(Debug)]
pub enum NotAttached {
    /// It never can: a code and why.
    Never(&'static str, String),
    /// It cannot now.
    Later(String),
}

/// What is known of the newest version of a file.
struct Newest {
    key: Key,
    name: FileName,
    content_type: MediaType,
    size: u64,
}

impl Attachments {
    /// The files, in order. Each is the client's that the email is about: whoever may write about a client may send its files, and
    /// nobody else's.
    pub async fn fetch(
        &self,
        tenant: TenantId,
        client_id: Option<ClientId>,
        files: &[FileId],
    ) -> Result<Vec<Attached>, NotAttached> {
        if files.is_empty() {
            return Ok(vec![]);
        }
        let mut found = vec![];
        for file in files {
            found.push(self.newest(tenant, client_id, *file).await?);
        }
        let bytes = found.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
        if bytes > BYTES_MAX {
            let why = format!("its files have {bytes} bytes, and an email takes {BYTES_MAX}");
            return Err(NotAttached::Never("attachments_too_large", why));
        }
        let objects = self.objects.as_ref();
        let objects = objects.ok_or_else(|| NotAttached::Later("settings: objects.endpoint is not set".to_owned()))?;
        let mut attached = vec![];
        for Newest { key, name, content_type, size } in found {
            let later = |error: objects::ObjectError| NotAttached::Later(error.to_string());
            let Some(mut pieces) = objects.read(&key).await.map_err(later)? else {
                return Err(NotAttached::Never("attachment_missing", format!("the store has no {key}")));
            };
            let mut bytes = vec![];
            while let Some(piece) = pieces.try_next().await.map_err(later)? {
                bytes.extend_from_slice(&piece);
                // What was measured is what is sent, whatever the store says now.
                if bytes.len() as u64 > size {
                    break;
                }
            }
            if bytes.len() as u64 != size {
                return Err(NotAttached::Never("attachment_missing", format!("{key} has not {size} bytes any more")));
            }
            attached.push(Attached { name, content_type, bytes });
        }
        Ok(attached)
    }

    async fn newest(&self, tenant: TenantId, of: Option<ClientId>, file: FileId) -> Result<Newest, NotAttached> {
        let missing = |why: &str| NotAttached::Never("attachment_missing", format!("the file {file} {why}"));
        let events = self.log.read_stream(tenant, file.0, 0, i64::MAX).await;
        let events = events.map_err(|error| NotAttached::Later(error.to_string()))?;
        let (mut newest, mut called, mut is_deleted, mut is_begun) = (None, None, false, false);
        for event in events {
            let event = catalogue::decode(event).map_err(|error| missing(&error.to_string()))?.payload;
            let AnyEvent::File(event) = event else { return Err(missing("is none")) };
            match event {
                FileEvent::Created { client_id, name, .. } => {
                    if client_id.is_none() || client_id != of {
                        return Err(missing("is not of the client that the email is about"));
                    }
                    (is_begun, called) = (true, name.expose().cloned());
                }
                FileEvent::VersionAdded { version_id, size, content_type, .. } => {
                    newest = Some((Key::of(tenant, "files", "file", file, version_id), size, content_type));
                }
                FileEvent::Renamed { name } => called = name.expose().cloned(),
                FileEvent::Deleted {} => is_deleted = true,
                FileEvent::Restored {} => is_deleted = false,
                _ => {}
            }
        }
        if is_deleted {
            return Err(missing("was deleted"));
        }
        match (newest, called) {
            (Some((key, size, content_type)), Some(name)) => Ok(Newest { key, name, content_type, size }),
            (_, None) if is_begun => Err(missing("was erased")),
            (None, _) if is_begun => Err(NotAttached::Later(format!("no version of the file {file} is there yet"))),
            _ => Err(missing("is not there")),
        }
    }
}
