//! What was set is kept as a file like any other: announced, sent, completed. It is its own inspection, as no bytes came from outside.

use crate::{refused, request};
use chrono::Utc;
use event_store::{ExecuteError, Store};
use files::File;
use files::file::FileCommand as C;
use files_events::{FileSize, UploadId};
use kernel::{Checksum, ClientId, FileId, FileName, MediaType, TenantId};
use objects::{Key, ObjectError, ObjectStore};
use reactions::Outcome;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Bytes with a name.
pub struct Sheet {
    /// What the file is called.
    pub name: String,
    /// What it is.
    pub content_type: &'static str,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// Keeps files.
pub struct Keep {
    /// Where it says so.
    pub store: Store,
    /// Where the bytes go.
    pub objects: ObjectStore,
}

impl Keep {
    /// The file of this kind that an event has; it is made unless it is there.
    pub async fn keep(
        &self,
        tenant: TenantId,
        client_id: ClientId,
        event_id: Uuid,
        sheet: Sheet,
    ) -> Result<FileId, Outcome> {
        let id = Uuid::new_v5(&event_id, sheet.content_type.as_bytes());
        match self.store.load::<File>(tenant, id).await {
            Ok((file, _)) if file.is_available() => return Ok(FileId(id)),
            // Whatever else it is, the commands find out.
            Ok(_) | Err(ExecuteError::NotFound) => {}
            Err(error) => return Err(refused(error)),
        }
        let fault = |what: &str| Outcome::Never("not_kept", format!("{what} is not one"));
        let sha256 = hex::encode(Sha256::digest(&sheet.bytes));
        // Another setting of the same paper may have other bytes, and an upload is given up after a day: each has an upload of its own.
        let upload_id = UploadId(Uuid::new_v5(&id, format!("{sha256}/{}", Utc::now().date_naive()).as_bytes()));
        let size = FileSize(sheet.bytes.len() as u64);
        let content_type: MediaType = sheet.content_type.parse().map_err(|_| fault("the media type"))?;
        let sha256: Checksum = sha256.parse().map_err(|_| fault("the checksum"))?;
        let name: FileName = sheet.name.parse().map_err(|_| fault("the file's name"))?;
        let begin = C::BeginUpload {
            name,
            size,
            content_type: content_type.clone(),
            sha256: sha256.clone(),
            part_size: None,
            folder_id: None,
            subfolder_id: None,
            client_id: Some(client_id),
            project_id: None,
            upload_id: Some(upload_id),
        };
        let begun = match self.say(tenant, id, begin).await {
            Err(ExecuteError::AlreadyExists) => {
                let upload_id = Some(upload_id);
                self.say(tenant, id, C::AddVersion { size, content_type, sha256, part_size: None, upload_id }).await
            }
            begun => begun,
        };
        match begun {
            Ok(()) => {}
            // Somebody took it away after it was there, and may put it back.
            Err(ExecuteError::Rejected { code: "files.file.deleted", .. }) => return Ok(FileId(id)),
            Err(error) => return Err(refused(error)),
        }
        let key = Key::of(tenant, "files", "file", id, upload_id);
        self.objects.write(&key, sheet.content_type, sheet.bytes).await.map_err(|error| match error {
            ObjectError::Refused(_) => Outcome::Blocked(error.to_string()),
            _ => Outcome::Later(None, error.to_string()),
        })?;
        self.say(tenant, id, C::CompleteUpload { upload_id, etags: vec![] }).await.map_err(refused)?;
        self.say(tenant, id, C::AcceptUpload { upload_id }).await.map_err(refused)?;
        Ok(FileId(id))
    }

    async fn say(&self, tenant: TenantId, id: Uuid, command: C) -> Result<(), ExecuteError> {
        self.store.execute::<File>(Some(id), command, &request(tenant)).await.map(drop)
    }
}
