//! Where the bytes of an upload go.

use crate::key;
use crate::say::request;
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use event_store::{ExecuteError, Executed, Store, Tell};
use files::File;
use files::file::FileCommand;
use files_events::{Announced, UploadId, UploadPlace, UploadRequest};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kernel::{TenantId, Timestamp};
use objects::{Key, ObjectStore, Presigned, Sent};
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

/// Tells whoever begins an upload where to send it. Signatures are made here and stored nowhere; only for an upload in parts is the
/// store asked, once.
pub struct Places {
    store: Store,
    objects: ObjectStore,
    requests_last: Duration,
}

impl Places {
    /// A request is good for so long, or until the upload is given up.
    pub fn new(store: Store, objects: ObjectStore, requests_last: Duration) -> Self {
        Self { store, objects, requests_last }
    }

    async fn place(&self, tenant: TenantId, executed: &Executed) -> Result<UploadPlace> {
        let upload_id = UploadId(executed.parts.id("upload_id").context("the answer names no upload")?);
        let (file, key) = (executed.id, key(tenant, executed.id, upload_id));
        let mut place = self.seen(tenant, file, upload_id).await?;
        if place.awaits_parts() {
            self.prepare(tenant, file, upload_id, &key, &place.announced).await?;
            place = self.seen(tenant, file, upload_id).await?;
        }
        let now = Utc::now();
        let lasts = place.lasts(now, self.requests_last);
        let good_until = now + lasts;
        Ok(UploadPlace {
            upload_id,
            status: place.status,
            requests: if lasts.is_zero() { vec![] } else { self.requests(&key, &place, lasts) },
            good_until: Timestamp::of_clock(good_until),
            expires_at: place.expires_at,
        })
    }

    async fn seen(&self, tenant: TenantId, file: Uuid, upload: UploadId) -> Result<Seen> {
        let (state, _) = self.store.load::<File>(tenant, file).await.map_err(|e| anyhow::anyhow!("{e}"))?;
        let seen = state.upload(upload).context("the file has no such upload")?;
        Ok(Seen {
            announced: seen.announced.clone(),
            store_upload: seen.store_upload.map(str::to_owned),
            status: seen.status,
            expires_at: seen.expires_at,
        })
    }

    /// Tells the store to expect parts. Of two who do so at the same time one is on record, and the other takes back what it began.
    async fn prepare(&self, tenant: TenantId, file: Uuid, upload: UploadId, key: &Key, what: &Announced) -> Result<()> {
        let store_upload = self.objects.begin_parts(key, what.content_type.as_str()).await?;
        let named = store_upload.parse().map_err(|_| anyhow::anyhow!("the store's name for the upload is unusable"))?;
        let prepare = FileCommand::PrepareUpload { upload_id: upload, store_upload: named };
        match self.store.execute::<File>(Some(file), prepare, &request(tenant)).await {
            Ok(_) => Ok(()),
            // Whoever was first is on record; or it was given up meanwhile.
            Err(ExecuteError::Rejected { .. }) => Ok(self.objects.abort_parts(key, &store_upload).await?),
            Err(error) => Err(anyhow::anyhow!("{error}")),
        }
    }

    fn requests(&self, key: &Key, place: &Seen, lasts: Duration) -> Vec<UploadRequest> {
        let Announced { size, content_type, sha256, part_size } = &place.announced;
        let Some(store_upload) = place.store_upload.as_deref() else {
            if part_size.is_some() {
                return vec![];
            }
            let sent = Sent { size: *size, content_type, sha256 };
            return vec![as_told(1, *size, self.objects.put(key, sent, lasts))];
        };
        let parts = u16::try_from(place.announced.parts().unwrap_or(0)).unwrap_or(0);
        let part = |number: u16| {
            let size = place.announced.bytes_of_part(number.into());
            as_told(number.into(), size, self.objects.put_part(key, store_upload, number, size, lasts))
        };
        (1..=parts).map(part).collect()
    }
}

/// An upload as it stands.
struct Seen {
    announced: Announced,
    store_upload: Option<String>,
    status: files_events::UploadStatus,
    expires_at: Timestamp,
}

impl Seen {
    fn awaits_parts(&self) -> bool {
        self.status.is_open() && self.announced.part_size.is_some() && self.store_upload.is_none()
    }

    /// No longer than the upload: nothing comes after it was given up.
    fn lasts(&self, now: DateTime<Utc>, at_most: Duration) -> Duration {
        let left = (self.expires_at.utc() - now).to_std().unwrap_or_default();
        if self.status.is_open() { left.min(at_most) } else { Duration::ZERO }
    }
}

fn as_told(part: u64, size: u64, request: Presigned) -> UploadRequest {
    let Presigned { method, url, headers, good_until: _ } = request;
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    UploadRequest { part, method: method.to_owned(), url: url.to_string(), headers, size }
}

impl Tell for Places {
    fn commands(&self) -> &'static [&'static str] {
        &["files.file.begin_upload", "files.file.add_version"]
    }

    fn tell<'a>(&'a self, tenant: TenantId, executed: &'a Executed) -> BoxFuture<'a, Result<Value>> {
        async move { Ok(serde_json::to_value(self.place(tenant, executed).await?)?) }.boxed()
    }
}
