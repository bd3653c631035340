//! What a provider says by itself is signed with a key that both know (HMAC-SHA-256, RFC 2104), over the bytes as they come.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The signature of these bytes, in base64.
pub fn sign(key: &str, body: &[u8]) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), body).as_ref())
}

/// Is this the signature of these bytes? How long it takes says nothing about where they differ.
pub fn is_signed(key: &str, body: &[u8], signature: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    STANDARD.decode(signature).is_ok_and(|signature| hmac::verify(&key, body, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_these_bytes_and_this_key() {
        // Worked out with OpenSSL: printf '{"events":[]}' | openssl dgst -sha256 -hmac key -binary | base64
        let signature = "Qrz9n8NSnnBLDlKIZEhYxzL4J+L5wKUqtKk3FuhGKW0=";
        assert_eq!(sign("key", br#"{"events":[]}"#), signature);
        assert!(is_signed("key", br#"{"events":[]}"#, signature));
        assert!(!is_signed("kez", br#"{"events":[]}"#, signature));
        assert!(!is_signed("key", br#"{"events": []}"#, signature));
        for broken in ["", "=", "not base64!", &signature[..40], &signature[..43]] {
            assert!(!is_signed("key", br#"{"events":[]}"#, broken), "{broken}");
        }
    }
}
