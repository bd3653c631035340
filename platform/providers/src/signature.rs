//! What a provider says by itself is signed with a key that both know (HMAC-SHA-256, RFC 2104), over the bytes as they come.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The signature of these bytes, in base64.
pub fn sign(key: &str, body: &[u8]) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), body).as_ref())
}

/// The same in hexadecimal digits.
pub fn sign_hex(key: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), body);
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Is this the signature of these bytes in hexadecimal digits? As below.
pub fn is_signed_hex(key: &str, body: &[u8], signature: &str) -> bool {
    let digits = signature.as_bytes();
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    bytes.is_some_and(|bytes| hmac::verify(&key, body, &bytes).is_ok())
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

    #[test]
    fn a_signature_may_be_written_in_hexadecimal_digits() {
        // printf '{"events":[]}' | openssl dgst -sha256 -hmac key
        let signature = "42bcfd9fc3529e704b0e5288644858c732f827e2f9c0a52ab4a93716e846296d";
        assert_eq!(sign_hex("key", br#"{"events":[]}"#), signature);
        assert!(is_signed_hex("key", br#"{"events":[]}"#, &signature.to_uppercase()));
        assert!(!is_signed_hex("kez", br#"{"events":[]}"#, signature));
        for broken in ["", "0", "not hex", "+1", &signature[..62], &signature[..63]] {
            assert!(!is_signed_hex("key", br#"{"events":[]}"#, broken), "{broken}");
        }
    }
}
