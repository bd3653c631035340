//! Whatever comes in: a clear answer with a documented code, never a 500, and nothing in the log.

use crate::common::{Service, claims, send};
use serde_json::json;
use uuid::Uuid;

const NAME: &str = r#"{"name":"Ada"}"#;

#[actix_web::test]
async fn h_08_x_14_bodies_that_cannot_be_right_are_refused_with_the_place_at_fault() {
    let service = Service::start().await;
    let rename = format!("/v1/crm/clients/{}/rename", service.client("Ada").await);
    for (body, status, code, pointer) in [
        ("{".to_owned(), 400, "invalid-json", None),
        ("[]".into(), 400, "invalid-json", None),
        ("{\"name\":\"a\"} x".into(), 400, "invalid-json", None),
        (r#"{"name":"\ud800"}"#.into(), 400, "invalid-json", None),
        (r#"{"name":1e999}"#.into(), 400, "invalid-json", None),
        (format!("{{\"name\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000)), 400, "invalid-json", None),
        (String::new(), 422, "invalid-input", Some("/name")),
        (r#"{"name":5}"#.into(), 422, "invalid-input", Some("/name")),
        (r#"{"name":null}"#.into(), 422, "invalid-input", Some("/name")),
        (r#"{"name":""}"#.into(), 422, "invalid-input", Some("/name")),
        (r#"{"name":"a\u0000b"}"#.into(), 422, "invalid-input", Some("/name")),
        (r#"{"name":"a","nmae":"b"}"#.into(), 422, "invalid-input", Some("/nmae")),
        (r#"{"name":"a","name":"b"}"#.into(), 422, "invalid-input", Some("/name")),
        (format!("{{\"name\":\"{}\"}}", "x".repeat(900_000)), 422, "invalid-input", Some("/name")),
        (format!("{{\"name\":\"{}\"}}", "x".repeat(1_100_000)), 413, "body-too-large", None),
    ] {
        let what = body.chars().take(60).collect::<String>();
        let answer = send(service.post(&rename).body(body)).await;
        assert_eq!((answer.status, answer.problem()), (status, code), "{what}");
        assert_eq!(answer.body["errors"][0]["pointer"].as_str(), pointer, "{what}");
    }
    let latin_1 = send(service.post(&rename).body(b"{\"name\":\"\xe9\"}".to_vec())).await;
    assert_eq!((latin_1.status, latin_1.problem()), (415, "unsupported-media-type"));
    let text = send(service.bare(&rename).bearer_auth(&service.token).body(NAME)).await;
    assert_eq!((text.status, text.problem()), (415, "unsupported-media-type"));
    let after = send(service.post(&rename).body(NAME)).await;
    assert_eq!(after.body["version"], 1, "nothing of all that was stored: {after:?}");
}

#[actix_web::test]
async fn headers_that_mean_nothing_or_something_else_are_refused() {
    let service = Service::start().await;
    let rename = format!("/v1/crm/clients/{}/rename", service.client("Ada").await);
    for (header, value, status, code) in [
        ("if-match", b"3".to_vec(), 400, "invalid-header"),
        ("if-match", b"\"3".to_vec(), 400, "invalid-header"),
        ("if-match", b"*, \"1\"".to_vec(), 400, "invalid-header"),
        ("if-match", b"W/\"1\"".to_vec(), 412, "version-mismatch"),
        ("if-match", b"\"2\", \"3\"".to_vec(), 412, "version-mismatch"),
        ("if-match", b"\"99999999999999999999\"".to_vec(), 412, "version-mismatch"),
        ("if-match", b"\"7\"".to_vec(), 412, "version-mismatch"),
        ("idempotency-key", b"".to_vec(), 400, "invalid-header"),
        ("idempotency-key", "k\u{e9}".into(), 400, "invalid-header"),
        ("idempotency-key", "k".repeat(256).into(), 400, "invalid-header"),
    ] {
        let answer = send(service.post(&rename).header(header, &value[..]).body(NAME)).await;
        assert_eq!((answer.status, answer.problem()), (status, code), "{header}: {}", String::from_utf8_lossy(&value));
    }
    for (header, value) in [
        ("idempotency-key", "k"),
        ("content-type", "application/json"),
        ("x-csrf-token", "t"),
        ("authorization", "Bearer t"),
        ("min-position", "1"),
    ] {
        let twice = service.post(&rename).header(header, value).header(header, value).body(NAME);
        let answer = send(twice).await;
        assert_eq!((answer.status, answer.problem()), (400, "invalid-header"), "{header} twice");
    }
    let as_read = "\"9\", \"1-0123456789abcdef\"";
    let answer = send(service.post(&rename).header("if-match", as_read).body(r#"{"name":"Ada Lovelace"}"#)).await;
    assert_eq!((answer.status, answer.body["version"].as_i64()), (200, Some(2)), "{answer:?}");
    let keyless = send(service.post("/v1/crm/clients").body(NAME)).await;
    assert_eq!((keyless.status, keyless.problem()), (400, "idempotency-key-required"));
}

#[actix_web::test]
async fn a_repeat_gets_the_stored_answer_and_a_reused_key_is_refused() {
    let service = Service::start().await;
    let create =
        |body: &'static str| send(service.post("/v1/crm/clients").header("idempotency-key", "once").body(body));
    let (first, again, other) = (create(NAME).await, create(NAME).await, create(r#"{"name":"Bea"}"#).await);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(first.headers["location"], format!("/v1/crm/clients/{}", first.id()).as_str());
    assert_eq!((other.status, other.problem()), (422, "idempotency-key-reused"));
}

#[actix_web::test]
async fn paths_and_methods_that_are_not_ours_are_not_found_or_not_allowed() {
    let service = Service::start().await;
    let id = service.client("Ada").await;
    for path in [
        "/".to_owned(),
        "/v1/crm".into(),
        "/v1/no/such".into(),
        "/v1//crm/clients".into(),
        format!("/v1/crm/clients/{id}"),
        format!("/v1/crm/clients/{id}/explode"),
        format!("/v1/crm/clients/{id}/rename/now"),
        "/v1/crm/clients/%ff/rename".into(),
        "/v1/crm/clients/%00/rename".into(),
        "/v1/crm/clients/17/rename".into(),
        format!("/v1/crm/clients/{}/rename", Uuid::now_v7()),
        format!("/v1/crm/contacts/{id}/rename"),
    ] {
        let answer = send(service.post(&path).body(NAME)).await;
        assert_eq!((answer.status, answer.problem()), (404, "not-found"), "POST {path}");
    }
    let question = service.app.http.get(format!("{}/v1/crm/clients", service.app.commands));
    let question = send(question.bearer_auth(&service.token)).await;
    assert_eq!((question.status, question.problem()), (405, "method-not-allowed"));
    assert_eq!(question.headers["allow"], "POST");
}

#[actix_web::test]
async fn another_firms_records_do_not_exist_and_a_viewer_may_change_nothing() {
    let mut service = Service::start().await;
    let (id, tenant) = (service.client("Ada").await, Uuid::now_v7());
    let rename = format!("/v1/crm/clients/{id}/rename");
    let foreign = service.app.sign(&claims(tenant, "owner"));
    let own = std::mem::replace(&mut service.token, foreign);
    let answer = send(service.post(&rename).body(NAME)).await;
    let unknown = send(service.post(&format!("/v1/crm/clients/{}/rename", Uuid::now_v7())).body(NAME)).await;
    assert_eq!((answer.status, answer.problem()), (404, "not-found"));
    assert_eq!(answer.body["detail"], unknown.body["detail"], "a foreign record looks like none");
    service.token = service.app.sign(&claims(tenant, "viewer"));
    let answer = send(service.post(&rename).body(NAME)).await;
    assert_eq!((answer.status, answer.problem()), (403, "forbidden"));
    service.token = own;
    let answer = send(service.post(&rename).body(r#"{"name":"Bea"}"#)).await;
    assert_eq!((answer.status, answer.body["version"].as_i64()), (200, Some(2)));
}

#[actix_web::test]
async fn a_22_nobody_comes_in_without_one_good_token() {
    let service = Service::start().await;
    let rename = format!("/v1/crm/clients/{}/rename", service.client("Ada").await);
    let mut expired = claims(Uuid::now_v7(), "owner");
    expired["exp"] = json!(chrono::Utc::now().timestamp() - 60);
    let bearer = |token: &str| format!("Bearer {token}");
    for (what, headers) in [
        ("none", vec![]),
        ("empty", vec![String::new()]),
        ("basic", vec!["Basic YTpi".to_owned()]),
        ("expired", vec![bearer(&service.app.sign(&expired))]),
        ("huge", vec![bearer(&"a".repeat(20_000))]),
    ] {
        let request = service.bare(&rename).header("content-type", "application/json").body(NAME);
        let answer = send(headers.iter().fold(request, |r, value| r.header("authorization", value))).await;
        assert_eq!((answer.status, answer.problem()), (401, "unauthenticated"), "{what}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer", "{what}");
    }
    for headers in [[bearer(&service.token), bearer(&service.token)], ["Basic YTpi".to_owned(), bearer(&service.token)]]
    {
        let request = service.bare(&rename).header("content-type", "application/json").body(NAME);
        let answer = send(headers.iter().fold(request, |r, value| r.header("authorization", value))).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (400, "invalid-header"),
            "a proxy may have looked at the other one"
        );
    }
    let in_query = send(service.bare(&format!("{rename}?access_token={}", service.token)).body(NAME)).await;
    assert_eq!((in_query.status, in_query.problem()), (401, "unauthenticated"));
}
