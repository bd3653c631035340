//! What everybody signed is fetched, with the provider's certificate of who signed when, and kept among the files; then the contract is
//! signed.
//!
//! It may not be there at once, though everybody has signed. Each becomes a file as any other: announced, sent to the store, inspected.
//! Where there is no store of files, a contract is signed without, and what was signed waits until there is one.

use crate::book::Which;
use crate::desk::Desk;
use crate::say::{asked, away, request, told, unsaid};
use agreements::Contract;
use agreements::contract::{ContractCommand, SignedDocument};
use agreements_events::{ContractEvent, ContractStatus};
use bytes::Bytes;
use event_store::{ExecuteError, begin};
use files::File;
use files::file::FileCommand;
use files_events::{FileSize, UploadId, UploadStatus};
use kernel::{Checksum, FileId, FileName, MediaType, Timestamp};
use objects::{Key, ObjectError, ObjectStore};
use ports::{EnvelopeStatus, Fault, Place};
use reactions::{Job, Lane, NewJob, Outcome, Reaction, Retry, put};
use std::time::Duration;
use uuid::Uuid;

/// How long it may take until a file was inspected.
const INSPECTED_AFTER: Duration = Duration::from_secs(5);
/// Uploads of one document, those that came to nothing included.
const UPLOADS_MAX: u32 = 10;
/// Bytes of a file's name before what it is.
const NAME_MAX: usize = 180;

/// The job that a look at the provider asks for, and no event.
const COMPLETED: &str = "completed";

/// See above.
pub struct Documents(pub Desk);

impl Desk {
    /// Has what everybody signed fetched, and the contract signed when it is kept.
    pub(crate) async fn fetch(&self, which: Which) -> Result<(), Outcome> {
        let (lane, key) = (Lane::of(which.contract), COMPLETED.to_owned());
        let job = NewJob { tenant: which.tenant, lane, key, position: None, subject: Some(which.contract) };
        let asking = async {
            let mut tx = begin(&self.book.0).await?;
            put(&mut tx, Documents::NAME, &[job], true).await?;
            tx.commit().await
        };
        asking.await.map_err(away)
    }
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signed,
    Certificate,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Certificate => "certificate",
        }
    }
}

/// How far a document has come.
enum Step {
    /// It is a file.
    Kept(Checksum),
    /// It was sent and is looked at.
    Inspected,
    /// It was announced; its bytes may still be missing.
    Announced(UploadId, Checksum),
    /// It is to be announced.
    New(UploadId),
}

impl Reaction for Documents {
    const NAME: &'static str = "signatures.document";
    const ON: &'static [&'static str] = &["contract.signed"];
    const RETRY: Retry = Retry { first: Duration::from_secs(5), ..Retry::TWO_DAYS };
    const PATIENCE: Duration = Duration::from_secs(300);

    async fn perform(&self, job: &Job) -> Outcome {
        self.done(job).await.map_or_else(|outcome| outcome, |()| Outcome::Done)
    }
}

