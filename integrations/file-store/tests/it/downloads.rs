//! Whoever may see a file fetches it under its name, and nobody else.

use crate::desk::{Desk, PDF};
use harness::send;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

/// Names that have broken other people's links.
fn names() -> Vec<String> {
    let emoji = "🐘".repeat(63) + "abc";
    ["1 ©.jpg", "a  b.pdf", "qwe!w.png", "o'neill (1).pdf", "a\"b;c%20.txt", &emoji].map(str::to_owned).into()
}

#[actix_web::test]
async fn every_name_goes_up_and_comes_down_again() {
    let desk = Desk::new().await;
    for name in names() {
        let begun = desk.file(&name, "application/octet-stream", PDF, &json!({})).await;
        let place = desk.get(&format!("/v1/files/files/{}/download", begun.file)).await;
        assert_eq!((place.status, place.header("cache-control")), (303, "no-store"), "{name}");
        let fetched = desk.http.get(place.header("location")).send().await.unwrap();
        assert_eq!(fetched.status(), 200, "{name}");
        let disposition = fetched.headers()["content-disposition"].to_str().unwrap().to_owned();
        assert_eq!(disposition, objects::attachment(&name));
        assert_eq!(fetched.headers()["content-type"], "application/octet-stream");
        assert_eq!(&fetched.bytes().await.unwrap()[..], PDF);
        // The same by a program that many people use.
        let mut curl = tokio::process::Command::new("curl");
        curl.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}"]).arg(place.header("location"));
        let curl = curl.output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&curl.stdout), "200", "{name}");
    }
}

#[actix_web::test]
async fn a_program_that_many_people_use_sends_what_it_is_told_to() {
    let desk = Desk::new().await;
    for name in names() {
        let begun = desk.begin(&name, "application/octet-stream", PDF, &json!({})).await;
        let place = &begun.requests[0];
        let mut curl = tokio::process::Command::new("curl");
        curl.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT", "--data-binary", "@-"]);
        for (header, value) in place["headers"].as_object().unwrap() {
            curl.arg("-H").arg(format!("{header}: {}", value.as_str().unwrap()));
        }
        let (stdin, stdout) = (std::process::Stdio::piped(), std::process::Stdio::piped());
        let mut curl = curl.arg(place["url"].as_str().unwrap()).stdin(stdin).stdout(stdout).spawn().unwrap();
        // Its end is what ends the input.
        curl.stdin.take().unwrap().write_all(PDF).await.unwrap();
        let sent = curl.wait_with_output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&sent.stdout), "200", "{name}");
        assert_eq!(desk.complete(&begun, &[]).await.status, 200);
        assert_eq!(desk.upload(&begun).await["status"], "accepted", "{name}");
    }
}

#[actix_web::test]
async fn whoever_asks_for_json_is_told_where_it_is() {
    let desk = Desk::new().await;
    let begun = desk.file("1 ©.pdf", "application/pdf", PDF, &json!({})).await;
    let path = format!("/v1/files/files/{}/download", begun.file);
    let asked = desk.app.question(&path, desk.app.owner(desk.firm).as_str()).header("accept", "application/json");
    let told = send(asked).await;
    assert_eq!((told.status, &told.body["file_name"]), (200, &json!("1 ©.pdf")));
    let url = told.body["url"].as_str().unwrap();
    // A page of any origin may fetch it: what it must know is in the URL.
    let fetched = desk.http.get(url).header("origin", "https://app.example.com").send().await.unwrap();
    assert_eq!(fetched.status(), 200);
    let allowed = fetched.headers()["access-control-allow-origin"].to_str().unwrap();
    assert!(["*", "https://app.example.com"].contains(&allowed), "{allowed}");
    let tampered = url.replace(&begun.upload.to_string(), &Uuid::now_v7().to_string());
    assert_eq!(desk.http.get(tampered).send().await.unwrap().status(), 403);
}

#[actix_web::test]
async fn a_page_may_send_what_it_is_told_to() {
    let desk = Desk::new().await;
    let begun = desk.begin("a.pdf", "application/pdf", PDF, &json!({})).await;
    let asked = desk
        .http
        .request(reqwest::Method::OPTIONS, begun.requests[0]["url"].as_str().unwrap())
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type,if-none-match,x-amz-checksum-sha256");
    let answer = asked.send().await.unwrap();
    assert!(answer.status().is_success());
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_lowercase();
    assert!(header("access-control-allow-methods").contains("put"));
    let headers = header("access-control-allow-headers");
    assert!(headers == "*" || headers.contains("x-amz-checksum-sha256"), "{headers}");
}

#[actix_web::test]
async fn a_client_fetches_its_own_files_and_no_others_and_none_in_quarantine() {
    let desk = Desk::new().await;
    let (app, firm) = (&desk.app, desk.firm);
    let client = app.command(firm, "crm.client.create", Uuid::now_v7(), &json!({ "name": "Ada" })).await.id;
    let other = app.command(firm, "crm.client.create", Uuid::now_v7(), &json!({ "name": "Eve" })).await.id;
    let person = Uuid::now_v7();
    app.let_into_portal(firm, person, client, "ada@example.com", "files.*").await;
    let theirs = desk.file("theirs.pdf", "application/pdf", PDF, &json!({ "client_id": client })).await;
    let others = desk.file("others.pdf", "application/pdf", PDF, &json!({ "client_id": other })).await;
    let ours = desk.file("ours.pdf", "application/pdf", PDF, &json!({})).await;
    let quarantined = desk.begin("new.pdf", "application/pdf", PDF, &json!({ "client_id": client })).await;
    app.project().await;
    let session = app.portal_session(firm, person, client).await;
    let listed = app.get("/v1/files/files", &session).await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    let listed: Vec<&str> =
        listed.body["data"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
    assert_eq!(listed, ["theirs.pdf"]);
    for (file, status) in [(&theirs, 303), (&others, 404), (&ours, 404), (&quarantined, 404)] {
        let answer = app.get(&format!("/v1/files/files/{}/download", file.file), &session).await;
        assert_eq!(answer.status, status);
    }
    let of_others = format!("/v1/files/files/{}/download?version_id={}", theirs.file, others.upload);
    assert_eq!(app.get(&of_others, &session).await.status, 404, "a version of another file");
    assert_eq!(app.get("/v1/files/uploads", &session).await.status, 403);
    desk.post(&format!("/v1/files/files/{}/delete", theirs.file), &json!({})).await;
    desk.settle().await;
    assert_eq!(app.get(&format!("/v1/files/files/{}/download", theirs.file), &session).await.status, 404);
    desk.post(&format!("/v1/files/files/{}/restore", theirs.file), &json!({})).await;
    desk.settle().await;
    assert_eq!(app.get(&format!("/v1/files/files/{}/download", theirs.file), &session).await.status, 303);
}
