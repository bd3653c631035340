//! How soon it is said where a file's bytes go, and how fast they go there.

use crate::family::Family;
use crate::goal::Goal;
use crate::plan::Plan;
use crate::product;
use crate::record::{Figure, Records, Sample, Series};
use crate::seed::{actor, tenant};
use anyhow::{Context, Result, ensure};
use event_store::{Executed, Request, Store, StoreOptions, Tell};
use file_store::Places;
use files::File;
use files::file::FileCommand;
use files_events::{FileSize, PartSize, UploadId, UploadPlace, UploadRequest};
use futures::{StreamExt as _, TryStreamExt as _};
use kernel::{Checksum, TenantId};
use objects::{Key, ObjectStore, ObjectStoreOptions};
use std::time::{Duration, Instant};
use testing::{TestDatabase, TestObjects};
use uuid::Uuid;

const BEGUN: Series = Series::of("upload begun to presigned, in process", "UBOS");
const OURS: Series = Series::of("100 MB in parts to the S3 server, MB/s", "begun and completed by commands");
const DIRECT: Series = Series::of("100 MB in parts to the S3 server, MB/s", "the same client, past UBOS");

/// Uploads that are begun in a pass, one after the other.
const BEGINNINGS: usize = 500;
/// Bytes of the file, and of a part.
const BYTES: usize = 100_000_000;
const PART: usize = 8 << 20;
/// Parts on their way at once.
const AT_ONCE: usize = 4;
/// How long a request is good.
const LASTS: Duration = Duration::from_secs(3_600);

/// The family.
pub const FAMILY: Family = Family {
    word: "files",
    title: "Files",
    about: "An upload is begun as command-api does it, without HTTP: the command is decided and in the log, and the request that sends the \
            bytes is signed. Then 100 MB go to the S3 server in parts of 8 MiB, four at once: once as an upload that is begun and completed by \
            commands, and once by the same client with the store alone.",
    load: "at once",
    unit: "per second",
    quick: false,
    goals: &[Goal::limit(10.0, Figure::P50, BEGUN), Goal::at_least(0.8, OURS, DIRECT)],
    measure: |plan, records| Box::pin(measure(plan, records)),
};

/// What an upload is begun with.
struct Desk {
    store: Store,
    places: Places,
    objects: ObjectStore,
    http: reqwest::Client,
    tenant: TenantId,
}

async fn measure(plan: &Plan, records: &mut Records) -> Result<()> {
    let log = TestDatabase::create().await;
    let store = product::store(&log, StoreOptions::default()).await?;
    let objects = objects()?;
    let places = Places::new(store.clone(), objects.clone(), LASTS);
    let desk = Desk { store, places, objects, http: reqwest::Client::new(), tenant: tenant(0) };
    let bytes: Vec<u8> = (0..BYTES).map(|n| (n * 31 % 251) as u8).collect();
    let sha256 = Checksum::of(&bytes);
    for _ in 0..plan.heavy_passes() {
        let (started, mut latencies) = (Instant::now(), vec![]);
        for _ in 0..BEGINNINGS {
            let begun = Instant::now();
            desk.begin(1_000, None, &sha256).await?;
            latencies.push(begun.elapsed());
        }
        records.add(BEGUN, Sample::timed(latencies, started.elapsed(), 0));
        let megabytes = |begun: Instant| Sample::value(BYTES as f64 / 1e6 / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        desk.through_commands(&bytes, &sha256).await?;
        records.add(OURS, megabytes(begun));
        let begun = Instant::now();
        desk.past_them(&bytes).await?;
        records.add(DIRECT, megabytes(begun));
    }
    Ok(())
}

impl Desk {
    async fn begin(&self, size: u64, part: Option<u64>, sha256: &Checksum) -> Result<(Executed, UploadPlace)> {
        let begin = FileCommand::BeginUpload {
            name: "file.bin".parse().map_err(|_| anyhow::anyhow!("a name"))?,
            size: FileSize(size),
            content_type: "application/octet-stream".parse().map_err(|_| anyhow::anyhow!("a type"))?,
            sha256: sha256.clone(),
            part_size: part.map(PartSize),
            folder_id: None,
            subfolder_id: None,
            client_id: None,
            project_id: None,
            upload_id: None,
        };
        let executed = self.store.execute::<File>(None, begin, &Request::new(self.tenant, actor())).await?;
        let told = self.places.tell(self.tenant, &executed).await?;
        Ok((executed, serde_json::from_value(told)?))
    }

    async fn send(&self, bytes: &[u8], requests: &[UploadRequest]) -> Result<Vec<String>> {
        let send = |(piece, place): (&[u8], &UploadRequest)| {
            let request = self.http.put(&place.url).header("content-length", piece.len()).body(piece.to_vec());
            async move {
                let answer = request.send().await?.error_for_status()?;
                anyhow::Ok(answer.headers().get("etag").context("an ETag")?.to_str()?.to_owned())
            }
        };
        futures::stream::iter(bytes.chunks(PART).zip(requests).map(send)).buffered(AT_ONCE).try_collect().await
    }

    async fn through_commands(&self, bytes: &[u8], sha256: &Checksum) -> Result<()> {
        let (executed, place) = self.begin(BYTES as u64, Some(PART as u64), sha256).await?;
        let etags = self.send(bytes, &place.requests).await?;
        let etags = etags.iter().map(|etag| etag.parse()).collect::<Result<_, _>>();
        let etags = etags.map_err(|_| anyhow::anyhow!("an ETag"))?;
        let complete = FileCommand::CompleteUpload { upload_id: place.upload_id, etags };
        let done = self.store.execute::<File>(Some(executed.id), complete, &Request::new(self.tenant, actor())).await?;
        ensure!(done.version > executed.version, "nothing was completed");
        Ok(())
    }

    async fn past_them(&self, bytes: &[u8]) -> Result<()> {
        let key = Key::of(self.tenant, "bench", "file", Uuid::now_v7(), UploadId(Uuid::now_v7()));
        let upload = self.objects.begin_parts(&key, "application/octet-stream").await?;
        let request = |(number, piece): (u16, &[u8])| {
            let size = piece.len() as u64;
            let url = self.objects.put_part(&key, &upload, number, size, LASTS).url.to_string();
            UploadRequest { part: number.into(), method: "PUT".to_owned(), url, headers: [].into(), size }
        };
        let requests: Vec<_> = (1..).zip(bytes.chunks(PART)).map(request).collect();
        let etags = self.send(bytes, &requests).await?;
        self.objects.complete_parts(&key, &upload, &etags).await?;
        Ok(self.objects.remove(&key).await?)
    }
}

fn objects() -> Result<ObjectStore> {
    let TestObjects { url, bucket, access_key, secret_key } = TestObjects::new();
    let options = ObjectStoreOptions {
        endpoint: url,
        public_endpoint: None,
        region: "us-east-1".to_owned(),
        bucket,
        access_key: access_key.into(),
        secret_key: secret_key.into(),
        path_style: true,
    };
    Ok(ObjectStore::new(&options)?)
}
