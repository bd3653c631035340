//! What stands before both services, over HTTP.

use ::web::{
    BodyLimits, Caller, Front, HeadLimits, Limits, Problem, Quota, Quotas, TrustedProxies, Verifier, VerifierSettings,
    not_found_handler, observe, read_json,
};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::{self, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse};
use credentials::NoDirectory;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testing::{AUDIENCE, ISSUER, Issuer, key_set};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3_600);

async fn verifier(issuer: &Issuer) -> Data<Verifier> {
    let keys = key_set(&[issuer.jwk()]);
    let settings = VerifierSettings::new(keys.display(), ISSUER, AUDIENCE);
    Data::new(Verifier::start(settings, Arc::new(NoDirectory)).await.unwrap())
}

fn token(issuer: &Issuer, tenant: Uuid) -> String {
    issuer.token(tenant, Uuid::now_v7(), &["owner"])
}

async fn mine(_: Caller) -> HttpResponse {
    HttpResponse::Ok().finish()
}

async fn said(_: Caller, request: HttpRequest, payload: Payload) -> Result<HttpResponse, Problem> {
    let limits = BodyLimits { bytes_max: 1 << 20, time_max: HOUR };
    read_json(&request, payload, limits).await?;
    Ok(HttpResponse::Ok().finish())
}

/// A service with a page for callers and one for probes.
macro_rules! service {
    ($front:expr, $verifier:expr) => {{
        let app = App::new().wrap(from_fn(observe)).app_data(Data::new($front)).app_data($verifier.clone());
        let app = app.route("/mine", web::get().to(mine)).route("/ready", web::get().to(HttpResponse::Ok));
        let app = app.route("/said", web::post().to(said)).route("/metrics", web::get().to(HttpResponse::Ok));
        init_service(app.default_service(web::to(not_found_handler))).await
    }};
}

fn get(token: &str) -> TestRequest {
    from_address("198.51.100.1").uri("/mine").insert_header(("authorization", format!("Bearer {token}")))
}

fn from_address(address: &str) -> TestRequest {
    TestRequest::get().peer_addr((address.parse::<std::net::IpAddr>().unwrap(), 4_711).into())
}

fn header<'r, B>(response: &'r ServiceResponse<B>, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn problem(response: ServiceResponse<impl actix_web::body::MessageBody>) -> (StatusCode, Value) {
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    let status = response.status();
    (status, serde_json::from_slice(&read_body(response).await).unwrap())
}

fn quota(requests: u32) -> Option<Quota> {
    Some(Quota { requests, window: HOUR })
}

fn limited(quotas: Quotas) -> Front {
    Front { limits: Some(Limits::local(quotas)), ..Front::default() }
}

/// Attack D-05: one firm asks for more than is good for the others.
#[actix_web::test]
async fn d_05_who_asks_too_often_is_told_when_to_come_again_and_nobody_else_is() {
    let issuer = Issuer::new("k");
    let verifier = verifier(&issuer).await;
    let service = service!(limited(Quotas { tenant: quota(2), ..Quotas::default() }), verifier);
    let (busy, quiet) = (token(&issuer, Uuid::now_v7()), token(&issuer, Uuid::now_v7()));
    for left in ["\"tenant\";r=1;t=1800", "\"tenant\";r=0;t=3600"] {
        let response = call_service(&service, get(&busy).to_request()).await;
        assert_eq!((response.status().as_u16(), header(&response, "ratelimit")), (200, left));
        assert_eq!(header(&response, "ratelimit-policy"), "\"tenant\";q=2;w=3600");
    }
    let response = call_service(&service, get(&busy).to_request()).await;
    assert_eq!(header(&response, "ratelimit"), "\"tenant\";r=0;t=3600");
    assert_eq!((header(&response, "retry-after"), header(&response, "cache-control")), ("1800", "no-store"));
    let (status, body) = problem(response).await;
    assert_eq!((status.as_u16(), &body["code"], &body["retryable"]), (429, &json!("rate-limited"), &json!(true)));
    assert_eq!(body["violated-policies"], json!(["tenant"]));
    let response = call_service(&service, get(&quiet).to_request()).await;
    assert_eq!(response.status(), 200);
}

