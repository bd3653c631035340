//! Authorization code with PKCE and state (RFC 6749, RFC 7636, RFC 9700), and refreshing what came of it.

use crate::grant::{ANSWER_BYTES_MAX, Grant, OAuthSettings, Refusal, USUAL_LIFE};
use crate::json_tokens::{JsonTokens, Shown};
use anyhow::{Context, Result, anyhow};
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    TokenResponse, TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::time::Duration;
use url::Url;

/// How long a provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// One provider's authorisation server.
#[derive(Clone)]
pub struct OAuth {
    client: Client,
    scopes: Vec<Scope>,
    http: reqwest::Client,
    /// Where codes and refresh tokens are shown as JSON instead of a form.
    json: Option<JsonTokens>,
    /// How long a grant can be replaced that nobody replaces, if it ends by itself.
    renewable_for: Option<Duration>,
    /// Where grants are given back, if the provider takes them there, and as whom.
    ending: Option<String>,
    us: (String, SecretString),
}

impl std::fmt::Debug for OAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuth").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// What is remembered between sending somebody to the provider and their coming back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Begun {
    /// What the provider hands back.
    pub state: String,
    /// What the code is worth nothing without.
    pub verifier: String,
}

/// Why it could not be asked.
#[derive(Debug, thiserror::Error)]
enum Unreachable {
    #[error("it does not answer")]
    Http(#[from] reqwest::Error),
    #[error("its answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    #[error("its answer is none")]
    Answer(#[from] oauth2::http::Error),
}

impl OAuth {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// If a URL cannot be read.
    pub fn new(settings: &OAuthSettings) -> Result<Self> {
        // A provider that redirects a request of ours would send our secret elsewhere.
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        let client = BasicClient::new(ClientId::new(settings.client_id.clone()))
            .set_client_secret(ClientSecret::new(settings.client_secret.expose_secret().to_owned()))
            .set_auth_uri(AuthUrl::new(settings.authorise_url.clone()).context("settings: authorise_url")?)
            .set_token_uri(TokenUrl::new(settings.token_url.clone()).context("settings: token_url")?)
            .set_redirect_uri(RedirectUrl::new(settings.redirect_url.clone()).context("settings: login.public_url")?);
        let scopes = settings.scopes.iter().cloned().map(Scope::new).collect();
        let us = (settings.client_id.clone(), settings.client_secret.clone());
        Ok(Self { client, scopes, http, json: None, renewable_for: None, ending: None, us })
    }

    /// One that takes codes and refresh tokens as JSON with all of us in it, and a code only beside the state that it came with.
    ///
    /// # Errors
    /// As above.
    pub fn in_json(settings: &OAuthSettings) -> Result<Self> {
        Ok(Self { json: Some(JsonTokens::new(settings)?), ..Self::new(settings)? })
    }

    /// The same, and grants are given back at this address.
    #[must_use]
    pub fn ending_at(self, url: &str) -> Self {
        Self { ending: Some(url.to_owned()), ..self }
    }

    /// The same, whose grants can be replaced for so long after they were given: the provider says so in its documentation.
    #[must_use]
    pub fn renewable(self, renewable_for: Duration) -> Self {
        Self { renewable_for: Some(renewable_for), ..self }
    }

    /// How long a grant can be replaced that nobody replaces; none if it does not end by itself, or nobody knows.
    pub fn renewable_for(&self) -> Option<Duration> {
        self.renewable_for
    }

    /// Gives a grant back; without an address for that it stays.
    ///
    /// # Errors
    /// When the provider is away, or does not take it.
    pub async fn end(&self, token: &SecretString) -> Result<(), Refusal> {
        let Some(url) = &self.ending else { return Ok(()) };
        let (id, secret) = &self.us;
        let token = serde_json::json!({ "token": token.expose_secret() });
        let asked = self.http.post(url).basic_auth(id, Some(secret.expose_secret())).json(&token).send().await;
        let answer = asked.map_err(|error| Refusal::Away(error.without_url().to_string()))?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(Refusal::Away(format!("it answers {}", answer.status()))),
        }
    }

    /// Where to send somebody, and what to remember until they come back.
    pub fn begin(&self) -> (Url, Begun) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let request = self.client.authorize_url(CsrfToken::new_random).add_scopes(self.scopes.iter().cloned());
        let (url, state) = request.set_pkce_challenge(challenge).url();
        (url, Begun { state: state.secret().clone(), verifier: verifier.secret().clone() })
    }

    /// What a code is worth.
    ///
    /// # Errors
    /// When the provider refuses or is away.
    pub async fn exchange(&self, code: String, begun: &Begun) -> Result<Grant, Refusal> {
        if let Some(json) = &self.json {
            return json.ask(&self.http, Shown::Code { code: &code, state: &begun.state }).await;
        }
        let request = self.client.exchange_code(AuthorizationCode::new(code));
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(begun.verifier.clone()));
        request.request_async(&self.sender()).await.map(grant).map_err(refusal)
    }

    /// The next grant.
    ///
    /// # Errors
    /// When the provider refuses or is away.
    pub async fn refresh(&self, token: &SecretString) -> Result<Grant, Refusal> {
        if let Some(json) = &self.json {
            return json.ask(&self.http, Shown::Token(token.expose_secret())).await;
        }
        let token = RefreshToken::new(token.expose_secret().to_owned());
        let asked = self.client.exchange_refresh_token(&token).request_async(&self.sender()).await;
        asked.map(grant).map_err(refusal)
    }

    /// Our own HTTP client, as the library asks for one.
    fn sender(&self) -> impl for<'c> Fn(HttpRequest) -> Sending {
        let http = self.http.clone();
        move |request| Box::pin(send(http.clone(), request))
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<HttpResponse, Unreachable>> + Send>>;

async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, Unreachable> {
    let mut answer = http.execute(reqwest::Request::try_from(request)?).await.map_err(reqwest::Error::without_url)?;
    let mut response = oauth2::http::Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    let mut body = vec![];
    while let Some(piece) = answer.chunk().await? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(Unreachable::TooLong);
        }
        body.extend_from_slice(&piece);
    }
    Ok(response.body(body)?)
}

fn grant(answer: BasicTokenResponse) -> Grant {
    Grant {
        access: answer.access_token().secret().clone().into(),
        refresh: answer.refresh_token().map(|token| token.secret().clone().into()),
        lasts: answer.expires_in().unwrap_or(USUAL_LIFE),
    }
}

type Failed = RequestTokenError<Unreachable, oauth2::StandardErrorResponse<BasicErrorResponseType>>;

/// Only what the provider says of the grant itself counts against it; what it says of us is a setting to be mended, and is told.
fn refusal(error: Failed) -> Refusal {
    match error {
        RequestTokenError::ServerResponse(said) => match said.error() {
            BasicErrorResponseType::InvalidGrant => Refusal::Refused("invalid_grant".to_owned()),
            BasicErrorResponseType::UnauthorizedClient | BasicErrorResponseType::InvalidScope => {
                Refusal::Refused(said.error().as_ref().to_owned())
            }
            other => Refusal::Away(format!("it says {}", other.as_ref())),
        },
        RequestTokenError::Request(error) => Refusal::Away(format!("{:#}", anyhow!(error))),
        // What it said instead may hold a token.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            Refusal::Away("its answer cannot be read".to_owned())
        }
    }
}
