//! Files in S3.
//!
//! Whoever sends or fetches bytes speaks to the store itself, with requests that are presigned here: a signature is made without
//! asking the store. What the server does itself (parts put together, bytes read back, what is given up taken away) goes through
//! the same signatures. Keys are opaque: no name of anybody's is in one.

mod disposition;
mod own;
mod presign;

pub use disposition::attachment;
pub use own::{Found, ObjectError};
pub use presign::{Presigned, Sent};

use kernel::TenantId;
use reqwest::Client;
use rusty_s3::{Bucket, Credentials, UrlStyle};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long the store may take for one answer; the body of an object may take longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where files are kept.
#[derive(Debug, Clone)]
pub struct ObjectStoreOptions {
    /// Where the server finds the store: `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: String,
    /// Where browsers find it, if elsewhere: the host is signed.
    pub public_endpoint: Option<String>,
    /// Its region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// Who we are to it.
    pub access_key: SecretString,
    /// How we show that.
    pub secret_key: SecretString,
    /// Is the bucket a step of the path, rather than a part of the host's name?
    pub path_style: bool,
}

/// The settings say nothing that a store could be found by.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// The store of files. Cheap to clone.
#[derive(Clone)]
pub struct ObjectStore(Arc<Inner>);

struct Inner {
    own: Bucket,
    public: Bucket,
    credentials: Credentials,
    http: Client,
}

impl fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectStore").field(&self.0.own.base_url().as_str()).finish()
    }
}

impl ObjectStore {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// If an endpoint is no URL.
    pub fn new(options: &ObjectStoreOptions) -> Result<Self, Unusable> {
        let style = if options.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket = |endpoint: &str| {
            let url = endpoint.parse().map_err(|e| Unusable(format!("the endpoint {endpoint:?} is no URL: {e}")))?;
            let (name, region) = (options.bucket.clone(), options.region.clone());
            Bucket::new(url, style, name, region).map_err(|e| Unusable(format!("the bucket has no address: {e}")))
        };
        let own = bucket(&options.endpoint)?;
        let public = bucket(options.public_endpoint.as_deref().unwrap_or(&options.endpoint))?;
        let credentials = Credentials::new(options.access_key.expose_secret(), options.secret_key.expose_secret());
        let http = Client::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE).build();
        let http = http.map_err(|e| Unusable(format!("no client for the store: {e}")))?;
        Ok(Self(Arc::new(Inner { own, public, credentials, http })))
    }
}

/// Where the bytes of one version are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// `entity` of a `domain` keeps bytes that never change under the id `version`.
    pub fn of(tenant: TenantId, domain: &str, entity: &str, file: impl Into<Uuid>, version: impl Into<Uuid>) -> Self {
        Self(format!("{tenant}/{domain}/{entity}/{}/{}", file.into(), version.into()))
    }

    /// As the store has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