#[actix_web::test]
async fn an_address_is_turned_away_before_anybody_asks_who_it_is_but_probes_are_not() {
    let issuer = Issuer::new("k");
    let verifier = verifier(&issuer).await;
    let service = service!(limited(Quotas { address: quota(1), ..Quotas::default() }), verifier);
    let here = || from_address("198.51.100.1");
    assert_eq!(call_service(&service, here().uri("/nothing").to_request()).await.status(), 404);
    let bad = token(&Issuer::new("k"), Uuid::now_v7());
    for path in ["/nothing", "/mine"] {
        assert_eq!(
            call_service(
                &service,
                here().uri(path).insert_header(("authorization", format!("Bearer {bad}"))).to_request()
            )
            .await
            .status(),
            429
        );
        let (status, body) = problem(call_service(&service, here().uri(path).to_request()).await).await;
        assert_eq!((status.as_u16(), &body["violated-policies"]), (429, &json!(["address"])), "{path}");
    }
    for _ in 0..5 {
        assert_eq!(call_service(&service, here().uri("/ready").to_request()).await.status(), 200);
    }
    let metrics = call_service(&service, here().uri("/metrics").to_request()).await;
    assert_eq!(metrics.status(), 429, "they cost more than a probe, and nobody is restarted for want of them");
    let elsewhere = from_address("198.51.100.2").uri("/nothing").to_request();
    assert_eq!(call_service(&service, elsewhere).await.status(), 404);
}

/// Attack D-05: one firm sends little often, or much at once, which fills memory and disks all the same.
#[actix_web::test]
async fn d_05_a_large_body_counts_like_the_small_ones_that_it_is_as_long_as() {
    let issuer = Issuer::new("k");
    let verifier = verifier(&issuer).await;
    let service = service!(limited(Quotas { tenant: quota(10), ..Quotas::default() }), verifier);
    let tokens = [Uuid::now_v7(), Uuid::now_v7()].map(|tenant| format!("Bearer {}", token(&issuer, tenant)));
    let say = async |token: &str, kibibytes: usize| {
        let body = json!({ "text": "x".repeat(kibibytes << 10) }).to_string();
        let request = TestRequest::post().uri("/said").insert_header(("authorization", token));
        let request =
            request.peer_addr(([198, 51, 100, 1], 4_711).into()).insert_header(("content-type", "application/json"));
        call_service(&service, request.set_payload(body).to_request()).await
    };
    assert_eq!(say(&tokens[0], 100).await.status(), 200);
    let (status, body) = problem(say(&tokens[0], 100).await).await;
    assert_eq!((status.as_u16(), &body["violated-policies"]), (429, &json!(["tenant"])), "{body}");
    for _ in 0..10 {
        assert_eq!(say(&tokens[1], 15).await.status(), 200, "a body like most counts as one request");
    }
    assert_eq!(say(&tokens[1], 15).await.status(), 429);
}

/// Attack H-07: a client makes up where it comes from, so as to be counted as somebody else.
#[actix_web::test]
async fn h_07_a_made_up_address_does_not_get_round_a_limit() {
    let issuer = Issuer::new("k");
    let verifier = verifier(&issuer).await;
    let proxies = TrustedProxies { networks: vec!["10.0.0.0/8".parse().unwrap()], ..TrustedProxies::default() };
    let service = service!(Front { proxies, ..limited(Quotas { address: quota(1), ..Quotas::default() }) }, verifier);
    let ask = async |peer: &str, forwarded: &str| {
        let request = from_address(peer).uri("/nothing").insert_header(("x-forwarded-for", forwarded));
        call_service(&service, request.to_request()).await.status().as_u16()
    };
    assert_eq!(ask("203.0.113.9", "1.1.1.1").await, 404);
    assert_eq!(ask("203.0.113.9", "2.2.2.2").await, 429, "nobody of ours said that");
    assert_eq!(ask("10.0.0.1", "3.3.3.3, 192.0.2.1").await, 404);
    assert_eq!(ask("10.0.0.1", "4.4.4.4, 192.0.2.1").await, 429, "the address that our proxy saw");
    assert_eq!(ask("10.0.0.1", "5.5.5.5, 192.0.2.2").await, 404);
}

