//! Every way to come in without a right to.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use credentials::NoDirectory;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use std::path::Path;
use testing::{AUDIENCE, ISSUER, Issuer, key_set};
use uuid::Uuid;

fn claims() -> Value {
    let mut claims = testing::claims(Uuid::from_u128(2), Uuid::from_u128(1), &["member"]);
    claims["nbf"] = json!(chrono::Utc::now().timestamp() - 10);
    claims
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

async fn verifier(jwks: &Path, refresh: Duration) -> Verifier {
    let settings = VerifierSettings::new(jwks.display(), ISSUER, AUDIENCE);
    let settings = VerifierSettings { refresh, leeway_seconds: 5, ..settings };
    Verifier::start(settings, Arc::new(NoDirectory)).await.unwrap()
}

#[tokio::test]
async fn a_good_token_says_who_for_whom_and_what() {
    let issuer = Issuer::new("k1");
    let verifier = verifier(&key_set(&[issuer.jwk()]), Duration::from_secs(300)).await;
    let token = issuer.sign(&claims());
    let caller = verifier.verify(&token).await.unwrap();
    assert_eq!(
        (caller.principal, caller.tenant.0),
        (Principal::User { id: UserId(Uuid::from_u128(1)) }, Uuid::from_u128(2))
    );
    assert!(caller.permissions.allow("crm.client.create"));
    assert_eq!(verifier.verify(&token).await.unwrap(), caller, "remembered");
}

#[tokio::test]
async fn every_wrong_claim_is_refused() {
    let issuer = Issuer::new("k1");
    let verifier = verifier(&key_set(&[issuer.jwk()]), Duration::from_secs(300)).await;
    let now = chrono::Utc::now().timestamp();
    for (name, value) in [
        ("exp", json!(now - 60)),
        ("exp", json!((now + 600).to_string())),
        ("exp", Value::Null),
        ("exp", json!([now + 600])),
        ("nbf", json!(now + 600)),
        ("nbf", json!((now - 60).to_string())),
        ("iat", json!(now + 600)),
        ("iat", json!("yesterday")),
        ("iss", json!("https://evil.example")),
        ("iss", Value::Null),
        ("iss", json!(["https://id.example"])),
        ("iss", json!(["https://evil.example", "https://id.example"])),
        ("iss", json!([])),
        ("iss", json!({ "iss": "https://id.example" })),
        ("iss", json!("https://id.example/")),
        ("sub", json!([Uuid::from_u128(1)])),
        ("tenant", json!([Uuid::from_u128(2)])),
        ("aud", json!("other")),
        ("aud", Value::Null),
        ("sub", Value::Null),
        ("sub", json!("root")),
        ("tenant", Value::Null),
        ("tenant", json!("*")),
        ("roles", json!(["emperor"])),
        ("roles", Value::Null),
        ("roles", json!("owner")),
    ] {
        let token = issuer.sign(&with(name, value.clone()));
        assert!(verifier.verify(&token).await.is_err(), "{name} = {value}");
    }
}

#[tokio::test]
async fn unsigned_foreign_and_confused_tokens_are_refused() {
    let (issuer, stranger) = (Issuer::new("k1"), Issuer::new("k1"));
    let verifier = verifier(&key_set(&[issuer.jwk()]), Duration::from_secs(300)).await;
    let part = |value: Value| BASE64.encode(value.to_string());
    let good = issuer.sign(&claims());
    let signature = good.rsplit('.').next().unwrap();
    let none = format!("{}.{}.", part(json!({ "alg": "none", "typ": "JWT", "kid": "k1" })), part(claims()));
    let hmac_header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::HS256) };
    let hmac = jsonwebtoken::encode(&hmac_header, &claims(), &EncodingKey::from_secret(&issuer.public)).unwrap();
    let mut embedded = Header { kid: Some("unknown".into()), ..Header::new(Algorithm::EdDSA) };
    embedded.jku = Some("https://evil.example/jwks".into());
    let embedded = jsonwebtoken::encode(&embedded, &claims(), &stranger.signing).unwrap();
    let swapped = format!("{}.{}.{signature}", good.split('.').next().unwrap(), part(with("roles", json!(["owner"]))));
    let nameless = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims(), &issuer.signing).unwrap();
    let extended = Header { crit: Some(vec!["b64".into()]), kid: Some("k1".into()), ..Header::new(Algorithm::EdDSA) };
    let extended = jsonwebtoken::encode(&extended, &claims(), &issuer.signing).unwrap();
    let logout = Header { typ: Some("logout+jwt".into()), kid: Some("k1".into()), ..Header::new(Algorithm::EdDSA) };
    let logout = jsonwebtoken::encode(&logout, &claims(), &issuer.signing).unwrap();
    for (attack, token) in [
        ("alg none", none),
        ("HMAC with the public key", hmac),
        ("another key of the same name", stranger.sign(&claims())),
        ("a key location in the token", embedded),
        ("another payload under the signature", swapped),
        ("no key id", nameless),
        ("an extension that must be understood", extended),
        ("a logout token", logout),
        ("no token", String::new()),
        ("garbage", "a.b.c".into()),
        ("huge", "a".repeat(TOKEN_BYTES_MAX + 1)),
    ] {
        assert!(verifier.verify(&token).await.is_err(), "{attack}");
    }
}

