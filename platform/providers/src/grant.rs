//! What a provider gives, and what it is told of us.

use secrecy::SecretString;
use std::time::Duration;

/// Bytes of an answer at most.
pub(crate) const ANSWER_BYTES_MAX: usize = 1 << 18;
/// How long an access token is good whose provider does not say.
pub(crate) const USUAL_LIFE: Duration = Duration::from_secs(1_800);

/// How somebody agrees at a provider, and as whom we ask.
#[derive(Debug, Clone)]
pub struct OAuthSettings {
    /// Who we are to it.
    pub client_id: String,
    /// How we show that.
    pub client_secret: SecretString,
    /// Where browsers are sent.
    pub authorise_url: String,
    /// Where codes and refresh tokens are worth something.
    pub token_url: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Where browsers come back to.
    pub redirect_url: String,
}

/// What a provider gives.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Shown with every call.
    pub access: SecretString,
    /// Worth the next grant; none if the provider keeps the one before good.
    pub refresh: Option<SecretString>,
    /// How long the first is good.
    pub lasts: Duration,
}

/// Why a provider gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It takes what we showed no more: somebody has to agree again.
    #[error("the provider refuses the grant: {0}")]
    Refused(String),
    /// It does not answer, or not sensibly; it may later.
    #[error("the provider cannot be asked for a grant: {0}")]
    Away(String),
}