#[actix_web::test]
async fn who_guesses_is_stopped_and_whoever_shows_what_is_good_comes_in() {
    let issuer = Issuer::new("k");
    let verifier = verifier(&issuer).await;
    let service = service!(limited(Quotas { failures: quota(3), ..Quotas::default() }), verifier);
    let (known, new) = (token(&issuer, Uuid::now_v7()), token(&issuer, Uuid::now_v7()));
    let ask = async |token: &str| call_service(&service, get(token).to_request()).await.status().as_u16();
    assert_eq!(ask(&known).await, 200);
    for _ in 0..9 {
        let silent = from_address("198.51.100.1").uri("/mine").to_request();
        assert_eq!(call_service(&service, silent).await.status(), 401, "whoever shows nothing guesses nothing");
    }
    let stranger = Issuer::new("k");
    for _ in 0..3 {
        assert_eq!(ask(&token(&stranger, Uuid::now_v7())).await, 401);
    }
    for _ in 0..70 {
        assert_eq!(ask(&token(&stranger, Uuid::now_v7())).await, 429, "nobody learns more");
        assert_eq!(ask("ubk_nonsense").await, 429, "keys are no other way");
    }
    assert_eq!((ask(&new).await, ask(&known).await), (200, 200), "also whoever comes for the first time");
    let elsewhere = get(&new).peer_addr(([198, 51, 100, 2], 1).into()).to_request();
    assert_eq!(call_service(&service, elsewhere).await.status(), 200);
}

#[actix_web::test]
async fn whoever_shows_what_is_good_comes_in_whatever_others_send_from_the_same_address() {
    let issuer = Issuer::new("k");
    let verifier = verifier(&issuer).await;
    let service = service!(limited(Quotas { address: quota(2), ..Quotas::default() }), verifier);
    for expected in [401, 401, 429, 429] {
        let silent = from_address("198.51.100.1").uri("/mine").to_request();
        assert_eq!(call_service(&service, silent).await.status(), expected);
    }
    let good = get(&token(&issuer, Uuid::now_v7())).to_request();
    assert_eq!(call_service(&service, good).await.status(), 200);
}

/// Attack H-03: headers that are too many or too long, and endless URLs.
#[actix_web::test]
async fn h_03_oversized_heads_are_refused_as_problems() {
    let issuer = Issuer::new("k");
    let verifier = verifier(&issuer).await;
    let head = HeadLimits { uri_bytes_max: 100, headers_max: 10, header_bytes_max: 1_000 };
    let service = service!(Front { head, ..Front::default() }, verifier);
    let many = (0..11).fold(TestRequest::get(), |request, n| request.insert_header((format!("x-{n}"), "1")));
    let long = TestRequest::get().insert_header(("x", "y".repeat(1_000)));
    let endless = TestRequest::get().uri(&format!("/{}", "a".repeat(100)));
    let fits = TestRequest::get().insert_header(("x", "y".repeat(900))).uri(&format!("/{}", "a".repeat(99)));
    for (request, status, code) in [
        (many, 431, "headers-too-large"),
        (long, 431, "headers-too-large"),
        (endless, 414, "uri-too-long"),
        (fits, 404, "not-found"),
    ] {
        let (answered, body) = problem(call_service(&service, request.to_request()).await).await;
        assert_eq!((answered.as_u16(), body["code"].as_str().unwrap()), (status, code));
    }
}

/// Attack S-12: headers that are missing where an error is answered.
#[actix_web::test]
async fn s_12_every_answer_tells_browsers_what_not_to_do_with_it() {
    let issuer = Issuer::new("k");
    let verifier = verifier(&issuer).await;
    let strict_transport = ::web::strict_transport(HOUR);
    let front = Front { strict_transport, ..limited(Quotas { tenant: quota(1), ..Quotas::default() }) };
    let service = service!(front, verifier);
    let known = token(&issuer, Uuid::now_v7());
    let too_long = TestRequest::get().uri(&format!("/{}", "a".repeat(9_000)));
    for (request, status) in [
        (get(&known), 200),
        (get(&known), 429),
        (get("nonsense"), 401),
        (TestRequest::get().uri("/nothing"), 404),
        (TestRequest::post().uri("/mine"), 404),
        (too_long, 414),
    ] {
        let response = call_service(&service, request.to_request()).await;
        assert_eq!(response.status(), status);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("strict-transport-security", "max-age=3600; includeSubDomains"),
        ] {
            assert_eq!(header(&response, name), value, "{name} of {status}");
        }
        assert!(!header(&response, "request-id").is_empty());
        assert_eq!((header(&response, "server"), header(&response, "x-powered-by")), ("", ""));
    }
}