impl Documents {
    async fn done(&self, job: &Job) -> Result<(), Outcome> {
        let desk = &self.0;
        let which = match (job.key.as_str(), job.subject) {
            (COMPLETED, Some(contract)) => Which { tenant: job.tenant, contract },
            _ => {
                let (event, ContractEvent::Signed { .. }) = asked(job)? else { return Ok(()) };
                Which { tenant: event.tenant_id, contract: event.aggregate_id }
            }
        };
        let contract = desk.contract(which).await?;
        let (is_out, status) = (contract.status().is_out(), contract.status());
        if !is_out && !matches!(status, ContractStatus::Signed | ContractStatus::Active | ContractStatus::Terminated) {
            // It has come to another end meanwhile.
            return Ok(());
        }
        // Signed on paper, and noted by somebody: there is nothing to fetch.
        let Some((at, envelope_id)) = desk.envelope(which, &contract).await? else { return Ok(()) };
        let objects = desk.objects.as_ref().ok_or_else(|| Outcome::Blocked("objects".to_owned()))?;
        let keeping = Keeping { desk, objects, which, contract: &contract, at, envelope_id: &envelope_id };
        if contract.document().is_some() {
            return keeping.keep(Kind::Certificate).await.map(drop);
        }
        let (signed, certificate) = (keeping.keep(Kind::Signed).await, keeping.keep(Kind::Certificate).await);
        let (file_id, sha256) = signed?.ok_or_else(|| Outcome::Never("no_document", "there is none".to_owned()))?;
        let sha256 = sha256.as_str().parse().map_err(|_| Outcome::Never("no_hash", sha256.to_string()))?;
        let document = SignedDocument { file_id: FileId(file_id), sha256 };
        if is_out {
            certificate?;
            return keeping.complete(document).await;
        }
        if let Some(code) = desk.say(which, ContractCommand::StoreDocument { document }).await? {
            return Err(Outcome::Never(code, "the signed document is kept, and the contract has another".to_owned()));
        }
        certificate.map(drop)
    }
}

/// One contract whose documents are fetched.
struct Keeping<'a> {
    desk: &'a Desk,
    objects: &'a ObjectStore,
    which: Which,
    contract: &'a Contract,
    at: Place,
    envelope_id: &'a str,
}

