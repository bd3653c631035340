//! Providers that do things their own way, as the standard lets them.

use actix_web::web::{self, Data, Form};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use login::{Provider, ProviderSettings};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use testing::Issuer;

const CALLBACK: &str = "https://ubos.example/v1/login/callback";
const SECRET: &str = "a secret/with+signs";
const ADA: &str = "ada@example.com";

/// What the provider says about itself and about Ada.
struct Ways {
    /// `token_endpoint_auth_methods_supported`
    methods: Value,
    /// Of Ada.
    email: &'static str,
    email_verified: Value,
    with_nonce: bool,
}

struct Fake {
    url: String,
    key: Issuer,
    ways: Ways,
    /// The nonce of the login under way.
    nonce: Mutex<String>,
}

/// Takes the code if the client shows who it is in the way that is wanted, and in no other.
async fn token(fake: Data<Arc<Fake>>, form: Form<HashMap<String, String>>, request: HttpRequest) -> HttpResponse {
    let in_body = form.get("client_secret").is_some_and(|secret| secret == SECRET);
    let in_header = request.headers().contains_key("authorization");
    let wants_body = fake.ways.methods == json!(["client_secret_post"]);
    if in_body != wants_body || in_header == wants_body {
        return HttpResponse::Unauthorized().json(json!({ "error": "invalid_client" }));
    }
    let now = chrono::Utc::now().timestamp();
    let mut claims = json!({ "iss": fake.url, "sub": "ada", "aud": "ubos", "exp": now + 60, "iat": now,
                             "email": fake.ways.email, "email_verified": fake.ways.email_verified });
    if fake.ways.with_nonce {
        claims["nonce"] = json!(*fake.nonce.lock().unwrap());
    }
    let id_token = fake.key.sign(&claims);
    HttpResponse::Ok().json(json!({ "access_token": "x", "token_type": "Bearer", "id_token": id_token }))
}

async fn about(fake: Data<Arc<Fake>>) -> HttpResponse {
    let url = &fake.url;
    let mut about = json!({
        "issuer": url, "authorization_endpoint": format!("{url}/auth"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    });
    if !fake.ways.methods.is_null() {
        about["token_endpoint_auth_methods_supported"] = fake.ways.methods.clone();
    }
    HttpResponse::Ok().json(about)
}

async fn keys(fake: Data<Arc<Fake>>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "keys": [fake.key.jwk()] }))
}

/// Logs Ada in; answers her address, if it counts.
async fn log_in(ways: Ways) -> Result<Option<String>, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let fake = Arc::new(Fake { url: url.clone(), key: Issuer::new("k"), ways, nonce: Mutex::default() });
    let mounted = fake.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(mounted.clone()))
            .route("/.well-known/openid-configuration", web::get().to(about))
            .route("/jwks", web::get().to(keys))
            .route("/token", web::post().to(token))
    });
    let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let provider = Provider::new(ProviderSettings {
        name: "fake".to_owned(),
        issuer: url,
        client_id: "ubos".to_owned(),
        client_secret: SECRET.to_owned().into(),
    });
    let provider = provider.unwrap();
    let (at, begun) = provider.begin(CALLBACK).await.unwrap();
    let nonce = at.query_pairs().find(|(name, _)| name == "nonce").unwrap().1.into_owned();
    *fake.nonce.lock().unwrap() = nonce;
    let person = provider.finish(CALLBACK, "code".to_owned(), begun).await;
    handle.stop(false).await;
    person.map(|person| person.email.map(|email| email.to_string())).map_err(|error| format!("{error:#}"))
}

#[actix_web::test]
async fn the_secret_is_shown_in_the_way_that_the_provider_takes() {
    for methods in [
        Value::Null,
        json!(["client_secret_post"]),
        json!(["client_secret_basic"]),
        json!(["client_secret_post", "client_secret_basic"]),
        json!(["private_key_jwt", "client_secret_basic"]),
    ] {
        let ways = Ways { methods: methods.clone(), email: ADA, email_verified: json!(true), with_nonce: true };
        assert_eq!(log_in(ways).await, Ok(Some("ada@example.com".to_owned())), "{methods}");
    }
}

#[actix_web::test]
async fn a_verified_address_counts_also_when_that_is_said_as_text() {
    for (email_verified, counts) in [
        (json!(true), true),
        (json!("true"), true),
        (json!(false), false),
        (json!("false"), false),
        (Value::Null, false),
    ] {
        let ways = Ways { methods: Value::Null, email: ADA, email_verified: email_verified.clone(), with_nonce: true };
        assert_eq!(log_in(ways).await.map(|email| email.is_some()), Ok(counts), "{email_verified}");
    }
}

/// A letter that Unicode's lower case or a normalisation makes an ASCII one, such as the Kelvin sign, is another's mailbox in
/// disguise.
#[actix_web::test]
async fn an_address_that_only_looks_like_anothers_is_nobodys() {
    for (email, counts_as) in [
        ("\u{212a}im@example.com", None),
        ("kim@exa\u{200b}mple.com", None),
        ("k\u{2060}im@example.com", None),
        ("k..im@example.com", None),
        ("KIM@EXAMPLE.COM", Some("kim@example.com")),
        ("kim@B\u{dc}CHER.example", Some("kim@xn--bcher-kva.example")),
        ("Zoe\u{308}@example.com", Some("zo\u{eb}@example.com")),
        ("\u{130}da@example.com", Some("\u{130}da@example.com")),
        ("\u{ff2b}im@example.com", Some("\u{ff2b}im@example.com")),
    ] {
        let ways = Ways { methods: Value::Null, email, email_verified: json!(true), with_nonce: true };
        assert_eq!(log_in(ways).await, Ok(counts_as.map(str::to_owned)), "{email:?}");
    }
}

#[actix_web::test]
async fn an_id_token_without_the_nonce_lets_nobody_in() {
    let ways = Ways { methods: Value::Null, email: ADA, email_verified: json!(true), with_nonce: false };
    assert!(log_in(ways).await.unwrap_err().contains("not good"));
}
