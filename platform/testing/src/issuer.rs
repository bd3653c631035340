//! Who signs tokens in tests.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempPath};

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
}

/// A file with a set of keys, which goes with what is answered.
pub fn key_set(keys: &[Value]) -> TempPath {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(&file, json!({ "keys": keys }).to_string()).expect("a file with the keys");
    file.into_temp_path()
}
