//! The S3 server of this run. Keys begin with a tenant's id, so tests keep apart by their firms.

/// Where it is, and who we are to it.
#[derive(Debug, Clone)]
pub struct TestObjects {
    /// The endpoint.
    pub url: String,
    /// The bucket.
    pub bucket: String,
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
}

impl TestObjects {
    /// That of this run.
    pub fn new() -> Self {
        Self {
            url: crate::from_xtask("UBOS_TEST_S3_URL"),
            bucket: crate::from_xtask("UBOS_TEST_S3_BUCKET"),
            access_key: crate::from_xtask("UBOS_TEST_S3_ACCESS_KEY"),
            secret_key: crate::from_xtask("UBOS_TEST_S3_SECRET_KEY"),
        }
    }
}

impl Default for TestObjects {
    fn default() -> Self {
        Self::new()
    }
}
