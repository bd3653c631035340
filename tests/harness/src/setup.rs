//! What is otherwise than in the product.

use login::Provider;
use std::sync::Arc;
use std::time::Duration;
use testing::TestDatabase;
use web::{AdmissionSettings, BodyLimits, SessionSettings};

/// Where users go when they are in; its pages may ask for changes with a session.
pub const APP: &str = "https://app.example.com";
/// Where portal users go when they are in; its pages may too.
pub const PORTAL: &str = "https://portal.example.com";
/// Where browsers find command-api. It stands in emails and at providers; nobody goes there.
pub const PUBLIC: &str = "https://ubos.example";
/// Where users of the installation log in.
pub const PROVIDERS: [&str; 2] = ["https://login.example.com", "https://other.example.com"];

/// How a [`crate::TestApp`] is set up: the product's defaults, but for times that a busy machine would miss.
pub struct Setup {
    /// Where its log is, if not in a database of its own.
    pub database: Option<Arc<TestDatabase>>,
    /// Whether a token says which roles its subject has; else the log does.
    pub roles_in_tokens: bool,
    /// How many requests each service works on.
    pub admission: AdmissionSettings,
    /// How large a body may be, and how long it may take.
    pub body: BodyLimits,
    /// How long a read waits for `Min-Position`.
    pub patience: Duration,
    /// How long a request is good that sends a file to the store.
    pub uploads_last: Duration,
    /// How long a request is good that fetches one.
    pub downloads_last: Duration,
    /// Where clamd is, if files are scanned.
    pub scanner: Option<String>,
    /// How long sessions last.
    pub sessions: SessionSettings,
    /// The `iss` of the providers that a firm may limit its logins to.
    pub providers: Vec<String>,
    /// The providers at which people log in here.
    pub login: Vec<Provider>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            database: None,
            roles_in_tokens: false,
            admission: AdmissionSettings { in_flight_max: 64, waiting_max: 256, wait_max: Duration::from_secs(5) },
            body: BodyLimits { bytes_max: 1 << 20, time_max: Duration::from_secs(10) },
            patience: Duration::from_secs(2),
            uploads_last: Duration::from_secs(3_600),
            downloads_last: Duration::from_secs(300),
            scanner: None,
            sessions: SessionSettings {
                idle: Duration::from_secs(600),
                absolute: Duration::from_secs(3_600),
                portal_idle: Duration::from_secs(300),
                portal_absolute: Duration::from_secs(600),
                per_person_max: 20,
                origins: vec![APP.to_owned(), PORTAL.to_owned()],
            },
            providers: PROVIDERS.map(str::to_owned).into(),
            login: vec![],
        }
    }
}
