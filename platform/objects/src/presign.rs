//! Requests that somebody else sends.

use crate::{Key, ObjectStore, attachment};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use kernel::{Checksum, MediaType};
use rusty_s3::S3Action;
use std::time::Duration;
use url::Url;

/// What is sent: all of it is signed, so the store takes nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// How many bytes.
    pub size: u64,
    /// What they are.
    pub content_type: &'a MediaType,
    /// What they hash to.
    pub sha256: &'a Checksum,
}

/// A request, to be sent with exactly these headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presigned {
    /// `PUT` or `GET`.
    pub method: &'static str,
    /// Where to; whoever knows it may do what it is for.
    pub url: Url,
    /// With which headers besides `host`.
    pub headers: Vec<(&'static str, String)>,
    /// So long it is good.
    pub good_until: DateTime<Utc>,
}

impl ObjectStore {
    /// The request that sends an object in one piece. The store refuses other bytes, another length or type, and a second object of
    /// this key.
    pub fn put(&self, key: &Key, sent: Sent<'_>, lasts: Duration) -> Presigned {
        let headers = vec![
            ("content-length", sent.size.to_string()),
            ("content-type", sent.content_type.as_str().to_owned()),
            ("if-none-match", "*".to_owned()),
            ("x-amz-checksum-sha256", in_base64(sent.sha256)),
        ];
        let action = self.0.public.put_object(Some(&self.0.credentials), key.as_str());
        presigned("PUT", action, headers, lasts)
    }

    /// The request that sends a part, from 1, of what [`Self::begin_parts`] began.
    pub fn put_part(&self, key: &Key, upload: &str, number: u16, size: u64, lasts: Duration) -> Presigned {
        let headers = vec![("content-length", size.to_string())];
        let action = self.0.public.upload_part(Some(&self.0.credentials), key.as_str(), number, upload);
        presigned("PUT", action, headers, lasts)
    }

    /// The request that fetches an object as a file of this name and type, whatever it is: nothing is shown where it is fetched.
    pub fn get(&self, key: &Key, name: &str, content_type: &MediaType, lasts: Duration) -> Presigned {
        let mut action = self.0.public.get_object(Some(&self.0.credentials), key.as_str());
        let query = action.query_mut();
        query.insert("response-cache-control", "private, no-store");
        query.insert("response-content-disposition", attachment(name));
        query.insert("response-content-type", content_type.as_str().to_owned());
        presigned("GET", action, vec![], lasts)
    }
}

fn presigned<'a>(
    method: &'static str,
    mut action: impl S3Action<'a>,
    headers: Vec<(&'static str, String)>,
    lasts: Duration,
) -> Presigned {
    for (name, value) in &headers {
        action.headers_mut().insert(*name, value.clone());
    }
    let good_until = Utc::now() + lasts;
    Presigned { method, url: action.sign(lasts), headers, good_until }
}

/// As S3 writes checksums.
fn in_base64(sha256: &Checksum) -> String {
    STANDARD.encode(hex::decode(sha256.as_str()).unwrap_or_default())
}
