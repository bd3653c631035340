//! More than can be done, slower than allowed, and gone before the answer.

use crate::common::{Service, send};
use harness::Setup;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;
use web::{AdmissionSettings, BodyLimits};

const NAME: &str = r#"{"name":"Grace"}"#;

/// Nobody can append while this is open.
async fn hold_the_log(service: &Service) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let pool = service.app.database.superuser().await;
    let mut transaction = event_store::begin(&pool).await.expect("a transaction");
    let lock = "select 1 from eventstore.head for update";
    sqlx::query(lock).execute(&mut *transaction).await.expect("the lock of the log");
    transaction
}

fn one_in_work_and_one_waiting() -> AdmissionSettings {
    AdmissionSettings { in_flight_max: 1, waiting_max: 1, wait_max: Duration::from_secs(30) }
}

#[actix_web::test]
async fn what_is_too_much_is_shed_with_a_time_to_come_back_and_the_rest_is_done() {
    let service = Service::bounded(one_in_work_and_one_waiting()).await;
    let rename = format!("/v1/crm/clients/{}/rename", service.client("Ada").await);
    let held = hold_the_log(&service).await;
    let accepted: Vec<_> = ["Grace", "Barbara"]
        .map(|name| tokio::spawn(send(service.post(&rename).body(format!(r#"{{"name":"{name}"}}"#)))))
        .into();
    while service.app.admission.load() != (1, 1) {
        tokio::task::yield_now().await;
    }
    let shed = send(service.post(&rename).body(NAME)).await;
    assert_eq!((shed.status, shed.problem()), (503, "overloaded"));
    assert_eq!((shed.headers["retry-after"].to_str().unwrap(), &shed.body["retryable"]), ("1", &true.into()));
    let wrong = send(service.bare(&rename).body(NAME)).await;
    assert_eq!(wrong.status, 401, "what is refused anyway needs no place");
    held.rollback().await.unwrap();
    for answer in accepted {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    let after = send(service.post(&rename).body(r#"{"name":"Radia"}"#)).await;
    assert_eq!((after.status, &after.body["version"]), (200, &4.into()), "what was shed left nothing behind");
}

#[actix_web::test]
async fn a_body_that_does_not_come_is_given_up_and_holds_nobody_up() {
    let body = BodyLimits { bytes_max: 1 << 20, time_max: Duration::from_millis(500) };
    let service = Service::with(Setup { admission: one_in_work_and_one_waiting(), body, ..Setup::default() }).await;
    let rename = format!("/v1/crm/clients/{}/rename", service.client("Ada").await);
    let head = format!(
        "POST {rename} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 20\r\n\r\n{{\"na",
        service.token
    );
    let mut slow = vec![];
    for _ in 0..20 {
        let mut connection = TcpStream::connect(service.address()).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        slow.push(connection);
    }
    let meanwhile = send(service.post(&rename).body(NAME)).await;
    assert_eq!(meanwhile.status, 200, "{meanwhile:?}");
    for mut connection in slow {
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("request-timeout") && answer.contains("connection: close"), "{answer}");
    }
}

#[actix_web::test]
async fn c_05_a_storm_of_clients_that_hang_up_leaves_every_place_free_and_every_command_whole() {
    let service =
        Service::bounded(AdmissionSettings { in_flight_max: 4, waiting_max: 8, wait_max: Duration::from_millis(40) })
            .await;
    let create = |key: Uuid| {
        let body = format!(r#"{{"name":"Client {key}"}}"#);
        format!(
            "POST /v1/crm/clients HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            service.token,
            body.len()
        )
    };
    let keys: Vec<Uuid> = (0..300).map(|_| Uuid::now_v7()).collect();
    for (number, key) in keys.iter().enumerate() {
        let mut connection = TcpStream::connect(service.address()).await.unwrap();
        let request = create(*key);
        // Some hang up in the middle of the request, the others before the answer.
        let sent = if number % 3 == 0 { &request[..request.len() - 5] } else { &request[..] };
        connection.write_all(sent.as_bytes()).await.unwrap();
        if number % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(number as u64 % 4)).await;
        }
    }
    // Whoever asks again learns what became of it, and nothing is there twice.
    for key in &keys {
        let body = format!(r#"{{"name":"Client {key}"}}"#);
        let request = || service.post("/v1/crm/clients").header("idempotency-key", key.to_string()).body(body.clone());
        let mut answer = send(request()).await;
        while answer.status == 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer = send(request()).await;
        }
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    assert_eq!(service.app.admission.load(), (0, 0));
    let pool = service.app.database.superuser().await;
    let count: i64 = sqlx::query_scalar("select count(*) from eventstore.events").fetch_one(&pool).await.unwrap();
    assert_eq!(count, 300);
}

#[actix_web::test]
async fn a_process_that_is_about_to_end_asks_its_clients_to_go_elsewhere() {
    let service = Service::start().await;
    let rename = format!("/v1/crm/clients/{}/rename", service.client("Ada").await);
    let before = send(service.post(&rename).body(NAME)).await;
    assert!(!before.headers.contains_key("connection"), "{before:?}");
    service.app.draining.begin();
    let after = send(service.post(&rename).body(r#"{"name":"Ada"}"#)).await;
    assert_eq!((after.status, after.headers["connection"].to_str().unwrap()), (200, "close"));
}
