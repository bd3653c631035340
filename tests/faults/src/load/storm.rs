//! Many clients at once that hang up in the middle of a request.

use super::client::{Client, Operation};
use serde_json::json;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Opens so many connections, sends a command or a part of one on each, and resets it without waiting for an answer.
pub async fn storm(clients: &[Arc<Client>], connections: usize) {
    let mut hanging_up = JoinSet::new();
    for number in 0..connections {
        let client = clients[rand::random_range(0..clients.len())].clone();
        hanging_up.spawn(async move { hang_up(&client, number).await });
    }
    while hanging_up.join_next().await.is_some() {}
}

async fn hang_up(client: &Client, number: usize) -> std::io::Result<()> {
    let wire = client.wire();
    let port = wire.command_ports[number % wire.command_ports.len()];
    let (counter, name) = client.mark();
    let body = json!({ "name": name });
    let operation = client.command("crm.client.create", "/v1/crm/clients".to_owned(), body.clone(), Some(counter));
    let text = request(client, &operation, &body.to_string());
    // A third each: cut off in the headers, in the body, after everything was sent. Only the last can be carried out.
    let length = match number % 3 {
        0 => text.len() / 3,
        1 => text.len() - 5,
        _ => text.len(),
    };
    let invoked = wire.evidence.now();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    if length == text.len() {
        wire.evidence.history.add(&client.line(&operation, wire.next_request(), invoked));
    }
    stream.write_all(&text.as_bytes()[..length]).await?;
    let pause = rand::random_range(0..20);
    tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
    stream.set_zero_linger()
}

fn request(client: &Client, operation: &Operation, body: &str) -> String {
    let (path, key, length) = (&operation.path, operation.key.as_deref().unwrap_or_default(), body.len());
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
        client.token
    )
}
