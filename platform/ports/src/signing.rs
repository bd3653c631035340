//! Papers that people sign.

use crate::{Asked, Place};
use bytes::Bytes;
use chrono::{DateTime, Utc};

/// What is sent to be signed.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// What the email to the recipients is about, in one line of at most 100 characters.
    pub subject: String,
    /// What it says besides.
    pub message: Option<String>,
    /// The papers, in their order.
    pub papers: Vec<Paper>,
    /// Who gets them.
    pub recipients: Vec<Recipient>,
    /// Days after which it can be signed no more.
    pub expires_after_days: Option<u16>,
    /// Where the provider says what happens: the address of the connection's door.
    pub notify: Option<String>,
}

/// One paper.
#[derive(Debug, Clone)]
pub struct Paper {
    /// The file's name, with its ending.
    pub name: String,
    /// The file, a PDF.
    pub content: Bytes,
}

/// Who gets an envelope.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Which recipient of the envelope: `1`, `2`.
    pub id: String,
    /// What the person is called.
    pub name: String,
    /// Where the email goes.
    pub email: String,
    /// Whoever has a lower number comes first; the same number, at the same time.
    pub order: u16,
    /// Must they sign, or do they get a copy?
    pub signs: bool,
    /// Where in the papers they sign; wherever they like if nothing is said.
    pub anchors: Option<Anchors>,
}

/// Texts in the papers where somebody signs. Each stands there once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors {
    /// Where the signature goes.
    pub signature: String,
    /// Where the day goes on which they sign.
    pub date: String,
}

/// An envelope that the provider has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its id at the provider.
    pub envelope_id: String,
}

/// Where an envelope stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnvelopeStatus {
    /// Not sent yet.
    Draft,
    /// On its way to recipients.
    Sent,
    /// Somebody has looked at it.
    Delivered,
    /// Everybody has signed.
    Completed,
    /// Somebody will not sign.
    Declined,
    /// It was taken back.
    Voided,
    /// It was not signed in time.
    Expired,
}

/// Where a recipient stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignerStatus {
    /// Others come first.
    Waiting,
    /// The email is on its way.
    Sent,
    /// They have looked at it.
    Delivered,
    /// They have signed, or got their copy.
    Completed,
    /// They will not sign.
    Declined,
    /// Their email came back, or they could not show who they are.
    Failed,
}

/// One recipient, as the provider has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Which recipient of the envelope.
    pub id: String,
    /// Where they stand.
    pub status: SignerStatus,
    /// When they signed.
    pub signed_at: Option<DateTime<Utc>>,
    /// Why they declined.
    pub declined_because: Option<String>,
}

/// An envelope, as the provider has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Papers {
    /// Its id at the provider.
    pub envelope_id: String,
    /// Where it stands.
    pub status: EnvelopeStatus,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// Why it was voided.
    pub voided_because: Option<String>,
    /// Its recipients.
    pub signers: Vec<Signer>,
}

/// Has papers signed.
pub trait Signing: Send + Sync + 'static {
    /// How the places of somebody are marked in the papers: of the first, second, … of those who sign, with a text that nobody else's
    /// places have and that stands nowhere in the papers.
    fn anchors(&self, nth: usize, unique: &str) -> Anchors;

    /// Sends an envelope, once for each key, of at most 100 characters: whoever comes again is told which it is.
    fn send<'a>(&'a self, at: Place, key: &'a str, envelope: &'a Envelope) -> Asked<'a, Sent>;

    /// The envelope that was sent under this key in the last days, if there is one.
    fn find<'a>(&'a self, at: Place, key: &'a str) -> Asked<'a, Option<Sent>>;

    /// How an envelope stands.
    fn look<'a>(&'a self, at: Place, envelope_id: &'a str) -> Asked<'a, Papers>;

    /// Takes an envelope back that not everybody has signed; one that was taken back already is so.
    fn void<'a>(&'a self, at: Place, envelope_id: &'a str, reason: &'a str) -> Asked<'a, ()>;

    /// Sends the email again to those whose turn it is.
    fn remind<'a>(&'a self, at: Place, envelope_id: &'a str) -> Asked<'a, ()>;

    /// The signed papers as one PDF.
    fn signed<'a>(&'a self, at: Place, envelope_id: &'a str) -> Asked<'a, Bytes>;

    /// The provider's certificate of who signed when, a PDF; none if it is a part of the signed papers.
    fn certificate<'a>(&'a self, at: Place, envelope_id: &'a str) -> Asked<'a, Option<Bytes>>;
}
