//! Dropbox Sign against the lab.

use crate::common::{status, world};
use crate::papers::envelope;
use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpServer};
use connections_events::ConnectionStatus;
use harness::{Outside, eventually};
use lab::{DROPBOX_SIGN_ACCOUNT, Fault as LabFault, Mood, WEBHOOK_KEY, What};
use ports::{EnvelopeStatus, Fault, SignerStatus, Signing};
use providers::form::{self, Part};
use providers::{Adapter, Begun, Grant, Sweeper, sign_hex};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const NAME: &str = "dropbox_sign";

fn failing(status: u16, retry_after: Option<u32>) -> What {
    What::Status { status, retry_after, limit: None, code: None }
}

#[actix_web::test]
async fn a_request_is_sent_signed_in_order_and_fetched() {
    let (app, firm, outside) = world().await;
    let (at, sign) = (outside.connected(&app, firm, NAME).await, &outside.dropbox_sign);
    let sent = sign.send(at, "key-1", &envelope()).await.unwrap();
    assert_eq!(sign.send(at, "key-1", &envelope()).await.unwrap(), sent, "looked for before it is sent");
    assert_eq!(sign.find(at, "key-1").await.unwrap(), Some(sent.clone()));
    assert_eq!(sign.find(at, "key-2").await.unwrap(), None);
    let seen = sign.look(at, &sent.envelope_id).await.unwrap();
    let statuses: Vec<SignerStatus> = seen.signers.iter().map(|one| one.status).collect();
    assert_eq!((seen.status, statuses), (EnvelopeStatus::Sent, vec![SignerStatus::Sent, SignerStatus::Waiting]));
    assert!(outside.lab.sign(&sent.envelope_id, "2", None).is_err(), "it is not their turn");
    sign.remind(at, &sent.envelope_id).await.unwrap();
    let again = sign.remind(at, &sent.envelope_id).await;
    assert!(matches!(again, Err(Fault::Never("refused", _))), "nobody is reminded twice in an hour: {again:?}");
    outside.lab.sign(&sent.envelope_id, "1", None).unwrap();
    sign.remind(at, &sent.envelope_id).await.unwrap();
    outside.lab.sign(&sent.envelope_id, "2", None).unwrap();
    let seen = sign.look(at, &sent.envelope_id).await.unwrap();
    assert_eq!((seen.status, seen.since.is_some()), (EnvelopeStatus::Completed, true));
    assert!(seen.signers.iter().all(|one| one.status == SignerStatus::Completed && one.signed_at.is_some()));
    let ids: Vec<&str> = seen.signers.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["1", "2"]);
    outside.lab.papers_are_late(1);
    let early = sign.signed(at, &sent.envelope_id).await;
    assert!(matches!(early, Err(Fault::Later(..))), "the papers are being made: {early:?}");
    assert!(sign.signed(at, &sent.envelope_id).await.unwrap().starts_with(b"%PDF-"));
    assert_eq!(sign.certificate(at, &sent.envelope_id).await.unwrap(), None);
    let refused = sign.void(at, &sent.envelope_id, "too late").await;
    assert!(matches!(refused, Err(Fault::Never("wrong_state", _))), "{refused:?}");
    let missing = sign.look(at, "none").await;
    assert!(matches!(missing, Err(Fault::Never("not_found", _))), "{missing:?}");
    assert_eq!(outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn an_answer_that_gets_lost_leads_to_no_second_request() {
    let (app, firm, outside) = world().await;
    let (at, sign) = (outside.connected(&app, firm, NAME).await, &outside.dropbox_sign);
    let lost = [What::AnswerLost, What::DoneBut { status: 500 }, What::DoneBut { status: 409 }];
    for (number, what) in lost.into_iter().enumerate() {
        let key = uuid::Uuid::now_v7().to_string();
        outside.lab.fault(LabFault::at(NAME, "POST", "/signature_request/send", what));
        let asked = sign.send(at, &key, &envelope()).await;
        assert!(matches!(asked, Err(Fault::Unknown(_))), "{asked:?}");
        let found = sign.find(at, &key).await.unwrap();
        assert!(found.is_some());
        assert_eq!(sign.send(at, &key, &envelope()).await.ok(), found);
        assert_eq!(outside.lab.signature_requests().len(), number + 1);
    }
    // While nobody can be asked, nothing is sent.
    outside.lab.fault(LabFault::at(NAME, "GET", "/signature_request/list", failing(500, None)));
    let asked = sign.send(at, "other", &envelope()).await;
    assert!(matches!(asked, Err(Fault::Later(..))), "{asked:?}");
    assert_eq!(outside.lab.signature_requests().len(), 3);
}

#[actix_web::test]
async fn declined_cancelled_expired_and_unfit_are_told_apart() {
    let (app, firm, outside) = world().await;
    let (at, sign) = (outside.connected(&app, firm, NAME).await, &outside.dropbox_sign);
    let mut ids = vec![];
    for key in ["a", "b", "c", "d"] {
        ids.push(sign.send(at, key, &envelope()).await.unwrap().envelope_id);
    }
    outside.lab.sign(&ids[0], "1", Some("too expensive")).unwrap();
    // It is cancelled after it was said that it will be.
    let first = sign.void(at, &ids[1], "wrong price").await;
    assert!(matches!(first, Ok(()) | Err(Fault::Later(Some(_), _))), "{first:?}");
    eventually(async || sign.void(at, &ids[1], "wrong price").await.is_ok()).await;
    sign.void(at, &ids[1], "wrong price").await.unwrap();
    outside.lab.expire(&ids[2]);
    outside.lab.papers_are_unfit(&ids[3]);
    let mut seen = vec![];
    for id in &ids {
        seen.push(sign.look(at, id).await.unwrap());
    }
    let statuses: Vec<EnvelopeStatus> = seen.iter().map(|one| one.status).collect();
    let expected = [EnvelopeStatus::Declined, EnvelopeStatus::Voided, EnvelopeStatus::Expired, EnvelopeStatus::Voided];
    assert_eq!(statuses, expected);
    assert_eq!(seen[0].signers[0].declined_because.as_deref(), Some("too expensive"));
    assert!(seen[3].voided_because.as_ref().is_some_and(|why| why.contains("could not be processed")));
    let swept = sign.sweep(at, chrono::Utc::now() - chrono::TimeDelta::minutes(1)).await.unwrap();
    assert_eq!(swept.len(), 3, "what was cancelled is in no list");
    let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    let swept = sign.sweep(at, later).await.unwrap();
    assert_eq!(swept.len(), 2, "when it was declined or failed is told by nobody");
    assert_eq!(outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn limits_mean_later_and_their_end_is_told_as_a_moment() {
    let (app, firm, outside) = world().await;
    let (at, sign) = (outside.connected(&app, firm, NAME).await, &outside.dropbox_sign);
    outside.lab.fault(LabFault::at(NAME, "GET", "/signature_request/list", failing(429, Some(40))));
    let later = sign.find(at, "a").await;
    let wait = Duration::from_secs(35)..=Duration::from_secs(40);
    assert!(matches!(&later, Err(Fault::Later(Some(after), _)) if wait.contains(after)), "{later:?}");
    outside.lab.dropbox_sign_allows(Some(0));
    let later = sign.find(at, "a").await;
    let minute = Duration::from_secs(60);
    assert!(matches!(&later, Err(Fault::Later(Some(after), _)) if *after <= minute), "{later:?}");
    outside.lab.dropbox_sign_allows(None);
    assert_eq!(status(&app, at).await, ConnectionStatus::Connected);
    assert_eq!(sign.find(at, "a").await.unwrap(), None);
}

#[actix_web::test]
async fn a_revoked_grant_blocks_and_goes_on_when_somebody_agrees_again() {
    let (app, firm, outside) = world().await;
    let (at, sign) = (outside.connected(&app, firm, NAME).await, &outside.dropbox_sign);
    outside.lab.revoke(NAME);
    assert_eq!(sign.send(at, "a", &envelope()).await, Err(Fault::Blocked(at.connection)));
    assert_eq!(outside.lab.signature_requests().len(), 0);
    outside.agreed(&app, at, NAME).await;
    sign.send(at, "a", &envelope()).await.unwrap();
    // An older token that is refused is replaced, and the refresh token stays what it is.
    outside.lab.fault(LabFault::at(NAME, "GET", "", failing(401, None)));
    assert!(sign.find(at, "a").await.unwrap().is_some());
    assert_eq!((outside.lab.refreshes(NAME), outside.lab.grants(NAME)), (1, 1));
    assert_eq!(outside.lab.violations(), [""; 0]);
}

/// What became of asking, in one word.
fn word<T>(asked: &Result<T, Fault>) -> &'static str {
    match asked {
        Ok(_) => "done",
        Err(Fault::Later(..)) => "later",
        Err(Fault::Unknown(_)) => "unknown",
        Err(Fault::Blocked(_)) => "blocked",
        Err(Fault::Never(..)) => "never",
    }
}

#[actix_web::test]
async fn whatever_goes_wrong_when_a_request_is_sent_it_is_there_once() {
    let (app, firm, outside) = world().await;
    let (at, sign) = (outside.connected(&app, firm, NAME).await, &outside.dropbox_sign);
    let goes_wrong = [
        (failing(400, None), "never"),
        (failing(401, None), "done"),
        (failing(402, None), "never"),
        (failing(403, None), "blocked"),
        (failing(404, None), "never"),
        (failing(409, None), "unknown"),
        (failing(410, None), "never"),
        (failing(423, None), "later"),
        (failing(429, Some(5)), "later"),
        (failing(429, None), "later"),
        (failing(500, None), "unknown"),
        (failing(503, Some(5)), "later"),
        (What::Slow { millis: 50 }, "done"),
        (What::AnswerLost, "unknown"),
        (What::DoneBut { status: 409 }, "unknown"),
        (What::DoneBut { status: 500 }, "unknown"),
        (What::DoneBut { status: 503 }, "later"),
        (What::DoneBut { status: 504 }, "unknown"),
    ];
    for (number, (what, expected)) in goes_wrong.into_iter().enumerate() {
        let key = uuid::Uuid::now_v7().to_string();
        outside.lab.fault(LabFault::at(NAME, "POST", "/signature_request/send", what.clone()));
        let asked = sign.send(at, &key, &envelope()).await;
        assert_eq!(word(&asked), expected, "{what:?}: {asked:?}");
        if expected == "blocked" {
            outside.agreed(&app, at, NAME).await;
        }
        let sent = sign.send(at, &key, &envelope()).await.unwrap();
        assert_eq!(sign.find(at, &key).await.unwrap(), Some(sent), "{what:?}");
        assert_eq!(outside.lab.signature_requests().len(), number + 1, "{what:?}");
    }
    assert_eq!(outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn what_only_asks_is_asked_again_and_says_nothing_wrong() {
    let (app, firm, outside) = world().await;
    let (at, sign) = (outside.connected(&app, firm, NAME).await, &outside.dropbox_sign);
    let id = sign.send(at, "a", &envelope()).await.unwrap().envelope_id;
    let since = chrono::Utc::now();
    let goes_wrong = [
        (failing(409, None), "later"),
        (failing(423, None), "later"),
        (failing(429, Some(5)), "later"),
        (failing(500, None), "later"),
        (failing(503, None), "later"),
        (What::AnswerLost, "later"),
        (failing(401, None), "done"),
        (What::Slow { millis: 50 }, "done"),
    ];
    for (what, expected) in goes_wrong {
        let fails = || outside.lab.fault(LabFault::at(NAME, "GET", "", what.clone()));
        fails();
        let found = sign.find(at, "a").await;
        fails();
        let seen = sign.look(at, &id).await;
        fails();
        let papers = sign.signed(at, &id).await;
        fails();
        let swept = sign.sweep(at, since).await;
        let words = [word(&found), word(&seen), word(&papers), word(&swept)];
        assert_eq!(words, [expected; 4], "{what:?}");
    }
    assert_eq!(outside.lab.violations(), [""; 0]);
}

fn adapter(outside: &Outside) -> Arc<dyn Adapter> {
    outside.adapters().into_iter().find(|one| one.provider() == NAME).unwrap()
}

/// Somebody agrees on the lab's page; answers the code.
async fn agree(page: &Url) -> String {
    let asked: HashMap<String, String> = page.query_pairs().into_owned().collect();
    let form = [
        ("redirect_uri", asked["redirect_uri"].as_str()),
        ("state", &asked["state"]),
        ("code_challenge", &asked["code_challenge"]),
        ("answer", "allow"),
    ];
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let sent = http.post(page.join("/dropbox_sign/consent").unwrap()).form(&form).send().await.unwrap();
    let back = Url::parse(sent.headers()[LOCATION.as_str()].to_str().unwrap()).unwrap();
    back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

#[actix_web::test]
async fn a_code_is_worth_a_grant_beside_its_own_state_and_once() {
    let (_, _, outside) = world().await;
    let door = adapter(&outside);
    let (page, begun) = door.oauth().begin();
    let code = agree(&page).await;
    let other = Begun { state: "another".to_owned(), ..begun.clone() };
    assert!(door.oauth().exchange(code, &other).await.is_err());
    let code = agree(&page).await;
    let Grant { access, refresh, .. } = door.oauth().exchange(code.clone(), &begun).await.unwrap();
    assert!(door.oauth().exchange(code, &begun).await.is_err(), "a code is used once");
    let accounts = door.accounts(&access).await.unwrap();
    let [account] = &accounts[..] else { panic!("{accounts:?}") };
    assert_eq!((account.id.as_str(), account.label.as_str()), (DROPBOX_SIGN_ACCOUNT, "lab@example.com"));
    let refreshed = door.oauth().refresh(refresh.as_ref().unwrap()).await.unwrap();
    assert!(door.accounts(&refreshed.access).await.is_ok());
    outside.lab.revoke(NAME);
    let ended = door.oauth().refresh(refresh.as_ref().unwrap()).await;
    assert!(matches!(ended, Err(providers::Refusal::Refused(_))), "{ended:?}");
    assert_eq!(outside.lab.violations(), [""; 0]);
}

/// A message about a request, with a hash of this key.
fn message(request: &str, at: i64, key: &str) -> (String, Vec<u8>) {
    let kind = "signature_request_signed";
    let hash = sign_hex(key, format!("{at}{kind}").as_bytes());
    let event = json!({ "event_time": at.to_string(), "event_type": kind, "event_hash": hash });
    let text = json!({ "event": event, "signature_request": { "signature_request_id": request } }).to_string();
    let (kind, body) = form::encode(&[Part::text("json", text)]);
    (kind, body.to_vec())
}

async fn hints(outside: &Outside) -> Vec<Value> {
    let sql = "select hints from connect.inbox order by received_at";
    sqlx::query_scalar(sql).fetch_all(&outside.worker).await.unwrap()
}

#[actix_web::test]
async fn a_forged_message_is_refused_and_a_genuine_one_is_thanked_and_no_more_than_a_hint() {
    let (app, firm, outside) = world().await;
    let at = outside.connected(&app, firm, NAME).await;
    let (verifier, desk) = (app.verifier.clone(), outside.desk(&app));
    let service =
        init_service(App::new().app_data(verifier).configure(|config| connect::configure(config, desk))).await;
    let door = format!("/v1/webhooks/{NAME}/{}", at.connection);
    let say = async |(kind, body): (String, Vec<u8>)| {
        let request = TestRequest::post().uri(&door).insert_header((CONTENT_TYPE, kind)).set_payload(body);
        let answer = call_service(&service, request.to_request()).await;
        let status = answer.status().as_u16();
        (status, String::from_utf8(read_body(answer).await.to_vec()).unwrap())
    };
    let now = chrono::Utc::now().timestamp();
    assert_eq!(say(message("r", now, "another key")).await.0, 401);
    assert_eq!(say(message("r", now - 10 * 86_400, WEBHOOK_KEY)).await.0, 401, "it is from last week");
    assert_eq!(say(("application/json".to_owned(), b"{}".to_vec())).await.0, 401);
    assert_eq!(hints(&outside).await.len(), 0);
    let (code, thanks) = say(message("r1", now, WEBHOOK_KEY)).await;
    assert_eq!((code, thanks.as_str()), (200, "Hello API Event Received"));
    // The hash covers no request: whoever heard one message can write this one, and all it does is ask.
    assert_eq!(say(message("r2", now, WEBHOOK_KEY)).await.0, 200);
    let expected = ["r1", "r2"].map(|id| json!([{ "kind": "envelope", "id": id }]));
    assert_eq!(hints(&outside).await, expected);
}

#[actix_web::test]
async fn what_is_said_of_a_request_comes_in_and_what_is_forged_does_not() {
    let (app, firm, outside) = world().await;
    let (at, sign) = (outside.connected(&app, firm, NAME).await, &outside.dropbox_sign);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let door = format!("http://{}/v1/webhooks/{NAME}/{}", listener.local_addr().unwrap(), at.connection);
    let (verifier, desk) = (app.verifier.clone(), outside.desk(&app));
    let service = move || {
        let (verifier, desk) = (verifier.clone(), desk.clone());
        App::new().app_data(verifier).configure(|config| connect::configure(config, desk))
    };
    let server = HttpServer::new(service).workers(1).disable_signals().listen(listener).unwrap();
    actix_web::rt::spawn(server.run());
    outside.lab.webhooks_to(NAME, &door);
    outside.lab.mood(Mood::Held);
    let sent = sign.send(at, "a", &envelope()).await.unwrap();
    for signer in ["1", "2"] {
        outside.lab.sign(&sent.envelope_id, signer, None).unwrap();
    }
    // Sent, signed twice, signed by all, ready: the last first.
    assert_eq!(outside.lab.let_go().await.unwrap(), [200; 5]);
    let heard = hints(&outside).await;
    assert!(!heard.is_empty() && heard.iter().all(|one| one[0]["id"] == json!(sent.envelope_id)), "{heard:?}");
    outside.lab.mood(Mood::Forged);
    sign.send(at, "b", &envelope()).await.unwrap();
    eventually(async || outside.lab.said().iter().any(|said| said.method == "WEBHOOK" && said.status == 401)).await;
    assert_eq!(hints(&outside).await, heard);
    assert_eq!(outside.lab.violations(), [""; 0]);
}
