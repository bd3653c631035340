//! What the server does itself.

use crate::{Key, ObjectStore};
use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use reqwest::{Response, StatusCode};
use rusty_s3::S3Action as _;
use rusty_s3::actions::CreateMultipartUpload;
use std::time::Duration;

/// Our own requests are sent at once.
const LASTS: Duration = Duration::from_secs(300);

/// What the store did not do.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// It is away or busy; it is worth trying again.
    #[error("the store is away: {0}")]
    Away(String),
    /// It refuses us: the key, the bucket or what we may do there is wrong.
    #[error("the store refuses us: {0}")]
    Refused(String),
    /// It does not know the object or the upload.
    #[error("the store does not know it: {0}")]
    Unknown(String),
    /// What was asked for makes no sense to it, such as parts that are not there.
    #[error("the store does not take it: {0}")]
    Invalid(String),
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How many bytes it has.
    pub size: u64,
}

impl ObjectStore {
    /// Tells the store to expect parts; answers what it calls the upload.
    ///
    /// # Errors
    /// When the store does not do it.
    pub async fn begin_parts(&self, key: &Key, content_type: &str) -> Result<String, ObjectError> {
        let mut action = self.0.own.create_multipart_upload(Some(&self.0.credentials), key.as_str());
        action.headers_mut().insert("content-type", content_type.to_owned());
        let request = self.0.http.post(action.sign(LASTS)).header("content-type", content_type);
        let text = text(checked(request.send().await)?).await?;
        let text = checked_text(text)?;
        let read = CreateMultipartUpload::parse_response(&text).map_err(|e| ObjectError::Away(e.to_string()))?;
        Ok(read.upload_id().to_owned())
    }

    /// Puts an object together from its parts, in order.
    ///
    /// # Errors
    /// [`ObjectError::Unknown`] if there is no such upload, as after the first time.
    pub async fn complete_parts(&self, key: &Key, upload: &str, etags: &[String]) -> Result<(), ObjectError> {
        let etags = etags.iter().map(String::as_str);
        let action = self.0.own.complete_multipart_upload(Some(&self.0.credentials), key.as_str(), upload, etags);
        let url = action.sign(LASTS);
        let sent = self.0.http.post(url).body(action.body()).send().await;
        // A long completion is answered 200 before it is known how it ends.
        checked_text(text(checked(sent)?).await?).map(drop)
    }

    /// Takes away the parts of an upload; there may be none.
    ///
    /// # Errors
    /// When the store does not do it.
    pub async fn abort_parts(&self, key: &Key, upload: &str) -> Result<(), ObjectError> {
        let action = self.0.own.abort_multipart_upload(Some(&self.0.credentials), key.as_str(), upload);
        gone(checked(self.0.http.delete(action.sign(LASTS)).send().await))
    }

    /// Is there such an object?
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn find(&self, key: &Key) -> Result<Option<Found>, ObjectError> {
        let action = self.0.own.head_object(Some(&self.0.credentials), key.as_str());
        match checked(self.0.http.head(action.sign(LASTS)).send().await) {
            Ok(response) => {
                let size = response.headers().get("content-length").and_then(|size| size.to_str().ok()?.parse().ok());
                let size = size.ok_or_else(|| ObjectError::Away("it does not say how long it is".to_owned()))?;
                Ok(Some(Found { size }))
            }
            Err(ObjectError::Unknown(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of an object, as they come; none if there is no such object.
    ///
    /// # Errors
    /// When the store does not send them.
    pub async fn read(
        &self,
        key: &Key,
    ) -> Result<Option<impl Stream<Item = Result<Bytes, ObjectError>> + Send + Unpin + use<>>, ObjectError> {
        let action = self.0.own.get_object(Some(&self.0.credentials), key.as_str());
        match checked(self.0.http.get(action.sign(LASTS)).send().await) {
            Ok(response) => Ok(Some(Box::pin(response.bytes_stream().map_err(away)))),
            Err(ObjectError::Unknown(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an object that the server made itself.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn write(&self, key: &Key, content_type: &str, bytes: impl Into<Bytes>) -> Result<(), ObjectError> {
        let mut action = self.0.own.put_object(Some(&self.0.credentials), key.as_str());
        action.headers_mut().insert("content-type", content_type.to_owned());
        let bytes = bytes.into();
        let request = self.0.http.put(action.sign(LASTS)).header("content-type", content_type);
        let request = request.header("content-length", bytes.len()).body(bytes);
        checked(request.send().await).map(drop)
    }

    /// Takes an object away; there may be none.
    ///
    /// # Errors
    /// When the store does not do it.
    pub async fn remove(&self, key: &Key) -> Result<(), ObjectError> {
        let action = self.0.own.delete_object(Some(&self.0.credentials), key.as_str());
        gone(checked(self.0.http.delete(action.sign(LASTS)).send().await))
    }
}

fn away(error: reqwest::Error) -> ObjectError {
    // The URL is signed: whoever reads it in a log may use it.
    ObjectError::Away(error.without_url().to_string())
}

async fn text(response: Response) -> Result<String, ObjectError> {
    response.text().await.map_err(away)
}

fn checked(sent: reqwest::Result<Response>) -> Result<Response, ObjectError> {
    let response = sent.map_err(away)?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status @ StatusCode::NOT_FOUND => Err(ObjectError::Unknown(status.to_string())),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(ObjectError::Refused(status.to_string())),
        status @ StatusCode::TOO_MANY_REQUESTS => Err(ObjectError::Away(status.to_string())),
        status if status.is_client_error() => Err(ObjectError::Invalid(status.to_string())),
        status => Err(ObjectError::Away(status.to_string())),
    }
}

/// An answer that says with 200 that something is wrong.
fn checked_text(text: String) -> Result<String, ObjectError> {
    if !text.contains("<Error>") {
        return Ok(text);
    }
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
    match code {
        "NoSuchUpload" | "NoSuchKey" => Err(ObjectError::Unknown(code.to_owned())),
        "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall" | "MalformedXML" => {
            Err(ObjectError::Invalid(code.to_owned()))
        }
        code => Err(ObjectError::Away(code.to_owned())),
    }
}

fn gone(done: Result<Response, ObjectError>) -> Result<(), ObjectError> {
    match done {
        Ok(_) | Err(ObjectError::Unknown(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
