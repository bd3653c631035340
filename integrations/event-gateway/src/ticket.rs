//! What NATS asks about a connection and what it is answered, both as JSON Web Tokens in the form that NATS gave them
//! (NATS documentation, "Auth Callout"; NATS ADR-26): the algorithm is `ed25519-nkey`, which no other library signs.

use crate::Reader;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::{DateTime, Utc};
use nkeys::{KeyPair, KeyPairType};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

/// The account of NATS in which subscribers are, apart from the one with the stream.
pub(crate) const ACCOUNT: &str = "SUBSCRIBERS";
/// What stands for `$JS.API` there. NATS' settings import no more of it than what is allowed below.
pub const API_PREFIX: &str = "UBOS";

#[derive(Deserialize)]
struct Claims {
    nats: Asked,
}

#[derive(Deserialize)]
struct Asked {
    server_id: Server,
    user_nkey: String,
    #[serde(default)]
    client_info: ClientInfo,
    #[serde(default)]
    connect_opts: ConnectOptions,
}

#[derive(Deserialize)]
struct Server {
    id: String,
}

#[derive(Default, Deserialize)]
struct ClientInfo {
    #[serde(default)]
    host: String,
}

#[derive(Default, Deserialize)]
struct ConnectOptions {
    auth_token: Option<SecretString>,
    pass: Option<SecretString>,
}

/// NATS asks who somebody is.
pub struct Question(Asked);

impl Question {
    /// Reads what NATS sent. Its signature says nothing to us, because the key is one that the server made for itself; that
    /// nobody but NATS may publish in the system account does.
    ///
    /// # Errors
    /// If it is no such question.
    pub fn read(token: &[u8]) -> Result<Self> {
        let token = std::str::from_utf8(token).context("a token is text")?;
        let claims = token.split('.').nth(1).context("a token has three parts")?;
        let claims = BASE64.decode(claims).context("a token's parts are base64url")?;
        // The error must not quote what is a secret.
        let claims: Claims = serde_json::from_slice(&claims).ok().context("no question of NATS")?;
        Ok(Self(claims.nats))
    }

    /// What is shown: a token, or a password under any user name.
    pub fn secret(&self) -> Option<&str> {
        let shown = &self.0.connect_opts;
        shown.auth_token.as_ref().or(shown.pass.as_ref()).map(ExposeSecret::expose_secret)
    }

    /// Where the connection comes from.
    pub fn host(&self) -> &str {
        &self.0.client_info.host
    }
}

/// The key whose tickets NATS believes.
pub struct Seal(KeyPair);

impl Seal {
    /// From its seed, which begins with `SA`.
    ///
    /// # Errors
    /// If it is no account key's seed.
    pub fn from_seed(seed: &SecretString) -> Result<Self> {
        let key = KeyPair::from_seed(seed.expose_secret().trim()).ok().context("no seed of an nkey")?;
        ensure!(key.key_pair_type() == KeyPairType::Account, "not the seed of an account's key, which begins with SA");
        Ok(Self(key))
    }

    /// A key that has never been: its seed, and the public half for NATS' settings.
    ///
    /// # Errors
    /// If the key cannot be written, which does not happen.
    pub fn fresh() -> Result<(SecretString, String)> {
        let key = KeyPair::new_account();
        Ok((key.seed().context("a fresh key has a seed")?.into(), key.public_key()))
    }

    /// A ticket for one connection, good until then. The user may ask for the messages of its own consumer on `stream`,
    /// acknowledge them, and hear the answers; everything else that NATS knows it may not.
    pub(crate) fn let_in(
        &self,
        question: &Question,
        reader: &Reader,
        stream: &str,
        until: DateTime<Utc>,
    ) -> Result<String> {
        let consumer = format!("{stream}.{}", reader.consumer());
        let user = json!({
            "iss": self.0.public_key(), "sub": question.0.user_nkey, "aud": ACCOUNT, "name": reader.to_string(),
            "iat": Utc::now().timestamp(), "exp": until.timestamp(),
            "nats": {
                "type": "user", "version": 2,
                "pub": { "allow": [
                    format!("{API_PREFIX}.CONSUMER.INFO.{consumer}"),
                    format!("{API_PREFIX}.CONSUMER.MSG.NEXT.{consumer}"),
                    format!("$JS.ACK.{consumer}.>"),
                ] },
                "sub": { "allow": [format!("{}.>", reader.inbox())] },
                // NATS takes limits from the account when it has asked for the ticket, and overlooks a ticket's own.
                "subs": -1, "payload": -1, "data": -1,
            },
        });
        self.response(question, &json!({ "jwt": self.sign(&user)? }))
    }

