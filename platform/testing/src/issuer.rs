//! Who signs tokens in tests.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::{NamedTempFile, TempPath};
use uuid::Uuid;

/// The `iss` of every token in tests.
pub const ISSUER: &str = "https://id.example";
/// Their `aud`.
pub const AUDIENCE: &str = "ubos";

/// An Ed25519 key with a name.
pub struct Issuer {
    /// The key's name, `kid`.
    pub id: String,
    /// Its secret half.
    pub signing: EncodingKey,
    /// Its public half.
    pub public: Vec<u8>,
}

impl Issuer {
    /// A key of its own.
    pub fn new(id: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("the same key");
        let public = pair.public_key().as_ref().to_vec();
        Self { id: id.to_owned(), signing: EncodingKey::from_ed_der(document.as_ref()), public }
    }

    /// The public half as a JSON Web Key (RFC 8037).
    pub fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(&self.public);
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "use": "sig", "alg": "EdDSA", "x": x })
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.signing).expect("a token")
    }

    /// A token of somebody in a firm who has these roles, good for ten minutes.
    pub fn token(&self, tenant: Uuid, subject: Uuid, roles: &[&str]) -> String {
        self.sign(&claims(tenant, subject, roles))
    }
}

/// What a good token says.
pub fn claims(tenant: Uuid, subject: Uuid, roles: &[&str]) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "tenant": tenant, "roles": roles, "exp": now + 600 })
}

/// A file with a set of keys, which goes with what is answered.
pub fn key_set(keys: &[Value]) -> TempPath {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(&file, json!({ "keys": keys }).to_string()).expect("a file with the keys");
    file.into_temp_path()
}
