//! The rows of the attack list that are about tokens, each in the attacker's own words: headers and claims as text.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use credentials::NoDirectory;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::atomic::AtomicUsize;
use testing::{AUDIENCE, ISSUER, Issuer, key_set};
use uuid::Uuid;

fn claims() -> Value {
    let mut claims = testing::claims(Uuid::from_u128(2), Uuid::from_u128(1), &["member"]);
    claims["nbf"] = json!(chrono::Utc::now().timestamp() - 10);
    claims
}

fn part(text: impl AsRef<[u8]>) -> String {
    BASE64.encode(text)
}

/// A token with this header and these claims, letter by letter, under a good signature.
fn signed(issuer: &Issuer, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &issuer.signing, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

const HEADER: &str = r#"{"alg":"EdDSA","typ":"JWT","kid":"k1"}"#;

async fn verifier(jwks: String) -> Verifier {
    let settings = VerifierSettings { leeway_seconds: 5, ..VerifierSettings::new(jwks, ISSUER, AUDIENCE) };
    Verifier::start(settings, Arc::new(NoDirectory)).await.unwrap()
}

/// A verifier that trusts one key, `k1`.
async fn trusting(issuer: &Issuer) -> Verifier {
    verifier(key_set(&[issuer.jwk()]).display().to_string()).await
}

async fn refuse(verifier: &Verifier, tokens: impl IntoIterator<Item = (String, String)>) {
    for (attack, token) in tokens {
        let problem = verifier.verify(&token).await.expect_err(&attack);
        assert_eq!((problem.status().as_u16(), problem.code()), (401, "unauthenticated"), "{attack}");
        assert_eq!(
            problem.detail(),
            "expected a valid bearer token, API key or session",
            "{attack}: nobody learns why"
        );
    }
}

#[tokio::test]
async fn a_00_what_is_signed_by_hand_here_is_good() {
    let issuer = Issuer::new("k1");
    let verifier = trusting(&issuer).await;
    assert!(verifier.verify(&signed(&issuer, HEADER, &claims().to_string())).await.is_ok());
}

#[tokio::test]
async fn a_01_a_02_the_algorithm_is_the_keys_and_never_the_tokens() {
    let issuer = Issuer::new("k1");
    let verifier = trusting(&issuer).await;
    let good = signed(&issuer, HEADER, &claims().to_string());
    let signature = good.rsplit('.').next().unwrap();
    let mut tokens = vec![];
    for algorithm in ["none", "None", "NONE", "nOnE", "", "HS256", "HS512", "RS256", "ES256", "PS256", "EdDsa", "null"]
    {
        let header = json!({ "alg": algorithm, "typ": "JWT", "kid": "k1" }).to_string();
        for signature in ["", signature] {
            let token = format!("{}.{}.{signature}", part(&header), part(claims().to_string()));
            tokens.push((format!("{algorithm} with {} signature", signature.len()), token));
        }
        tokens.push((format!("{algorithm}, signed all the same"), signed(&issuer, &header, &claims().to_string())));
    }
    refuse(&verifier, tokens).await;
}

#[tokio::test]
async fn a_03_a_key_that_comes_with_the_token_is_neither_used_nor_fetched() {
    let (issuer, attacker) = (Issuer::new("k1"), Issuer::new("evil"));
    let verifier = trusting(&issuer).await;
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks.json", trap.local_addr().unwrap());
    let mut tokens = vec![];
    for kid in ["k1", "evil"] {
        for (name, value) in
            [("jwk", attacker.jwk()), ("jku", json!(url)), ("x5u", json!(url)), ("x5c", json!(["MIIB"]))]
        {
            let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": kid, name: value }).to_string();
            tokens.push((format!("{kid} {name}"), signed(&attacker, &header, &claims().to_string())));
        }
    }
    refuse(&verifier, tokens).await;
    assert_eq!(trap.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody went there");
}

#[tokio::test]
async fn a_04_a_05_a_key_id_is_only_looked_up_and_the_keys_are_read_once_for_a_thousand_unknown_ones() {
    let issuer = Issuer::new("k1");
    let fetched = Arc::new(AtomicUsize::new(0));
    let (count, set) = (fetched.clone(), json!({ "keys": [issuer.jwk()] }).to_string());
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", server.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut connection, _)) = server.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4_096];
            drop(connection.read(&mut request).await);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", set.len());
            drop(connection.write_all((head + &set).as_bytes()).await);
        }
    });
    // So that the client that fetches has its TLS, though this is none.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let verifier = verifier(url).await;
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    let hostile =
        ["../../dev/null", "' OR 1=1 --", "k1\0", "http://evil.example/k", "K1", "k1 ", "*", ""].map(str::to_owned);
    let many = (0..1_000).map(|_| Uuid::now_v7().to_string());
    let tokens = hostile.into_iter().chain(["k".repeat(5_000)]).chain(many).map(|kid| {
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": kid }).to_string();
        (kid, signed(&issuer, &header, &claims().to_string()))
    });
    refuse(&verifier, tokens.collect::<Vec<_>>()).await;
    assert!(fetched.load(Ordering::SeqCst) <= 2, "read {} times", fetched.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_06_to_a_09_every_claim_is_of_its_type_and_its_time_and_for_us() {
    let issuer = Issuer::new("k1");
    let verifier = trusting(&issuer).await;
    let now = chrono::Utc::now().timestamp();
    // As text, because JSON has numbers that Rust has not.
    let mut tokens = vec![];
    for (name, values) in [
        (
            "exp",
            vec![
                json!(now - 60),
                json!(0),
                json!(-1),
                json!((now + 600).to_string()),
                json!([now + 600]),
                json!({}),
                json!(null),
                json!(true),
            ],
        ),
        ("nbf", vec![json!(now + 600), json!((now - 60).to_string()), json!([0]), json!({}), json!("")]),
        ("iat", vec![json!(now + 600), json!("yesterday"), json!([0]), json!({}), json!(-1)]),
        (
            "aud",
            vec![
                json!("other"),
                json!("UBOS"),
                json!("ubos "),
                json!(["other"]),
                json!([]),
                json!(null),
                json!(7),
                json!({ "ubos": 1 }),
            ],
        ),
        (
            "iss",
            vec![
                json!("https://id.example/"),
                json!("https://ID.example"),
                json!("http://id.example"),
                json!("https://id.example.evil"),
                json!(null),
                json!(7),
            ],
        ),
        ("sub", vec![json!(null), json!("root"), json!(""), json!(7), json!("00000000-0000-0000-0000-00000000000g")]),
        ("tenant", vec![json!(null), json!("*"), json!([Uuid::from_u128(2)]), json!(2)]),
        (
            "roles",
            vec![
                json!(null),
                json!("owner"),
                json!({ "owner": true }),
                json!([7]),
                json!(["Owner"]),
                json!([["owner"]]),
            ],
        ),
    ] {
        for value in values {
            let mut wrong = claims();
            wrong[name] = value.clone();
            tokens.push((format!("{name} = {value}"), signed(&issuer, HEADER, &wrong.to_string())));
        }
        let mut without = claims();
        without.as_object_mut().unwrap().remove(name);
        if !["nbf", "iat"].contains(&name) {
            tokens.push((format!("no {name}"), signed(&issuer, HEADER, &without.to_string())));
        }
    }
    let text = claims().to_string();
    for number in ["1e308", "1e400", "-0.0e1", "NaN", "99999999999999999999999", "0x7fffffff"] {
        let wrong = text.replace(&format!("\"exp\":{}", claims()["exp"]), &format!("\"exp\":{number}"));
        tokens.push((format!("exp = {number}"), signed(&issuer, HEADER, &wrong)));
    }
    refuse(&verifier, tokens).await;
    let mut several = claims();
    several["aud"] = json!(["other", "ubos"]);
    assert!(verifier.verify(&signed(&issuer, HEADER, &several.to_string())).await.is_ok(), "meant for us too");
}

#[tokio::test]
async fn a_10_another_kind_of_token_is_no_access_token() {
    let issuer = Issuer::new("k1");
    let verifier = trusting(&issuer).await;
    let tokens =
        ["logout+jwt", "id+jwt", "refresh", "secevent+jwt", "dpop+jwt", "JOSE", "JWE", "at+jwt;x", ""].map(|typ| {
            let header = json!({ "alg": "EdDSA", "typ": typ, "kid": "k1" }).to_string();
            (typ.to_owned(), signed(&issuer, &header, &claims().to_string()))
        });
    refuse(&verifier, tokens).await;
    for typ in ["JWT", "at+jwt", "application/at+jwt", "AT+JWT"] {
        let header = json!({ "alg": "EdDSA", "typ": typ, "kid": "k1" }).to_string();
        assert!(verifier.verify(&signed(&issuer, &header, &claims().to_string())).await.is_ok(), "{typ}");
    }
}

#[tokio::test]
async fn a_12_what_is_said_twice_is_not_believed_once() {
    let issuer = Issuer::new("k1");
    let verifier = trusting(&issuer).await;
    let claims = claims().to_string();
    let again = |name: &str, value: &str| claims.replacen('{', &format!("{{\"{name}\":{value},"), 1);
    let mut tokens = vec![
        ("kid".to_owned(), signed(&issuer, r#"{"alg":"EdDSA","kid":"evil","typ":"JWT","kid":"k1"}"#, &claims)),
        ("alg".to_owned(), signed(&issuer, r#"{"alg":"none","alg":"EdDSA","typ":"JWT","kid":"k1"}"#, &claims)),
        ("typ".to_owned(), signed(&issuer, r#"{"alg":"EdDSA","typ":"logout+jwt","typ":"JWT","kid":"k1"}"#, &claims)),
    ];
    for (name, value) in [
        ("sub", "\"00000000-0000-0000-0000-000000000009\""),
        ("tenant", "\"00000000-0000-0000-0000-000000000009\""),
        ("roles", "[\"owner\"]"),
        ("exp", "1"),
        ("iss", "\"https://evil.example\""),
        ("aud", "\"other\""),
    ] {
        tokens.push((name.to_owned(), signed(&issuer, HEADER, &again(name, value))));
    }
    refuse(&verifier, tokens).await;
}

#[tokio::test]
async fn a_13_what_is_too_much_or_of_another_form_costs_nothing() {
    let issuer = Issuer::new("k1");
    let verifier = trusting(&issuer).await;
    let good = signed(&issuer, HEADER, &claims().to_string());
    let with = |name: &str, text: String| claims().to_string().replacen('{', &format!("{{\"{name}\":{text},"), 1);
    let zeros = BASE64.encode([0_u8; 64]);
    let tokens = [
        ("a megabyte of claims", signed(&issuer, HEADER, &with("x", format!("\"{}\"", "a".repeat(1 << 20))))),
        ("five parts", format!("{good}.a.b")),
        ("one part", good.split('.').next().unwrap().to_owned()),
        ("a signature of zeros", format!("{}.{zeros}", good.rsplit_once('.').unwrap().0)),
        ("padding", format!("{good}=")),
        ("a space", good.replacen('.', ". ", 1)),
        ("standard base64", good.replace(['-', '_'], "+") + "+"),
        (
            "an extension that must be understood",
            signed(&issuer, r#"{"alg":"EdDSA","kid":"k1","crit":["exp"]}"#, &claims().to_string()),
        ),
        (
            "another header with a zip",
            signed(&issuer, r#"{"alg":"EdDSA","kid":"k1","zip":"DEF","crit":["zip"]}"#, &claims().to_string()),
        ),
        ("claims that are no object", signed(&issuer, HEADER, "[]")),
        ("a header that is no object", signed(&issuer, "[]", &claims().to_string())),
        ("claims that are no UTF-8", format!("{}.{}.{}", part(HEADER), part(b"\xff\xfe"), "A".repeat(86))),
    ];
    refuse(&verifier, tokens.map(|(attack, token)| (attack.to_owned(), token))).await;
    // Whoever we trust may say what we do not know; it is passed over without a stack.
    let deep = signed(&issuer, HEADER, &with("x", "[".repeat(2_500) + &"]".repeat(2_500)));
    assert!(verifier.verify(&deep).await.is_ok());
}
