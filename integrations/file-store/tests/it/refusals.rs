//! What comes otherwise than it was announced is no version, and says why.

use crate::desk::{Begun, Desk, PDF};
use serde_json::json;

/// The file is nowhere, and nothing of it is left at the store.
async fn came_to_nothing(desk: &Desk, begun: &Begun, reason: &str) {
    let upload = desk.upload(begun).await;
    assert_eq!((&upload["status"], &upload["reason"]), (&json!("rejected"), &json!(reason)), "{upload}");
    assert!(!upload["detail"].as_str().unwrap().is_empty());
    assert_eq!(desk.get(&format!("/v1/files/files/{}", begun.file)).await.status, 404);
    assert_eq!(desk.get(&format!("/v1/files/files/{}/download", begun.file)).await.status, 404);
    desk.settle().await;
    assert!(!desk.is_kept(begun).await);
}

/// Writes to the store past what is signed, as a store might take that checks nothing.
async fn smuggle(desk: &Desk, begun: &Begun, bytes: &'static [u8]) {
    let key = file_store::key(desk.firm.into(), begun.file, begun.upload.into());
    desk.app.objects.write(&key, "application/pdf", bytes).await.unwrap();
}

#[actix_web::test]
async fn the_store_takes_nothing_but_what_is_signed() {
    let desk = Desk::new().await;
    let begun = desk.begin("a.pdf", "application/pdf", PDF, &json!({})).await;
    let place = &begun.requests[0];
    let longer = vec![b'x'; 1 << 20];
    let length = longer.len().to_string();
    assert_eq!(desk.send(place, longer, &[("content-length", &length)]).await.status(), 403, "another length");
    assert_eq!(desk.send(place, PDF, &[("content-type", "text/html")]).await.status(), 403, "another type");
    let other = [("x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")];
    assert_eq!(desk.send(place, PDF, &other).await.status(), 403, "another checksum");
    assert_eq!(desk.send(place, PDF, &[("if-none-match", "\"x\"")]).await.status(), 403, "again and again");
    assert!(!desk.is_kept(&begun).await);
    assert_eq!(desk.send(place, PDF, &[]).await.status(), 200);
    let second = desk.send(place, PDF, &[]).await.status();
    assert_eq!(second, 412, "a second use");
    assert_eq!(desk.complete(&begun, &[]).await.status, 200);
    assert_eq!(desk.send(place, PDF, &[]).await.status(), 412);
    assert_eq!(desk.upload(&begun).await["status"], "accepted");
}

#[actix_web::test]
async fn other_bytes_of_the_same_length_are_no_version() {
    let desk = Desk::new().await;
    let begun = desk.begin("a.txt", "text/plain", b"one", &json!({})).await;
    // Whether or not the store looks at the checksum, the inspection does.
    let taken = desk.send(&begun.requests[0], "two", &[]).await.status();
    println!("the store answers other bytes with {taken}");
    if taken != 200 {
        smuggle(&desk, &begun, b"two").await;
    }
    desk.complete(&begun, &[]).await;
    came_to_nothing(&desk, &begun, "wrong_checksum").await;
}

#[actix_web::test]
async fn what_never_came_is_missing() {
    let desk = Desk::new().await;
    let begun = desk.begin("a.pdf", "application/pdf", PDF, &json!({})).await;
    desk.complete(&begun, &[]).await;
    came_to_nothing(&desk, &begun, "missing").await;
    let (path, body) =
        (format!("/v1/files/files/{}/complete-upload", begun.file), json!({ "upload_id": begun.upload }));
    let again = desk.post(&path, &body).await;
    assert_eq!((again.status, again.code()), (409, "files.file.upload_closed"));
}

#[actix_web::test]
async fn more_or_fewer_bytes_are_no_version() {
    let desk = Desk::new().await;
    for bytes in [&b"%PDF"[..], b"%PDF-1.7\n but much, much longer than anybody has announced, by far, as one can see"]
    {
        let begun = desk.begin("a.pdf", "application/pdf", PDF, &json!({})).await;
        smuggle(&desk, &begun, bytes).await;
        desk.complete(&begun, &[]).await;
        came_to_nothing(&desk, &begun, "wrong_size").await;
    }
}

#[actix_web::test]
async fn html_that_says_it_is_a_pdf_is_no_version() {
    let desk = Desk::new().await;
    let html = b"<!DOCTYPE html><html><script>alert(1)</script></html>";
    let begun = desk.begin("a.pdf", "application/pdf", html, &json!({})).await;
    assert_eq!(desk.send(&begun.requests[0], html.to_vec(), &[]).await.status(), 200);
    desk.complete(&begun, &[]).await;
    came_to_nothing(&desk, &begun, "wrong_type").await;
}

#[actix_web::test]
async fn parts_that_never_came_are_no_version() {
    let desk = Desk::new().await;
    let bytes = vec![7; 6 << 20];
    let begun = desk.begin("a.bin", "application/octet-stream", &bytes, &json!({ "part_size": 5 << 20 })).await;
    let etag = "\"d41d8cd98f00b204e9800998ecf8427e\"".to_owned();
    desk.complete(&begun, &[etag.clone(), etag]).await;
    let upload = desk.upload(&begun).await;
    assert_eq!(upload["status"], "rejected", "{upload}");
    assert!(["wrong_parts", "missing"].contains(&upload["reason"].as_str().unwrap()), "{upload}");
    assert!(!desk.is_kept(&begun).await);
}

#[actix_web::test]
async fn a_request_that_is_over_is_refused_by_the_store() {
    let setup = harness::Setup { uploads_last: std::time::Duration::from_secs(1), ..harness::Setup::default() };
    let desk = Desk::with(setup).await;
    let begun = desk.begin("a.pdf", "application/pdf", PDF, &json!({})).await;
    tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
    assert_eq!(desk.send(&begun.requests[0], PDF, &[]).await.status(), 403);
}

#[actix_web::test]
async fn names_sizes_and_types_that_mean_nothing_are_refused_with_their_fields() {
    let desk = Desk::new().await;
    let body = json!({ "name": "../etc", "content_type": "pdf", "size": -1, "sha256": "abc" });
    let answer = desk.post("/v1/files/files", &body).await;
    assert_eq!(answer.status, 422);
    let errors = answer.body["errors"].as_array().unwrap();
    let mut fields: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["/content_type", "/name", "/sha256", "/size"]);
}
