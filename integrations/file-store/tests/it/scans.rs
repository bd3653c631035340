//! What a scanner finds is no version. The scanner speaks clamd's protocol; it is real where `UBOS_TEST_CLAMD` says where one is.

use crate::desk::{Desk, PDF};
use harness::Setup;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What every scanner takes for harmful, and is not. In two pieces, so that none takes this file for it.
fn eicar() -> Vec<u8> {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-", "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat().into_bytes()
}

/// A scanner that knows one signature, and takes 1 MiB at most.
struct Clamd {
    url: String,
    is_up: Arc<AtomicBool>,
}

impl Clamd {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("tcp://{}", listener.local_addr().unwrap());
        let is_up = Arc::new(AtomicBool::new(true));
        let up = is_up.clone();
        tokio::spawn(async move {
            while let Ok((pipe, _)) = listener.accept().await {
                if up.load(Ordering::SeqCst) {
                    tokio::spawn(serve(pipe));
                }
            }
        });
        Self { url, is_up }
    }
}

async fn serve(mut pipe: TcpStream) {
    let mut command = [0; 10];
    pipe.read_exact(&mut command).await.unwrap();
    assert_eq!(&command, b"zINSTREAM\0");
    let mut all = vec![];
    loop {
        let mut length = [0; 4];
        if pipe.read_exact(&mut length).await.is_err() {
            return;
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap();
        if length == 0 {
            break;
        }
        let mut piece = vec![0; length];
        pipe.read_exact(&mut piece).await.unwrap();
        all.extend(piece);
        if all.len() > 1 << 20 {
            pipe.write_all(b"INSTREAM size limit exceeded. ERROR\0").await.unwrap();
            return;
        }
    }
    let signature = eicar();
    let found = all.windows(signature.len()).any(|window| window == signature);
    let answer: &[u8] = if found { b"stream: Eicar-Test-Signature FOUND\0" } else { b"stream: OK\0" };
    pipe.write_all(answer).await.unwrap();
}

#[actix_web::test]
async fn what_is_infected_is_no_version_and_is_gone_from_the_store() {
    let clamd = Clamd::start().await;
    let url = std::env::var("UBOS_TEST_CLAMD").unwrap_or_else(|_| clamd.url.clone());
    let desk = Desk::with(Setup { scanner: Some(url), ..Setup::default() }).await;
    let bytes = eicar();
    let begun = desk.begin("virus.txt", "text/plain", &bytes, &json!({})).await;
    assert_eq!(desk.send(&begun.requests[0], bytes, &[]).await.status(), 200);
    desk.complete(&begun, &[]).await;
    let upload = desk.upload(&begun).await;
    assert_eq!(upload["status"], "infected", "{upload}");
    assert!(upload["detail"].as_str().unwrap().to_lowercase().contains("eicar"), "{upload}");
    assert_eq!(desk.get(&format!("/v1/files/files/{}/download", begun.file)).await.status, 404);
    desk.settle().await;
    assert!(!desk.is_kept(&begun).await);
    let clean = desk.file("clean.pdf", "application/pdf", PDF, &json!({})).await;
    assert_eq!(desk.upload(&clean).await["status"], "accepted");
}

#[actix_web::test]
async fn nothing_leaves_the_quarantine_while_the_scanner_is_away() {
    let clamd = Clamd::start().await;
    clamd.is_up.store(false, Ordering::SeqCst);
    let desk = Desk::with(Setup { scanner: Some(clamd.url.clone()), ..Setup::default() }).await;
    let begun = desk.begin("a.pdf", "application/pdf", PDF, &json!({})).await;
    desk.send(&begun.requests[0], PDF, &[]).await;
    desk.complete(&begun, &[]).await;
    assert_eq!(desk.upload(&begun).await["status"], "completed");
    clamd.is_up.store(true, Ordering::SeqCst);
    let due = "update reactions.jobs set due_at = clock_timestamp() where reaction = 'files.inspection'";
    let lanes = "update reactions.lanes set due_at = clock_timestamp() where reaction = 'files.inspection'";
    let pool = desk.app.database.superuser().await;
    for sql in [due, lanes] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    desk.settle().await;
    assert_eq!(desk.upload(&begun).await["status"], "accepted");
}

#[actix_web::test]
async fn what_the_scanner_does_not_take_waits_for_an_operator() {
    let clamd = Clamd::start().await;
    let desk = Desk::with(Setup { scanner: Some(clamd.url), ..Setup::default() }).await;
    let bytes = vec![7; 3 << 20];
    let begun = desk.begin("a.bin", "application/octet-stream", &bytes, &json!({})).await;
    desk.send(&begun.requests[0], bytes, &[]).await;
    desk.complete(&begun, &[]).await;
    assert_eq!(desk.upload(&begun).await["status"], "completed");
    let parked = "select count(*) from reactions.jobs where reaction = 'files.inspection' and code = 'not_scanned'";
    assert_eq!(desk.app.count(parked).await, 1);
}
