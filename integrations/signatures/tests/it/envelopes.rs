//! What goes out, once, and what comes back.

use crate::world::World;
use agreements_events::ContractStatus as S;
use lab::{Fault, What};
use reactions::Outcome;
use serde_json::json;

#[actix_web::test]
async fn a_contract_goes_out_with_places_to_sign_and_is_on_record_as_an_envelope() {
    let world = World::new().await;
    let (contract, id) = world.out().await;
    world.round().await;
    let envelope = world.envelope();
    assert_eq!((&envelope["envelopeId"], &envelope["emailSubject"]), (&json!(id), &json!("Book/keeping")));
    let signers = envelope["recipients"]["signers"].as_array().unwrap();
    assert_eq!((signers.len(), envelope["recipients"]["carbonCopies"].as_array().unwrap().len()), (2, 1));
    let anchors: Vec<&str> = signers
        .iter()
        .flat_map(|one| ["signHereTabs", "dateSignedTabs"].map(|tabs| one["tabs"][tabs][0]["anchorString"].as_str()))
        .flatten()
        .collect();
    assert_eq!(anchors.len(), 4);
    assert_eq!(world.status(contract).await, S::SentForSignature);
    assert_eq!(world.outside.lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn an_envelope_whose_answer_got_lost_is_found_and_not_sent_again() {
    let world = World::new().await;
    world.outside.lab.fault(Fault::at("docusign", "POST", "/envelopes", What::AnswerLost));
    let contract = world.sent().await;
    world.until("the envelope is found", async |contract| contract.envelope().is_some(), contract).await;
    let recorded = world.contract(contract).await.envelope().map(|(_, id)| id.to_string());
    assert_eq!(recorded.as_deref(), world.envelope()["envelopeId"].as_str());
}

#[actix_web::test]
async fn an_envelope_that_was_created_with_an_error_as_the_answer_is_found_and_not_sent_again() {
    let world = World::new().await;
    world.outside.lab.fault(Fault::at("docusign", "POST", "/envelopes", What::DoneBut { status: 504 }));
    let contract = world.sent().await;
    world.until("the envelope is found", async |contract| contract.envelope().is_some(), contract).await;
    world.envelope();
}

#[actix_web::test]
async fn what_the_provider_says_before_our_own_record_is_not_lost() {
    let world = World::new().await;
    world.outside.lab.fault(Fault::at("docusign", "POST", "/envelopes", What::AnswerLost));
    let contract = world.sent().await;
    world.round().await;
    // Everybody signs before we know that there is an envelope.
    let envelope = world.envelope()["envelopeId"].as_str().unwrap().to_owned();
    world.sign(&envelope);
    assert_eq!(world.hear(&envelope).await, Outcome::Done);
    let signed = async |contract: &agreements::Contract| contract.status() == S::Signed;
    world.until("the contract is signed", signed, contract).await;
    assert_eq!(world.outside.lab.envelopes().len(), 1);
}

#[actix_web::test]
async fn signatures_are_noted_one_by_one_and_nothing_twice() {
    let world = World::new().await;
    let (contract, envelope) = world.out().await;
    world.outside.lab.sign(&envelope, "1", None).unwrap();
    assert_eq!(world.hear(&envelope).await, Outcome::Done);
    assert_eq!(world.status(contract).await, S::PartiallySigned);
    world.outside.lab.sign(&envelope, "2", None).unwrap();
    for _ in 0..3 {
        assert_eq!(world.hear(&envelope).await, Outcome::Done);
    }
    // What was signed is not kept yet.
    assert_eq!(world.status(contract).await, S::PartiallySigned);
    let signed = async |contract: &agreements::Contract| contract.status() == S::Signed;
    world.until("the contract is signed", signed, contract).await;
    let counts =
        (world.happened(contract, "recipient.signed").await, world.happened(contract, "contract.signed").await);
    assert_eq!(counts, (2, 1));
}

#[actix_web::test]
async fn an_envelope_of_somebody_else_says_nothing() {
    let world = World::new().await;
    assert_eq!(world.hear("0b1f4f0e-0000-4000-8000-000000000000").await, Outcome::Done);
}

#[actix_web::test]
async fn what_is_declined_or_not_signed_in_time_there_is_so_here() {
    let world = World::new().await;
    let lab = &world.outside.lab;
    let (declined, envelope) = world.out().await;
    lab.sign(&envelope, "1", Some("too expensive")).unwrap();
    assert_eq!(world.hear(&envelope).await, Outcome::Done);
    assert_eq!(world.status(declined).await, S::Declined);
    let (expired, envelope) = world.out().await;
    lab.expire(&envelope);
    assert_eq!(world.hear(&envelope).await, Outcome::Done);
    assert_eq!(world.status(expired).await, S::Expired);
    world.round().await;
    assert_eq!(lab.violations(), [""; 0]);
}

#[actix_web::test]
async fn a_contract_that_is_voided_here_is_taken_back_there() {
    let world = World::new().await;
    let (contract, _) = world.out().await;
    world.command("agreements.contract.void", contract, json!({ "reason": "wrong price" })).await;
    world.round().await;
    let envelope = world.envelope();
    assert_eq!((&envelope["status"], &envelope["voidedReason"]), (&json!("voided"), &json!("wrong price")));
}

#[actix_web::test]
async fn a_contract_that_is_voided_before_it_went_out_does_not_go_out() {
    let world = World::new().await;
    let contract = world.sent().await;
    world.command("agreements.contract.void", contract, json!({ "reason": "wrong price" })).await;
    world.round().await;
    assert_eq!(world.outside.lab.envelopes().len(), 0);
}

#[actix_web::test]
async fn a_contract_that_is_voided_while_nobody_knows_whether_it_went_out_is_taken_back() {
    let world = World::new().await;
    world.outside.lab.fault(Fault::at("docusign", "POST", "/envelopes", What::AnswerLost));
    let contract = world.sent().await;
    world.round().await;
    world.command("agreements.contract.void", contract, json!({ "reason": "wrong price" })).await;
    let voided = async |_: &agreements::Contract| world.envelope()["status"] == "voided";
    world.until("the envelope is taken back", voided, contract).await;
}

#[actix_web::test]
async fn whoever_has_not_signed_is_reminded() {
    let world = World::new().await;
    let (contract, _) = world.out().await;
    world.command("agreements.contract.remind", contract, json!({})).await;
    world.round().await;
    assert_eq!(world.envelope()["reminders"], 1);
}

#[actix_web::test]
async fn what_cannot_be_sent_now_is_sent_later_and_once() {
    let world = World::new().await;
    let busy = What::Status { status: 503, retry_after: Some(1), limit: None, code: None };
    world.outside.lab.fault(Fault::at("docusign", "GET", "/envelopes", busy));
    let contract = world.sent().await;
    world.until("the contract is out", async |contract| contract.envelope().is_some(), contract).await;
    world.envelope();
}
