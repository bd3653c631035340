//! DocuSign against the lab.

use crate::common::world;
use lab::{Fault as LabFault, What};
use ports::{Envelope, EnvelopeStatus, Fault, Paper, Recipient, SignerStatus, Signing};
use providers::Sweeper;

fn recipient(id: &str, order: u16) -> Recipient {
    let (name, email) = (format!("Signer {id}"), format!("signer{id}@example.com"));
    Recipient { id: id.to_owned(), name, email, order, signs: true, anchors: None }
}

/// What two sign in turn.
pub fn envelope() -> Envelope {
    Envelope {
        subject: "Contract".to_owned(),
        message: Some("Please sign".to_owned()),
        papers: vec![Paper { name: "contract.pdf".to_owned(), content: b"%PDF-1.4 a contract".as_slice().into() }],
        recipients: vec![recipient("1", 1), recipient("2", 2)],
        expires_after_days: Some(30),
        notify: None,
    }
}

#[actix_web::test]
async fn an_envelope_is_sent_signed_in_order_and_fetched() {
    let (app, firm, outside) = world().await;
    let (at, docusign) = (outside.connected(&app, firm, "docusign").await, &outside.docusign);
    let sent = docusign.send(at, "key-1", &envelope()).await.unwrap();
    assert_eq!(docusign.send(at, "key-1", &envelope()).await.unwrap(), sent, "looked for before it is sent");
    assert_eq!(docusign.find(at, "key-1").await.unwrap(), Some(sent.clone()));
    assert_eq!(docusign.find(at, "key-2").await.unwrap(), None);
    let seen = docusign.look(at, &sent.envelope_id).await.unwrap();
    let statuses: Vec<SignerStatus> = seen.signers.iter().map(|one| one.status).collect();
    assert_eq!((seen.status, statuses), (EnvelopeStatus::Sent, vec![SignerStatus::Sent, SignerStatus::Waiting]));
    assert!(outside.lab.sign(&sent.envelope_id, "2", None).is_err(), "it is not their turn");
    outside.lab.sign(&sent.envelope_id, "1", None).unwrap();
    docusign.remind(at, &sent.envelope_id).await.unwrap();
    outside.lab.sign(&sent.envelope_id, "2", None).unwrap();
    let seen = docusign.look(at, &sent.envelope_id).await.unwrap();
    assert_eq!(seen.status, EnvelopeStatus::Completed);
    assert!(seen.signers.iter().all(|one| one.status == SignerStatus::Completed && one.signed_at.is_some()));
    assert!(docusign.signed(at, &sent.envelope_id).await.unwrap().starts_with(b"%PDF-"));
    let certificate = docusign.certificate(at, &sent.envelope_id).await.unwrap();
    assert!(certificate.is_some_and(|one| one.starts_with(b"%PDF-")));
    let refused = docusign.void(at, &sent.envelope_id, "too late").await;
    assert!(matches!(refused, Err(Fault::Never("wrong_state", _))), "{refused:?}");
    assert_eq!(outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn an_answer_that_gets_lost_leads_to_no_second_envelope() {
    let (app, firm, outside) = world().await;
    let (at, docusign) = (outside.connected(&app, firm, "docusign").await, &outside.docusign);
    outside.lab.fault(LabFault::at("docusign", "POST", "/envelopes", What::AnswerLost));
    let asked = docusign.send(at, "key-1", &envelope()).await;
    assert!(matches!(asked, Err(Fault::Unknown(_))), "{asked:?}");
    let found = docusign.find(at, "key-1").await.unwrap();
    assert!(found.is_some());
    assert_eq!(docusign.send(at, "key-1", &envelope()).await.ok(), found);
    assert_eq!(outside.lab.envelopes().len(), 1);
}

#[actix_web::test]
async fn declined_voided_and_expired_are_told_apart() {
    let (app, firm, outside) = world().await;
    let (at, docusign) = (outside.connected(&app, firm, "docusign").await, &outside.docusign);
    let mut ids = vec![];
    for key in ["a", "b", "c"] {
        ids.push(docusign.send(at, key, &envelope()).await.unwrap().envelope_id);
    }
    outside.lab.sign(&ids[0], "1", Some("too expensive")).unwrap();
    docusign.void(at, &ids[1], "wrong price").await.unwrap();
    docusign.void(at, &ids[1], "wrong price").await.unwrap();
    outside.lab.expire(&ids[2]);
    let mut seen = vec![];
    for id in &ids {
        seen.push(docusign.look(at, id).await.unwrap());
    }
    let statuses: Vec<EnvelopeStatus> = seen.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [EnvelopeStatus::Declined, EnvelopeStatus::Voided, EnvelopeStatus::Expired]);
    assert_eq!(seen[0].signers[0].declined_because.as_deref(), Some("too expensive"));
    assert_eq!(seen[1].voided_because.as_deref(), Some("wrong price"));
    let swept = docusign.sweep(at, chrono::Utc::now() - chrono::TimeDelta::minutes(1)).await.unwrap();
    assert_eq!(swept.len(), 3);
}

#[actix_web::test]
async fn docusigns_limits_come_with_400_and_mean_later() {
    let (app, firm, outside) = world().await;
    let (at, docusign) = (outside.connected(&app, firm, "docusign").await, &outside.docusign);
    let limit = |code: &str| What::Status { status: 400, retry_after: None, limit: None, code: Some(code.to_owned()) };
    outside.lab.fault(LabFault::at("docusign", "GET", "/envelopes", limit("Hourly_Envelope_Polling_Limit_Exceeded")));
    let later = docusign.find(at, "a").await;
    assert!(matches!(later, Err(Fault::Later(Some(_), _))), "{later:?}");
    outside.lab.fault(LabFault::at("docusign", "GET", "/envelopes", limit("ENVELOPE_DOES_NOT_EXIST")));
    let missing = docusign.look(at, "none").await;
    assert!(matches!(missing, Err(Fault::Never("not_found", _))), "{missing:?}");
}
