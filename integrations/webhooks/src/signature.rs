//! How a message is signed: `v1` of Standard Webhooks, HMAC-SHA256 over id, time and body.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice};

/// What every secret begins with as it is shown.
const SHOWN_AS: &str = "whsec_";
/// The kind of signature.
const KIND: &str = "v1";

/// What an endpoint's messages are signed with.
#[derive(Debug, Clone)]
pub struct SigningKey(SecretSlice<u8>);

impl SigningKey {
    /// Of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// As libraries take it; none if that is none.
    pub fn read(shown: &str) -> Option<Self> {
        STANDARD.decode(shown.strip_prefix(SHOWN_AS)?).ok().map(Self::new)
    }

    /// As libraries take it: `whsec_` and the bytes in base64.
    pub fn shown(&self) -> String {
        format!("{SHOWN_AS}{}", STANDARD.encode(self.0.expose_secret()))
    }

    /// The signature of a message: `v1,` and 32 bytes in base64.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret());
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("{KIND},{}", STANDARD.encode(context.sign().as_ref()))
    }
}

/// All of a message's signatures, as the header `webhook-signature` has them.
pub fn signatures(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    let all: Vec<String> = keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    /// As the libraries of Standard Webhooks have it in their own tests.
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn a_message_is_signed_as_the_standards_own_example() {
        let key = SigningKey::read(SECRET).unwrap();
        assert_eq!(key.sign(ID, TIMESTAMP, BODY), SIGNATURE);
        assert_eq!(key.shown(), SECRET);
    }

    #[test]
    fn one_byte_more_or_less_is_another_signature() {
        let key = SigningKey::read(SECRET).unwrap();
        for (id, timestamp, body) in [
            ("msg_p5jXN8AQM9LWM0D4loKWxJel", TIMESTAMP, BODY),
            (ID, TIMESTAMP + 1, BODY),
            (ID, TIMESTAMP, br#"{"test": 2432232315}"#),
            (ID, TIMESTAMP, br#"{"test": 2432232314} "#),
        ] {
            assert_ne!(key.sign(id, timestamp, body), SIGNATURE);
        }
    }

    #[test]
    fn while_a_secret_is_replaced_a_message_carries_both_signatures_the_new_one_first() {
        let (new, old) = (SigningKey::new(vec![1; 32]), SigningKey::read(SECRET).unwrap());
        let all = signatures(&[new.clone(), old], ID, TIMESTAMP, BODY);
        assert_eq!(all.split(' ').collect::<Vec<_>>(), [&*new.sign(ID, TIMESTAMP, BODY), SIGNATURE]);
    }

    #[test]
    fn a_secret_is_not_said_by_accident() {
        let key = SigningKey::read(SECRET).unwrap();
        assert!(!format!("{key:?}").contains("242"), "{key:?}");
        assert!(SigningKey::read("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
    }
}