impl Keeping<'_> {
    /// Everybody has signed, and what they signed is kept: the contract is signed.
    async fn complete(&self, document: SignedDocument) -> Result<(), Outcome> {
        let papers = self.desk.signing(self.at).await?.1.look(self.at, self.envelope_id).await?;
        if papers.status != EnvelopeStatus::Completed {
            return Ok(());
        }
        let signed_at = papers.since.map(Timestamp::of_clock);
        let complete = ContractCommand::Complete { signed_at, document: Some(document) };
        if let Some(code) = self.desk.say(self.which, complete).await? {
            // It was taken back here meanwhile; whoever takes it back there finds out that everybody had signed.
            tracing::info!(contract = %self.which.contract, code, "a contract does not want to be signed");
        }
        Ok(())
    }

    /// The file that a document is, and what it hashes to, when it is one. None if the provider has no such document.
    async fn keep(&self, kind: Kind) -> Result<Option<(Uuid, Checksum)>, Outcome> {
        let file_id = Uuid::new_v5(&self.which.contract, kind.name().as_bytes());
        let mut step = self.step(file_id).await?;
        if let Step::Announced(..) | Step::New(_) = step {
            let Some(bytes) = self.fetch(kind).await? else { return Ok(None) };
            let sha256 = Checksum::of(&bytes);
            if let Step::Announced(upload_id, announced) = &step
                && *announced != sha256
            {
                // The provider makes it anew each time it is asked.
                self.say(file_id, FileCommand::AbortUpload { upload_id: *upload_id }).await?;
                step = self.step(file_id).await?;
            }
            if let Step::New(upload_id) = step {
                self.announce(file_id, upload_id, kind, &bytes, sha256.clone()).await?;
                step = Step::Announced(upload_id, sha256);
            }
            if let Step::Announced(upload_id, _) = step {
                let key = Key::of(self.which.tenant, "files", "file", file_id, upload_id);
                self.objects.write(&key, "application/pdf", bytes).await.map_err(|error| not_written(&error))?;
                self.say(file_id, FileCommand::CompleteUpload { upload_id, etags: vec![] }).await?;
            }
        }
        match step {
            Step::Kept(sha256) => Ok(Some((file_id, sha256))),
            _ => Err(Outcome::Later(Some(INSPECTED_AFTER), format!("the {} is being inspected", kind.name()))),
        }
    }

    async fn step(&self, file_id: Uuid) -> Result<Step, Outcome> {
        let file = match self.desk.store.load::<File>(self.which.tenant, file_id).await {
            Ok((file, _)) => file,
            Err(ExecuteError::NotFound) => File::default(),
            Err(error) => return Err(unsaid(&error)),
        };
        for number in 0..UPLOADS_MAX {
            let upload_id = UploadId(Uuid::new_v5(&file_id, &number.to_be_bytes()));
            let Some(seen) = file.upload(upload_id) else { return Ok(Step::New(upload_id)) };
            match seen.status {
                UploadStatus::Accepted => return Ok(Step::Kept(seen.announced.sha256.clone())),
                UploadStatus::Completed => return Ok(Step::Inspected),
                status if status.is_open() => return Ok(Step::Announced(upload_id, seen.announced.sha256.clone())),
                _ => {}
            }
        }
        Err(Outcome::Never("not_kept", format!("{UPLOADS_MAX} uploads came to nothing")))
    }

    /// Right after the last signature the provider may say that there is no such thing yet, in whatever words.
    async fn fetch(&self, kind: Kind) -> Result<Option<Bytes>, Outcome> {
        let (_, signing) = self.desk.signing(self.at).await?;
        let fetched = match kind {
            Kind::Signed => signing.signed(self.at, self.envelope_id).await.map(Some),
            Kind::Certificate => signing.certificate(self.at, self.envelope_id).await,
        };
        fetched.map_err(|fault| match fault {
            Fault::Never(code, why) => Outcome::Later(None, format!("the {} is not there: {code}: {why}", kind.name())),
            fault => fault.into(),
        })
    }

    /// Begins a file, or another upload of one whose others came to nothing.
    async fn announce(
        &self,
        file_id: Uuid,
        upload_id: UploadId,
        kind: Kind,
        bytes: &Bytes,
        sha256: Checksum,
    ) -> Result<(), Outcome> {
        let unusable = || Outcome::Never("unusable", "the document cannot be announced".to_owned());
        let content_type: MediaType = "application/pdf".parse().map_err(|_| unusable())?;
        let size = FileSize(bytes.len() as u64);
        let (part_size, upload) = (None, Some(upload_id));
        let begin = FileCommand::BeginUpload {
            name: self.name(kind).ok_or_else(unusable)?,
            size,
            content_type: content_type.clone(),
            sha256: sha256.clone(),
            part_size,
            folder_id: None,
            subfolder_id: None,
            client_id: Some(self.contract.client_id()),
            project_id: None,
            upload_id: upload,
        };
        let request = request(self.which.tenant);
        match self.desk.store.execute::<File>(Some(file_id), begin, &request).await {
            Ok(_) => Ok(()),
            Err(ExecuteError::AlreadyExists) => {
                let next = FileCommand::AddVersion { size, content_type, sha256, part_size, upload_id: upload };
                self.say(file_id, next).await
            }
            Err(error) => Err(unsaid(&error)),
        }
    }

    async fn say(&self, file_id: Uuid, command: FileCommand) -> Result<(), Outcome> {
        let done = self.desk.store.execute::<File>(Some(file_id), command, &request(self.which.tenant)).await;
        match told(done)? {
            None => Ok(()),
            // Its time was over, or somebody gave it up: the next try begins another upload.
            Some(code) => Err(Outcome::Later(None, format!("the file does not take it: {code}"))),
        }
    }

    /// `Bookkeeping (signed).pdf`.
    fn name(&self, kind: Kind) -> Option<FileName> {
        let mut title = String::new();
        for c in self.contract.title().map(|title| title.as_str()).unwrap_or("contract").chars() {
            if title.len() + c.len_utf8() > NAME_MAX {
                break;
            }
            title.push(if matches!(c, '/' | '\\') { '-' } else { c });
        }
        let name = |title: &str| format!("{} ({}).pdf", title.trim(), kind.name()).parse().ok();
        name(&title).or_else(|| name("contract"))
    }
}

/// What cannot be written now is written later; a store that refuses us is for an operator, and mends itself then.
fn not_written(error: &ObjectError) -> Outcome {
    match error {
        ObjectError::Refused(_) => Outcome::Blocked(error.to_string()),
        _ => Outcome::Later(None, error.to_string()),
    }
}
