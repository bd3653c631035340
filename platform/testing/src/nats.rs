//! A stream of one's own on the shared NATS server.

use uuid::Uuid;

/// Names that no other test uses.
#[derive(Debug, Clone)]
pub struct TestNats {
    /// Where the server is.
    pub url: String,
    /// A stream name of this test.
    pub stream: String,
    /// A subject prefix of this test.
    pub prefix: String,
}

impl TestNats {
    /// Fresh names on the server of this run.
    pub fn new() -> Self {
        let id = Uuid::now_v7().simple().to_string();
        let url = crate::from_xtask("UBOS_TEST_NATS_URL");
        Self { url, stream: format!("EVENTS_{id}"), prefix: format!("test.{id}.events") }
    }
}

impl Default for TestNats {
    fn default() -> Self {
        Self::new()
    }
}
