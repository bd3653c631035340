//! Writes signed messages to a file, for a judge that verifies them with the official library of Standard Webhooks.

use anyhow::{Context, Result};
use chrono::Utc;
use serde_json::json;
use webhooks::{SigningKey, signatures};

fn main() -> Result<()> {
    let file = std::env::args().nth(1).context("expected a file to write to")?;
    let (now, keys) = (Utc::now().timestamp(), [SigningKey::new((0..32).collect()), SigningKey::new(vec![7; 32])]);
    let bodies = [
        r#"{"type":"client.created","timestamp":"2026-11-30T10:00:00Z","data":{"name":"Zoë ☃"}}"#.to_owned(),
        "{}".to_owned(),
        json!({ "type": "client.renamed", "data": { "name": "x".repeat(20_000) } }).to_string(),
    ];
    let mut messages = vec![];
    for (at, body) in bodies.iter().enumerate() {
        // As while a secret is replaced, and as otherwise.
        for keys in [&keys[..], &keys[..1]] {
            let id = format!("0193-{at}");
            let headers = json!({
                "webhook-id": id, "webhook-timestamp": now.to_string(),
                "webhook-signature": signatures(keys, &id, now, body.as_bytes()),
            });
            let secrets: Vec<String> = keys.iter().map(SigningKey::shown).collect();
            messages.push(json!({ "headers": headers, "body": body, "secrets": secrets }));
        }
    }
    std::fs::write(file, serde_json::to_vec(&messages)?)?;
    Ok(())
}
