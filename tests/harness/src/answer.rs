//! What comes back.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::Value;
use uuid::Uuid;

/// An answer over HTTP, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body as JSON, null if it is none.
    pub body: Value,
}

impl Answer {
    /// The stable code of a problem; empty if it is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The same, and proof that it is one.
    pub fn problem(&self) -> &str {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status, "{self:?}");
        assert_eq!(self.body["request_id"], self.header("request-id"), "{self:?}");
        self.code()
    }

    /// A header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The id of what was created.
    pub fn id(&self) -> Uuid {
        self.body["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no id in {self:?}"))
    }

    /// Status and body.
    pub fn told(self) -> (u16, Value) {
        (self.status, self.body)
    }

    /// `name=value` of a cookie that it sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let found = cookies.rev().find(|cookie| cookie.starts_with(&format!("{name}=")))?;
        Some(found.split(';').next()?.to_owned())
    }
}

/// Asks, and waits for the whole answer.
pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    Answer { status, headers, text, body }
}
