//! What whoever uploads and downloads does.

use harness::{Answer, Firm, Setup, TestApp};
use kernel::Checksum;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

/// A PDF, as far as anybody looks.
pub const PDF: &[u8] = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n%%EOF\n";

/// A firm with its owner, and a client that sends what it is told to.
pub struct Desk {
    pub app: TestApp,
    pub firm: Firm,
    pub http: Client,
}

impl Desk {
    pub async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let app = TestApp::start(setup).await;
        let firm = app.register("Engines").await;
        Self { app, firm, http: Client::new() }
    }

    /// Asks for something as the owner, with a key of its own.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &Uuid::now_v7().to_string(), body).await
    }

    /// The same with this key.
    pub async fn post_with(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.app.order(path, self.app.owner(self.firm).as_str()).header("idempotency-key", key);
        harness::send(request.json(body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.app.get(path, self.app.owner(self.firm).as_str()).await
    }

    /// Begins a file of these bytes.
    pub async fn begin(&self, name: &str, content_type: &str, bytes: &[u8], more: &Value) -> Begun {
        let answer = self.post("/v1/files/files", &announce(name, content_type, bytes, more)).await;
        Begun::of(&answer)
    }

    /// Sends bytes as it was told to, but for what `otherwise` says.
    pub async fn send(&self, place: &Value, bytes: impl Into<reqwest::Body>, otherwise: &[(&str, &str)]) -> Response {
        let request = self.http.request(Method::PUT, place["url"].as_str().unwrap());
        let mut headers = place["headers"].as_object().unwrap().clone();
        headers.extend(otherwise.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        let request = headers.iter().fold(request, |r, (name, value)| r.header(name, value.as_str().unwrap()));
        request.body(bytes).send().await.unwrap()
    }

    /// Says that all came, and has it inspected.
    pub async fn complete(&self, begun: &Begun, etags: &[String]) -> Answer {
        let body = json!({ "upload_id": begun.upload, "etags": etags });
        let answer = self.post(&format!("/v1/files/files/{}/complete-upload", begun.file), &body).await;
        self.settle().await;
        answer
    }

    /// Whatever is due is done, and the read models have seen it.
    pub async fn settle(&self) {
        self.app.keeper.round().await.unwrap();
        self.app.project().await;
    }

    /// A file of these bytes that can be downloaded.
    pub async fn file(&self, name: &str, content_type: &str, bytes: &[u8], more: &Value) -> Begun {
        let begun = self.begin(name, content_type, bytes, more).await;
        let sent = self.send(&begun.requests[0], bytes.to_vec(), &[]).await;
        assert_eq!(sent.status(), 200, "{}", sent.text().await.unwrap());
        assert_eq!(self.complete(&begun, &[]).await.status, 200);
        begun
    }

    /// What the list of uploads says of one.
    pub async fn upload(&self, begun: &Begun) -> Value {
        self.get(&format!("/v1/files/uploads/{}", begun.upload)).await.body
    }

    /// Is anything of it at the store?
    pub async fn is_kept(&self, begun: &Begun) -> bool {
        let key = file_store::key(self.firm.into(), begun.file, begun.upload.into());
        self.app.objects.find(&key).await.unwrap().is_some()
    }
}

/// What was answered to whoever began an upload.
pub struct Begun {
    pub file: Uuid,
    pub upload: Uuid,
    pub requests: Vec<Value>,
}

impl Begun {
    pub fn of(answer: &Answer) -> Self {
        assert!(matches!(answer.status, 200 | 201), "{} {}", answer.status, answer.body);
        let id = |value: &Value| value.as_str().unwrap().parse().unwrap();
        let upload = &answer.body["upload"];
        assert_eq!(upload["upload_id"], answer.body["upload_id"]);
        Self {
            file: id(&answer.body["id"]),
            upload: id(&answer.body["upload_id"]),
            requests: upload["requests"].as_array().unwrap().clone(),
        }
    }
}

pub fn announce(name: &str, content_type: &str, bytes: &[u8], more: &Value) -> Value {
    let sha256 = Checksum::of(bytes).to_string();
    let mut body = json!({ "name": name, "content_type": content_type, "size": bytes.len(), "sha256": sha256 });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    body
}
