//! One OpenID provider.

use anyhow::{Context, Result, anyhow};
use kernel::{Email, Issuer, Subject};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RequestTokenError, Scope, SubjectIdentifier, TokenResponse,
};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use url::Url;

/// How long a provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer at most; discovery documents and key sets are far smaller.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How long what a provider says about itself is believed.
const METADATA_FRESH: Duration = Duration::from_secs(300);

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// How to reach a provider, and as whom.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// What it is called in links: `google`.
    pub name: String,
    /// Its `iss`, below which it describes itself (OpenID Connect Discovery 1.0).
    pub issuer: String,
    /// Who we are to it.
    pub client_id: String,
    /// How we show that.
    pub client_secret: SecretString,
}

/// One OpenID provider.
pub struct Provider {
    settings: ProviderSettings,
    http: reqwest::Client,
    metadata: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

/// What is remembered between sending somebody to the provider and their coming back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Begun {
    /// What the provider hands back.
    pub state: String,
    /// What the ID token must carry.
    pub nonce: String,
    /// What the code is worth nothing without (RFC 7636).
    pub verifier: String,
}

/// Who somebody is, as the provider says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    /// The provider.
    pub issuer: Issuer,
    /// Its name for the person.
    pub subject: Subject,
    /// The address, if the provider has verified it.
    pub email: Option<Email>,
}

/// The provider gives no answer at the moment, so that it is worth coming again.
#[derive(Debug, thiserror::Error)]
#[error("the provider cannot be asked")]
pub struct NotThere;

/// Why a provider could not be asked.
#[derive(Debug, thiserror::Error)]
enum Unreachable {
    /// The connection or the answer failed.
    #[error("the provider does not answer")]
    Http(#[from] reqwest::Error),
    /// Nothing that a provider says is that long.
    #[error("the provider's answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    /// The answer cannot be taken over.
    #[error("the provider's answer is none")]
    Answer(#[from] openidconnect::http::Error),
}

impl Provider {
    /// A provider that is asked when somebody first logs in.
    pub fn new(settings: ProviderSettings) -> Result<Self> {
        // A provider that redirects a request of ours would send our secret elsewhere.
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { settings, http, metadata: Mutex::new(None) })
    }

    /// What it is called in links.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its `iss`.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Where to send somebody, and what to remember until they come back.
    pub async fn begin(&self, redirect: &str) -> Result<(Url, Begun)> {
        let client = self.client(redirect, false).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let request = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
        let scopes = ["email", "profile"].map(|scope| Scope::new(scope.to_owned()));
        let (url, state, nonce) = request.add_scopes(scopes).set_pkce_challenge(challenge).url();
        let (state, nonce) = (state.secret().clone(), nonce.secret().clone());
        Ok((url, Begun { state, nonce, verifier: verifier.secret().clone() }))
    }

    /// Who came back with this code.
    pub async fn finish(&self, redirect: &str, code: String, begun: Begun) -> Result<Person> {
        let client = self.client(redirect, false).await?;
        let request = client.exchange_code(AuthorizationCode::new(code))?;
        let verifier = PkceCodeVerifier::new(begun.verifier);
        let tokens = request.set_pkce_verifier(verifier).request_async(&self.sender()).await;
        let tokens = tokens.map_err(|error| match error {
            RequestTokenError::Request(error) => anyhow!(NotThere).context(error.to_string()),
            error => anyhow!("the code is worth nothing: {error}"),
        })?;
        let id_token = tokens.id_token().context("the provider gave no ID token")?;
        let nonce = Nonce::new(begun.nonce);
        // A provider that has changed its keys is asked for them once.
        let (subject, email) = match read(&client, id_token, &nonce) {
            Ok(read) => read,
            Err(_) => read(&self.client(redirect, true).await?, id_token, &nonce)?,
        };
        let email = match email {
            Some(email) => Some(email),
            None => self.asked(&client, tokens.access_token(), &subject).await?,
        };
        let (issuer, subject) = (self.settings.issuer.parse()?, subject.as_str().parse()?);
        Ok(Person { issuer, subject, email })
    }

    /// A provider need not put the address into the ID token (OpenID Connect Core 1.0 §5.4).
    async fn asked(&self, client: &Client, token: &AccessToken, subject: &SubjectIdentifier) -> Result<Option<Email>> {
        let Ok(request) = client.user_info(token.clone(), Some(subject.clone())) else { return Ok(None) };
        let claims: CoreUserInfoClaims =
            request.request_async(&self.sender()).await.context("asking for the address")?;
        Ok(verified(claims.email().map(|email| email.as_str()), claims.email_verified()))
    }

    async fn client(&self, redirect: &str, anew: bool) -> Result<Client> {
        let known = self.metadata.lock().clone().filter(|(read, _)| !anew && read.elapsed() < METADATA_FRESH);
        let metadata = match known {
            Some((_, metadata)) => metadata,
            None => {
                let issuer =
                    IssuerUrl::new(self.settings.issuer.clone()).context("settings: login.providers issuer")?;
                // It must call itself what we call it, which `discover_async` looks at.
                let metadata = CoreProviderMetadata::discover_async(issuer, &self.sender()).await;
                let metadata =
                    metadata.map_err(|error| anyhow!(NotThere).context(format!("asking it about itself: {error}")))?;
                *self.metadata.lock() = Some((Instant::now(), metadata.clone()));
                metadata
            }
        };
        let secret = ClientSecret::new(self.settings.client_secret.expose_secret().to_owned());
        let id = ClientId::new(self.settings.client_id.clone());
        // Who says nothing takes the header (OpenID Connect Discovery 1.0 §3).
        let ways = metadata.token_endpoint_auth_methods_supported().cloned();
        let only_in_body = ways.is_some_and(|ways| {
            ways.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !ways.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let client = CoreClient::from_provider_metadata(metadata, id, Some(secret));
        let client = if only_in_body { client.set_auth_type(AuthType::RequestBody) } else { client };
        Ok(client.set_redirect_uri(RedirectUrl::new(redirect.to_owned()).context("settings: login.public_url")?))
    }

    /// Our own HTTP client, as the library asks for one.
    fn sender(&self) -> impl for<'c> Fn(HttpRequest) -> futures_of::Sending {
        let http = self.http.clone();
        move |request| Box::pin(send(http.clone(), request))
    }
}

/// The type of a request under way.
mod futures_of {
    use super::{HttpResponse, Unreachable};
    use std::pin::Pin;

    pub(super) type Sending = Pin<Box<dyn Future<Output = Result<HttpResponse, Unreachable>> + Send>>;
}

async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, Unreachable> {
    let mut answer = http.execute(reqwest::Request::try_from(request)?).await?;
    let mut response = openidconnect::http::Response::builder().status(answer.status());
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

/// Signature, issuer, audience, expiry and nonce are looked at; then who it is, and the address if it is verified.
fn read(client: &Client, token: &CoreIdToken, nonce: &Nonce) -> Result<(SubjectIdentifier, Option<Email>)> {
    let claims = token.claims(&client.id_token_verifier(), nonce).context("the ID token is not good")?;
    let email = verified(claims.email().map(|email| email.as_str()), claims.email_verified());
    Ok((claims.subject().clone(), email))
}

fn verified(email: Option<&str>, verified: Option<bool>) -> Option<Email> {
    email.filter(|_| verified == Some(true))?.parse().ok()
}