    /// Whoever is kept out learns nothing.
    pub(crate) fn keep_out(&self, question: &Question) -> Result<String> {
        self.response(question, &json!({ "error": "not let in" }))
    }

    fn response(&self, question: &Question, said: &Value) -> Result<String> {
        let mut nats = said.clone();
        nats["type"] = "authorization_response".into();
        nats["version"] = 2.into();
        self.sign(&json!({
            "iss": self.0.public_key(), "sub": question.0.user_nkey, "aud": question.0.server_id.id,
            "iat": Utc::now().timestamp(), "nats": nats,
        }))
    }

    fn sign(&self, claims: &Value) -> Result<String> {
        let header = BASE64.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
        let signed = format!("{header}.{}", BASE64.encode(claims.to_string()));
        let signature = self.0.sign(signed.as_bytes()).context("signing a ticket")?;
        Ok(format!("{signed}.{}", BASE64.encode(signature)))
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Seal").field(&self.0.public_key()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{SecretHash, SubscriberId, TenantId};
    use uuid::Uuid;

    fn asked(options: &Value) -> Question {
        let claims = json!({ "nats": { "server_id": { "id": "NSERVER" }, "user_nkey": "UUSER",
                                       "client_info": { "host": "192.0.2.1" }, "connect_opts": options } });
        Question::read(format!("e30.{}.sig", BASE64.encode(claims.to_string())).as_bytes()).unwrap()
    }

    fn claims(token: &str) -> Value {
        serde_json::from_slice(&BASE64.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn a_secret_is_shown_as_a_token_or_a_password() {
        assert_eq!(asked(&json!({ "auth_token": "a" })).secret(), Some("a"));
        assert_eq!(asked(&json!({ "user": "any", "pass": "b" })).secret(), Some("b"));
        assert_eq!(asked(&json!({ "jwt": "c" })).secret(), None);
        for wrong in ["", "a.b", "e30.e30.sig", "e30.?.sig"] {
            assert!(Question::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_ticket_is_for_one_consumer_of_one_connection_and_ends() {
        let (seed, public) = Seal::fresh().unwrap();
        let seal = Seal::from_seed(&seed).unwrap();
        let (tenant, id) = (TenantId(Uuid::from_u128(1)), SubscriberId(Uuid::from_u128(2)));
        let reader = Reader { tenant, id, secret_hash: SecretHash::of("secret") };
        let until = kernel::spec::spec_time();
        let answer = seal.let_in(&asked(&json!({})), &reader, "EVENTS", until.utc()).unwrap();
        let (signed, signature) = answer.rsplit_once('.').unwrap();
        KeyPair::from_public_key(&public)
            .unwrap()
            .verify(signed.as_bytes(), &BASE64.decode(signature).unwrap())
            .unwrap();
        let answer = claims(&answer);
        assert_eq!((&answer["aud"], &answer["sub"]), (&json!("NSERVER"), &json!("UUSER")));
        let user = claims(answer["nats"]["jwt"].as_str().unwrap());
        assert_eq!(user["exp"], until.timestamp());
        assert_eq!(user["name"].as_str().unwrap().parse(), Ok(reader));
        assert_eq!(
            user["nats"]["pub"]["allow"],
            json!([
                format!("UBOS.CONSUMER.INFO.EVENTS.{id}"),
                format!("UBOS.CONSUMER.MSG.NEXT.EVENTS.{id}"),
                format!("$JS.ACK.EVENTS.{id}.>"),
            ])
        );
        assert_eq!(user["nats"]["sub"]["allow"], json!([format!("_INBOX_{id}.>")]));
    }

    #[test]
    fn only_an_accounts_seed_is_a_seal() {
        let user = KeyPair::new_user().seed().unwrap();
        for wrong in ["", "SA", &user] {
            assert!(Seal::from_seed(&wrong.to_owned().into()).is_err(), "{wrong}");
        }
    }
}