#[tokio::test]
async fn a_14_keys_rotate_and_withdrawn_ones_die_at_once() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let path = key_set(&[old.jwk()]);
    let verifier = verifier(&path, Duration::ZERO).await;
    let (by_old, by_new) = (old.sign(&claims()), new.sign(&claims()));
    assert!(verifier.verify(&by_old).await.is_ok());
    assert!(verifier.verify(&by_new).await.is_err());
    std::fs::write(&path, json!({ "keys": [old.jwk(), new.jwk()] }).to_string()).unwrap();
    assert!(verifier.verify(&by_new).await.is_ok());
    assert!(verifier.verify(&by_old).await.is_ok());
    std::fs::write(&path, json!({ "keys": [new.jwk()] }).to_string()).unwrap();
    assert!(verifier.verify(&by_old).await.is_err(), "a remembered token of a withdrawn key");
    std::fs::write(&path, "garbage").unwrap();
    assert!(verifier.verify(&by_new).await.is_ok(), "unreadable keys leave the old ones in place");
}

#[tokio::test]
async fn a_token_that_never_expires_is_remembered_without_overflow() {
    let issuer = Issuer::new("k1");
    let verifier = verifier(&key_set(&[issuer.jwk()]), Duration::from_secs(300)).await;
    let token = issuer.sign(&with("exp", json!(u64::MAX)));
    let first = verifier.verify(&token).await.unwrap();
    assert_eq!(verifier.verify(&token).await.unwrap(), first);
}

#[tokio::test]
async fn a_token_of_a_p256_key_is_good_with_its_own_algorithm_only() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref()).unwrap();
    // An uncompressed point: 4, then both coordinates.
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": "p", "x": BASE64.encode(x), "y": BASE64.encode(y) });
    let verifier = verifier(&key_set(&[jwk]), Duration::from_secs(300)).await;
    let sign = |algorithm| {
        let header = Header { kid: Some("p".to_owned()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_ec_der(key.as_ref())).unwrap()
    };
    assert!(verifier.verify(&sign(Algorithm::ES256)).await.is_ok());
    let other = sign(Algorithm::ES256).replacen(
        &BASE64.encode(r#"{"typ":"JWT","alg":"ES256","kid":"p"}"#),
        &BASE64.encode(r#"{"typ":"JWT","alg":"EdDSA","kid":"p"}"#),
        1,
    );
    assert!(verifier.verify(&other).await.is_err());
}

#[test]
fn weak_and_foreign_keys_are_not_taken() {
    for jwk in [
        json!({ "kty": "oct", "kid": "k", "k": "c2VjcmV0" }),
        json!({ "kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB" }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": "AA", "y": "AA" }),
        json!({ "kty": "EC", "crv": "P-384", "kid": "k", "x": "A".repeat(64), "y": "A".repeat(64) }),
    ] {
        assert!(Keys::read(&json!({ "keys": [jwk] }).to_string()).is_err());
    }
}

/// A firm that is registered, and knows everybody.
struct Registered;

impl Directory for Registered {
    fn recall(&self, _: TenantId, credential: &Credential) -> Option<Standing> {
        let Credential::User(id) = credential else { return None };
        Some(Standing::In(Principal::User { id: *id }, Arc::new(Permissions::of(&[Role::Viewer]))))
    }

    fn look_up<'d>(
        &'d self,
        _: TenantId,
        _: &'d Credential,
    ) -> futures::future::BoxFuture<'d, anyhow::Result<Standing>> {
        Box::pin(async { Ok(Standing::Out("nobody", None)) })
    }
}

#[tokio::test]
async fn what_a_token_says_of_roles_counts_only_while_the_firm_is_not_registered() {
    let issuer = Issuer::new("k1");
    let keys = key_set(&[issuer.jwk()]);
    let unregistered = verifier(&keys, Duration::from_secs(300)).await;
    let registered = Verifier::start(unregistered.settings.clone(), Arc::new(Registered)).await.unwrap();
    for roles in [Value::Null, json!([]), json!(["partner"]), json!("owner"), json!(7), json!({ "owner": true })] {
        let token = issuer.sign(&with("roles", roles.clone()));
        let caller = registered.verify(&token).await.unwrap();
        assert!(
            caller.permissions.allow("crm.client.read") && !caller.permissions.allow("crm.client.create"),
            "{roles}"
        );
        assert_eq!(unregistered.verify(&token).await.is_ok(), roles == json!([]), "{roles}");
    }
}
