//! What comes as it was announced is a version.

use crate::desk::{Begun, Desk, PDF, announce};
use serde_json::json;
use std::time::Instant;
use uuid::Uuid;

const MIB: usize = 1 << 20;

#[actix_web::test]
async fn what_was_announced_and_came_is_a_version_that_nobody_saw_before() {
    let desk = Desk::new().await;
    let begun = desk.begin("Plan.pdf", "application/pdf", PDF, &json!({})).await;
    assert_eq!(begun.requests.len(), 1);
    assert_eq!(begun.requests[0]["headers"]["content-length"], PDF.len().to_string());
    assert!(!begun.requests[0]["url"].as_str().unwrap().contains("Plan"), "a key is opaque");
    desk.app.project().await;
    assert_eq!(desk.get("/v1/files/files").await.body["data"], json!([]));
    assert_eq!(desk.upload(&begun).await["status"], "initiated");
    assert_eq!(desk.send(&begun.requests[0], PDF, &[]).await.status(), 200);

    let body = json!({ "upload_id": begun.upload });
    let path = format!("/v1/files/files/{}/complete-upload", begun.file);
    assert_eq!(desk.post(&path, &body).await.status, 200);
    desk.app.project().await;
    assert_eq!(desk.upload(&begun).await["status"], "completed");
    assert_eq!(desk.get(&format!("/v1/files/files/{}", begun.file)).await.status, 404, "it is in quarantine");
    assert_eq!(desk.get(&format!("/v1/files/files/{}/download", begun.file)).await.status, 404);

    desk.settle().await;
    let file = desk.get(&format!("/v1/files/files/{}", begun.file)).await.body;
    assert_eq!((&file["name"], &file["size"]), (&json!("Plan.pdf"), &json!(PDF.len())));
    assert_eq!((&file["version_id"], &file["versions"]), (&json!(begun.upload), &json!(1)));
    assert_eq!(desk.upload(&begun).await["status"], "accepted");
    // Whoever did not hear that it was done asks again.
    assert_eq!(desk.post(&path, &body).await.status, 200);
    desk.settle().await;
    assert_eq!(desk.get("/v1/files/file-versions").await.body["data"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn a_repeat_with_its_key_answers_where_to_send_it_again() {
    let desk = Desk::new().await;
    let body = announce("Plan.pdf", "application/pdf", PDF, &json!({}));
    let first = desk.post_with("/v1/files/files", "k1", &body).await;
    let again = desk.post_with("/v1/files/files", "k1", &body).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((first.header("cache-control"), again.header("idempotency-replayed")), ("no-store", "true"));
    let (first, again) = (Begun::of(&first), Begun::of(&again));
    assert_eq!((first.file, first.upload), (again.file, again.upload));
    assert_eq!(desk.send(&again.requests[0], PDF, &[]).await.status(), 200);
    assert_eq!(desk.complete(&again, &[]).await.status, 200);
    let after = desk.post_with("/v1/files/files", "k1", &body).await;
    assert_eq!((after.status, &after.body["upload"]["status"]), (201, &json!("accepted")));
    assert_eq!(after.body["upload"]["requests"], json!([]));
}

#[actix_web::test]
async fn a_large_file_comes_in_parts() {
    let desk = Desk::new().await;
    let bytes: Vec<u8> = (0..12 * MIB).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect();
    let parts = json!({ "part_size": 5 * MIB });
    let body = announce("big.bin", "application/octet-stream", &bytes, &parts);
    let answer = desk.post_with("/v1/files/files", "k1", &body).await;
    let begun = Begun::of(&answer);
    assert_eq!(
        begun.requests.iter().map(|part| part["size"].as_u64().unwrap()).collect::<Vec<_>>(),
        [5 * MIB as u64, 5 * MIB as u64, 2 * MIB as u64]
    );
    assert_eq!(answer.body["upload"]["status"], "uploading");
    // A repeat speaks of the same upload at the store.
    let again = Begun::of(&desk.post_with("/v1/files/files", "k1", &body).await);
    let mut etags = vec![];
    for (n, (chunk, place)) in bytes.chunks(5 * MIB).zip(&again.requests).enumerate() {
        let place = if n == 0 { &begun.requests[0] } else { place };
        let sent = desk.send(place, chunk.to_vec(), &[]).await;
        assert_eq!(sent.status(), 200);
        etags.push(sent.headers()["etag"].to_str().unwrap().to_owned());
    }
    let too_few = desk.complete(&begun, &etags[..2]).await;
    assert_eq!((too_few.status, too_few.code()), (422, "files.file.wrong_parts"));
    assert_eq!(desk.complete(&begun, &etags).await.status, 200);
    let file = desk.get(&format!("/v1/files/files/{}", begun.file)).await;
    assert_eq!((file.status, &file.body["size"]), (200, &json!(12 * MIB)), "{}", desk.upload(&begun).await);
    assert_eq!(desk.send(&begun.requests[0], bytes[..5 * MIB].to_vec(), &[]).await.status(), 404, "it is over");
}

#[actix_web::test]
async fn one_more_version_takes_the_place_of_the_one_before_which_stays() {
    let desk = Desk::new().await;
    let first = desk.file("notes.txt", "text/plain", b"one", &json!({})).await;
    let mut body = announce("-", "text/plain", b"two, longer", &json!({}));
    body.as_object_mut().unwrap().remove("name");
    let add = format!("/v1/files/files/{}/add-version", first.file);
    let second = Begun::of(&desk.post(&add, &body).await);
    assert_eq!(desk.send(&second.requests[0], "two, longer", &[]).await.status(), 200);
    assert_eq!(desk.complete(&second, &[]).await.status, 200);
    let file = desk.get(&format!("/v1/files/files/{}", first.file)).await.body;
    assert_eq!((&file["version_id"], &file["versions"], &file["size"]), (&json!(second.upload), &json!(2), &json!(11)));
    for (version, text) in [(first.upload, "one"), (second.upload, "two, longer")] {
        let path = format!("/v1/files/files/{}/download?version_id={version}", first.file);
        let place = desk.get(&path).await;
        assert_eq!(place.status, 303);
        let bytes = desk.http.get(place.header("location")).send().await.unwrap().text().await.unwrap();
        assert_eq!(bytes, text);
    }
}

#[actix_web::test]
async fn what_was_aborted_or_expired_leaves_nothing_at_the_store() {
    let desk = Desk::new().await;
    let begun = desk.begin("a.pdf", "application/pdf", PDF, &json!({})).await;
    desk.send(&begun.requests[0], PDF, &[]).await;
    assert!(desk.is_kept(&begun).await);
    let abort = json!({ "upload_id": begun.upload });
    assert_eq!(desk.post(&format!("/v1/files/files/{}/abort-upload", begun.file), &abort).await.status, 200);
    desk.settle().await;
    assert!(!desk.is_kept(&begun).await);
    assert_eq!(desk.upload(&begun).await["status"], "aborted");
    let complete = desk.complete(&begun, &[]).await;
    assert_eq!((complete.status, complete.code()), (409, "files.file.upload_closed"));
}

#[actix_web::test]
async fn a_file_is_renamed_moved_taken_away_and_put_back() {
    let desk = Desk::new().await;
    let begun = desk.file("a.pdf", "application/pdf", PDF, &json!({})).await;
    let (path, folders) = (format!("/v1/files/files/{}", begun.file), "/v1/files/folders");
    let folder = desk.post(folders, &json!({ "name": "Papers" })).await.id();
    let name = json!({ "name": "Plan.pdf" });
    assert_eq!(desk.post(&format!("{path}/rename"), &name).await.status, 200);
    assert_eq!(desk.post(&format!("{path}/move"), &json!({ "folder_id": folder })).await.status, 200);
    desk.app.project().await;
    let row = desk.get(&path).await.body;
    assert_eq!((&row["name"], &row["folder_id"]), (&json!("Plan.pdf"), &json!(folder)));
    assert_eq!(desk.get(&format!("{path}/download")).await.status, 303, "its bytes are where they were");
    let nowhere = desk.post(&format!("{path}/move"), &json!({ "folder_id": Uuid::now_v7() })).await;
    assert_eq!((nowhere.status, nowhere.code()), (422, "files.file.unknown_folder"));

    assert_eq!(desk.post(&format!("{path}/delete"), &json!({})).await.status, 200);
    desk.settle().await;
    let listed = async || desk.get("/v1/files/files").await.body["data"].as_array().unwrap().len();
    assert_eq!((listed().await, desk.is_kept(&begun).await), (0, true), "what was deleted can be restored");
    let moved = desk.post(&format!("{path}/move"), &json!({})).await;
    assert_eq!((moved.status, moved.code()), (409, "files.file.deleted"));
    assert_eq!(desk.post(&format!("{path}/restore"), &json!({})).await.status, 200);
    desk.settle().await;
    assert_eq!((listed().await, desk.get(&format!("{path}/download")).await.status), (1, 303));
}

#[actix_web::test]
async fn where_to_send_it_is_said_in_no_time() {
    let desk = Desk::new().await;
    let mut times = vec![];
    for n in 0..20 {
        let body = announce(&format!("{n}.pdf"), "application/pdf", PDF, &json!({}));
        let begun = Instant::now();
        let answer = desk.post_with("/v1/files/files", &Uuid::now_v7().to_string(), &body).await;
        times.push(begun.elapsed());
        assert_eq!(answer.status, 201);
    }
    times.sort();
    println!("upload begun, p50: {:?}", times[10]);
}
