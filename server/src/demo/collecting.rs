//! Flagship 3: what a client hands in belongs to the project, and somebody reviews it.

use super::tour::{Tour, curls, line, title};
use super::visitor::{PATIENCE, Visitor, text};
use super::{booking, coming_days};
use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use reqwest::Method;
use reqwest::header::CONTENT_LENGTH;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TITLE: &str = "Papers for the annual accounts";
const DEFINITION: &str = "Files handed in → review";
/// What is asked for, and the file that is handed in for it.
const PAPERS: [(&str, &str, &str); 2] = [
    (
        "Bank statements",
        "bank-statements.csv",
        "date,text,amount\n2026-09-01,Opening balance,18250.00\n2026-09-14,Invoice 2026-114,4760.00\n2026-09-30,Rent,-1900.00\n",
    ),
    (
        "Trial balance",
        "trial-balance.csv",
        "account,name,debit,credit\n1200,Bank,21110.00,\n4400,Sales,,19873.50\n6310,Rent,1900.00,\n",
    ),
];

/// Asks and hands in, unless that was done before, and shows what came of it.
pub async fn show(tour: &Tour<'_>) -> Result<Value> {
    let (visitor, out) = (&tour.visitor, tour.out);
    title(out, 3, "files that a client hands in are the project's, and reviewed");
    let client = tour.client().await?;
    let (client_id, project_id) = (text(&client, "id"), text(&tour.project(&client).await?, "id"));
    let request = asked(visitor, &client_id, &project_id).await?;
    let items = format!("/v1/files/request-items?file_request_id={request}");
    for (name, file_name, content) in PAPERS {
        let item = visitor.rows(&items).await?.into_iter().find(|item| item["name"] == name);
        let item = item.with_context(|| format!("the request has no item {name:?}"))?;
        if item["file_id"].is_string() {
            continue;
        }
        let file = upload(visitor, &client_id, file_name, content).await?;
        let submit = json!({ "request_item_id": item["id"], "file_id": file });
        let path = format!("/v1/files/file-requests/{request}/submit-item");
        visitor.command(&path, &format!("demo-collecting-submit-{file_name}"), &submit).await?;
    }
    let run = visitor.finished(DEFINITION, &request).await?;
    tour.see_everything().await?;
    let shown = visitor.get(&format!("/v1/files/file-requests/{request}")).await?;
    line(out, "file request", format!("{} ({})", text(&shown, "title"), text(&shown, "status")));
    let files = format!("/v1/files/files?project_id={project_id}&content_type=text%2Fcsv");
    for file in visitor.rows(&files).await? {
        let size = file["size"].as_i64().unwrap_or_default();
        line(out, "file", format!("{} ({}), {size} bytes", text(&file, "name"), text(&file, "status")));
    }
    let tasks = visitor.rows(&format!("/v1/projects/tasks?project_id={project_id}")).await?;
    let task = tasks.into_iter().find(|task| text(task, "title").starts_with("Review the files"));
    let task = task.context("there is no task to review what came")?;
    let assignee = visitor.get(&format!("/v1/identity/users/{}", text(&task, "assignee_id"))).await?;
    let stands = format!("{} ({}), for {}", text(&task, "title"), text(&task, "status"), text(&assignee, "name"));
    line(out, "task", stands);
    let told = visitor.one("/v1/communications/notifications?kind=file_request").await?;
    line(out, "notification", format!("{}: {}", text(&told, "title"), text(&told, "body")));
    line(out, "letter", tour.outside.letter(booking::EMAIL, TITLE).await?);
    tour.run_line(&run);
    let asked = [
        ("the request", format!("/v1/files/file-requests/{request}")),
        ("what was handed in for what", items),
        ("the project's files", files),
        ("its tasks", format!("/v1/projects/tasks?project_id={project_id}")),
        ("what the owner was told", "/v1/communications/notifications?kind=file_request".to_owned()),
        ("the run's steps", format!("/v1/workflow/run-steps?run_id={}", text(&run, "id"))),
    ];
    curls(out, visitor, asked);
    Ok(json!({ "file_request": request, "run": run }))
}

/// The request, sent.
async fn asked(visitor: &Visitor, client_id: &str, project_id: &str) -> Result<String> {
    let earlier = visitor.rows(&format!("/v1/files/file-requests?asked_client_id={client_id}")).await?;
    let earlier = earlier.into_iter().find(|request| request["title"] == TITLE);
    let (id, status) = match earlier {
        Some(earlier) => (text(&earlier, "id"), text(&earlier, "status")),
        None => {
            let items: Vec<Value> = PAPERS.iter().map(|(name, ..)| json!({ "name": name })).collect();
            let create = json!({
                "title": TITLE, "client_id": client_id, "project_id": project_id, "due_on": coming_days(14), "items": items,
                "message": "Please send us the papers of the last quarter.",
            });
            let made = visitor.command("/v1/files/file-requests", "demo-collecting", &create).await?;
            (text(&made, "id"), "draft".to_owned())
        }
    };
    if status == "draft" {
        let path = format!("/v1/files/file-requests/{id}/send");
        visitor.command(&path, "demo-collecting-send", &json!({})).await?;
    }
    Ok(id)
}

/// Announces a file, sends it to the store as the answer says, completes it, and waits until it was looked at.
async fn upload(visitor: &Visitor, client_id: &str, name: &str, content: &str) -> Result<String> {
    let sha256: String =
        digest(&SHA256, content.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let begin = json!({
        "name": name, "size": content.len(), "content_type": "text/csv", "sha256": sha256, "client_id": client_id,
    });
    let begun = visitor.command("/v1/files/files", &format!("demo-collecting-{name}"), &begin).await?;
    let (file, upload) = (text(&begun, "id"), text(&begun, "upload_id"));
    for request in begun["upload"]["requests"].as_array().into_iter().flatten() {
        let method = Method::from_bytes(text(request, "method").as_bytes()).context("a method")?;
        let mut sending = visitor.http.request(method, text(request, "url"));
        for (header, value) in request["headers"].as_object().into_iter().flatten() {
            // Sent by itself, and twice would be wrong.
            if !header.eq_ignore_ascii_case(CONTENT_LENGTH.as_str()) {
                sending = sending.header(header, value.as_str().unwrap_or_default());
            }
        }
        let sent = sending.body(content.to_owned()).send().await.context("sending a file to the store")?;
        // 412: an earlier try came through.
        ensure!(sent.status().is_success() || sent.status() == 412, "the store answered {}", sent.status());
    }
    let complete = json!({ "upload_id": upload });
    let path = format!("/v1/files/files/{file}/complete-upload");
    visitor.command(&path, &format!("demo-collecting-complete-{name}"), &complete).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = visitor.get(&format!("/v1/files/uploads/{upload}")).await?;
        match shown["status"].as_str() {
            Some("accepted") => return Ok(file),
            Some("completed") if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(40)).await,
            _ => bail!("the upload of {name} stands so: {shown}"),
        }
    }
}
