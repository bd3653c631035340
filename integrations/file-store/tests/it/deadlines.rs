//! What is done because time has passed.

use crate::desk::PDF;
use chrono::{TimeDelta, Utc};
use files_events::{Announced, FileEvent, FileRequestEvent, RequestItem, RequestItemId, UploadId};
use harness::{History, TestApp, tenant};
use kernel::{Checksum, ClientId, Timestamp};
use objects::ObjectError;
use uuid::Uuid;

/// What was written by hand is known to commands too.
async fn known(app: &TestApp) {
    let sql =
        "insert into eventstore.streams (tenant_id, aggregate_type, aggregate_id, version, first_position, position)
               select tenant_id, aggregate_type, aggregate_id, max(sequence), min(position), max(position)
               from eventstore.events group by 1, 2, 3 on conflict do nothing";
    sqlx::query(sql).execute(&app.database.superuser().await).await.unwrap();
}

#[actix_web::test]
async fn an_upload_that_was_not_completed_within_a_day_expires_and_leaves_nothing_at_the_store() {
    let mut history = History::new().await;
    let (firm, file, upload_id) = (tenant(1), Uuid::now_v7(), UploadId(Uuid::now_v7()));
    let key = file_store::key(firm, file, upload_id);
    let name = "a.pdf".parse().unwrap();
    let created = FileEvent::Created { name, folder_id: None, subfolder_id: None, client_id: None, project_id: None };
    history.event(firm, file, created);
    let (content_type, sha256) = ("application/pdf".parse().unwrap(), Checksum::of(PDF));
    let announced = Announced { size: 6 << 20, content_type, sha256, part_size: Some(5 << 20) };
    let expires_at = Timestamp::of_clock(Utc::now() - TimeDelta::hours(1));
    history.event(firm, file, FileEvent::UploadBegun { upload_id, announced, expires_at });
    history.write().await;
    let app = history.app().await;
    let store_upload = app.objects.begin_parts(&key, "application/pdf").await.unwrap();
    history.event(firm, file, FileEvent::UploadPrepared { upload_id, store_upload: store_upload.clone() });
    history.write().await;
    known(&app).await;
    app.objects.write(&key, "application/pdf", PDF).await.unwrap();
    for _ in 0..2 {
        app.keeper.round().await.unwrap();
    }
    app.project().await;
    assert_eq!(app.count("select count(*) from files.uploads where status = 'expired'").await, 1);
    assert_eq!(app.objects.find(&key).await.unwrap(), None);
    let gone = app.objects.complete_parts(&key, &store_upload, &["\"a\"".to_owned()]).await;
    assert!(matches!(gone, Err(ObjectError::Unknown(_) | ObjectError::Invalid(_))), "{gone:?}");
}

#[actix_web::test]
async fn a_request_whose_day_is_over_expires_and_one_that_was_sent_late_is_not_reminded_of() {
    let mut history = History::new().await;
    let (firm, request) = (tenant(1), Uuid::now_v7());
    let (title, client_id) = ("Papers".parse().unwrap(), ClientId(Uuid::now_v7()));
    let due_on = Some(Timestamp::of_clock(Utc::now() - TimeDelta::days(3)).date_in(chrono_tz::UTC));
    let item = RequestItem {
        id: RequestItemId(Uuid::now_v7()),
        name: "Passport".parse().unwrap(),
        description: None,
        required: true,
    };
    let request_item_ids = vec![item.id];
    let created = FileRequestEvent::Created {
        title,
        client_id,
        project_id: None,
        folder_id: None,
        message: None,
        due_on,
        request_items: vec![item],
    };
    history.event(firm, request, created);
    let title = "Papers".parse().unwrap();
    let sent =
        FileRequestEvent::Sent { title, client_id, project_id: None, due_on, request_item_ids, requested_by: None };
    history.event(firm, request, sent);
    history.write().await;
    let app = history.app().await;
    known(&app).await;
    app.keeper.round().await.unwrap();
    app.project().await;
    assert_eq!(app.count("select count(*) from files.file_requests where status = 'expired'").await, 1);
    assert_eq!(app.count("select count(*) from files.file_requests where reminded_at is not null").await, 0);
}
